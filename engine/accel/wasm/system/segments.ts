/**
 * Loading segment registers.
 *
 * Intel SDM 3A, 3.4.3 (segment registers), 5.5 and 5.6 (privilege), 5.7 (SS), 21.1.1 and 21.2.1 (real and
 * virtual-8086 mode); volume 2, MOV, LLDT and LTR.
 */
import { Seg, type VcpuState } from '../../../vcpu/state.ts';
import { loadSegment, refreshSegmentBounds, SegAttr, type SegmentRegister } from '../../../vcpu/segment.ts';
import { type Cpu, GuestFault, Vector } from './cpu.ts';
import {
  attrOf,
  baseOf,
  type Descriptor,
  dplOf,
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
  setBusy,
  SystemType,
  TSS_BUSY,
  typeOf,
} from './descriptor.ts';
import { is64Bit, isCanonical, isLongMode, isProtected, isRealLike, isVirtual8086 } from './registers.ts';

const DATA_RW = SegAttr.Present | SegAttr.CodeOrData | SegAttr.Writable | SegAttr.Accessed;

/** Access rights of every segment in virtual-8086 mode (SDM 3C, 26.3.1.2). */
const V86_ATTR = DATA_RW | (3 << SegAttr.DplShift);

/** What SYSCALL and its kin load, with the DPL to be added: flat 4 GiB segments (SDM 3A, 5.8.7). */
export const FLAT_LIMIT = 0xffff_ffff;
export const FLAT_CODE32 = 0xc09b;
export const FLAT_CODE64 = 0xa09b;
export const FLAT_DATA = 0xc093;

const { GP, NP, SS, TS } = Vector;

/**
 * Loads a segment register in real-address mode: the base follows from the selector, limit and rights stay
 * what they were, so that a limit set up in protected mode goes on ("unreal" mode).
 */
export function loadRealSegment(state: VcpuState, segment: number, selector: number): void {
  const old = state.segAttr[segment];
  // A null selector from protected mode left no limit to keep.
  const limit = (old & SegAttr.Unusable) !== 0 ? 0xffff : state.segLimit[segment];
  const attr = (old & (SegAttr.Big | SegAttr.Granular)) | DATA_RW;
  loadSegment(state, segment, { selector, base: BigInt(selector << 4), limit, attr }, true);
}

/** Loads a segment register in virtual-8086 mode: 64 KiB at sixteen times the selector. */
export function loadV86Segment(state: VcpuState, segment: number, selector: number): void {
  const register = { selector, base: BigInt(selector << 4), limit: 0xffff, attr: V86_ATTR };
  loadSegment(state, segment, register, true);
}

/** Loads a register with a null selector: unusable, base and limit cleared (APM 3, CPUID 8000_0021,
 * NullSelectorClearsBase). In SS, the DPL stands for CPL. */
export function loadNull(state: VcpuState, segment: number, selector: number, dpl = 0): void {
  const attr = SegAttr.Unusable | (dpl << SegAttr.DplShift);
  loadSegment(state, segment, { selector, base: 0n, limit: 0, attr });
}

/** Puts a code or data descriptor into a register; marks it accessed. All checks have been made. */
export function loadDescriptor(cpu: Cpu, segment: number, selector: number, descriptor: Descriptor): void {
  markAccessed(cpu, descriptor);
  setDescriptor(cpu.state, segment, selector, descriptor);
}

/** As {@link loadDescriptor}, the descriptor having been marked before. */
export function setDescriptor(
  state: VcpuState,
  segment: number,
  selector: number,
  descriptor: Descriptor,
): void {
  loadSegment(state, segment, {
    selector,
    base: BigInt(baseOf(descriptor)),
    limit: limitOf(descriptor),
    attr: attrOf(descriptor) | SegAttr.Accessed,
  });
}

/** Loads a flat segment without looking at any table. */
export function loadFlat(
  state: VcpuState,
  segment: number,
  selector: number,
  attr: number,
  dpl: number,
): void {
  const register: SegmentRegister = {
    selector,
    base: 0n,
    limit: FLAT_LIMIT,
    attr: attr | (dpl << SegAttr.DplShift),
  };
  loadSegment(state, segment, register);
}

/** Derives the bounds of all six segment registers again, after CR0.PE or RFLAGS.VM has changed. */
export function refreshSegments(state: VcpuState): void {
  const real = isRealLike(state);
  for (let segment: number = Seg.ES; segment <= Seg.GS; segment++) refreshSegmentBounds(state, segment, real);
}

/**
 * Checks a selector for ES, DS, FS or GS in protected mode.
 * @param privilege CPL, or that of the task being entered
 * @param vector of the exception for a selector that will not do: #GP, in task switches #TS
 * @returns the descriptor, or null for a null selector
 */
export function checkDataSegment(
  cpu: Cpu,
  selector: number,
  privilege: number = cpu.state.cpl,
  vector: number = GP,
): Descriptor | null {
  if (isNull(selector)) return null;
  const descriptor = readDescriptor(cpu, selector, vector);
  const code = isCode(descriptor);
  const readable = !code || (attrOf(descriptor) & SegAttr.Readable) !== 0;
  const bound = !code || !isConforming(descriptor);
  const dpl = dplOf(descriptor);
  if (!isSegment(descriptor) || !readable || (bound && ((selector & 3) > dpl || privilege > dpl))) {
    throw new GuestFault(vector, selectorIndex(selector));
  }
  if (!isPresent(descriptor)) throw new GuestFault(NP, selectorIndex(selector));
  return descriptor;
}

/**
 * Checks a selector for SS in protected mode.
 * @param privilege CPL after the load, which RPL and DPL must equal
 * @param vector of the exception for a selector that will not do: #GP; #TS in switches of stack or task
 * @returns the descriptor, or null for a null selector where 64-bit mode allows it
 * @throws GuestFault `vector`; #SS(selector) where not present
 */
export function checkStackSegment(
  cpu: Cpu,
  selector: number,
  privilege: number,
  vector: number,
  allowNull: boolean,
): Descriptor | null {
  if (isNull(selector)) {
    if (allowNull && privilege !== 3 && (selector & 3) === privilege) return null;
    throw new GuestFault(vector, vector === TS ? selectorIndex(selector) : 0);
  }
  const descriptor = readDescriptor(cpu, selector, vector);
  const writableData = SegAttr.CodeOrData | SegAttr.Writable;
  if (
    (selector & 3) !== privilege ||
    dplOf(descriptor) !== privilege ||
    isCode(descriptor) ||
    (attrOf(descriptor) & writableData) !== writableData
  ) {
    throw new GuestFault(vector, selectorIndex(selector));
  }
  if (!isPresent(descriptor)) throw new GuestFault(SS, selectorIndex(selector));
  return descriptor;
}

/** Loads SS with what {@link checkStackSegment} returned. */
export function loadStackSegment(cpu: Cpu, selector: number, descriptor: Descriptor | null): void {
  if (descriptor === null) loadNull(cpu.state, Seg.SS, selector, selector & 3);
  else loadDescriptor(cpu, Seg.SS, selector, descriptor);
}

/** Loads ES, SS, DS, FS or GS as MOV, POP and LDS and their kin do, in any mode. */
export function loadSelector(cpu: Cpu, segment: number, selector: number): void {
  const { state } = cpu;
  if (!isProtected(state)) {
    loadRealSegment(state, segment, selector);
  } else if (isVirtual8086(state)) {
    loadV86Segment(state, segment, selector);
  } else if (segment === Seg.SS) {
    loadStackSegment(cpu, selector, checkStackSegment(cpu, selector, state.cpl, GP, is64Bit(state)));
  } else {
    const descriptor = checkDataSegment(cpu, selector);
    if (descriptor === null) loadNull(state, segment, selector);
    else loadDescriptor(cpu, segment, selector, descriptor);
  }
}

/** Loads CS with a checked descriptor; CPL becomes `privilege`, which the selector's RPL then shows. */
export function loadCodeSegment(cpu: Cpu, selector: number, descriptor: Descriptor, privilege: number): void {
  loadDescriptor(cpu, Seg.CS, (selector & 0xfffc) | privilege, descriptor);
  cpu.state.cpl = privilege;
}

/** #GP(selector) for a code segment with both L and D in long mode (SDM 3A, 5.2.1). */
export function checkCodeWidth(cpu: Cpu, selector: number, descriptor: Descriptor): void {
  const both = SegAttr.Long | SegAttr.Big;
  if ((attrOf(descriptor) & both) === both && isLongMode(cpu.state)) {
    throw new GuestFault(GP, selectorIndex(selector));
  }
}

/** After a return to an outer privilege: data segments that it may not use become null (SDM 2, RET). */
export function dropInnerSegments(state: VcpuState): void {
  for (const segment of [Seg.ES, Seg.DS, Seg.FS, Seg.GS]) {
    const attr = state.segAttr[segment];
    if ((attr & SegAttr.Unusable) !== 0) continue;
    const conformingCode = SegAttr.Code | SegAttr.Conforming;
    const bound = (attr & conformingCode) !== conformingCode;
    if (bound && ((attr >> SegAttr.DplShift) & 3) < state.cpl) loadNull(state, segment, 0);
  }
}

/** Base of a system segment: 64 bits in long mode. @throws GuestFault #GP(selector) where not canonical */
function systemBase(cpu: Cpu, selector: number, descriptor: Descriptor, vector: number): bigint {
  const low = BigInt(baseOf(descriptor));
  if (!isLongMode(cpu.state)) return low;
  const base = (BigInt(readUpperHalf(cpu, selector, vector)) << 32n) | low;
  if (!isCanonical(cpu.state, base)) throw new GuestFault(vector, selectorIndex(selector));
  return base;
}

/**
 * LLDT's checks and load (SDM 2, LLDT).
 * @param vector of the exception for a selector that will not do: #GP; #TS in a task switch, where a
 *   segment that is not present raises #TS too
 */
export function loadLdt(cpu: Cpu, selector: number, vector: number = GP): void {
  const { state } = cpu;
  if (isNull(selector)) {
    loadNull(state, Seg.LDTR, selector);
    return;
  }
  if ((selector & 4) !== 0) throw new GuestFault(vector, selectorIndex(selector));
  const descriptor = readDescriptor(cpu, selector, vector);
  if (isSegment(descriptor) || typeOf(descriptor) !== SystemType.Ldt) {
    throw new GuestFault(vector, selectorIndex(selector));
  }
  if (!isPresent(descriptor)) throw new GuestFault(vector === TS ? TS : NP, selectorIndex(selector));
  const base = systemBase(cpu, selector, descriptor, vector);
  loadSegment(state, Seg.LDTR, { selector, base, limit: limitOf(descriptor), attr: attrOf(descriptor) });
}

/** Puts a TSS descriptor, already checked, into TR and shows it busy there. */
export function setTaskRegister(
  state: VcpuState,
  selector: number,
  descriptor: Descriptor,
  base = BigInt(baseOf(descriptor)),
): void {
  const attr = attrOf(descriptor) | TSS_BUSY;
  loadSegment(state, Seg.TR, { selector, base, limit: limitOf(descriptor), attr });
}

/** LTR: loads the task register and marks its TSS busy (SDM 2, LTR). */
export function loadTaskRegister(cpu: Cpu, selector: number): void {
  if (isNull(selector)) throw new GuestFault(GP, 0);
  if ((selector & 4) !== 0) throw new GuestFault(GP, selectorIndex(selector));
  const descriptor = readDescriptor(cpu, selector);
  const type = typeOf(descriptor);
  const available = type === SystemType.Tss32 || (type === SystemType.Tss16 && !isLongMode(cpu.state));
  if (isSegment(descriptor) || !available) throw new GuestFault(GP, selectorIndex(selector));
  if (!isPresent(descriptor)) throw new GuestFault(NP, selectorIndex(selector));
  const base = systemBase(cpu, selector, descriptor, GP);
  setBusy(cpu, descriptor.address, true);
  setTaskRegister(cpu.state, selector, descriptor, base);
}
