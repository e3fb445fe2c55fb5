/**
 * SYSCALL, SYSRET, SYSENTER and SYSEXIT, as AMD's processors have them: SYSCALL in every mode, SYSENTER only
 * outside long mode. Emitted code does the common cases of the first two itself (semantics/syscall.ts).
 *
 * AMD64 APM 3, SYSCALL and SYSRET; APM 2, 6.1; Intel SDM 2, SYSENTER and SYSEXIT.
 */
import { lowHalf } from '../../../base/halves.ts';
import { Flag, Gpr, Seg, type VcpuState } from '../../../vcpu/state.ts';
import { defineComplex, GuestFault, Outcome, Vector } from './cpu.ts';
import { readFlags, SYSRET_FLAGS, writeFlags } from './flags.ts';
import { Efer, efer, is64Bit, isLongMode, isProtected, isVirtual8086 } from './registers.ts';
import { FLAT_CODE32, FLAT_CODE64, FLAT_DATA, loadFlat } from './segments.ts';

function requireSyscall(state: VcpuState): void {
  if ((efer(state) & Efer.SCE) === 0) throw new GuestFault(Vector.UD);
}

/** Loads CS and SS flat, and CPL. */
function enterFlat(state: VcpuState, cs: number, ss: number, code: number, privilege: number): void {
  loadFlat(state, Seg.CS, cs, code, privilege);
  loadFlat(state, Seg.SS, ss, FLAT_DATA, privilege);
  state.cpl = privilege;
}

/** Selector bases in STAR: for SYSCALL, and for SYSRET. */
const callSelector = (state: VcpuState): number => Number((state.star >> 32n) & 0xfffcn);
const returnSelector = (state: VcpuState): number => Number((state.star >> 48n) & 0xfffcn);

defineComplex('syscall_slow', ({ state }) => {
  requireSyscall(state);
  const { gpr } = state;
  const selector = callSelector(state);
  if (isLongMode(state)) {
    const flags = readFlags(state);
    const wide = is64Bit(state);
    gpr[Gpr.RCX] = state.rip;
    gpr[Gpr.R11] = BigInt((flags & ~Flag.RF) >>> 0);
    state.rip = wide ? state.lstar : state.cstar;
    const mask = lowHalf(state.sfmask) >>> 0;
    writeFlags(state, flags & ~(mask | Flag.RF));
    enterFlat(state, selector, (selector + 8) & 0xffff, FLAT_CODE64, 0);
  } else {
    gpr[Gpr.RCX] = state.rip;
    state.rip = BigInt.asUintN(32, state.star);
    writeFlags(state, 0, Flag.IF | Flag.RF | Flag.VM);
    enterFlat(state, selector, (selector + 8) & 0xffff, FLAT_CODE32, 0);
  }
  return Outcome.Changed;
});

defineComplex('sysret_slow', ({ state }, { size }) => {
  requireSyscall(state);
  if (!isProtected(state) || state.cpl !== 0) throw new GuestFault(Vector.GP, 0);
  const { gpr } = state;
  const base = returnSelector(state);
  const wide = size === 8;
  const stackSelector = ((base + 8) & 0xffff) | 3;
  if (isLongMode(state)) {
    // A return address that is not canonical faults where it is fetched from, at CPL 3.
    state.rip = wide ? gpr[Gpr.RCX] : BigInt.asUintN(32, gpr[Gpr.RCX]);
    writeFlags(state, (lowHalf(gpr[Gpr.R11]) >>> 0) & SYSRET_FLAGS);
    const codeSelector = (wide ? (base + 16) & 0xffff : base) | 3;
    enterFlat(state, codeSelector, stackSelector, wide ? FLAT_CODE64 : FLAT_CODE32, 3);
  } else {
    state.rip = BigInt.asUintN(32, gpr[Gpr.RCX]);
    state.flagsSys |= Flag.IF;
    enterFlat(state, base | 3, stackSelector, FLAT_CODE32, 3);
  }
  return Outcome.Changed;
});

/** #UD in long mode; #GP(0) without a code segment to go to. @returns the selector in IA32_SYSENTER_CS */
function sysenterSelector(state: VcpuState): number {
  if (isLongMode(state)) throw new GuestFault(Vector.UD);
  const selector = Number(state.sysenterCs & 0xfffcn);
  if (!isProtected(state) || selector === 0) throw new GuestFault(Vector.GP, 0);
  return selector;
}

defineComplex('sysenter', ({ state }) => {
  const selector = sysenterSelector(state);
  writeFlags(state, 0, Flag.VM | Flag.IF | Flag.RF);
  enterFlat(state, selector, selector + 8, FLAT_CODE32, 0);
  state.gpr[Gpr.RSP] = BigInt.asUintN(32, state.sysenterEsp);
  state.rip = BigInt.asUintN(32, state.sysenterEip);
  return Outcome.Changed;
});

defineComplex('sysexit', ({ state }) => {
  const selector = sysenterSelector(state);
  if (isVirtual8086(state) || state.cpl !== 0) throw new GuestFault(Vector.GP, 0);
  const { gpr } = state;
  enterFlat(state, (selector + 16) | 3, (selector + 24) | 3, FLAT_CODE32, 3);
  gpr[Gpr.RSP] = BigInt.asUintN(32, gpr[Gpr.RCX]);
  state.rip = BigInt.asUintN(32, gpr[Gpr.RDX]);
  return Outcome.Changed;
});
