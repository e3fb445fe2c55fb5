/**
 * The legacy region: x87, MMX and SSE state as FXSAVE and FXRSTOR lay it out in 512 bytes, and as XSAVE and
 * XRSTOR begin their area.
 *
 * Intel SDM volume 1, 10.5 and 13.4.1; volume 2, FXSAVE, table 3-43 (32-bit pointers) and 3-45 (64-bit pointers).
 */
import type { VcpuState } from '../../../vcpu/state.ts';
import { setStatusWord } from './x87-stack.ts';

/** A state area in guest memory, by offset. Both functions may throw a guest's fault; all is read before the
 * first register is changed. */
export interface StateArea {
  /** @returns a copy of `length` bytes */
  read(offset: number, length: number): Uint8Array;
  write(offset: number, bytes: Uint8Array): void;
}

/** An area to restore from. */
type Source = Pick<StateArea, 'read'>;
/** An area to save to. */
type Target = Pick<StateArea, 'write'>;

/** What the instruction and the mode fix. */
export interface StateFormat {
  /** REX.W: x87 pointers are 64-bit offsets instead of 32-bit offsets with selectors. */
  readonly pointers64: boolean;
  /** Vector registers there are: 16 in 64-bit mode, else 8. The others are neither saved nor changed. */
  readonly registers: 8 | 16;
}

/** Whether a restore took place, or must raise #GP(0). */
export type Restored = 'done' | 'general-protection';

/** An FXSAVE area, and where it must be aligned else #GP(0). */
export const FXSAVE_BYTES = 512;
export const FXSAVE_ALIGNMENT = 16;

/** Bits of MXCSR that may be set, as saved in MXCSR_MASK (SDM 1, 11.6.6). */
export const MXCSR_MASK = 0xffff;
/** MXCSR after reset. */
export const MXCSR_DEFAULT = 0x1f80;

const OFFSET = { fcw: 0, fsw: 2, ftw: 4, fop: 6, fip: 8, fcs: 12, fdp: 16, fds: 20, mxcsr: 24, mask: 28, st: 32, xmm: 160 } as const; // prettier-ignore

/** Bits of the control word that can be changed; bit 6 is always set (SDM 1, 8.1.5). */
const CONTROL_BITS = 0x1f3f;
const CONTROL_FIXED = 0x40;
const EXCEPTIONS = 0x3f;
/** Exception summary and busy, which follow from the exceptions and their masks (SDM 1, 8.1.3.3). */
const SUMMARY = 0x8080;
const OPCODE_BITS = 0x7ff;

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/** Registers as 32-bit words: every word as a BigInt would be an allocation each. Guests save and restore them at each
 * switch of tasks, so views are kept, and what is put together is so in a place of its own. */
const words = new WeakMap<BigUint64Array, Int32Array>();

function wordsOf(registers: BigUint64Array): Int32Array {
  let found = words.get(registers);
  if (found === undefined) {
    found = new Int32Array(registers.buffer, registers.byteOffset, 2 * registers.length);
    words.set(registers, found);
  }
  return found;
}

/** Halves of vector registers in a row, and MXCSR with its mask. */
const row = new Uint8Array(16 * 16);
const rowWords = new Int32Array(row.buffer);
const mxcsrPart = new Uint8Array(8);
const mxcsrView = new DataView(mxcsrPart.buffer);

/** The x87 parts to save. */
const x87Head = new Uint8Array(OFFSET.mxcsr);
const x87HeadView = view(x87Head);
const x87Registers = new Uint8Array(OFFSET.xmm - OFFSET.st);
const x87Words = new Int32Array(x87Registers.buffer);

/** Physical number of ST(i). */
const physical = (fsw: number, i: number): number => (((fsw >> 11) & 7) + i) & 7;

/** x87 state: bytes 0 … 23 and 32 … 159, where each register has 16 bytes, the last six zero. */
export function saveX87(state: VcpuState, area: Target, format: StateFormat): void {
  const to = x87HeadView;
  to.setUint16(OFFSET.fcw, state.fcw, true);
  to.setUint16(OFFSET.fsw, state.fsw, true);
  to.setUint8(OFFSET.ftw, state.ftw);
  to.setUint16(OFFSET.fop, state.fop & OPCODE_BITS, true);
  to.setBigUint64(OFFSET.fip, state.fip, true);
  to.setBigUint64(OFFSET.fdp, state.fdp, true);
  if (!format.pointers64) {
    to.setUint32(OFFSET.fcs, state.fcs & 0xffff, true);
    to.setUint32(OFFSET.fds, state.fds & 0xffff, true);
  }
  area.write(0, x87Head);
  const from = wordsOf(state.fpr);
  for (let i = 0; i < 8; i++) {
    const at = 4 * physical(state.fsw, i);
    x87Words[4 * i] = from[at]!;
    x87Words[4 * i + 1] = from[at + 1]!;
    // The other six bytes are reserved.
    x87Words[4 * i + 2] = from[at + 2]! & 0xffff;
  }
  area.write(OFFSET.st, x87Registers);
}

/** Reads x87 state; the result puts it into the registers. */
export function loadX87(area: Source, format: StateFormat): (state: VcpuState) => void {
  const head = view(area.read(0, OFFSET.mxcsr));
  const st = view(area.read(OFFSET.st, OFFSET.xmm - OFFSET.st));
  return (state) => {
    state.fcw = (head.getUint16(OFFSET.fcw, true) & CONTROL_BITS) | CONTROL_FIXED;
    const status = head.getUint16(OFFSET.fsw, true) & ~SUMMARY;
    setStatusWord(state, status | ((status & ~state.fcw & EXCEPTIONS) !== 0 ? SUMMARY : 0));
    state.ftw = head.getUint8(OFFSET.ftw);
    state.fop = head.getUint16(OFFSET.fop, true) & OPCODE_BITS;
    if (format.pointers64) {
      state.fip = head.getBigUint64(OFFSET.fip, true);
      state.fdp = head.getBigUint64(OFFSET.fdp, true);
      state.fcs = 0;
      state.fds = 0;
    } else {
      state.fip = BigInt(head.getUint32(OFFSET.fip, true));
      state.fdp = BigInt(head.getUint32(OFFSET.fdp, true));
      state.fcs = head.getUint16(OFFSET.fcs, true);
      state.fds = head.getUint16(OFFSET.fds, true);
    }
    for (let i = 0; i < 8; i++) {
      const n = physical(state.fsw, i);
      state.fpr[2 * n] = st.getBigUint64(16 * i, true);
      state.fpr[2 * n + 1] = BigInt(st.getUint16(16 * i + 8, true));
    }
  };
}

/** x87 state as FNINIT and XRSTOR leave it, with empty registers that hold zero (SDM 1, 13.6). */
export function initX87(state: VcpuState): void {
  state.fcw = 0x37f;
  setStatusWord(state, 0);
  state.ftw = 0;
  state.fop = 0;
  state.fip = 0n;
  state.fdp = 0n;
  state.fcs = 0;
  state.fds = 0;
  state.fpr.fill(0n);
}

/** True where the x87 state is what {@link initX87} makes it. */
export function isInitX87(state: VcpuState): boolean {
  return (
    state.fcw === 0x37f &&
    (state.fsw | state.ftw | state.fop | state.fcs | state.fds) === 0 &&
    (state.fip | state.fdp) === 0n &&
    isZero(wordsOf(state.fpr))
  );
}

function isZero(of: Int32Array): boolean {
  for (let i = 0; i < of.length; i++) if (of[i] !== 0) return false;
  return true;
}

/** MXCSR and its mask: bytes 24 … 31. */
export function saveMxcsr(state: VcpuState, area: Target): void {
  mxcsrView.setUint32(0, state.mxcsr, true);
  mxcsrView.setUint32(4, MXCSR_MASK, true);
  area.write(OFFSET.mxcsr, mxcsrPart);
}

/** The MXCSR of an area; null where reserved bits are set, which raises #GP(0). */
export function readMxcsr(area: Source): number | null {
  const value = view(area.read(OFFSET.mxcsr, 4)).getUint32(0, true);
  return (value & ~MXCSR_MASK) === 0 ? value : null;
}

/** XMM registers: bytes 160 … 415, or to 287 for eight. */
export function saveXmm(state: VcpuState, area: Target, { registers }: StateFormat): void {
  area.write(OFFSET.xmm, halves(state, 0, registers));
}

/**
 * Reads XMM registers from a legacy region (SDM 1, 10.5.1). @returns what sets them, once nothing can fault any more
 */
export function loadXmm(area: Source, { registers }: StateFormat): (state: VcpuState) => void {
  const bytes = area.read(OFFSET.xmm, 16 * registers);
  return (state) => setHalves(state, 0, registers, bytes);
}

/**
 * The lower (`half` 0) or upper (1) halves of the first vector registers, 16 bytes each; valid until the next call.
 */
export function halves(state: VcpuState, half: 0 | 1, registers: number): Uint8Array {
  const from = wordsOf(state.ymm);
  for (let n = 0; n < registers; n++) {
    const at = 8 * n + 4 * half;
    for (let i = 0; i < 4; i++) rowWords[4 * n + i] = from[at + i]!;
  }
  return row.subarray(0, 16 * registers);
}

/** Sets them; to zero where `bytes` is undefined. */
export function setHalves(
  state: VcpuState,
  half: 0 | 1,
  registers: number,
  bytes: Uint8Array | undefined,
): void {
  if (bytes === undefined) row.fill(0);
  else row.set(bytes);
  const to = wordsOf(state.ymm);
  for (let n = 0; n < registers; n++) {
    const at = 8 * n + 4 * half;
    for (let i = 0; i < 4; i++) to[at + i] = rowWords[4 * n + i]!;
  }
}

/** True where they are all zero. */
export function halvesAreZero(state: VcpuState, half: 0 | 1, registers: number): boolean {
  const of = wordsOf(state.ymm);
  for (let n = 0; n < registers; n++) {
    const at = 8 * n + 4 * half;
    if ((of[at]! | of[at + 1]! | of[at + 2]! | of[at + 3]!) !== 0) return false;
  }
  return true;
}

/** FXSAVE. Bytes 416 … 511 are left alone: reserved, or the program's own. */
export function fxsave(state: VcpuState, area: Target, format: StateFormat): void {
  saveX87(state, area, format);
  saveMxcsr(state, area);
  saveXmm(state, area, format);
}

/** FXRSTOR. #GP(0) for reserved bits of MXCSR. All 512 bytes must be readable. */
export function fxrstor(state: VcpuState, area: Source, format: StateFormat): Restored {
  const image = area.read(0, FXSAVE_BYTES);
  const copy: Source = { read: (offset, length) => image.slice(offset, offset + length) };
  const x87 = loadX87(copy, format);
  const mxcsr = readMxcsr(copy);
  const xmm = loadXmm(copy, format);
  if (mxcsr === null) return 'general-protection';
  x87(state);
  state.mxcsr = mxcsr;
  xmm(state);
  return 'done';
}
