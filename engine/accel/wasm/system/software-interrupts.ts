/**
 * Interrupts that instructions make: INT n, INT3, INTO, INT1, BOUND.
 *
 * Intel SDM 2, INT n/INTO/INT3/INT1 and BOUND; 3A, 21.3.3.1 (INT n in virtual-8086 mode), 21.3.3.4 (the
 * interrupt redirection bitmap).
 */
import { Flag, Seg, type VcpuState } from '../../../vcpu/state.ts';
import { type Cpu, defineComplex, GuestFault, Outcome, Vector } from './cpu.ts';
import { readFlags, writeFlags } from './flags.ts';
import { deliver } from './interrupts.ts';
import { asUser, operandAddress, readRegister } from './operands.ts';
import { Cr4, cr4, iopl, isVirtual8086 } from './registers.ts';
import { loadV86Segment } from './segments.ts';
import { Stack } from './stack.ts';
import { ioMapBase, readTask } from './tasks.ts';

/** Bytes of the redirection bitmap, which ends where the I/O permission map begins. */
const REDIRECTION_BYTES = 32;

/** Whether INT n goes to the virtual-8086 task's own handler: its bit is clear. */
function isRedirected(cpu: Cpu, vector: number): boolean {
  const base = ioMapBase(cpu);
  if (base === null) throw new GuestFault(Vector.GP, 0);
  const bits = readTask(cpu, base - REDIRECTION_BYTES + (vector >> 3), 1);
  if (bits === null) throw new GuestFault(Vector.GP, 0);
  return (bits & (1 << (vector & 7))) === 0;
}

/** Through the interrupt vector table at linear address 0, without leaving virtual-8086 mode. Below IOPL 3,
 * VIF stands in for IF and the saved flags show IOPL 3 (SDM 3A, 21.3.3.4, methods 5 and 6). */
function interruptWithinV86(cpu: Cpu, vector: number): Outcome {
  const { state } = cpu;
  const entry = BigInt(vector * 4);
  const ip = cpu.linear.read(entry, 2, true) & 0xffff;
  const selector = cpu.linear.read(entry + 2n, 2, true) & 0xffff;
  const direct = iopl(state) === 3;
  const stack = Stack.current(cpu);
  stack.push(direct ? readFlags(state) : virtualFlags(state), 2);
  stack.push(state.segSelector[Seg.CS], 2);
  stack.pushOffset(state.rip, 2);
  stack.commit();
  loadV86Segment(state, Seg.CS, selector);
  state.rip = BigInt(ip);
  writeFlags(state, 0, Flag.TF | Flag.NT | (direct ? Flag.IF : Flag.VIF));
  return Outcome.Changed;
}

/** Flags as virtual-8086 code sees them under CR4.VME: IF shows VIF, IOPL shows 3. */
export function virtualFlags(state: VcpuState): number {
  const flags = readFlags(state) | Flag.IOPL;
  return (flags & Flag.VIF) !== 0 ? flags | Flag.IF : flags & ~Flag.IF;
}

defineComplex('int', (cpu, { imm }) => {
  const { state } = cpu;
  const vector = imm & 0xff;
  if (isVirtual8086(state)) {
    if ((cr4(state) & Cr4.VME) !== 0 && isRedirected(cpu, vector)) return interruptWithinV86(cpu, vector);
    if (iopl(state) < 3) throw new GuestFault(Vector.GP, 0);
  }
  return deliver(cpu, { vector, kind: 'software' });
});

defineComplex('int3', (cpu) => deliver(cpu, { vector: Vector.BP, kind: 'software' }));

defineComplex('into', (cpu) => {
  if ((readFlags(cpu.state) & Flag.OF) === 0) return Outcome.Next;
  return deliver(cpu, { vector: Vector.OF, kind: 'software' });
});

defineComplex('int1', (cpu) => deliver(cpu, { vector: Vector.DB, kind: 'privileged-software' }));

/** BOUND: #BR unless a signed index lies within the two bounds in memory. */
defineComplex('bound', (cpu, instruction) => {
  const size = instruction.size === 2 ? 2 : 4;
  const signed = (value: number): number => (size === 2 ? (value << 16) >> 16 : value | 0);
  const user = asUser(cpu.state);
  const lowerAt = operandAddress(cpu, instruction, 0, size, false);
  const upperAt = operandAddress(cpu, instruction, size, size, false);
  const lower = signed(cpu.linear.read(lowerAt, size, user));
  const upper = signed(cpu.linear.read(upperAt, size, user));
  const index = signed(readRegister(cpu, instruction.a, size));
  if (index < lower || index > upper) throw new GuestFault(Vector.BR);
  return Outcome.Next;
});
