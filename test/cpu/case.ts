/**
 * What a differential processor test is: a few instructions with the complete user-visible state before
 * them, and the state after them. Plain data, the same for the host's processor and for ours.
 *
 * A case runs at CPL 3 from the address in RIP. The code pages hold HLT everywhere else, which is
 * privileged: running off the end, or jumping somewhere else in the pages, ends in #GP(0) at the address
 * reached. So every case ends in an exception, and the vector, error code and address are its outcome.
 */

/** A stretch of the address space of the tests, page-granular. */
export interface Region {
  readonly name: string;
  readonly address: number;
  readonly bytes: number;
  readonly write: boolean;
  readonly execute: boolean;
}

export const PAGE = 4096;

/** Two executable pages; the page after them is not mapped. All addresses are below 2 GiB, so that every addressing
 * form reaches them, and above where a program's own image and heap can be. */
export const CODE = 0x6000_0000;
/** Two executable pages that can be written, for programs that change themselves. */
export const OWN_CODE = 0x6080_0000;
/** Two writable pages; the page after them is not mapped. */
export const DATA = 0x6100_0000;
/** A writable page, a read-only page, then nothing. */
export const MIXED = 0x6101_0000;
/** One writable page with nothing on either side. */
export const STACK = 0x6200_0000;

export const REGIONS: readonly Region[] = [
  { name: 'code', address: CODE, bytes: 2 * PAGE, write: false, execute: true },
  { name: 'own code', address: OWN_CODE, bytes: 2 * PAGE, write: true, execute: true },
  { name: 'data', address: DATA, bytes: 2 * PAGE, write: true, execute: false },
  { name: 'mixed', address: MIXED, bytes: PAGE, write: true, execute: false },
  { name: 'readonly', address: MIXED + PAGE, bytes: PAGE, write: false, execute: false },
  { name: 'stack', address: STACK, bytes: PAGE, write: true, execute: false },
];

/** The parts of the data regions that operands are aimed at: restored before and read after every case. */
export const WINDOWS: readonly { readonly address: number; readonly bytes: number }[] = [
  { address: DATA + PAGE - 512, bytes: 1024 }, // over the boundary of two writable pages
  { address: DATA + 2 * PAGE - 512, bytes: 512 }, // up to the page that is not mapped
  { address: MIXED + PAGE - 256, bytes: 512 }, // from writable to read-only
  { address: STACK + 2048 - 256, bytes: 512 }, // where the stack pointer mostly is
];

/** The byte that data memory holds at `address` where the case says nothing else. */
export function background(address: number): number {
  return (Math.imul(address, 0x9e37_79b1) >>> 23) & 0xff;
}

/** Bytes at a linear address. */
export interface Patch {
  readonly address: number;
  readonly bytes: Uint8Array;
}

/** Byte offsets in {@link CpuState.bytes}. */
export const StateOffset = {
  gpr: 0,
  rip: 128,
  rflags: 136,
  /** ES CS SS DS FS GS, 16 bits each. */
  selector: 144,
  fsBase: 160,
  gsBase: 168,
  /** An XSAVE area in standard form (SDM 1, 13.4): legacy region 512, header 64, upper halves of YMM 256. */
  xsave: 192,
} as const;

export const STATE_BYTES = 1024;
/** Offsets in the legacy XSAVE region, 64-bit form (SDM 1, table 10-2 and 13.4.1). */
export const Fx = { fcw: 0, fsw: 2, ftw: 4, fop: 6, fip: 8, fdp: 16, mxcsr: 24, st: 32, xmm: 160 } as const;
const XSTATE_BV = 512;
const YMM_HIGH = 576;

export const SELECTOR = { user32: 0x23, data: 0x2b, user64: 0x33 } as const;

/** User-visible processor state: {@link STATE_BYTES} bytes laid out as in {@link StateOffset}. */
export class CpuState {
  readonly bytes: Uint8Array;
  readonly view: DataView;

  constructor(bytes: Uint8Array = new Uint8Array(STATE_BYTES)) {
    if (bytes.length !== STATE_BYTES) throw new RangeError(`a state has ${STATE_BYTES} bytes`);
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, STATE_BYTES);
  }

  /** The state every case starts from: all registers zero, FPU and SSE as after reset with exceptions masked. */
  static initial(mode: 32 | 64): CpuState {
    const state = new CpuState();
    state.rip = BigInt(CODE);
    state.rflags = 0x202n;
    state.setGpr(4, BigInt(STACK + 2048));
    state.setSelector(1, mode === 64 ? SELECTOR.user64 : SELECTOR.user32);
    for (const segment of [0, 2, 3]) state.setSelector(segment, SELECTOR.data);
    if (mode === 32) for (const segment of [4, 5]) state.setSelector(segment, SELECTOR.data);
    state.fcw = 0x37f;
    state.mxcsr = 0x1f80;
    state.view.setUint32(StateOffset.xsave + XSTATE_BV, 7, true);
    return state;
  }

  clone(): CpuState {
    return new CpuState(this.bytes.slice());
  }

  gpr(register: number): bigint {
    return this.view.getBigUint64(register * 8, true);
  }
  setGpr(register: number, value: bigint): void {
    this.view.setBigUint64(register * 8, value, true);
  }
  /** Segment register by encoding: ES CS SS DS FS GS. */
  selector(segment: number): number {
    return this.view.getUint16(StateOffset.selector + segment * 2, true);
  }
  setSelector(segment: number, value: number): void {
    this.view.setUint16(StateOffset.selector + segment * 2, value, true);
  }
  get rip(): bigint {
    return this.view.getBigUint64(StateOffset.rip, true);
  }
  set rip(value: bigint) {
    this.view.setBigUint64(StateOffset.rip, value, true);
  }
  get rflags(): bigint {
    return this.view.getBigUint64(StateOffset.rflags, true);
  }
  set rflags(value: bigint) {
    this.view.setBigUint64(StateOffset.rflags, value, true);
  }
  get fcw(): number {
    return this.view.getUint16(StateOffset.xsave + Fx.fcw, true);
  }
  set fcw(value: number) {
    this.view.setUint16(StateOffset.xsave + Fx.fcw, value, true);
  }
  get fsw(): number {
    return this.view.getUint16(StateOffset.xsave + Fx.fsw, true);
  }
  set fsw(value: number) {
    this.view.setUint16(StateOffset.xsave + Fx.fsw, value, true);
  }
  /** Abridged tag word: bit n set where physical register n is not empty. */
  get ftw(): number {
    return this.bytes[StateOffset.xsave + Fx.ftw];
  }
  set ftw(value: number) {
    this.bytes[StateOffset.xsave + Fx.ftw] = value;
  }
  get mxcsr(): number {
    return this.view.getUint32(StateOffset.xsave + Fx.mxcsr, true);
  }
  set mxcsr(value: number) {
    this.view.setUint32(StateOffset.xsave + Fx.mxcsr, value, true);
  }
  /** The ten bytes of ST(i), live. */
  st(i: number): Uint8Array {
    const at = StateOffset.xsave + Fx.st + i * 16;
    return this.bytes.subarray(at, at + 10);
  }
  /** The sixteen bytes of XMM i, live. */
  xmm(i: number): Uint8Array {
    const at = StateOffset.xsave + Fx.xmm + i * 16;
    return this.bytes.subarray(at, at + 16);
  }
  /** The upper sixteen bytes of YMM i, live. */
  ymmHigh(i: number): Uint8Array {
    const at = StateOffset.xsave + YMM_HIGH + i * 16;
    return this.bytes.subarray(at, at + 16);
  }
}

/** The memory operand a case was built around, for the rows of masks.ts that concern memory. */
export interface Operand {
  readonly address: bigint;
  readonly bytes: number;
}

export interface Case {
  /** The instruction form, as in the generator's tables: what results are grouped by. */
  readonly name: string;
  readonly mode: 32 | 64;
  /** At most {@link MAX_CODE} bytes, placed at `state.rip`. */
  readonly code: Uint8Array;
  readonly state: CpuState;
  /** Data memory that differs from {@link background}: at most {@link MAX_PATCHES}, {@link MAX_PATCH} bytes each. */
  readonly memory: readonly Patch[];
  readonly operand?: Operand;
  /** Bytes of the operand, by prefixes and mode. */
  readonly operandSize: number;
}

export const MAX_CODE = 256;
export const MAX_PATCHES = 12;
export const MAX_PATCH = 64;

export interface Result {
  readonly state: CpuState;
  /** Exception vector, or {@link LOST}. */
  readonly vector: number;
  readonly errorCode: number;
  /** The faulting address of a #PF, else 0. */
  readonly cr2: bigint;
  /** What the case changed: whole aligned 8-byte units, adjacent ones joined, in order of address. */
  readonly memory: readonly Patch[];
  /** Why the case is {@link LOST}, where that is known. */
  readonly note?: string;
}

/** The vector of a case that never came back. */
export const LOST = -1;

/** A processor under test, or the oracle. Results come in the order of the cases. */
export interface Subject {
  run(batch: readonly Case[]): Result[] | Promise<Result[]>;
}

/** True where the code ran to its end, or jumped, and met the HLT that surrounds it. */
export function ranToHalt(of: Case, result: Result): boolean {
  if (result.vector !== 13 || result.errorCode !== 0) return false;
  const offset = Number(BigInt.asIntN(64, result.state.rip - of.state.rip));
  return offset < 0 || offset >= of.code.length;
}

/** The 8-byte units in which two images of memory differ, joined where adjacent.
 * @param address linear address of both images, a multiple of 8 */
export function changes(address: number, before: Uint8Array, after: Uint8Array): Patch[] {
  const found: Patch[] = [];
  let start = -1;
  for (let at = 0; at <= before.length; at += 8) {
    let differs = false;
    for (let i = at; at < before.length && i < at + 8; i++) differs ||= before[i] !== after[i];
    if (differs && start < 0) start = at;
    if (!differs && start >= 0) {
      found.push({ address: address + start, bytes: after.slice(start, at) });
      start = -1;
    }
  }
  return found;
}
