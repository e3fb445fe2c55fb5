/** FXSAVE, FXRSTOR and the XSAVE family as instructions: alignment, rights and where the area lies. The
 * formats are in fxstate.ts and xsave.ts. Intel SDM 1, chapters 10.5 and 13; SDM 2, each instruction. */
import { type Cpu, defineComplex, GuestFault, type Instruction, Outcome, Vector } from './cpu.ts';
import {
  FXSAVE_ALIGNMENT,
  FXSAVE_BYTES,
  fxrstor,
  fxsave,
  type Restored,
  type StateArea,
  type StateFormat,
} from './fxstate.ts';
import { asUser, operandAddress, readEdxEax, requirePrivilege } from './operands.ts';
import { is64Bit } from './registers.ts';
import { XSAVE_ALIGNMENT, xrstor, xsave, type RestoreOptions, type SaveInstruction } from './xsave.ts';

/** The area at the memory operand; #GP(0) where it is not aligned. */
function area(
  cpu: Cpu,
  instruction: Instruction,
  alignment: number,
  write: boolean,
  bytes: number,
): StateArea {
  const start = operandAddress(cpu, instruction, 0, 1, write);
  if (start % BigInt(alignment) !== 0n) throw new GuestFault(Vector.GP, 0);
  const user = asUser(cpu.state);
  const at = (offset: number, length: number): bigint =>
    operandAddress(cpu, instruction, offset, length, write);
  // All of it, so that nothing is written by an instruction that faults.
  if (write) cpu.linear.probeWrite(start, bytes, user);
  return {
    read: (offset, length) => cpu.linear.readBytes(at(offset, length), length, user),
    write: (offset, part) => cpu.linear.writeBytes(at(offset, part.length), part, user),
  };
}

const format = (cpu: Cpu, instruction: Instruction): StateFormat => ({
  pointers64: instruction.size === 8,
  registers: is64Bit(cpu.state) ? 16 : 8,
});

function finish(restored: Restored): Outcome {
  if (restored === 'general-protection') throw new GuestFault(Vector.GP, 0);
  return Outcome.Next;
}

defineComplex('fxsave', (cpu, instruction) => {
  fxsave(cpu.state, area(cpu, instruction, FXSAVE_ALIGNMENT, true, FXSAVE_BYTES), format(cpu, instruction));
  return Outcome.Next;
});
defineComplex('fxrstor', (cpu, instruction) => {
  const from = area(cpu, instruction, FXSAVE_ALIGNMENT, false, FXSAVE_BYTES);
  return finish(fxrstor(cpu.state, from, format(cpu, instruction)));
});

function defineSave(name: SaveInstruction, supervisor: boolean): void {
  defineComplex(name, (cpu, instruction) => {
    if (supervisor) requirePrivilege(cpu.state);
    const mask = readEdxEax(cpu);
    const bytes = cpu.model.xsaveSize(mask & cpu.state.xcr0);
    const to = area(cpu, instruction, XSAVE_ALIGNMENT, true, bytes);
    xsave(cpu.state, to, format(cpu, instruction), mask, name);
    return Outcome.Next;
  });
}
defineSave('xsave', false);
defineSave('xsaveopt', false);
defineSave('xsavec', false);
defineSave('xsaves', true);

function defineRestore(name: string, supervisor: boolean): void {
  defineComplex(name, (cpu, instruction) => {
    if (supervisor) requirePrivilege(cpu.state);
    const from = area(cpu, instruction, XSAVE_ALIGNMENT, false, 0);
    const options: RestoreOptions = { supervisor, compaction: cpu.model.has('xsavec') };
    return finish(xrstor(cpu.state, from, format(cpu, instruction), readEdxEax(cpu), options));
  });
}
defineRestore('xrstor', false);
defineRestore('xrstors', true);
