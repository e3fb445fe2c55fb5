/**
 * Delivery of interrupts and exceptions, in every mode.
 *
 * Intel SDM 3A, chapter 6: 6.11 (IDT), 6.12 (handlers), 6.13 (error codes), 6.14 (64-bit mode), 6.15 (double
 * fault); 21.1.4 (real mode), 21.3 (virtual-8086 mode); volume 2, INT n.
 */
import { ofHalves } from '../../../base/halves.ts';
import { Activity, Flag, Gpr, Seg, type VcpuState } from '../../../vcpu/state.ts';
import { clearInjected, DeliveryType, injectedDelivery, setInjected } from '../../../vcpu/injected.ts';
import { SegAttr } from '../../../vcpu/segment.ts';
import { type Cpu, GuestFault, Outcome, Vector } from './cpu.ts';
import { enterDebugHandler } from './debug.ts';
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
  readDescriptorAt,
  selectorIndex,
  SystemType,
  typeOf,
} from './descriptor.ts';
import { readFlags, writeFlags } from './flags.ts';
import { isCanonical, isLongMode, isProtected, isVirtual8086, linearSum } from './registers.ts';
import {
  checkStackSegment,
  loadCodeSegment,
  loadNull,
  loadRealSegment,
  loadStackSegment,
} from './segments.ts';
import { type PushSize, Stack } from './stack.ts';
import { interruptStack, stackOfTask32, stackOfTask64, switchTask, taskOfGate, taskWidth } from './tasks.ts';

const { BP, DB, DF, GP, NMI, NP, OF, PF, SS, TS } = Vector;

/** Where an event comes from. `software`: INT n, INT3, INTO, whose gate must let CPL through;
 * `privileged-software`: INT1, for which it need not. An external event of vector 2 is an NMI. */
export type EventKind = 'external' | 'exception' | 'software' | 'privileged-software';

export interface InterruptEvent {
  readonly vector: number;
  readonly kind: EventKind;
  /** Absent where the exception has none. Ignored in real mode. */
  readonly errorCode?: number;
}

/** Bit 0 of an error code: the fault came up while an event from outside the program was delivered; bit 1:
 * the index is of the IDT (SDM 3A, 6.13). */
const EXT = 1;
const IDT = 2;

/** Exceptions that are faults: they push RF set, so that the instruction is not stopped by its breakpoint
 * again (SDM 3B, 18.3.1.1). Debug exceptions and double faults are not among them. */
const FAULTS = new Set<number>([
  Vector.DE, Vector.BR, Vector.UD, Vector.NM, TS, NP, SS, GP, PF, Vector.MF, Vector.AC, Vector.XM,
]); // prettier-ignore

/** Contributory exceptions (SDM 3A, table 6-4). */
const CONTRIBUTORY = new Set<number>([Vector.DE, TS, NP, SS, GP]);

/** Exceptions that name a selector or an IDT entry in their error code, and so can carry EXT. */
const NAMES_SELECTOR = new Set<number>([TS, NP, SS, GP]);

const IDT_FAULT = (vector: number): number => vector * 8 + IDT;

/**
 * Tries once to deliver an interrupt or exception at `state.rip`: the guest goes on in its handler. Where a fault
 * comes up on the way, what follows from it (the fault itself, a double fault: SDM 3A, table 6-5) is left in
 * `injected`, to be delivered next; faults that follow each other without end thus leave the processor's loop in
 * charge. An event that has to wait for a device's answer is in `injected` too, until it has been delivered.
 *
 * @returns Shutdown where a double fault could not be delivered
 * @throws GuestFault where the event is an instruction's (INT n, INT3, INTO, INT1): that is then the instruction's
 * @throws AccessPending
 */
export function deliver(cpu: Cpu, event: InterruptEvent): Outcome {
  const { state } = cpu;
  if (event.kind === 'software') {
    enter(cpu, event);
    return Outcome.Changed;
  }
  if (event.kind !== 'privileged-software') inject(state, event);
  try {
    enter(cpu, event);
  } catch (fault) {
    if (!(fault instanceof GuestFault)) throw fault;
    if (event.kind === 'privileged-software') throw external(fault);
    const next = nextEvent(event, fault);
    if (next === null) {
      clearInjected(state);
      state.activity = Activity.Shutdown;
      return Outcome.Shutdown;
    }
    inject(state, next);
    return Outcome.Changed;
  }
  clearInjected(state);
  return Outcome.Changed;
}

/** Notes an event as one whose delivery has begun. */
function inject(state: VcpuState, { vector, kind, errorCode }: InterruptEvent): void {
  const type =
    kind === 'exception' ? DeliveryType.Exception : vector === NMI ? DeliveryType.Nmi : DeliveryType.External;
  setInjected(state, type, vector, errorCode);
}

/**
 * What `injected` says is being delivered, or null. An instruction's own event is not among it, as its RIP is still
 * the instruction's, which is simply run again; INT3 and INTO may have come as exceptions.
 */
export function injectedEvent(state: VcpuState): InterruptEvent | null {
  const delivery = injectedDelivery(state);
  if (delivery === null || delivery.type === DeliveryType.Software) return null;
  const { type, vector, errorCode } = delivery;
  if (type !== DeliveryType.Exception) return { vector, kind: 'external' };
  return vector === BP || vector === OF ? null : exceptionEvent(vector, errorCode);
}

/** An exception as an event. */
export function exceptionEvent(vector: number, errorCode: number | undefined): InterruptEvent {
  return errorCode === undefined ? { vector, kind: 'exception' } : { vector, kind: 'exception', errorCode };
}

/** Leaves an exception that an instruction ends with, having done its work, to be delivered behind it. */
export function raiseBehind(cpu: Cpu, { vector, errorCode }: GuestFault): Outcome {
  inject(cpu.state, exceptionEvent(vector, errorCode));
  return Outcome.Changed;
}

/** What an instruction that switched tasks ends with; `fault` as {@link switchTask} returned it. */
export function finishTaskSwitch(cpu: Cpu, fault: GuestFault | null): Outcome {
  return fault === null ? Outcome.Changed : raiseBehind(cpu, fault);
}

/** A fault that came up while an event from outside the program was delivered. */
function external(fault: GuestFault): GuestFault {
  const { vector, errorCode } = fault;
  const named = errorCode !== undefined && NAMES_SELECTOR.has(vector);
  return named ? new GuestFault(vector, errorCode | EXT) : fault;
}

/** What follows from a fault while `first` was delivered; null for a shutdown. */
function nextEvent(first: InterruptEvent, fault: GuestFault): InterruptEvent | null {
  const contributory = CONTRIBUTORY.has(fault.vector);
  if (first.kind === 'exception' && (contributory || fault.vector === PF)) {
    if (first.vector === DF) return null;
    if (first.vector === PF || (CONTRIBUTORY.has(first.vector) && contributory)) {
      return { vector: DF, kind: 'exception', errorCode: 0 };
    }
  }
  const { vector, errorCode } = external(fault);
  return exceptionEvent(vector, errorCode);
}

/** One attempt at delivery. Nothing has changed where it throws. */
function enter(cpu: Cpu, event: InterruptEvent): void {
  const { state } = cpu;
  if (!isProtected(state)) enterReal(cpu, event.vector);
  else if (isLongMode(state)) enterLong(cpu, event);
  else enterProtected(cpu, event);
  state.interruptShadow = 0;
  state.activity = Activity.Running;
  if (event.vector === NMI && event.kind === 'external') state.nmiBlocked = 1;
  if (event.vector === DB && event.kind !== 'software') enterDebugHandler(state);
}

/** RFLAGS as the handler finds it saved. */
function savedFlags(state: VcpuState, event: InterruptEvent): number {
  const flags = readFlags(state);
  return event.kind === 'exception' && FAULTS.has(event.vector) ? flags | Flag.RF : flags;
}

/** Through the real-mode interrupt vector table: offset and segment, four bytes each (SDM 3A, 21.1.4). */
function enterReal(cpu: Cpu, vector: number): void {
  const { state } = cpu;
  const at = vector * 4;
  if (at + 3 > state.idtrLimit) throw new GuestFault(GP, IDT_FAULT(vector));
  const entry = linearSum(state, state.idtrBase, at);
  const ip = cpu.linear.read(entry, 2, false) & 0xffff;
  const cs = cpu.linear.read(linearSum(state, entry, 2), 2, false) & 0xffff;
  const stack = Stack.current(cpu);
  stack.push(readFlags(state), 2);
  stack.push(state.segSelector[Seg.CS], 2);
  stack.pushOffset(state.rip, 2);
  if (ip > state.segLimit[Seg.CS]) throw new GuestFault(GP, 0);
  stack.commit();
  loadRealSegment(state, Seg.CS, cs);
  state.rip = BigInt(ip);
  writeFlags(state, 0, Flag.IF | Flag.TF | Flag.AC | Flag.RF);
}

/** Privilege and presence of an IDT gate of a known type. */
function checkGate(state: VcpuState, gate: Descriptor, event: InterruptEvent, known: boolean): void {
  const name = IDT_FAULT(event.vector);
  if (!known) throw new GuestFault(GP, name);
  if (event.kind === 'software' && dplOf(gate) < state.cpl) throw new GuestFault(GP, name);
  if (!isPresent(gate)) throw new GuestFault(NP, name);
}

/** The code segment of an interrupt or trap gate, checked. */
function handlerSegment(cpu: Cpu, selector: number): Descriptor {
  if (isNull(selector)) throw new GuestFault(GP, 0);
  const descriptor = readDescriptor(cpu, selector);
  if (!isCode(descriptor) || dplOf(descriptor) > cpu.state.cpl) {
    throw new GuestFault(GP, selectorIndex(selector));
  }
  return descriptor;
}

/** Interrupt gates clear IF, trap gates don't; both clear these. */
function clearFlags(state: VcpuState, interruptGate: boolean): void {
  writeFlags(state, 0, Flag.TF | Flag.NT | Flag.RF | Flag.VM | (interruptGate ? Flag.IF : 0));
}

function enterProtected(cpu: Cpu, event: InterruptEvent): void {
  const { state } = cpu;
  const { vector } = event;
  if (vector * 8 + 7 > state.idtrLimit) throw new GuestFault(GP, IDT_FAULT(vector));
  const gate = readDescriptorAt(cpu, linearSum(state, state.idtrBase, vector * 8));
  const type = isSegment(gate) ? -1 : typeOf(gate);
  const wide = type === SystemType.InterruptGate32 || type === SystemType.TrapGate32;
  const narrow = type === SystemType.InterruptGate16 || type === SystemType.TrapGate16;
  checkGate(state, gate, event, wide || narrow || type === SystemType.TaskGate);
  if (type === SystemType.TaskGate) {
    enterTask(cpu, gate, event);
    return;
  }

  const selector = gateSelector(gate);
  const code = handlerSegment(cpu, selector);
  const dpl = dplOf(code);
  const inner = !isConforming(code) && dpl < state.cpl;
  const v86 = isVirtual8086(state);
  // From virtual-8086 mode a handler runs at privilege 0 and nowhere else.
  if (v86 && (!inner || dpl !== 0)) throw new GuestFault(GP, selectorIndex(selector));
  if (!isPresent(code)) throw new GuestFault(NP, selectorIndex(selector));
  const ip = wide ? gateOffset32(gate) : gateOffset16(gate);
  const size = wide ? 4 : 2;
  const flags = savedFlags(state, event);
  const checkIp = (): void => {
    if (ip > limitOf(code)) throw new GuestFault(GP, 0);
  };
  const interruptGate = (type & 1) === 0;

  if (!inner) {
    const stack = Stack.current(cpu);
    pushFrame(stack, state, flags, event, size);
    checkIp();
    markAccessed(cpu, code);
    loadCodeSegment(cpu, selector, code, state.cpl);
    stack.commit();
  } else {
    const place = stackOfTask32(cpu, dpl);
    const segment = checkStackSegment(cpu, place.selector, dpl, TS, false);
    if (segment === null) throw new GuestFault(TS, 0);
    const stack = Stack.inSegment(cpu, place.selector, segment, place.pointer, false);
    if (v86) for (const n of [Seg.GS, Seg.FS, Seg.DS, Seg.ES]) stack.push(state.segSelector[n], size);
    stack.push(state.segSelector[Seg.SS], size);
    stack.pushOffset(BigInt.asUintN(32, state.gpr[Gpr.RSP]), size);
    pushFrame(stack, state, flags, event, size);
    checkIp();
    markAccessed(cpu, segment);
    markAccessed(cpu, code);
    clearFlags(state, interruptGate);
    loadStackSegment(cpu, place.selector, segment);
    loadCodeSegment(cpu, selector, code, dpl);
    stack.commit();
    if (v86) for (const n of [Seg.GS, Seg.FS, Seg.DS, Seg.ES]) loadNull(state, n, 0);
  }
  state.rip = BigInt(ip);
  clearFlags(state, interruptGate);
}

/** Flags, CS, instruction pointer and error code. */
function pushFrame(
  stack: Stack,
  state: VcpuState,
  flags: number,
  event: InterruptEvent,
  size: PushSize,
): void {
  stack.push(flags, size);
  stack.push(state.segSelector[Seg.CS], size);
  stack.pushOffset(state.rip, size);
  if (event.errorCode !== undefined) stack.push(event.errorCode, size);
}

/** Through a task gate: the handler is a task, nested in this one; the error code goes on its stack. */
function enterTask(cpu: Cpu, gate: Descriptor, event: InterruptEvent): void {
  const { state } = cpu;
  if (event.kind === 'exception' && FAULTS.has(event.vector)) state.flagsSys |= Flag.RF;
  const fault = switchTask(cpu, taskOfGate(cpu, gate), 'call');
  if (fault !== null) throw fault;
  if (event.errorCode === undefined) return;
  const stack = Stack.current(cpu);
  stack.push(event.errorCode, taskWidth(state));
  stack.commit();
}

/** Through a 64-bit gate: the frame is always whole and its top aligned to 16 bytes (SDM 3A, 6.14). */
function enterLong(cpu: Cpu, event: InterruptEvent): void {
  const { state } = cpu;
  const { vector, errorCode } = event;
  if (vector * 16 + 15 > state.idtrLimit) throw new GuestFault(GP, IDT_FAULT(vector));
  const at = linearSum(state, state.idtrBase, vector * 16);
  const gate = readDescriptorAt(cpu, at);
  const type = isSegment(gate) ? -1 : typeOf(gate);
  checkGate(state, gate, event, type === SystemType.InterruptGate32 || type === SystemType.TrapGate32);

  const selector = gateSelector(gate);
  const code = handlerSegment(cpu, selector);
  if ((attrOf(code) & (SegAttr.Long | SegAttr.Big)) !== SegAttr.Long) {
    throw new GuestFault(GP, selectorIndex(selector));
  }
  if (!isPresent(code)) throw new GuestFault(NP, selectorIndex(selector));
  const upper = cpu.linear.read(linearSum(state, at, 8), 4, false) >>> 0;
  const rip = ofHalves(gateOffset32(gate), upper);
  if (!isCanonical(state, rip)) throw new GuestFault(GP, 0);

  const privilege = isConforming(code) ? state.cpl : dplOf(code);
  const inner = privilege < state.cpl;
  const ist = gate.high & 7;
  const rsp = state.gpr[Gpr.RSP];
  const top = ist !== 0 ? interruptStack(cpu, ist) : inner ? stackOfTask64(cpu, privilege) : rsp;

  markAccessed(cpu, code);
  const { linear } = cpu;
  const user = privilege === 3;
  const words = errorCode === undefined ? 5n : 6n;
  const bottom = BigInt.asUintN(64, (top & ~15n) - 8n * words);
  if (!isCanonical(state, bottom)) throw new GuestFault(SS, 0);
  // Downwards, as pushes go: of two missing pages the upper one is reported.
  const frame = bottom + (errorCode === undefined ? 0n : 8n);
  linear.write64(frame + 32n, BigInt(state.segSelector[Seg.SS]), user);
  linear.write64(frame + 24n, rsp, user);
  linear.write64(frame + 16n, BigInt(savedFlags(state, event) >>> 0), user);
  linear.write64(frame + 8n, BigInt(state.segSelector[Seg.CS]), user);
  linear.write64(frame, state.rip, user);
  if (errorCode !== undefined) linear.write64(bottom, BigInt(errorCode >>> 0), user);

  loadCodeSegment(cpu, selector, code, privilege);
  if (inner) loadNull(state, Seg.SS, privilege, privilege);
  state.gpr[Gpr.RSP] = bottom;
  state.rip = rip;
  clearFlags(state, (type & 1) === 0);
}
