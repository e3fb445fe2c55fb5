/** Compares two results of a case, field by field, with what masks.ts excuses left out. */
import { background, type CpuState, Fx, StateOffset, type Case, type Patch, type Result } from './case.ts';
import { excusedFor, excusedInSequence } from './masks.ts';

export interface Difference {
  readonly field: string;
  readonly oracle: string;
  readonly subject: string;
}

const GPR = [
  'rax',
  'rcx',
  'rdx',
  'rbx',
  'rsp',
  'rbp',
  'rsi',
  'rdi',
  'r8',
  'r9',
  'r10',
  'r11',
  'r12',
  'r13',
  'r14',
  'r15',
];
const SEGMENT = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'];
const FLAGS: readonly (readonly [number, string])[] = [
  [0x1, 'CF'], [0x4, 'PF'], [0x10, 'AF'], [0x40, 'ZF'], [0x80, 'SF'], [0x100, 'TF'], [0x200, 'IF'], [0x400, 'DF'],
  [0x800, 'OF'], [0x4000, 'NT'], [0x1_0000, 'RF'], [0x4_0000, 'AC'], [0x20_0000, 'ID'],
]; // prettier-ignore

export const gprName = (register: number): string => GPR[register];

/** RFLAGS as names of the bits that are set. */
export function flagNames(rflags: bigint): string {
  return FLAGS.filter(([bit]) => (rflags & BigInt(bit)) !== 0n)
    .map(([, name]) => name)
    .join(' ');
}

/** Bytes as one little-endian number in hexadecimal. */
export function little(bytes: Uint8Array): string {
  return Buffer.from(bytes).reverse().toString('hex');
}

/** Clears what the XSAVE image holds beside registers: FOP, FIP, FDP (which depend on the processor: see
 * masks.ts) and MXCSR_MASK. */
function withoutPointers(state: CpuState): CpuState {
  const copy = state.clone();
  copy.bytes.fill(0, StateOffset.xsave + Fx.fop, StateOffset.xsave + Fx.mxcsr);
  copy.bytes.fill(0, StateOffset.xsave + 28, StateOffset.xsave + 32);
  copy.bytes.fill(0, StateOffset.xsave + 416, StateOffset.xsave + 576);
  return copy;
}

/** True where two extended values have the same sign and exponents and significands within `ulps`, or are equal. */
function closeExtended(a: Uint8Array, b: Uint8Array, ulps: number): boolean {
  const value = (bytes: Uint8Array): bigint => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, 10);
    const magnitude =
      (BigInt(view.getUint16(8, true) & 0x7fff) << 63n) | (view.getBigUint64(0, true) & ((1n << 63n) - 1n));
    return (view.getUint16(8, true) & 0x8000) === 0 ? magnitude : -magnitude;
  };
  const distance = value(a) - value(b);
  return distance <= BigInt(ulps) && -distance <= BigInt(ulps);
}

function closeSingles(a: Uint8Array, b: Uint8Array, error: number): boolean {
  const left = new DataView(a.buffer, a.byteOffset, a.length);
  const right = new DataView(b.buffer, b.byteOffset, b.length);
  for (let at = 0; at < a.length; at += 4) {
    if (left.getUint32(at, true) === right.getUint32(at, true)) continue;
    const [x, y] = [left.getFloat32(at, true), right.getFloat32(at, true)];
    // Results around the smallest normal number may be flushed to zero.
    if (!(Math.abs(x - y) <= Math.max(error * Math.abs(x), 2 ** -126))) return false;
  }
  return true;
}

/** Memory after a case, as far as either result knows it to have changed. */
function memoryAfter(of: Case, result: Result, address: number): number {
  for (const patch of result.memory) {
    if (address >= patch.address && address < patch.address + patch.bytes.length)
      return patch.bytes[address - patch.address];
  }
  let byte = background(address);
  for (const patch of of.memory) {
    if (address >= patch.address && address < patch.address + patch.bytes.length)
      byte = patch.bytes[address - patch.address];
  }
  return byte;
}

function sameMemory(a: readonly Patch[], b: readonly Patch[]): boolean {
  return (
    a.length === b.length &&
    a.every((patch, i) => patch.address === b[i].address && Buffer.compare(patch.bytes, b[i].bytes) === 0)
  );
}

/** The fields in which the results differ and are not excused for it; empty where they agree. */
export function compareResults(of: Case, oracle: Result, subject: Result): Difference[] {
  const found: Difference[] = [];
  const differ = (field: string, a: string, b: string): void => {
    if (a !== b) found.push({ field, oracle: a, subject: b });
  };
  const a = withoutPointers(oracle.state);
  const b = withoutPointers(subject.state);
  const same =
    oracle.vector === subject.vector && oracle.errorCode === subject.errorCode && oracle.cr2 === subject.cr2 &&
    Buffer.compare(a.bytes, b.bytes) === 0 && sameMemory(oracle.memory, subject.memory); // prettier-ignore
  if (same) return found;

  const excused = excusedFor(of, oracle);
  if (excused.faultAmong.includes(oracle.vector) && oracle.vector !== subject.vector) {
    if (excused.faultAmong.includes(subject.vector)) return found;
  }
  differ('vector', `${oracle.vector}`, `${subject.vector}`);
  differ('error code', oracle.errorCode.toString(16), subject.errorCode.toString(16));
  if (!excused.faultAddress) differ('cr2', oracle.cr2.toString(16), subject.cr2.toString(16));
  differ('rip', a.rip.toString(16), b.rip.toString(16));
  const compatibility = of.mode === 32 && a.selector(1) === of.state.selector(1);
  const lower = compatibility || excused.upperRegisters;
  for (let i = 0; i < (lower ? 8 : 16); i++) {
    if (excused.registers && i !== 4) continue;
    const compared = BigInt.asUintN(lower ? 32 : 64, ~excused.registerBits);
    differ(GPR[i], (a.gpr(i) & compared).toString(16), (b.gpr(i) & compared).toString(16));
  }
  const flagMask = ~BigInt(excused.flags);
  if (((a.rflags ^ b.rflags) & flagMask) !== 0n)
    differ('rflags', flagNames(a.rflags & flagMask), flagNames(b.rflags & flagMask));
  const selector = (state: CpuState, segment: number): string => {
    const value = state.selector(segment);
    return (value < 4 ? 0 : value).toString(16);
  };
  for (let i = 0; i < 6; i++) differ(SEGMENT[i], selector(a, i), selector(b, i));
  if (!compatibility) {
    for (const [name, at] of [['fs base', StateOffset.fsBase], ['gs base', StateOffset.gsBase]] as const) {
      differ(name, a.view.getBigUint64(at, true).toString(16), b.view.getBigUint64(at, true).toString(16));
    } // prettier-ignore
  }

  const status =
    0xffff &
    ~excused.status &
    ~(excused.topOfStack ? 0x3800 : 0) &
    ~(of.name.startsWith('sequence x87') ? excusedInSequence : 0);
  differ('fcw', a.fcw.toString(16), b.fcw.toString(16));
  differ('fsw', (a.fsw & status).toString(16), (b.fsw & status).toString(16));
  if (!excused.tags) differ('ftw', a.ftw.toString(16), b.ftw.toString(16));
  differ('mxcsr', a.mxcsr.toString(16), b.mxcsr.toString(16));
  for (let i = 0; i < 8 && !excused.topOfStack && !excused.x87Registers; i++) {
    if (excused.x87Ulps > 0 && closeExtended(a.st(i), b.st(i), excused.x87Ulps)) continue;
    differ(`st${i}`, little(a.st(i)), little(b.st(i)));
  }
  for (let i = 0; i < 16; i++) {
    for (const [name, ours, theirs] of [
      [`xmm${i}`, a.xmm(i), b.xmm(i)],
      [`ymm${i} high`, a.ymmHigh(i), b.ymmHigh(i)],
    ] as const) {
      if (excused.singleError > 0 && closeSingles(ours, theirs, excused.singleError)) continue;
      differ(name, little(ours), little(theirs));
    }
  }
  if (!excused.memory) found.push(...compareMemory(of, oracle, subject, excused.operand));
  return found;
}

function compareMemory(
  of: Case,
  oracle: Result,
  subject: Result,
  operand: readonly (readonly [number, number])[],
): Difference[] {
  const units = new Set<number>();
  for (const patch of [...oracle.memory, ...subject.memory]) {
    for (let at = patch.address; at < patch.address + patch.bytes.length; at += 8) units.add(at);
  }
  const isExcused = (address: number): boolean =>
    of.operand !== undefined &&
    operand.some(([offset, length]) => {
      const start = Number(of.operand?.address) + offset;
      return address >= start && address < start + length;
    });
  const found: Difference[] = [];
  for (const unit of [...units].sort((x, y) => x - y)) {
    const a = new Uint8Array(8);
    const b = new Uint8Array(8);
    for (let i = 0; i < 8; i++) {
      if (isExcused(unit + i)) continue;
      a[i] = memoryAfter(of, oracle, unit + i);
      b[i] = memoryAfter(of, subject, unit + i);
    }
    if (Buffer.compare(a, b) === 0) continue;
    found.push({ field: `memory ${unit.toString(16)}`, oracle: little(a), subject: little(b) });
  }
  return found;
}
