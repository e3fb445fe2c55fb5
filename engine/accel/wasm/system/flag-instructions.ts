/**
 * CLI, STI, PUSHF and POPF in every mode. Emitted code does the common cases itself and comes here for
 * virtual-8086 mode and for want of privilege.
 *
 * Intel SDM 2, the instructions (tables 3-7 CLI, 4-x STI, POPF); 3A, 21.3.3.3 (VIF in virtual-8086 mode),
 * 21.4 (protected-mode virtual interrupts).
 */
import { Flag, type VcpuState } from '../../../vcpu/state.ts';
import { defineComplex, GuestFault, Outcome, Vector } from './cpu.ts';
import { ARITHMETIC, readFlags, writeFlags } from './flags.ts';
import { Cr4, cr4, iopl, isProtected, isVirtual8086 } from './registers.ts';
import { virtualFlags } from './software-interrupts.ts';
import { Stack } from './stack.ts';

const fault = (): GuestFault => new GuestFault(Vector.GP, 0);

/** Which flag CLI and STI work on: IF where IOPL lets them, else VIF where CR4 offers it. */
function interruptFlag(state: VcpuState): number {
  if (!isProtected(state) || state.cpl <= iopl(state)) return Flag.IF;
  const virtual = isVirtual8086(state) ? Cr4.VME : Cr4.PVI;
  if (state.cpl === 3 && (cr4(state) & virtual) !== 0) return Flag.VIF;
  throw fault();
}

defineComplex('cli_slow', ({ state }) => {
  writeFlags(state, 0, interruptFlag(state));
  return Outcome.Next;
});

defineComplex('sti_slow', ({ state }) => {
  const flag = interruptFlag(state);
  if (flag === Flag.VIF) {
    // A virtual interrupt that waits is taken by the monitor, behind this fault.
    if ((state.flagsSys & Flag.VIP) !== 0) throw fault();
    state.flagsSys |= Flag.VIF;
    return Outcome.Next;
  }
  if ((state.flagsSys & Flag.IF) === 0) {
    state.flagsSys |= Flag.IF;
    state.interruptShadow = 1;
  }
  return Outcome.Changed;
});

defineComplex('pushf_slow', (cpu, { size }) => {
  const { state } = cpu;
  let flags = readFlags(state);
  if (isVirtual8086(state) && iopl(state) < 3) {
    if ((cr4(state) & Cr4.VME) === 0 || size !== 2) throw fault();
    flags = virtualFlags(state);
  }
  const stack = Stack.current(cpu);
  stack.push(flags & ~(Flag.RF | Flag.VM), size);
  stack.commit();
  return Outcome.Next;
});

/** Flags that POPF loads in every mode, and those that a 32- or 64-bit one adds. */
const POPF_FLAGS = ARITHMETIC | Flag.TF | Flag.DF | Flag.NT;
const POPF_WIDE = Flag.AC | Flag.ID;

defineComplex('popf_slow', (cpu, { size }) => {
  const { state } = cpu;
  const stack = Stack.current(cpu);
  let flags = stack.pop(size);
  let mask: number = POPF_FLAGS | (size === 2 ? 0 : POPF_WIDE);
  if (isVirtual8086(state) && iopl(state) < 3) {
    if ((cr4(state) & Cr4.VME) === 0 || size !== 2) throw fault();
    const wantsInterrupts = (flags & Flag.IF) !== 0;
    if ((flags & Flag.TF) !== 0 || (wantsInterrupts && (state.flagsSys & Flag.VIP) !== 0)) throw fault();
    flags = wantsInterrupts ? flags | Flag.VIF : flags & ~Flag.VIF;
    mask |= Flag.VIF;
  } else {
    if (state.cpl <= iopl(state)) mask |= Flag.IF;
    if (state.cpl === 0) mask |= Flag.IOPL;
  }
  stack.commit();
  // RF is cleared whatever was popped.
  writeFlags(state, flags & ~Flag.RF, mask | Flag.RF);
  return Outcome.Changed;
});
