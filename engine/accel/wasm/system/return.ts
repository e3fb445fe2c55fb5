/**
 * Far returns and returns from interrupts.
 *
 * Intel SDM 2, RET and IRET; 3A, 5.8.6 (returning), 6.12.1 (IRET), 6.14.3 (IRET in 64-bit mode), 8.3 (nested
 * tasks), 21.2.6 and 21.3.3 (virtual-8086 mode).
 */
import { Flag, Seg, type VcpuState } from '../../../vcpu/state.ts';
import { SegAttr } from '../../../vcpu/segment.ts';
import { type Cpu, defineComplex, GuestFault, Outcome, Vector } from './cpu.ts';
import {
  attrOf,
  type Descriptor,
  dplOf,
  isCode,
  isConforming,
  isNull,
  isPresent,
  markAccessed,
  readDescriptor,
  selectorIndex,
} from './descriptor.ts';
import { breakpointsEnabled } from './debug.ts';
import { checkTarget, loadRealCode } from './far.ts';
import { ARITHMETIC, writeFlags } from './flags.ts';
import { finishTaskSwitch } from './interrupts.ts';
import { Cr4, cr4, iopl, isLongMode, isRealLike, isVirtual8086, stackWidth } from './registers.ts';
import {
  checkCodeWidth,
  checkStackSegment,
  dropInnerSegments,
  loadCodeSegment,
  loadStackSegment,
  loadV86Segment,
} from './segments.ts';
import { type PushSize, setStackPointer, Stack } from './stack.ts';
import { switchTask, taskOfLink } from './tasks.ts';

const { GP, NP } = Vector;

/** Checks the code segment that is returned to. */
function checkReturnCode(cpu: Cpu, selector: number): Descriptor {
  if (isNull(selector)) throw new GuestFault(GP, 0);
  const descriptor = readDescriptor(cpu, selector);
  const rpl = selector & 3;
  const dpl = dplOf(descriptor);
  const allowed =
    isCode(descriptor) && rpl >= cpu.state.cpl && (isConforming(descriptor) ? dpl <= rpl : dpl === rpl);
  if (!allowed) throw new GuestFault(GP, selectorIndex(selector));
  checkCodeWidth(cpu, selector, descriptor);
  if (!isPresent(descriptor)) throw new GuestFault(NP, selectorIndex(selector));
  return descriptor;
}

const isWideCode = (state: VcpuState, code: Descriptor): boolean =>
  (attrOf(code) & SegAttr.Long) !== 0 && isLongMode(state);

/** A stack to return to: SS checked, and the pointer. */
interface OuterStack {
  readonly selector: number;
  readonly descriptor: Descriptor | null;
  readonly pointer: bigint;
}

function popOuterStack(
  cpu: Cpu,
  stack: Stack,
  code: Descriptor,
  privilege: number,
  size: PushSize,
): OuterStack {
  const pointer = stack.popOffset(size);
  const selector = stack.pop(size) & 0xffff;
  const descriptor = checkStackSegment(cpu, selector, privilege, GP, isWideCode(cpu.state, code));
  return { selector, descriptor, pointer };
}

/** Goes on in the segments popped, which have been checked. */
function returnTo(cpu: Cpu, selector: number, code: Descriptor, rip: bigint, outer: OuterStack): void {
  const { state } = cpu;
  markAccessed(cpu, code);
  if (outer.descriptor !== null) markAccessed(cpu, outer.descriptor);
  const from = state.cpl;
  loadCodeSegment(cpu, selector, code, selector & 3);
  loadStackSegment(cpu, outer.selector, outer.descriptor);
  setStackPointer(state, stackWidth(state), outer.pointer);
  if (state.cpl > from) dropInnerSegments(state);
  state.rip = rip;
}

/** RET far, with `extra` bytes of parameters to drop, on both stacks where they differ. */
function farReturn(cpu: Cpu, size: PushSize, extra: number): Outcome {
  const { state } = cpu;
  const stack = Stack.current(cpu);
  const rip = stack.popOffset(size);
  const selector = stack.pop(size) & 0xffff;
  if (isRealLike(state)) {
    loadRealCode(state, selector, rip);
    stack.drop(extra);
    stack.commit();
    return Outcome.Changed;
  }
  const code = checkReturnCode(cpu, selector);
  checkTarget(state, code, rip);
  stack.drop(extra);
  const privilege = selector & 3;
  if (privilege === state.cpl) {
    loadCodeSegment(cpu, selector, code, privilege);
    stack.commit();
    state.rip = rip;
    return Outcome.Changed;
  }
  const outer = popOuterStack(cpu, stack, code, privilege, size);
  returnTo(cpu, selector, code, rip, {
    ...outer,
    pointer: BigInt.asUintN(64, outer.pointer + BigInt(extra)),
  });
  return Outcome.Changed;
}

/** RFLAGS bits that every IRET loads. */
const IRET_FLAGS = ARITHMETIC | Flag.TF | Flag.DF | Flag.NT;

/** Those that one of 32 or 64 bits adds. RF lasts for one instruction, in which it holds back instruction
 * breakpoints: while there are none it is as if that instruction had ended. */
const wideFlags = (state: VcpuState): number =>
  breakpointsEnabled(state) ? Flag.RF | Flag.AC | Flag.ID : Flag.AC | Flag.ID;

function interruptReturnReal(cpu: Cpu, size: PushSize): Outcome {
  const { state } = cpu;
  const stack = Stack.current(cpu);
  const rip = stack.popOffset(size);
  const selector = stack.pop(size) & 0xffff;
  const flags = stack.pop(size);
  loadRealCode(state, selector, rip);
  stack.commit();
  writeFlags(state, flags, IRET_FLAGS | Flag.IF | Flag.IOPL | (size === 2 ? 0 : wideFlags(state)));
  return Outcome.Changed;
}

/** In virtual-8086 mode: with IOPL 3 as in real mode, but IOPL stays; below it #GP(0), unless CR4.VME lets
 * a 16-bit IRET work on VIF (SDM 3A, 21.3.3.4). */
function interruptReturnV86(cpu: Cpu, size: PushSize): Outcome {
  const { state } = cpu;
  const direct = iopl(state) === 3;
  if (!direct && ((cr4(state) & Cr4.VME) === 0 || size !== 2)) throw new GuestFault(GP, 0);
  const stack = Stack.current(cpu);
  const rip = stack.popOffset(size);
  const selector = stack.pop(size) & 0xffff;
  let flags = stack.pop(size);
  let mask: number = IRET_FLAGS | Flag.IF | (size === 2 ? 0 : wideFlags(state));
  if (!direct) {
    const wantsInterrupts = (flags & Flag.IF) !== 0;
    if ((flags & Flag.TF) !== 0 || (wantsInterrupts && (state.flagsSys & Flag.VIP) !== 0)) {
      throw new GuestFault(GP, 0);
    }
    flags = wantsInterrupts ? flags | Flag.VIF : flags & ~Flag.VIF;
    mask = (mask & ~Flag.IF) | Flag.VIF;
  }
  loadRealCode(state, selector, rip);
  stack.commit();
  writeFlags(state, flags, mask);
  return Outcome.Changed;
}

/** IRET from CPL 0 to virtual-8086 mode: the whole frame that an interrupt there had pushed. */
function returnToV86(cpu: Cpu, stack: Stack, selector: number, rip: bigint, flags: number): Outcome {
  const { state } = cpu;
  if (rip > 0xffffn) throw new GuestFault(GP, 0);
  const pointer = stack.popOffset(4);
  const selectors = [Seg.SS, Seg.ES, Seg.DS, Seg.FS, Seg.GS].map((n) => [n, stack.pop(4) & 0xffff] as const);
  writeFlags(state, flags);
  state.cpl = 3;
  loadV86Segment(state, Seg.CS, selector);
  for (const [segment, value] of selectors) loadV86Segment(state, segment, value);
  setStackPointer(state, 4, pointer);
  state.rip = rip;
  return Outcome.Changed;
}

function interruptReturn(cpu: Cpu, size: PushSize): Outcome {
  const { state } = cpu;
  // NMIs are let through again, even where IRET faults (SDM 3A, 6.7.1).
  state.nmiBlocked = 0;
  if (isVirtual8086(state)) return interruptReturnV86(cpu, size);
  if (isRealLike(state)) return interruptReturnReal(cpu, size);
  const long = isLongMode(state);
  if ((state.flagsSys & Flag.NT) !== 0) {
    if (long) throw new GuestFault(GP, 0);
    return finishTaskSwitch(cpu, switchTask(cpu, taskOfLink(cpu), 'return'));
  }

  const stack = Stack.current(cpu);
  const rip = stack.popOffset(size);
  const selector = stack.pop(size) & 0xffff;
  const flags = stack.pop(size);
  const { cpl } = state;
  if ((flags & Flag.VM) !== 0 && size === 4 && cpl === 0 && !long) {
    return returnToV86(cpu, stack, selector, rip, flags);
  }
  let mask: number = IRET_FLAGS;
  if (size !== 2) mask |= wideFlags(state);
  if (cpl <= iopl(state)) mask |= Flag.IF;
  if (cpl === 0) mask |= size === 2 ? Flag.IOPL : Flag.IOPL | Flag.VIF | Flag.VIP;

  const code = checkReturnCode(cpu, selector);
  const privilege = selector & 3;
  // In 64-bit mode the frame always holds a stack (SDM 3A, 6.14.3).
  if (privilege === cpl && stack.width !== 8) {
    checkTarget(state, code, rip);
    loadCodeSegment(cpu, selector, code, privilege);
    stack.commit();
    state.rip = rip;
  } else {
    const outer = popOuterStack(cpu, stack, code, privilege, size);
    checkTarget(state, code, rip);
    returnTo(cpu, selector, code, rip, outer);
  }
  writeFlags(state, flags, mask);
  return Outcome.Changed;
}

defineComplex('retf', (cpu, { size }) => farReturn(cpu, size, 0));
defineComplex('retf_imm', (cpu, { size, imm }) => farReturn(cpu, size, imm & 0xffff));
defineComplex('iret', (cpu, { size }) => interruptReturn(cpu, size));
