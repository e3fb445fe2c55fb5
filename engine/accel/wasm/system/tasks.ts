/**
 * Tasks: the task-state segment, and switching between tasks.
 *
 * Intel SDM 3A, chapter 8: 8.2.1 (32-bit TSS), 8.3 (task switching), 8.4 (linking), 8.6 (16-bit TSS), 8.7
 * (64-bit TSS); table 8-1 (checks), 8-2 (busy, NT, link).
 */
import { Flag, Gpr, Seg, type VcpuState } from '../../../vcpu/state.ts';
import { loadSegment, SegAttr } from '../../../vcpu/segment.ts';
import { type Cpu, GuestFault, Vector } from './cpu.ts';
import { debugException, Dr6, dropLocalBreakpoints } from './debug.ts';
import {
  type Descriptor,
  descriptorAddress,
  dplOf,
  baseOf,
  gateSelector,
  isCode,
  isConforming,
  isNull,
  isPresent,
  isSegment,
  limitOf,
  readDescriptor,
  selectorIndex,
  setBusy,
  SystemType,
  typeOf,
} from './descriptor.ts';
import { readFlags, writeFlags } from './flags.ts';
import { checkPdptes, usesPae } from './paging.ts';
import { Cr0, cr0, isCanonical, linearSum } from './registers.ts';
import {
  checkDataSegment,
  checkStackSegment,
  loadCodeSegment,
  loadDescriptor,
  loadLdt,
  loadNull,
  loadStackSegment,
  loadV86Segment,
  setTaskRegister,
} from './segments.ts';

const { GP, NP, TS } = Vector;

/** Offsets within a TSS, and the size of what is saved, by its width. */
interface TssLayout {
  readonly width: 2 | 4;
  /** Offset of the first privilege's stack pointer; each pair takes twice the width. */
  readonly stacks: number;
  readonly ip: number;
  readonly flags: number;
  /** AX CX DX BX SP BP SI DI, each of the width. */
  readonly registers: number;
  /** ES CS SS DS, and FS GS in 32 bits, each in a slot of the width. */
  readonly segments: number;
  readonly segmentCount: number;
  readonly ldt: number;
  /** Least limit. */
  readonly limit: number;
}

const TSS32: TssLayout = {
  width: 4, stacks: 4, ip: 0x20, flags: 0x24, registers: 0x28, segments: 0x48, segmentCount: 6, ldt: 0x60, limit: 0x67,
}; // prettier-ignore
const TSS16: TssLayout = {
  width: 2, stacks: 2, ip: 0xe, flags: 0x10, registers: 0x12, segments: 0x22, segmentCount: 4, ldt: 0x2a, limit: 0x2b,
}; // prettier-ignore

const TSS32_CR3 = 0x1c;
const TSS32_TRAP = 0x64;
const TSS32_IO_BASE = 0x66;
/** Offsets in the 64-bit TSS. */
const TSS64_RSP = 4;
const TSS64_IST = 0x24;

/** Whether a TSS descriptor's type is one of the 32-bit ones (64-bit in long mode). */
const isWide = (type: number): boolean => (type & 8) !== 0;
const currentLayout = (state: VcpuState): TssLayout => (isWide(state.segAttr[Seg.TR]) ? TSS32 : TSS16);

/** Linear address within the current TSS, or null where the bytes are beyond its limit. */
function inTask(state: VcpuState, offset: number, bytes: number): bigint | null {
  if (offset + bytes - 1 > state.segLimit[Seg.TR]) return null;
  return linearSum(state, state.segBase[Seg.TR], offset);
}

const taskFault = (state: VcpuState): GuestFault =>
  new GuestFault(TS, selectorIndex(state.segSelector[Seg.TR]));

/** The stack of an inner privilege level (0 … 2) in the current 16- or 32-bit TSS.
 * @throws GuestFault #TS(TR) where the TSS is too short */
export function stackOfTask32(cpu: Cpu, privilege: number): { selector: number; pointer: number } {
  const { state } = cpu;
  const { width, stacks } = currentLayout(state);
  const at = inTask(state, stacks + 2 * width * privilege, width + 2);
  if (at === null) throw taskFault(state);
  const pointer = cpu.linear.read(at, width, false) >>> 0;
  return { pointer, selector: cpu.linear.read(linearSum(state, at, width), 2, false) & 0xffff };
}

function pointerOfTask64(cpu: Cpu, offset: number): bigint {
  const { state } = cpu;
  const at = inTask(state, offset, 8);
  if (at === null) throw taskFault(state);
  const pointer = BigInt.asUintN(64, cpu.linear.read64(at, false));
  if (!isCanonical(state, pointer)) throw new GuestFault(Vector.SS, 0);
  return pointer;
}

/** The stack pointer of an inner privilege level in the 64-bit TSS.
 * @throws GuestFault #TS(TR) where the TSS is too short, #SS(0) where the pointer is not canonical */
export const stackOfTask64 = (cpu: Cpu, privilege: number): bigint =>
  pointerOfTask64(cpu, TSS64_RSP + 8 * privilege);

/** Entry 1 … 7 of the interrupt stack table. */
export const interruptStack = (cpu: Cpu, index: number): bigint =>
  pointerOfTask64(cpu, TSS64_IST + 8 * (index - 1));

/** The I/O permission map: its base in the TSS, or null where a 16-bit or a too short TSS has none. */
export function ioMapBase(cpu: Cpu): number | null {
  const { state } = cpu;
  if (!isWide(state.segAttr[Seg.TR]) || (state.segAttr[Seg.TR] & SegAttr.Unusable) !== 0) return null;
  const at = inTask(state, TSS32_IO_BASE, 2);
  return at === null ? null : cpu.linear.read(at, 2, false) & 0xffff;
}

/** Reads from the current TSS at an offset, or returns null beyond its limit. */
export function readTask(cpu: Cpu, offset: number, bytes: 1 | 2): number | null {
  const at = inTask(cpu.state, offset, bytes);
  return at === null ? null : cpu.linear.read(at, bytes, false) & 0xffff;
}

/** A task to be switched to. */
export interface TaskTarget {
  readonly selector: number;
  readonly descriptor: Descriptor;
}

function checkTask(cpu: Cpu, selector: number, busy: boolean, vector: number): TaskTarget {
  if (isNull(selector) || (selector & 4) !== 0) throw new GuestFault(vector, selectorIndex(selector));
  const descriptor = readDescriptor(cpu, selector, vector);
  const type = typeOf(descriptor) & ~8;
  if (isSegment(descriptor) || type !== (busy ? SystemType.BusyTss16 : SystemType.Tss16)) {
    throw new GuestFault(vector, selectorIndex(selector));
  }
  if (!isPresent(descriptor)) throw new GuestFault(NP, selectorIndex(selector));
  return { selector, descriptor };
}

/** The task that a jump or call names directly; must not be busy. */
export const taskOfSelector = (cpu: Cpu, selector: number): TaskTarget => checkTask(cpu, selector, false, GP);

/** The task behind a task gate whose own privilege and presence have been checked. */
export const taskOfGate = (cpu: Cpu, gate: Descriptor): TaskTarget =>
  checkTask(cpu, gateSelector(gate), false, GP);

/** The task that IRET with NT set returns to: the back link, which must be busy. */
export function taskOfLink(cpu: Cpu): TaskTarget {
  const link = readTask(cpu, 0, 2);
  if (link === null) throw taskFault(cpu.state);
  return checkTask(cpu, link, true, TS);
}

/** What switches tasks: it decides over busy bits, NT and the back link. */
export type SwitchCause = 'jump' | 'call' | 'return';

/** What a TSS holds of a task. */
interface TaskImage {
  readonly cr3: number;
  readonly ip: number;
  readonly flags: number;
  readonly registers: readonly number[];
  readonly segments: readonly number[];
  readonly ldt: number;
  readonly trap: boolean;
}

function readImage(cpu: Cpu, base: bigint, tss: TssLayout): TaskImage {
  const bytes = cpu.linear.readBytes(base, tss.limit + 1, false);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const wide = tss.width === 4;
  const word = (at: number): number => view.getUint16(at, true);
  const value = (at: number): number => (wide ? view.getUint32(at, true) : word(at));
  const registers = Array.from({ length: 8 }, (_, i) => value(tss.registers + tss.width * i));
  const segments = Array.from({ length: 6 }, (_, i) =>
    i < tss.segmentCount ? word(tss.segments + tss.width * i) : 0,
  );
  return {
    cr3: wide ? view.getUint32(TSS32_CR3, true) : 0,
    ip: value(tss.ip),
    flags: value(tss.flags),
    registers,
    segments,
    ldt: word(tss.ldt),
    trap: wide && (word(TSS32_TRAP) & 1) !== 0,
  };
}

/** Saves the task that is left; its TSS has been found writable. */
function saveTask(cpu: Cpu, flags: number): void {
  const { state } = cpu;
  const tss = currentLayout(state);
  const base = state.segBase[Seg.TR];
  const write = (at: number, bytes: 2 | 4, value: number): void =>
    cpu.linear.write(linearSum(state, base, at), bytes, bytes === 2 ? value & 0xffff : value >>> 0, false);
  write(tss.ip, tss.width, Number(BigInt.asUintN(32, state.rip)));
  write(tss.flags, tss.width, flags);
  for (let n = 0; n < 8; n++) {
    write(tss.registers + tss.width * n, tss.width, Number(BigInt.asUintN(32, state.gpr[n])));
  }
  for (let n = 0; n < tss.segmentCount; n++) write(tss.segments + tss.width * n, 2, state.segSelector[n]);
}

/**
 * Switches to another task. The task that is left goes on at `state.rip`.
 *
 * @returns null, or the exception that the new task begins with: what was found wrong after it had become
 *   the current one (SDM 3A, 8.3, steps 11 on), or the debug exception of its T bit
 * @throws GuestFault for what is found before: #TS where a TSS is too short, #PF
 */
export function switchTask(cpu: Cpu, task: TaskTarget, cause: SwitchCause): GuestFault | null {
  const { state } = cpu;
  const tss = isWide(typeOf(task.descriptor)) ? TSS32 : TSS16;
  const base = BigInt(baseOf(task.descriptor));
  if (limitOf(task.descriptor) < tss.limit) throw new GuestFault(TS, selectorIndex(task.selector));
  const old = currentLayout(state);
  if (state.segLimit[Seg.TR] < old.limit) throw taskFault(state);

  // Everything that can fault comes first.
  const image = readImage(cpu, base, tss);
  cpu.linear.probeWrite(state.segBase[Seg.TR], old.limit + 1, false);
  if (cause === 'call') cpu.linear.probeWrite(base, 2, false);
  const oldSelector = state.segSelector[Seg.TR];
  const oldDescriptor = descriptorAddress(cpu, oldSelector, 8);
  if (oldDescriptor !== null) cpu.linear.probeWrite(oldDescriptor, 8, false);
  cpu.linear.probeWrite(task.descriptor.address, 8, false);

  let flags = readFlags(state);
  if (cause === 'return') flags &= ~Flag.NT;
  saveTask(cpu, flags);
  if (cause !== 'call' && oldDescriptor !== null) setBusy(cpu, oldDescriptor, false);
  if (cause === 'call') cpu.linear.write(base, 2, oldSelector & 0xffff, false);
  if (cause !== 'return') setBusy(cpu, task.descriptor.address, true);

  setTaskRegister(state, task.selector, task.descriptor);
  state.cr0 |= BigInt(Cr0.TS);
  dropLocalBreakpoints(state);
  state.rip = BigInt(image.ip);
  writeFlags(state, cause === 'call' ? image.flags | Flag.NT : image.flags);
  for (let n = 0; n < 8; n++) setRegister(state, n, image.registers[n]!, tss.width);
  // Until the descriptors are loaded the registers hold selectors alone.
  for (let n: number = Seg.ES; n <= Seg.GS; n++) loadNull(state, n, image.segments[n]!);
  loadSegment(state, Seg.LDTR, { selector: image.ldt, base: 0n, limit: 0, attr: SegAttr.Unusable });
  state.cpl = (image.flags & Flag.VM) !== 0 ? 3 : image.segments[Seg.CS]! & 3;
  state.interruptShadow = 0;
  try {
    if (tss.width === 4 && (cr0(state) & Cr0.PG) !== 0) loadPageTables(cpu, image.cr3);
    loadTaskSegments(cpu, image);
  } catch (fault) {
    if (fault instanceof GuestFault) return fault;
    throw fault;
  }
  return image.trap ? debugException(state, Dr6.BT) : null;
}

/** A 16-bit TSS holds the low halves; the upper ones are left as they are. */
function setRegister(state: VcpuState, n: number, value: number, width: 2 | 4): void {
  state.gpr[Gpr.RAX + n] =
    width === 4 ? BigInt(value) : (BigInt.asUintN(32, state.gpr[n]) & 0xffff_0000n) | BigInt(value);
}

function loadPageTables(cpu: Cpu, cr3: number): void {
  const { state } = cpu;
  if (BigInt(cr3) === state.cr3) return;
  if (usesPae(state)) checkPdptes(cpu, BigInt(cr3));
  state.cr3 = BigInt(cr3);
  cpu.flushTlb(false);
}

function loadTaskSegments(cpu: Cpu, image: TaskImage): void {
  const { state } = cpu;
  loadLdt(cpu, image.ldt, TS);
  if ((image.flags & Flag.VM) !== 0) {
    for (let n: number = Seg.ES; n <= Seg.GS; n++) loadV86Segment(state, n, image.segments[n]!);
  } else {
    const codeSelector = image.segments[Seg.CS]!;
    const code = checkTaskCode(cpu, codeSelector);
    const stackSelector = image.segments[Seg.SS]!;
    loadCodeSegment(cpu, codeSelector, code, codeSelector & 3);
    loadStackSegment(cpu, stackSelector, checkStackSegment(cpu, stackSelector, state.cpl, TS, false));
    for (const segment of [Seg.DS, Seg.ES, Seg.FS, Seg.GS]) {
      const selector = image.segments[segment]!;
      const descriptor = checkDataSegment(cpu, selector, state.cpl, TS);
      if (descriptor !== null) loadDescriptor(cpu, segment, selector, descriptor);
    }
  }
  if (image.ip > state.segLimit[Seg.CS]) throw new GuestFault(GP, 0);
}

function checkTaskCode(cpu: Cpu, selector: number): Descriptor {
  if (isNull(selector)) throw new GuestFault(TS, 0);
  const descriptor = readDescriptor(cpu, selector, TS);
  const dpl = dplOf(descriptor);
  const rpl = selector & 3;
  if (!isCode(descriptor) || (isConforming(descriptor) ? dpl > rpl : dpl !== rpl)) {
    throw new GuestFault(TS, selectorIndex(selector));
  }
  if (!isPresent(descriptor)) throw new GuestFault(NP, selectorIndex(selector));
  return descriptor;
}

/** Width in bytes of what the current task pushes: an error code after a switch through a task gate. */
export const taskWidth = (state: VcpuState): 2 | 4 => currentLayout(state).width;
