/**
 * Debug exceptions: what DR6 and DR7 mean.
 *
 * Intel SDM 3B, chapter 18: 18.2.3 (DR6), 18.2.4 (DR7), 18.2.5 (breakpoint fields), 18.3.1 (#DB).
 */
import { Flag, type VcpuState } from '../../../vcpu/state.ts';
import { type Cpu, GuestFault, Vector } from './cpu.ts';
import { Cr4, cr4, isLongMode } from './registers.ts';

/** Bits of DR6. */
export const Dr6 = { BD: 1 << 13, BS: 1 << 14, BT: 1 << 15 } as const;
/** General detect: any access to a debug register faults. */
const DR7_GD = 1 << 13;

/** Values after a reset (SDM 3A, table 10-1): the bits that read as one. */
export const DR6_FIXED = 0xffff_0ff0;
export const DR7_FIXED = 0x400;

/** Bits that can be written. */
export const DR6_WRITABLE = 0xe00f;
export const DR7_WRITABLE = 0xffff_23ff;

/** What a breakpoint watches: the R/W field of DR7. */
const Watch = { Execute: 0, Write: 1, Io: 2, ReadWrite: 3 } as const;

/** Bytes by the LEN field of DR7. */
const LENGTHS = [1n, 2n, 8n, 4n] as const;

const dr7 = (state: VcpuState): number => Number(state.dr[7]);

/** Whether any breakpoint is enabled: while none is, nothing has to be looked up on an access. */
export const breakpointsEnabled = (state: VcpuState): boolean => (dr7(state) & 0xff) !== 0;

/** Adds to DR6, and gives the exception to raise. */
export function debugException(state: VcpuState, bits: number): GuestFault {
  state.dr[6] |= BigInt(bits);
  return new GuestFault(Vector.DB);
}

/** The breakpoints of these kinds that an access hits, as DR6 bits 0-3: all that match are shown, and the
 * access breaks where one of them is enabled (SDM 3B, 18.2.3). */
function matching(
  state: VcpuState,
  first: bigint,
  bytes: bigint,
  watches: (kind: number) => boolean,
): number {
  const control = dr7(state);
  let hit = 0;
  let enabled = false;
  for (let n = 0; n < 4; n++) {
    const kind = (control >>> (16 + 4 * n)) & 3;
    if (!watches(kind)) continue;
    const length = kind === Watch.Execute ? 1n : LENGTHS[(control >>> (18 + 4 * n)) & 3]!;
    // The address is taken as a multiple of the length.
    const start = state.dr[n] & ~(length - 1n);
    if (first + bytes <= start || start + length <= first) continue;
    hit |= 1 << n;
    if (((control >>> (2 * n)) & 3) !== 0) enabled = true;
  }
  return enabled ? hit : 0;
}

/**
 * Whether an instruction breakpoint stops the instruction at a linear address; if so DR6 says which, and
 * the caller raises #DB, a fault. RFLAGS.RF suspends them (SDM 3B, 18.3.1.1).
 */
export function instructionBreakpoint(cpu: Cpu, linear: bigint): boolean {
  const { state } = cpu;
  if (!breakpointsEnabled(state) || (state.flagsSys & Flag.RF) !== 0) return false;
  const hit = matching(state, linear, 1n, (kind) => kind === Watch.Execute);
  if (hit === 0) return false;
  state.dr[6] |= BigInt(hit);
  return true;
}

/**
 * Whether an access of `bytes` at a linear address hits a data breakpoint; if so DR6 says which, and the
 * caller raises #DB, a trap, after the instruction (SDM 3B, 18.3.1.2).
 */
export function dataBreakpoint(cpu: Cpu, linear: bigint, bytes: number, write: boolean): boolean {
  const { state } = cpu;
  if (!breakpointsEnabled(state)) return false;
  const hit = matching(
    state,
    linear,
    BigInt(bytes),
    (kind) => kind === Watch.ReadWrite || (write && kind === Watch.Write),
  );
  if (hit === 0) return false;
  state.dr[6] |= BigInt(hit);
  return true;
}

/** As {@link dataBreakpoint}, for a port access; I/O breakpoints exist while CR4.DE is set. */
export function ioBreakpoint(cpu: Cpu, port: number, bytes: number): boolean {
  const { state } = cpu;
  if (!breakpointsEnabled(state) || (cr4(state) & Cr4.DE) === 0) return false;
  const hit = matching(state, BigInt(port), BigInt(bytes), (kind) => kind === Watch.Io);
  if (hit === 0) return false;
  state.dr[6] |= BigInt(hit);
  return true;
}

/** The exception after an instruction that began with RFLAGS.TF set. */
export const singleStep = (state: VcpuState): GuestFault => debugException(state, Dr6.BS);

/**
 * The debug register that a register number means: DR4 and DR5 stand for DR6 and DR7 unless CR4.DE is set
 * (SDM 3B, 18.2.2).
 * @throws GuestFault #UD for one that does not exist; #DB where DR7.GD guards it
 */
export function debugRegister(state: VcpuState, number: number): number {
  if (number > 7) throw new GuestFault(Vector.UD);
  if ((number === 4 || number === 5) && (cr4(state) & Cr4.DE) !== 0) throw new GuestFault(Vector.UD);
  if ((dr7(state) & DR7_GD) !== 0) throw debugException(state, Dr6.BD);
  return number === 4 || number === 5 ? number + 2 : number;
}

/** DR7.GD is cleared on entry to the handler, so that it can use the registers (SDM 3B, 18.2.4). */
export function enterDebugHandler(state: VcpuState): void {
  state.dr[7] &= ~BigInt(DR7_GD);
}

/** The enables of this task alone are dropped on a task switch: L0-L3 and LE (SDM 3B, 18.2.4). */
export function dropLocalBreakpoints(state: VcpuState): void {
  state.dr[7] &= ~0x155n;
}

/**
 * Writes a debug register.
 * @param number 0-3, 6 or 7
 * @throws GuestFault #GP(0) where bits 63-32 of DR6 or DR7 are set
 */
export function writeDebugRegister(state: VcpuState, number: number, value: bigint): void {
  if (number < 4) {
    state.dr[number] = isLongMode(state) ? value : BigInt.asUintN(32, value);
    return;
  }
  if (value > 0xffff_ffffn) throw new GuestFault(Vector.GP, 0);
  state.dr[number] =
    number === 6
      ? (value & BigInt(DR6_WRITABLE)) | BigInt(DR6_FIXED)
      : (value & BigInt(DR7_WRITABLE)) | BigInt(DR7_FIXED);
}
