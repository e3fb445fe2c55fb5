/**
 * Bits of the system registers, and the mode they put the processor into.
 *
 * Intel SDM 3A, 2.2 (modes), 2.5 (control registers); AMD64 APM 2, 3.1.7 (EFER).
 */
import { Flag, Seg, vcpuLayout, type VcpuState } from '../../../vcpu/state.ts';
import { SegAttr } from '../../../vcpu/segment.ts';

export const Cr0 = {
  PE: 1 << 0, MP: 1 << 1, EM: 1 << 2, TS: 1 << 3, ET: 1 << 4, NE: 1 << 5, WP: 1 << 16, AM: 1 << 18, NW: 1 << 29,
  CD: 1 << 30, PG: 0x8000_0000,
} as const; // prettier-ignore

export const Cr4 = {
  VME: 1 << 0, PVI: 1 << 1, TSD: 1 << 2, DE: 1 << 3, PSE: 1 << 4, PAE: 1 << 5, MCE: 1 << 6, PGE: 1 << 7,
  PCE: 1 << 8, OSFXSR: 1 << 9, OSXMMEXCPT: 1 << 10, UMIP: 1 << 11, LA57: 1 << 12, FSGSBASE: 1 << 16,
  PCIDE: 1 << 17, OSXSAVE: 1 << 18, SMEP: 1 << 20, SMAP: 1 << 21,
} as const; // prettier-ignore

export const Efer = {
  SCE: 1 << 0, LME: 1 << 8, LMA: 1 << 10, NXE: 1 << 11, FFXSR: 1 << 14, AIBRSE: 1 << 21,
} as const; // prettier-ignore

/** CR0 as an unsigned 32-bit number; its upper half is always zero. Likewise CR4 and EFER. */
export const cr0 = vcpuLayout.lowHalf('cr0');
export const cr4 = vcpuLayout.lowHalf('cr4');
export const efer = vcpuLayout.lowHalf('efer');

/** CR0.PE: protected mode or one of its kin, virtual-8086 and long mode. */
export const isProtected = (state: VcpuState): boolean => (cr0(state) & Cr0.PE) !== 0;
/** RFLAGS.VM: virtual-8086 mode (SDM 3A, 21.2). */
export const isVirtual8086 = (state: VcpuState): boolean => (state.flagsSys & Flag.VM) !== 0;
/** Real-address or virtual-8086 mode: segments are sixteen times their selector. */
export const isRealLike = (state: VcpuState): boolean => isVirtual8086(state) || !isProtected(state);
/** EFER.LMA: 64-bit or compatibility mode. */
export const isLongMode = (state: VcpuState): boolean => (efer(state) & Efer.LMA) !== 0;
/** 64-bit mode: long mode with CS.L. */
export const is64Bit = (state: VcpuState): boolean =>
  (state.segAttr[Seg.CS] & SegAttr.Long) !== 0 && isLongMode(state);

/** RFLAGS.IOPL, 0 … 3. */
export const iopl = (state: VcpuState): number => (state.flagsSys >> 12) & 3;

/** Width of the stack pointer in bytes (SDM 1, 6.2.3). */
export function stackWidth(state: VcpuState): 2 | 4 | 8 {
  if (is64Bit(state)) return 8;
  return (state.segAttr[Seg.SS] & SegAttr.Big) !== 0 ? 4 : 2;
}

/** Whether a 64-bit linear address is canonical at the paging depth in use (SDM 1, 3.3.7.1). */
export function isCanonical(state: VcpuState, address: bigint): boolean {
  // Canonical at 48 bits is canonical at 57 too.
  if (address <= 0x7fff_ffff_ffffn || address >= 0xffff_8000_0000_0000n) return true;
  if ((cr4(state) & Cr4.LA57) === 0) return false;
  return address <= 0xff_ffff_ffff_ffffn || address >= 0xff00_0000_0000_0000n;
}

/** A linear address from a base and an offset: 64 bits wide in long mode, else 32. */
export function linearSum(state: VcpuState, base: bigint, offset: number): bigint {
  const sum = base + BigInt(offset);
  if (sum <= 0xffff_ffffn && sum >= 0n) return sum;
  return isLongMode(state) ? BigInt.asUintN(64, sum) : BigInt.asUintN(32, sum);
}
