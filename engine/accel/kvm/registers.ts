/**
 * General, segment, control and debug registers and pending events, between KVM's structures and the common
 * schema (api.rst 4.8 ff., 4.10 f., 4.27 f., 4.30 f., 4.44 f.).
 */
import { readFlags, writeFlags } from '../wasm/system/flags.ts';
import { clearInjected, DeliveryType, injectedDelivery, setInjected } from '../../vcpu/injected.ts';
import { loadSegment, SegAttr } from '../../vcpu/segment.ts';
import { Flag, Gpr, Seg, type VcpuState } from '../../vcpu/state.ts';
import {
  EventsFlag, FIRST_XCR, kvmDebugregs, kvmDtable, kvmEvents, kvmRegs, kvmSegment, kvmSregs, kvmXcrs, Request,
} from './abi.ts'; // prettier-ignore
import type { VcpuFile } from './vcpu-file.ts';

/** KVM's order of the general registers. */
const GENERAL = [
  ['rax', Gpr.RAX], ['rbx', Gpr.RBX], ['rcx', Gpr.RCX], ['rdx', Gpr.RDX], ['rsi', Gpr.RSI], ['rdi', Gpr.RDI],
  ['rsp', Gpr.RSP], ['rbp', Gpr.RBP], ['r8', Gpr.R8], ['r9', Gpr.R9], ['r10', Gpr.R10], ['r11', Gpr.R11],
  ['r12', Gpr.R12], ['r13', Gpr.R13], ['r14', Gpr.R14], ['r15', Gpr.R15],
] as const; // prettier-ignore

const SEGMENTS = [
  ['es', Seg.ES], ['cs', Seg.CS], ['ss', Seg.SS], ['ds', Seg.DS], ['fs', Seg.FS], ['gs', Seg.GS],
  ['ldt', Seg.LDTR], ['tr', Seg.TR],
] as const; // prettier-ignore

const CONTROL = ['cr0', 'cr2', 'cr3', 'cr4', 'efer'] as const;

const CR0_PE = 1n;

/** RAX … R15, RIP and RFLAGS. */
export function loadGeneral(file: VcpuFile, state: VcpuState): void {
  const { view } = file;
  const at = file.at('regs');
  for (const [name, index] of GENERAL) view.setBigUint64(at + kvmRegs.offset[name], state.gpr[index], true);
  view.setBigUint64(at + kvmRegs.offset.rip, state.rip, true);
  view.setBigUint64(at + kvmRegs.offset.rflags, BigInt(readFlags(state)), true);
  file.request('KVM_SET_REGS', Request.SetRegs, 'regs');
}

export function saveGeneral(file: VcpuFile, state: VcpuState): void {
  file.request('KVM_GET_REGS', Request.GetRegs, 'regs');
  const { view } = file;
  const at = file.at('regs');
  for (const [name, index] of GENERAL) {
    state.gpr[index] = view.getBigUint64(at + kvmRegs.offset[name], true);
  }
  state.rip = view.getBigUint64(at + kvmRegs.offset.rip, true);
  writeFlags(state, Number(view.getBigUint64(at + kvmRegs.offset.rflags, true)));
}

/** Segments, descriptor tables, control registers. IA32_APIC_BASE is the local APIC's, so it is only
 * loaded; CR8 is the task priority there. */
export function loadSystem(file: VcpuFile, state: VcpuState): void {
  const { view } = file;
  const at = file.at('sregs');
  for (const [name, index] of SEGMENTS) {
    const segment = at + kvmSregs.offset[name];
    const attr = state.segAttr[index];
    const { offset } = kvmSegment;
    view.setBigUint64(segment + offset.base, state.segBase[index], true);
    view.setUint32(segment + offset.limit, state.segLimit[index], true);
    view.setUint16(segment + offset.selector, state.segSelector[index], true);
    view.setUint8(segment + offset.type, attr & SegAttr.Type);
    view.setUint8(segment + offset.s, (attr & SegAttr.CodeOrData) === 0 ? 0 : 1);
    view.setUint8(segment + offset.dpl, (attr >>> SegAttr.DplShift) & 3);
    view.setUint8(segment + offset.present, (attr & SegAttr.Present) === 0 ? 0 : 1);
    view.setUint8(segment + offset.avl, (attr & AVAILABLE) === 0 ? 0 : 1);
    view.setUint8(segment + offset.l, (attr & SegAttr.Long) === 0 ? 0 : 1);
    view.setUint8(segment + offset.db, (attr & SegAttr.Big) === 0 ? 0 : 1);
    view.setUint8(segment + offset.g, (attr & SegAttr.Granular) === 0 ? 0 : 1);
    view.setUint8(segment + offset.unusable, (attr & SegAttr.Unusable) === 0 ? 0 : 1);
  }
  const table = (name: 'gdt' | 'idt', base: bigint, limit: number): void => {
    view.setBigUint64(at + kvmSregs.offset[name] + kvmDtable.offset.base, base, true);
    view.setUint16(at + kvmSregs.offset[name] + kvmDtable.offset.limit, limit, true);
  };
  table('gdt', state.gdtrBase, state.gdtrLimit);
  table('idt', state.idtrBase, state.idtrLimit);
  for (const name of CONTROL) view.setBigUint64(at + kvmSregs.offset[name], state[name], true);
  view.setBigUint64(at + kvmSregs.offset.cr8, state.cr8, true);
  view.setBigUint64(at + kvmSregs.offset.apicBase, state.apicBase, true);
  for (let i = 0; i < 4; i++) view.setBigUint64(at + kvmSregs.offset.interruptBitmap + 8 * i, 0n, true);
  file.request('KVM_SET_SREGS', Request.SetSregs, 'sregs');
}

/** The AVL bit of `segAttr`. */
const AVAILABLE = 1 << 12;

export function saveSystem(file: VcpuFile, state: VcpuState): void {
  file.request('KVM_GET_SREGS', Request.GetSregs, 'sregs');
  const { view } = file;
  const at = file.at('sregs');
  for (const name of CONTROL) state[name] = view.getBigUint64(at + kvmSregs.offset[name], true);
  state.cr8 = view.getBigUint64(at + kvmSregs.offset.cr8, true);
  const virtual8086 = (state.flagsSys & Flag.VM) !== 0;
  const realMode = (state.cr0 & CR0_PE) === 0n || virtual8086;
  for (const [name, index] of SEGMENTS) {
    const segment = at + kvmSregs.offset[name];
    const { offset } = kvmSegment;
    const bit = (field: 's' | 'present' | 'avl' | 'l' | 'db' | 'g' | 'unusable', mask: number): number =>
      view.getUint8(segment + offset[field]) === 0 ? 0 : mask;
    const attr =
      view.getUint8(segment + offset.type) |
      bit('s', SegAttr.CodeOrData) |
      (view.getUint8(segment + offset.dpl) << SegAttr.DplShift) |
      bit('present', SegAttr.Present) |
      bit('avl', AVAILABLE) |
      bit('l', SegAttr.Long) |
      bit('db', SegAttr.Big) |
      bit('g', SegAttr.Granular) |
      bit('unusable', SegAttr.Unusable);
    const register = {
      selector: view.getUint16(segment + offset.selector, true),
      base: view.getBigUint64(segment + offset.base, true),
      limit: view.getUint32(segment + offset.limit, true),
      attr,
    };
    loadSegment(state, index, register, realMode && index <= Seg.GS);
  }
  const table = (name: 'gdt' | 'idt') => ({
    base: view.getBigUint64(at + kvmSregs.offset[name] + kvmDtable.offset.base, true),
    limit: view.getUint16(at + kvmSregs.offset[name] + kvmDtable.offset.limit, true),
  });
  ({ base: state.gdtrBase, limit: state.gdtrLimit } = table('gdt'));
  ({ base: state.idtrBase, limit: state.idtrLimit } = table('idt'));
  const dpl = (state.segAttr[Seg.SS] >>> SegAttr.DplShift) & 3;
  state.cpl = virtual8086 ? 3 : realMode ? 0 : dpl;
}

/** DR0 … DR3, DR6, DR7. */
export function loadDebug(file: VcpuFile, state: VcpuState): void {
  const at = file.at('debugregs');
  for (const [index, offset] of DEBUG) file.view.setBigUint64(at + offset, state.dr[index], true);
  file.view.setBigUint64(at + kvmDebugregs.offset.flags, 0n, true);
  file.request('KVM_SET_DEBUGREGS', Request.SetDebugregs, 'debugregs');
}

export function saveDebug(file: VcpuFile, state: VcpuState): void {
  file.request('KVM_GET_DEBUGREGS', Request.GetDebugregs, 'debugregs');
  const at = file.at('debugregs');
  for (const [index, offset] of DEBUG) state.dr[index] = file.view.getBigUint64(at + offset, true);
}

const DEBUG = [
  [0, kvmDebugregs.offset.db],
  [1, kvmDebugregs.offset.db + 8],
  [2, kvmDebugregs.offset.db + 16],
  [3, kvmDebugregs.offset.db + 24],
  [6, kvmDebugregs.offset.dr6],
  [7, kvmDebugregs.offset.dr7],
] as const;

/** XCR0. Without XSAVE there is none, and the kernel takes no other value than it has. */
export function loadXcr0(file: VcpuFile, state: VcpuState): void {
  const at = file.at('xcrs');
  file.view.setUint32(at + kvmXcrs.offset.count, 1, true);
  file.view.setUint32(at + kvmXcrs.offset.flags, 0, true);
  file.view.setUint32(at + FIRST_XCR.number, 0, true);
  file.view.setBigUint64(at + FIRST_XCR.value, state.xcr0, true);
  file.request('KVM_SET_XCRS', Request.SetXcrs, 'xcrs');
}

/** XCR0, as KVM_GET_XCRS gives it (api.rst 4.44). */
export function saveXcr0(file: VcpuFile, state: VcpuState): void {
  file.request('KVM_GET_XCRS', Request.GetXcrs, 'xcrs');
  const at = file.at('xcrs');
  const present = file.view.getUint32(at + kvmXcrs.offset.count, true) > 0;
  if (present) state.xcr0 = file.view.getBigUint64(at + FIRST_XCR.value, true);
}

/** The interrupt shadow, blocking by NMI, and what was being delivered. */
export function loadEvents(file: VcpuFile, state: VcpuState): void {
  const { view } = file;
  const at = file.at('events');
  const { offset } = kvmEvents;
  new Uint8Array(view.buffer, at, kvmEvents.size).fill(0);
  view.setUint8(at + offset.interruptShadow, SHADOWS[state.interruptShadow & 3]);
  view.setUint8(at + offset.nmiMasked, state.nmiBlocked);
  view.setUint32(at + offset.flags, EventsFlag.NmiPending | EventsFlag.Shadow, true);
  const delivery = injectedDelivery(state);
  if (delivery !== null) {
    const { type, vector, errorCode } = delivery;
    switch (type) {
      case DeliveryType.Nmi:
        view.setUint8(at + offset.nmiInjected, 1);
        break;
      case DeliveryType.Exception:
        view.setUint8(at + offset.exceptionInjected, 1);
        view.setUint8(at + offset.exceptionNr, vector);
        view.setUint8(at + offset.exceptionHasErrorCode, errorCode === undefined ? 0 : 1);
        view.setUint32(at + offset.exceptionErrorCode, errorCode ?? 0, true);
        break;
      default:
        view.setUint8(at + offset.interruptInjected, 1);
        view.setUint8(at + offset.interruptNr, vector);
        view.setUint8(at + offset.interruptSoft, type === DeliveryType.Software ? 1 : 0);
    }
  }
  file.request('KVM_SET_VCPU_EVENTS', Request.SetEvents, 'events');
}

/** The interrupt shadow alone, and blocking by NMI: what HLT needs. */
export function saveBlocking(file: VcpuFile, state: VcpuState): void {
  file.request('KVM_GET_VCPU_EVENTS', Request.GetEvents, 'events');
  const at = file.at('events');
  state.interruptShadow = SHADOWS[file.view.getUint8(at + kvmEvents.offset.interruptShadow) & 3];
  state.nmiBlocked = file.view.getUint8(at + kvmEvents.offset.nmiMasked);
  state.smm = file.view.getUint8(at + kvmEvents.offset.smiSmm);
}

/** @returns whether an NMI waits in the kernel: it must not be lost when the state is loaded again */
export function saveEvents(file: VcpuFile, state: VcpuState): boolean {
  saveBlocking(file, state);
  const { view } = file;
  const at = file.at('events');
  const { offset } = kvmEvents;
  const byte = (field: keyof typeof offset): number => view.getUint8(at + offset[field]);
  clearInjected(state);
  if (byte('exceptionInjected') !== 0 || byte('exceptionPending') !== 0) {
    const errorCode =
      byte('exceptionHasErrorCode') === 0 ? undefined : view.getUint32(at + offset.exceptionErrorCode, true);
    setInjected(state, DeliveryType.Exception, byte('exceptionNr'), errorCode);
  } else if (byte('nmiInjected') !== 0) {
    setInjected(state, DeliveryType.Nmi, 2);
  } else if (byte('interruptInjected') !== 0) {
    const type = byte('interruptSoft') === 0 ? DeliveryType.External : DeliveryType.Software;
    setInjected(state, type, byte('interruptNr'));
  }
  return byte('nmiPending') !== 0;
}

/** The shadows in KVM's encoding, 1 by MOV SS and 2 by STI, from the schema's, and back. */
const SHADOWS = [0, 2, 1, 3] as const;
