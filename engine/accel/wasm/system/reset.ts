/**
 * The processor after power-up and reset, and after INIT.
 *
 * Intel SDM 3A, 10.1.1 and table 10-1; MSRs: volume 4 and table 12-x of volume 3A (PAT, MTRR).
 */
import { initializeVcpu } from '../../../vcpu/init.ts';
import { loadNullSegment, loadSegment } from '../../../vcpu/segment.ts';
import { Activity, Gpr, Seg, vcpuLayout, type VcpuState } from '../../../vcpu/state.ts';
import type { CpuModel } from './cpuid.ts';
import { DR6_FIXED, DR7_FIXED } from './debug.ts';

/** IA32_PAT after a reset (SDM 3A, table 12-12): WB, WT, UC-, UC, twice. */
export const PAT_RESET = 0x0007_0406_0007_0406n;

/** The local APIC's address and global enable in IA32_APIC_BASE. */
const APIC_BASE = 0xfee0_0900n;
const APIC_BOOTSTRAP = 0x100n;

/** Which processor, and what it is. */
export interface Identity {
  /** 0 is the bootstrap processor; the others wait for a start-up IPI. */
  readonly index: number;
  readonly model: CpuModel;
}

/** Puts a processor into the state after power-up. Requests in `events` are left alone: other threads add to them at
 * any moment. */
export function resetState(state: VcpuState, { index, model }: Identity): void {
  const bytes = new Uint8Array(state.often.buffer, state.often.byteOffset, vcpuLayout.size);
  const { events } = vcpuLayout.offset;
  bytes.fill(0, 0, events);
  bytes.fill(0, events + 4);
  state.index = index;
  state.a20 = 1;
  state.activity = index === 0 ? Activity.Running : Activity.WaitForSipi;

  // The first instruction is at 0xfffffff0: CS base 0xffff0000, IP 0xfff0.
  state.rip = 0xfff0n;
  for (let segment: number = Seg.ES; segment <= Seg.GS; segment++) {
    const code = segment === Seg.CS;
    const register = {
      selector: code ? 0xf000 : 0,
      base: code ? 0xffff_0000n : 0n,
      limit: 0xffff,
      attr: 0x93,
    };
    loadSegment(state, segment, register, true);
  }
  loadSegment(state, Seg.LDTR, { selector: 0, base: 0n, limit: 0xffff, attr: 0x82 });
  loadSegment(state, Seg.TR, { selector: 0, base: 0n, limit: 0xffff, attr: 0x8b });
  loadNullSegment(state);
  state.gdtrLimit = 0xffff;
  state.idtrLimit = 0xffff;

  // RFLAGS is 2: a result of 1 is not zero, not negative, and of odd parity.
  state.flagsRes = 1n;
  state.gpr[Gpr.RDX] = BigInt(model.signature);
  state.cr0 = 0x6000_0010n;
  state.dr[6] = BigInt(DR6_FIXED);
  state.dr[7] = BigInt(DR7_FIXED);
  state.xcr0 = 1n;
  state.pat = PAT_RESET;
  state.apicBase = (APIC_BASE & ~APIC_BOOTSTRAP) | (index === 0 ? APIC_BOOTSTRAP : 0n);
  state.smbase = 0x3_0000;

  state.fcw = 0x40;
  state.mxcsr = 0x1f80;
  // FINIT's tag word says empty; power-up leaves the registers +0.0 and valid.
  state.ftw = 0xff;
}

/** Puts a processor into the state after INIT: as a reset, with much kept; see vcpu/init.ts. */
export function initState(state: VcpuState, { index, model }: Identity): void {
  const { buffer, byteOffset } = state.often;
  initializeVcpu(state, buffer, byteOffset, () => resetState(state, { index, model }));
}
