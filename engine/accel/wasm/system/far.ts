/**
 * Far jumps and calls: to code segments, through call gates, to tasks.
 *
 * Intel SDM 2, JMP and CALL; 3A, 5.8 (privilege checks of transfers), 5.8.3 to 5.8.5 (call gates and stack
 * switching), 5.8.3.1 (in long mode), 8.3 (task switching).
 */
import { Seg, type VcpuState } from '../../../vcpu/state.ts';
import { SegAttr } from '../../../vcpu/segment.ts';
import { type Cpu, defineComplex, GuestFault, type Instruction, Outcome, Vector } from './cpu.ts';
import {
  attrOf,
  type Descriptor,
  dplOf,
  gateOffset16,
  gateOffset32,
  gateSelector,
  isCode,
  isConforming,
  isNull,
  isPresent,
  isSegment,
  limitOf,
  markAccessed,
  readDescriptor,
  readUpperHalf,
  selectorIndex,
  SystemType,
  typeOf,
} from './descriptor.ts';
import { finishTaskSwitch } from './interrupts.ts';
import { asUser, operandAddress } from './operands.ts';
import { isCanonical, isLongMode, isRealLike, isVirtual8086 } from './registers.ts';
import {
  checkCodeWidth,
  checkStackSegment,
  loadCodeSegment,
  loadNull,
  loadRealSegment,
  loadSelector,
  loadStackSegment,
  loadV86Segment,
} from './segments.ts';
import { type PushSize, Stack } from './stack.ts';
import {
  stackOfTask32,
  stackOfTask64,
  switchTask,
  type TaskTarget,
  taskOfGate,
  taskOfSelector,
} from './tasks.ts';

const { GP, NP, TS } = Vector;

/** Loads CS in real or virtual-8086 mode. @throws GuestFault #GP(0) where IP is beyond the limit */
export function loadRealCode(state: VcpuState, selector: number, rip: bigint): void {
  if (rip > BigInt(isVirtual8086(state) ? 0xffff : state.segLimit[Seg.CS])) throw new GuestFault(GP, 0);
  if (isVirtual8086(state)) loadV86Segment(state, Seg.CS, selector);
  else loadRealSegment(state, Seg.CS, selector);
  state.rip = rip;
}

/** #GP(0) unless an instruction pointer lies within a code segment, or in a 64-bit one is canonical. */
export function checkTarget(state: VcpuState, descriptor: Descriptor, rip: bigint): void {
  const wide = (attrOf(descriptor) & SegAttr.Long) !== 0 && isLongMode(state);
  if (wide ? !isCanonical(state, rip) : rip > BigInt(limitOf(descriptor))) throw new GuestFault(GP, 0);
}

/** Checks a code segment that is entered directly: at the same privilege, or conforming. */
function checkDirectCode(cpu: Cpu, selector: number, descriptor: Descriptor): void {
  const { cpl } = cpu.state;
  const dpl = dplOf(descriptor);
  const allowed =
    isCode(descriptor) && (isConforming(descriptor) ? dpl <= cpl : (selector & 3) <= cpl && dpl === cpl);
  if (!allowed) throw new GuestFault(GP, selectorIndex(selector));
  checkCodeWidth(cpu, selector, descriptor);
  if (!isPresent(descriptor)) throw new GuestFault(NP, selectorIndex(selector));
}

/** What a call gate leads to. */
interface GateTarget {
  readonly selector: number;
  readonly descriptor: Descriptor;
  readonly rip: bigint;
  readonly size: PushSize;
  /** Words or doublewords to copy from the caller's stack. */
  readonly parameters: number;
}

/** Checks a call gate and the code segment behind it. */
function throughGate(cpu: Cpu, gateName: number, gate: Descriptor): GateTarget {
  const { state } = cpu;
  const long = isLongMode(state);
  const type = typeOf(gate);
  let offset = BigInt(type === SystemType.CallGate16 ? gateOffset16(gate) : gateOffset32(gate));
  if (long) offset |= BigInt(readUpperHalf(cpu, gateName)) << 32n;
  const selector = gateSelector(gate);
  if (isNull(selector)) throw new GuestFault(GP, 0);
  const descriptor = readDescriptor(cpu, selector);
  const wrongWidth = long && (attrOf(descriptor) & (SegAttr.Long | SegAttr.Big)) !== SegAttr.Long;
  if (!isCode(descriptor) || dplOf(descriptor) > state.cpl || wrongWidth) {
    throw new GuestFault(GP, selectorIndex(selector));
  }
  if (!isPresent(descriptor)) throw new GuestFault(NP, selectorIndex(selector));
  const size = long ? 8 : type === SystemType.CallGate16 ? 2 : 4;
  return { selector, descriptor, rip: offset, size, parameters: long ? 0 : gate.high & 0x1f };
}

/** What a system descriptor named by a far transfer leads to. */
type SystemTarget = { readonly gate: GateTarget } | { readonly task: TaskTarget };

function systemTarget(cpu: Cpu, selector: number, descriptor: Descriptor): SystemTarget {
  const { state } = cpu;
  const type = typeOf(descriptor);
  const long = isLongMode(state);
  const known = long
    ? type === SystemType.CallGate32
    : type === SystemType.CallGate16 ||
      type === SystemType.CallGate32 ||
      type === SystemType.TaskGate ||
      type === SystemType.Tss16 ||
      type === SystemType.Tss32;
  const dpl = dplOf(descriptor);
  if (!known || dpl < state.cpl || dpl < (selector & 3)) throw new GuestFault(GP, selectorIndex(selector));
  if (!isPresent(descriptor)) throw new GuestFault(NP, selectorIndex(selector));
  switch (type) {
    case SystemType.CallGate16:
    case SystemType.CallGate32:
      return { gate: throughGate(cpu, selector, descriptor) };
    case SystemType.TaskGate:
      return { task: taskOfGate(cpu, descriptor) };
    default:
      return { task: taskOfSelector(cpu, selector) };
  }
}

function readTarget(cpu: Cpu, selector: number): Descriptor {
  if (isNull(selector)) throw new GuestFault(GP, 0);
  return readDescriptor(cpu, selector);
}

/**
 * JMP far.
 * @param offset zero-extended from the operand size
 */
export function farJump(cpu: Cpu, selector: number, offset: bigint): Outcome {
  const { state } = cpu;
  if (isRealLike(state)) {
    loadRealCode(state, selector, offset);
    return Outcome.Changed;
  }
  const descriptor = readTarget(cpu, selector);
  if (isSegment(descriptor)) {
    checkDirectCode(cpu, selector, descriptor);
    checkTarget(state, descriptor, offset);
    loadCodeSegment(cpu, selector, descriptor, state.cpl);
    state.rip = offset;
    return Outcome.Changed;
  }
  const target = systemTarget(cpu, selector, descriptor);
  if ('task' in target) return finishTaskSwitch(cpu, switchTask(cpu, target.task, 'jump'));
  const { gate } = target;
  // A jump never changes privilege.
  if (!isConforming(gate.descriptor) && dplOf(gate.descriptor) !== state.cpl) {
    throw new GuestFault(GP, selectorIndex(gate.selector));
  }
  checkTarget(state, gate.descriptor, gate.rip);
  loadCodeSegment(cpu, gate.selector, gate.descriptor, state.cpl);
  state.rip = gate.rip;
  return Outcome.Changed;
}

/** Pushes CS and the return address. */
function pushReturn(state: VcpuState, stack: Stack, size: PushSize): void {
  stack.push(state.segSelector[Seg.CS], size);
  stack.pushOffset(state.rip, size);
}

/**
 * CALL far. The return address is `state.rip`.
 * @param offset zero-extended from the operand size
 * @param size operand size in bytes
 */
export function farCall(cpu: Cpu, selector: number, offset: bigint, size: PushSize): Outcome {
  const { state } = cpu;
  if (isRealLike(state)) {
    const stack = Stack.current(cpu);
    pushReturn(state, stack, size);
    loadRealCode(state, selector, offset);
    stack.commit();
    return Outcome.Changed;
  }
  const descriptor = readTarget(cpu, selector);
  if (isSegment(descriptor)) {
    checkDirectCode(cpu, selector, descriptor);
    callSamePrivilege(cpu, selector, descriptor, offset, size, Stack.current(cpu));
    return Outcome.Changed;
  }
  const target = systemTarget(cpu, selector, descriptor);
  if ('task' in target) return finishTaskSwitch(cpu, switchTask(cpu, target.task, 'call'));
  const { gate } = target;
  if (!isConforming(gate.descriptor) && dplOf(gate.descriptor) < state.cpl) {
    if (gate.size === 8) callInner64(cpu, gate);
    else callInner(cpu, gate, gate.size);
  } else {
    const stack = gate.size === 8 ? Stack.current(cpu, 8) : Stack.current(cpu);
    callSamePrivilege(cpu, gate.selector, gate.descriptor, gate.rip, gate.size, stack);
  }
  return Outcome.Changed;
}

function callSamePrivilege(
  cpu: Cpu,
  selector: number,
  descriptor: Descriptor,
  rip: bigint,
  size: PushSize,
  stack: Stack,
): void {
  const { state } = cpu;
  checkTarget(state, descriptor, rip);
  markAccessed(cpu, descriptor);
  pushReturn(state, stack, size);
  loadCodeSegment(cpu, selector, descriptor, state.cpl);
  stack.commit();
  state.rip = rip;
}

/** A call to an inner privilege level through a 16- or 32-bit gate: the stack is switched and the
 * parameters copied (SDM 3A, 5.8.5). */
function callInner(cpu: Cpu, gate: GateTarget, size: 2 | 4): void {
  const { state } = cpu;
  const privilege = dplOf(gate.descriptor);
  const inner = stackOfTask32(cpu, privilege);
  const segment = checkStackSegment(cpu, inner.selector, privilege, TS, false);
  if (segment === null) throw new GuestFault(TS, 0);
  checkTarget(state, gate.descriptor, gate.rip);

  const from = Stack.current(cpu);
  const parameters: number[] = [];
  for (let i = 0; i < gate.parameters; i++) parameters.push(from.pop(size));
  const to = Stack.inSegment(cpu, inner.selector, segment, inner.pointer, false);
  to.push(state.segSelector[Seg.SS], size);
  to.pushOffset(Stack.current(cpu).pointer, size);
  for (const value of parameters.reverse()) to.push(value, size);
  markAccessed(cpu, segment);
  markAccessed(cpu, gate.descriptor);
  pushReturn(state, to, size);

  loadStackSegment(cpu, inner.selector, segment);
  loadCodeSegment(cpu, gate.selector, gate.descriptor, privilege);
  to.commit();
  state.rip = gate.rip;
}

/** The same through a 64-bit gate: no parameters, and SS becomes null (SDM 3A, 5.8.5.1). */
function callInner64(cpu: Cpu, gate: GateTarget): void {
  const { state } = cpu;
  const privilege = dplOf(gate.descriptor);
  const stack = Stack.flat64(cpu, stackOfTask64(cpu, privilege));
  checkTarget(state, gate.descriptor, gate.rip);
  markAccessed(cpu, gate.descriptor);
  stack.push(state.segSelector[Seg.SS], 8);
  stack.push64(Stack.current(cpu).pointer);
  pushReturn(state, stack, 8);
  loadCodeSegment(cpu, gate.selector, gate.descriptor, privilege);
  loadNull(state, Seg.SS, privilege, privilege);
  stack.commit();
  state.rip = gate.rip;
}

/** A far pointer in memory: offset of the operand size, then the selector. */
function readFarPointer(cpu: Cpu, instruction: Instruction): { selector: number; offset: bigint } {
  const { size } = instruction;
  if (!instruction.memory) throw new GuestFault(Vector.UD);
  const user = asUser(cpu.state);
  const at = operandAddress(cpu, instruction, 0, size, false);
  const selectorAt = operandAddress(cpu, instruction, size, 2, false);
  const offset =
    size === 8
      ? BigInt.asUintN(64, cpu.linear.read64(at, user))
      : BigInt(cpu.linear.read(at, size, user) >>> 0);
  return { offset, selector: cpu.linear.read(selectorAt, 2, user) & 0xffff };
}

/** The offset of a far pointer in the instruction. */
const immediateOffset = ({ imm, size }: Instruction): bigint => BigInt(size === 2 ? imm & 0xffff : imm >>> 0);

defineComplex('jmpf', (cpu, instruction) => farJump(cpu, instruction.selector, immediateOffset(instruction)));
defineComplex('callf', (cpu, instruction) =>
  farCall(cpu, instruction.selector, immediateOffset(instruction), instruction.size),
);
defineComplex('jmpf_mem', (cpu, instruction) => {
  const { selector, offset } = readFarPointer(cpu, instruction);
  return farJump(cpu, selector, offset);
});
defineComplex('callf_mem', (cpu, instruction) => {
  const { selector, offset } = readFarPointer(cpu, instruction);
  return farCall(cpu, selector, offset, instruction.size);
});

/** LDS, LES, LFS, LGS and LSS: a segment register and a general one from a far pointer. */
function defineLoadPointer(name: string, segment: number): void {
  defineComplex(name, (cpu, instruction) => {
    const { selector, offset } = readFarPointer(cpu, instruction);
    loadSelector(cpu, segment, selector);
    const { a, size } = instruction;
    if (size === 2) cpu.stateBytes.setUint16(a, Number(offset), true);
    else cpu.stateBytes.setBigUint64(a, offset, true);
    return Outcome.Changed;
  });
}
defineLoadPointer('les', Seg.ES);
defineLoadPointer('lds', Seg.DS);
defineLoadPointer('lss', Seg.SS);
defineLoadPointer('lfs', Seg.FS);
defineLoadPointer('lgs', Seg.GS);
