/** FXSAVE, FXRSTOR and the XSAVE family as instructions: alignment, rights and where the area lies. The
 * formats are in fxstate.ts and xsave.ts. Intel SDM 1, chapters 10.5 and 13; SDM 2, each instruction. */
import { lowHalf } from '../../../base/halves.ts';
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

/** An area whose parts are written at its end, in pieces as large as can be. */
interface SaveArea extends StateArea {
  end(): void;
}

/** The parts at their places in the area; what an area to restore from holds. Memory for each instruction's would be given
 * and taken back by the host at each switch of tasks. */
const parts = new Uint8Array(1024);
const image = new Uint8Array(1024);

/** Where the memory operand begins; #GP(0) where that is not aligned. @param alignment a power of two */
function startOf(cpu: Cpu, instruction: Instruction, alignment: number, write: boolean): bigint {
  const start = operandAddress(cpu, instruction, 0, 1, write);
  if ((lowHalf(start) & (alignment - 1)) !== 0) throw new GuestFault(Vector.GP, 0);
  return start;
}

/** The area at the memory operand, to save to. */
function saveArea(cpu: Cpu, instruction: Instruction, alignment: number, bytes: number): SaveArea {
  const user = asUser(cpu.state);
  // All of it, so that nothing is written by an instruction that faults.
  cpu.linear.probeWrite(startOf(cpu, instruction, alignment, true), bytes, user);
  const at = (offset: number, length: number): bigint =>
    operandAddress(cpu, instruction, offset, length, true);
  const pieces: Array<{ from: number; to: number }> = [];
  return {
    read: (offset, length) => cpu.linear.readBytes(at(offset, length), length, user),
    write: (offset, part) => {
      parts.set(part, offset);
      pieces.push({ from: offset, to: offset + part.length });
    },
    end: () => {
      pieces.sort((a, b) => a.from - b.from);
      for (let i = 0; i < pieces.length;) {
        const { from } = pieces[i]!;
        let to = from;
        while (i < pieces.length && pieces[i]!.from === to) to = pieces[i++]!.to;
        cpu.linear.writeBytes(at(from, to - from), parts.subarray(from, to), user);
      }
    },
  };
}

/** The area at the memory operand, to restore from. @param most bytes that it can have */
function restoreArea(
  cpu: Cpu,
  instruction: Instruction,
  alignment: number,
  most: number,
): Pick<StateArea, 'read'> {
  const start = startOf(cpu, instruction, alignment, false);
  const user = asUser(cpu.state);
  // Where one page has it all, what can be read of it can be read at once.
  if (is64Bit(cpu.state) && (lowHalf(start) & 0xfff) + most <= 0x1000) {
    cpu.linear.readBytes(start, most, user, image);
    return { read: (offset, length) => image.subarray(offset, offset + length) };
  }
  return {
    read: (offset, length) =>
      cpu.linear.readBytes(operandAddress(cpu, instruction, offset, length, false), length, user),
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
  const to = saveArea(cpu, instruction, FXSAVE_ALIGNMENT, FXSAVE_BYTES);
  fxsave(cpu.state, to, format(cpu, instruction));
  to.end();
  return Outcome.Next;
});
defineComplex('fxrstor', (cpu, instruction) => {
  const from = restoreArea(cpu, instruction, FXSAVE_ALIGNMENT, FXSAVE_BYTES);
  return finish(fxrstor(cpu.state, from, format(cpu, instruction)));
});

function defineSave(name: SaveInstruction, supervisor: boolean): void {
  defineComplex(name, (cpu, instruction) => {
    if (supervisor) requirePrivilege(cpu.state);
    const mask = readEdxEax(cpu);
    const bytes = cpu.model.xsaveSize(mask & cpu.state.xcr0);
    const to = saveArea(cpu, instruction, XSAVE_ALIGNMENT, bytes);
    xsave(cpu.state, to, format(cpu, instruction), mask, name);
    to.end();
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
    const from = restoreArea(cpu, instruction, XSAVE_ALIGNMENT, cpu.model.xsaveSize(cpu.state.xcr0));
    const options: RestoreOptions = { supervisor, compaction: cpu.model.has('xsavec') };
    return finish(xrstor(cpu.state, from, format(cpu, instruction), readEdxEax(cpu), options));
  });
}
defineRestore('xrstor', false);
defineRestore('xrstors', true);
