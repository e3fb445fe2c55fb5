/**
 * Operands of instructions done in TypeScript: general registers by their byte offset in the state, memory
 * by segment and offset.
 *
 * Intel SDM 3A, 5.3 (limits), 6.15 (#SS, #GP); SDM 1, 3.4.1.1 (registers in 64-bit mode).
 */
import { highHalf, lowHalf, ofHalves } from '../../../base/halves.ts';
import { Flag, Gpr, Seg, type VcpuState } from '../../../vcpu/state.ts';
import { S } from '../private.ts';
import { type Cpu, GuestFault, type Instruction, Vector } from './cpu.ts';
import { Cr0, is64Bit, isCanonical } from './registers.ts';

const CR0_AM = BigInt(Cr0.AM);

/** Raises #GP(0) unless CPL is 0. Real mode has CPL 0. */
export function requirePrivilege(state: VcpuState): void {
  if (state.cpl !== 0) throw new GuestFault(Vector.GP, 0);
}

/** Whether an ordinary access is a user one. */
export const asUser = (state: VcpuState): boolean => state.cpl === 3;

/** Whether operands that are not aligned are #AC: at CPL 3 with CR0.AM and RFLAGS.AC (SDM 3A, 6.15). */
export const checksAlignment = (state: VcpuState): boolean =>
  state.cpl === 3 && (state.flagsSys & Flag.AC) !== 0 && (state.cr0 & CR0_AM) !== 0n;

/**
 * Checks the alignment of an operand, where that is checked.
 * @param unit 1, 2, 4 or 8 bytes, as SDM 3A, table 6-7, has it for the kind of data
 * @throws GuestFault #AC(0)
 */
export function requireAlignment(state: VcpuState, linear: bigint, unit: number): void {
  if (checksAlignment(state) && (Number(linear & 7n) & (unit - 1)) !== 0) throw new GuestFault(Vector.AC, 0);
}

/**
 * The linear address of `bytes` at an offset within a segment, after the checks of an ordinary access.
 *
 * @param offset as the address size gives it, zero-extended
 * @throws GuestFault #SS(0) for the stack segment and #GP(0) for the others, where the segment does not
 *   let the access through or, in 64-bit mode, the address is not canonical
 */
export function segmentAddress(
  state: VcpuState,
  segment: number,
  offset: bigint,
  bytes: number,
  write: boolean,
): bigint {
  const vector = segment === Seg.SS || segment === Seg.NoneStack ? Vector.SS : Vector.GP;
  if (is64Bit(state)) {
    const based = segment === Seg.FS || segment === Seg.GS;
    const linear = based ? BigInt.asUintN(64, offset + state.segBase[segment]) : offset;
    if (!isCanonical(state, linear)) throw new GuestFault(vector, 0);
    return linear;
  }
  const lo = write ? state.segWriteLo[segment] : state.segReadLo[segment];
  const hi = write ? state.segWriteHi[segment] : state.segReadHi[segment];
  const first = Number(offset);
  if (first < lo || first + bytes - 1 > hi) throw new GuestFault(vector, 0);
  return BigInt.asUintN(32, offset + state.segBase[segment]);
}

/** The linear address `delta` bytes into the memory operand, checked as {@link segmentAddress} does. */
export function operandAddress(
  cpu: Cpu,
  instruction: Instruction,
  delta: number,
  bytes: number,
  write: boolean,
): bigint {
  const { state } = cpu;
  const offset = delta === 0 ? instruction.offset : instruction.offset + BigInt(delta);
  const wide = is64Bit(state) ? BigInt.asUintN(64, offset) : offset;
  return segmentAddress(state, instruction.segment, wide, bytes, write);
}

/** State offset of a general register's 64 bits. */
export const gprOffset = (n: number): number => S.gpr + 8 * n;

/** A register operand's low 2 or 4 bytes, unsigned. */
export function readRegister(cpu: Cpu, offset: number, bytes: 2 | 4): number {
  return bytes === 2 ? cpu.stateBytes.getUint16(offset, true) : cpu.stateBytes.getUint32(offset, true);
}

/** A register operand's 64 bits. */
export function readRegister64(cpu: Cpu, offset: number): bigint {
  return cpu.stateBytes.getBigUint64(offset, true);
}

/** Writes a register operand: 2 bytes leave the rest alone, 4 and 8 (zero-extended) replace all of it. */
export function writeRegister(cpu: Cpu, offset: number, size: 2 | 4 | 8, value: number): void {
  if (size === 2) {
    cpu.stateBytes.setUint16(offset, value, true);
    return;
  }
  cpu.stateBytes.setUint32(offset, value, true);
  cpu.stateBytes.setUint32(offset + 4, 0, true);
}

/** Replaces all 64 bits of a register operand. */
export function writeRegister64(cpu: Cpu, offset: number, value: bigint): void {
  cpu.stateBytes.setBigUint64(offset, value, true);
}

/** A 16-bit operand at register offset `register`, or the memory operand. */
export function readWord(cpu: Cpu, instruction: Instruction, register: number): number {
  if (!instruction.memory) return readRegister(cpu, register, 2);
  return cpu.linear.read(operandAddress(cpu, instruction, 0, 2, false), 2, asUser(cpu.state));
}

/** Stores a selector or like value: 16 bits to memory, the operand size to a register. */
export function writeWord(cpu: Cpu, instruction: Instruction, register: number, value: number): void {
  if (instruction.memory) {
    cpu.linear.write(operandAddress(cpu, instruction, 0, 2, true), 2, value & 0xffff, asUser(cpu.state));
  } else {
    writeRegister(cpu, register, instruction.size, value);
  }
}

/** The low 32 bits of a general register by number. */
export const gpr32 = (cpu: Cpu, n: number): number => cpu.stateBytes.getUint32(S.gpr + 8 * n, true);

/** Sets a general register to a 32-bit value, zero-extended. */
export const setGpr32 = (cpu: Cpu, n: number, value: number): void =>
  writeRegister(cpu, gprOffset(n), 4, value >>> 0);

/** EDX:EAX, as RDMSR, RDTSC and XGETBV return values, and WRMSR and XSETBV take them. */
export function writeEdxEax(cpu: Cpu, value: bigint): void {
  setGpr32(cpu, Gpr.RAX, lowHalf(value) >>> 0);
  setGpr32(cpu, Gpr.RDX, highHalf(value) >>> 0);
}

/** EDX:EAX as one value. */
export const readEdxEax = (cpu: Cpu): bigint => ofHalves(gpr32(cpu, Gpr.RAX), gpr32(cpu, Gpr.RDX));
