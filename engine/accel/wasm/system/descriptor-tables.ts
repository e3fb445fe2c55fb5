/**
 * LGDT, LIDT, LLDT, LTR and the instructions that store what they load.
 *
 * Intel SDM 2, the instructions; 3A, 2.4 (memory-management registers), 2.5 (CR4.UMIP).
 */
import { Seg, type VcpuState } from '../../../vcpu/state.ts';
import { type Cpu, defineComplex, GuestFault, type Instruction, Outcome, Vector } from './cpu.ts';
import {
  asUser,
  operandAddress,
  readWord,
  requireAlignment,
  requirePrivilege,
  writeWord,
} from './operands.ts';
import { Cr4, cr4, is64Bit, isCanonical, isRealLike } from './registers.ts';
import { loadLdt, loadTaskRegister } from './segments.ts';

/** CR4.UMIP: #GP(0) beyond CPL 0 for what shows where system tables are. */
export function requireUnhidden(state: VcpuState): void {
  if (state.cpl !== 0 && (cr4(state) & Cr4.UMIP) !== 0) throw new GuestFault(Vector.GP, 0);
}

/** A table register in memory: 16-bit limit, then a base of 8 bytes in 64-bit mode, else 4. */
function readPointer(cpu: Cpu, instruction: Instruction): { limit: number; base: bigint } {
  const { state } = cpu;
  requirePrivilege(state);
  const wide = is64Bit(state);
  const limitAt = operandAddress(cpu, instruction, 0, 2, false);
  const baseAt = operandAddress(cpu, instruction, 2, wide ? 8 : 4, false);
  const limit = cpu.linear.read(limitAt, 2, false) & 0xffff;
  if (wide) {
    const base = BigInt.asUintN(64, cpu.linear.read64(baseAt, false));
    if (!isCanonical(state, base)) throw new GuestFault(Vector.GP, 0);
    return { limit, base };
  }
  // A 16-bit operand size loads 24 bits of base.
  const base = cpu.linear.read(baseAt, 4, false) >>> 0;
  return { limit, base: BigInt(instruction.size === 2 ? base & 0xff_ffff : base) };
}

/** Stored as one operand, whose alignment is that of a double word (SDM 3A, table 6-7). */
function writePointer(cpu: Cpu, instruction: Instruction, limit: number, base: bigint): void {
  const { state } = cpu;
  requireUnhidden(state);
  const bytes = new DataView(new ArrayBuffer(is64Bit(state) ? 10 : 6));
  bytes.setUint16(0, limit, true);
  // All 32 bits are stored whatever the operand size: processors since the 386 do so (SDM 2, SGDT).
  if (is64Bit(state)) bytes.setBigUint64(2, base, true);
  else bytes.setUint32(2, Number(BigInt.asUintN(32, base)), true);
  const at = operandAddress(cpu, instruction, 0, bytes.byteLength, true);
  requireAlignment(state, at, 4);
  cpu.linear.writeBytes(at, new Uint8Array(bytes.buffer), asUser(state));
}

defineComplex('lgdt', (cpu, instruction) => {
  const { limit, base } = readPointer(cpu, instruction);
  cpu.state.gdtrBase = base;
  cpu.state.gdtrLimit = limit;
  return Outcome.Next;
});
defineComplex('lidt', (cpu, instruction) => {
  const { limit, base } = readPointer(cpu, instruction);
  cpu.state.idtrBase = base;
  cpu.state.idtrLimit = limit;
  return Outcome.Next;
});
defineComplex('sgdt', (cpu, instruction) => {
  writePointer(cpu, instruction, cpu.state.gdtrLimit, cpu.state.gdtrBase);
  return Outcome.Next;
});
defineComplex('sidt', (cpu, instruction) => {
  writePointer(cpu, instruction, cpu.state.idtrLimit, cpu.state.idtrBase);
  return Outcome.Next;
});

function defineStoreSelector(name: string, segment: number): void {
  defineComplex(name, (cpu, instruction) => {
    const { state } = cpu;
    if (isRealLike(state)) throw new GuestFault(Vector.UD);
    requireUnhidden(state);
    writeWord(cpu, instruction, instruction.a, state.segSelector[segment]);
    return Outcome.Next;
  });
}
defineStoreSelector('sldt', Seg.LDTR);
defineStoreSelector('str', Seg.TR);

function defineLoadSystem(name: string, load: (cpu: Cpu, selector: number) => void): void {
  defineComplex(name, (cpu, instruction) => {
    if (isRealLike(cpu.state)) throw new GuestFault(Vector.UD);
    requirePrivilege(cpu.state);
    load(cpu, readWord(cpu, instruction, instruction.a));
    return Outcome.Next;
  });
}
defineLoadSystem('lldt', loadLdt);
defineLoadSystem('ltr', loadTaskRegister);
