/**
 * INIT: as a reset, but much of the state is left as it is.
 *
 * Intel SDM volume 3A, table 10-1 "Processor states following power-up, reset, or INIT".
 */
import { vcpuLayout, type VcpuState } from './state.ts';

/** What INIT leaves unchanged: x87, SSE and AVX state, the MSRs and MTRRs, the TSC, and what is not the
 * processor's own: who it is, A20, IGNNE#, and what has been requested of it. */
const KEPT = [
  'fpr', 'fcw', 'fsw', 'ftw', 'fop', 'fip', 'fdp', 'fcs', 'fds', 'mxcsr', 'ymm', 'xcr0', 'xss',
  'star', 'lstar', 'cstar', 'sfmask', 'kernelGsBase', 'sysenterCs', 'sysenterEsp', 'sysenterEip',
  'pat', 'tscAux', 'tscOffset', 'tscAdjust', 'apicBase', 'miscEnable', 'specCtrl', 'mcgStatus',
  'mtrrDefType', 'mtrrFixed', 'mtrrVariable', 'smbase', 'a20', 'ignne', 'sipiVector', 'index',
] as const; // prettier-ignore

/** CR0.NW and CR0.CD, unchanged by INIT. */
const CACHE_BITS = (1n << 29n) | (1n << 30n);

const SCALAR_BYTES = { u8: 1, u16: 2, u32: 4, i32: 4, u64: 8, i64: 8, f64: 8 } as const;

/**
 * Puts a vCPU into the state after INIT.
 *
 * @param state bound at `address` of `buffer`
 * @param powerUp puts it into the state after power-up, and leaves `events` alone
 */
export function initializeVcpu(
  state: VcpuState,
  buffer: SharedArrayBuffer,
  address: number,
  powerUp: () => void,
): void {
  const parts = KEPT.map((field) => {
    const declared = vcpuLayout.fields[field];
    const [type, count] = typeof declared === 'string' ? ([declared, 1] as const) : declared;
    return new Uint8Array(buffer, address + vcpuLayout.offset[field], SCALAR_BYTES[type] * count);
  });
  const kept = parts.map((bytes) => bytes.slice());
  const cache = state.cr0 & CACHE_BITS;
  powerUp();
  for (const [i, bytes] of parts.entries()) bytes.set(kept[i]);
  state.cr0 = (state.cr0 & ~CACHE_BITS) | cache;
}
