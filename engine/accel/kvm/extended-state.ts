/**
 * x87, SSE and AVX state, between the XSAVE area that KVM reads and writes (api.rst 4.42 f.) and the common
 * schema. The area is in the standard form: Intel SDM 1, 13.4, and its first 512 bytes SDM 1, 10.5.1.
 */
import type { VcpuState } from '../../vcpu/state.ts';
import { Request } from './abi.ts';
import type { VcpuFile } from './vcpu-file.ts';

/** Byte offsets in the area. */
const At = {
  fcw: 0,
  fsw: 2,
  ftw: 4,
  fop: 6,
  fip: 8,
  fdp: 16,
  mxcsr: 24,
  st: 32,
  xmm: 160,
  xstateBv: 512,
} as const;

/** The upper halves of YMM, where CPUID leaf 0xD says on every processor that has them. */
const AVX_AT = 576;

/** State components x87, SSE and AVX. */
const LEGACY = 3n;
const AVX = 4n;

/** Position of the x87 stack's top in the status word. */
const topOf = (fsw: number): number => (fsw >>> 11) & 7;

/** @param avx whether the guest has AVX */
export function loadExtended(file: VcpuFile, state: VcpuState, avx: boolean): void {
  // Components that the schema does not have are left as the kernel has them.
  file.request('KVM_GET_XSAVE', Request.GetXsave, 'xsave');
  const { view } = file;
  const at = file.at('xsave');
  view.setUint16(at + At.fcw, state.fcw, true);
  view.setUint16(at + At.fsw, state.fsw, true);
  view.setUint8(at + At.ftw, state.ftw);
  view.setUint16(at + At.fop, state.fop, true);
  view.setBigUint64(at + At.fip, state.fip, true);
  view.setBigUint64(at + At.fdp, state.fdp, true);
  view.setUint32(at + At.mxcsr, state.mxcsr, true);
  const top = topOf(state.fsw);
  for (let i = 0; i < 8; i++) {
    const physical = (top + i) & 7;
    view.setBigUint64(at + At.st + 16 * i, state.fpr[2 * physical], true);
    view.setBigUint64(at + At.st + 16 * i + 8, state.fpr[2 * physical + 1] & 0xffffn, true);
  }
  for (let i = 0; i < 16; i++) {
    for (let word = 0; word < 2; word++) {
      view.setBigUint64(at + At.xmm + 16 * i + 8 * word, state.ymm[4 * i + word], true);
      if (avx) view.setBigUint64(at + AVX_AT + 16 * i + 8 * word, state.ymm[4 * i + 2 + word], true);
    }
  }
  const present = view.getBigUint64(at + At.xstateBv, true) | LEGACY | (avx ? AVX : 0n);
  view.setBigUint64(at + At.xstateBv, present, true);
  file.request('KVM_SET_XSAVE', Request.SetXsave, 'xsave');
}

export function saveExtended(file: VcpuFile, state: VcpuState, avx: boolean): void {
  file.request('KVM_GET_XSAVE', Request.GetXsave, 'xsave');
  const { view } = file;
  const at = file.at('xsave');
  state.fcw = view.getUint16(at + At.fcw, true);
  state.fsw = view.getUint16(at + At.fsw, true);
  state.ftw = view.getUint8(at + At.ftw);
  state.fop = view.getUint16(at + At.fop, true);
  state.fip = view.getBigUint64(at + At.fip, true);
  state.fdp = view.getBigUint64(at + At.fdp, true);
  state.mxcsr = view.getUint32(at + At.mxcsr, true);
  const top = topOf(state.fsw);
  for (let i = 0; i < 8; i++) {
    const physical = (top + i) & 7;
    state.fpr[2 * physical] = view.getBigUint64(at + At.st + 16 * i, true);
    state.fpr[2 * physical + 1] = view.getBigUint64(at + At.st + 16 * i + 8, true) & 0xffffn;
  }
  // A component that is not present is in its initial state: zero (SDM 1, 13.6).
  const hasAvx = avx && (view.getBigUint64(at + At.xstateBv, true) & AVX) !== 0n;
  for (let i = 0; i < 16; i++) {
    for (let word = 0; word < 2; word++) {
      state.ymm[4 * i + word] = view.getBigUint64(at + At.xmm + 16 * i + 8 * word, true);
      state.ymm[4 * i + 2 + word] = hasAvx ? view.getBigUint64(at + AVX_AT + 16 * i + 8 * word, true) : 0n;
    }
  }
}
