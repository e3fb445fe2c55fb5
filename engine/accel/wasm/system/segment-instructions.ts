/**
 * Moves, pushes and pops of segment registers, and the instructions that look at selectors.
 *
 * Intel SDM 2: MOV, PUSH, POP, LAR, LSL, VERR, VERW, ARPL; 3A, 5.10 (pointer validation).
 */
import { Flag, Seg, type VcpuState } from '../../../vcpu/state.ts';
import { SegAttr } from '../../../vcpu/segment.ts';
import { type Cpu, defineComplex, GuestFault, type Instruction, Outcome, Vector } from './cpu.ts';
import {
  attrOf,
  type Descriptor,
  dplOf,
  findDescriptor,
  isCode,
  isConforming,
  isNull,
  isSegment,
  limitOf,
  SystemType,
  typeOf,
} from './descriptor.ts';
import { writeFlags } from './flags.ts';
import { readRegister, readWord, writeRegister, writeWord } from './operands.ts';
import { is64Bit, isLongMode, isRealLike } from './registers.ts';
import { loadSelector } from './segments.ts';
import { Stack } from './stack.ts';

/** Loads a segment register. SS holds interrupts back for one instruction (SDM 3A, 6.8.3). */
function load(cpu: Cpu, segment: number, selector: number): Outcome {
  const { state } = cpu;
  loadSelector(cpu, segment, selector);
  if (segment === Seg.SS) {
    state.interruptShadow = 2;
    return Outcome.Changed;
  }
  return is64Bit(state) ? Outcome.Next : Outcome.Changed;
}

defineComplex('mov_from_sreg', (cpu, instruction) => {
  const segment = instruction.a;
  if (segment > Seg.GS) throw new GuestFault(Vector.UD);
  writeWord(cpu, instruction, instruction.b, cpu.state.segSelector[segment]);
  return Outcome.Next;
});

defineComplex('mov_to_sreg', (cpu, instruction) => {
  const segment = instruction.a;
  if (segment > Seg.GS || segment === Seg.CS) throw new GuestFault(Vector.UD);
  return load(cpu, segment, readWord(cpu, instruction, instruction.b));
});

const NAMES = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'];

for (const [segment, name] of NAMES.entries()) {
  defineComplex(`push_${name}`, (cpu, { size }) => {
    const stack = Stack.current(cpu);
    stack.push(cpu.state.segSelector[segment], size);
    stack.commit();
    return Outcome.Next;
  });
  if (segment === Seg.CS) continue;
  defineComplex(`pop_${name}`, (cpu, { size }) => {
    const stack = Stack.current(cpu);
    const outcome = load(cpu, segment, stack.pop(size) & 0xffff);
    stack.commit();
    return outcome;
  });
}

/** Raises #UD in real and virtual-8086 mode, where selectors mean nothing. */
function requireSelectors(state: VcpuState): void {
  if (isRealLike(state)) throw new GuestFault(Vector.UD);
}

/** The descriptor a selector names, or null where it names none or CPL and RPL may not see it. */
function visible(cpu: Cpu, selector: number): Descriptor | null {
  if (isNull(selector)) return null;
  const descriptor = findDescriptor(cpu, selector);
  if (descriptor === null) return null;
  if (isCode(descriptor) && isConforming(descriptor)) return descriptor;
  const dpl = dplOf(descriptor);
  return dpl >= cpu.state.cpl && dpl >= (selector & 3) ? descriptor : null;
}

function setZero(state: VcpuState, zero: boolean): void {
  writeFlags(state, zero ? Flag.ZF : 0, Flag.ZF);
}

const { Tss16, Ldt, BusyTss16, CallGate16, TaskGate, Tss32, BusyTss32, CallGate32 } = SystemType;

/** System types that LAR and LSL accept, outside and in long mode (SDM 2, tables 3-53 and 3-56). */
const LAR_TYPES = new Set<number>([
  Tss16,
  Ldt,
  BusyTss16,
  CallGate16,
  TaskGate,
  Tss32,
  BusyTss32,
  CallGate32,
]);
const LAR_TYPES_LONG = new Set<number>([Ldt, Tss32, BusyTss32, CallGate32]);
const LSL_TYPES = new Set<number>([Tss16, Ldt, BusyTss16, Tss32, BusyTss32]);
const LSL_TYPES_LONG = new Set<number>([Ldt, Tss32, BusyTss32]);

/** LAR and LSL: ZF tells whether the selector names something of the right kind; then its value is loaded. */
function defineLookup(
  name: string,
  types: ReadonlySet<number>,
  typesLong: ReadonlySet<number>,
  value: (descriptor: Descriptor) => number,
): void {
  defineComplex(name, (cpu, instruction) => {
    const { state } = cpu;
    requireSelectors(state);
    const descriptor = visible(cpu, readWord(cpu, instruction, instruction.b));
    const system = isLongMode(state) ? typesLong : types;
    if (descriptor === null || (!isSegment(descriptor) && !system.has(typeOf(descriptor)))) {
      setZero(state, false);
      return Outcome.Next;
    }
    writeRegister(cpu, instruction.a, instruction.size, value(descriptor));
    setZero(state, true);
    return Outcome.Next;
  });
}
defineLookup('lar', LAR_TYPES, LAR_TYPES_LONG, ({ high }) => high & 0x00f0_ff00);
defineLookup('lsl', LSL_TYPES, LSL_TYPES_LONG, limitOf);

/** VERR and VERW: ZF tells whether a segment can be read, or written, from here. */
function defineVerify(name: string, accepts: (descriptor: Descriptor) => boolean): void {
  defineComplex(name, (cpu: Cpu, instruction: Instruction) => {
    requireSelectors(cpu.state);
    const descriptor = visible(cpu, readWord(cpu, instruction, instruction.a));
    setZero(cpu.state, descriptor !== null && isSegment(descriptor) && accepts(descriptor));
    return Outcome.Next;
  });
}
defineVerify('verr', (d) => !isCode(d) || (attrOf(d) & SegAttr.Readable) !== 0);
defineVerify('verw', (d) => !isCode(d) && (attrOf(d) & SegAttr.Writable) !== 0);

/** ARPL: raises the RPL of the destination selector to that of the source; ZF tells whether it was lower.
 * Operands in the row's order: source, destination. */
defineComplex('arpl', (cpu, instruction) => {
  const { state } = cpu;
  requireSelectors(state);
  const rpl = readRegister(cpu, instruction.a, 2) & 3;
  const destination = readWord(cpu, instruction, instruction.b);
  const lower = (destination & 3) < rpl;
  if (lower) {
    const adjusted = (destination & ~3) | rpl;
    if (instruction.memory) writeWord(cpu, instruction, instruction.b, adjusted);
    else writeRegister(cpu, instruction.b, 2, adjusted);
  }
  setZero(state, lower);
  return Outcome.Next;
});
