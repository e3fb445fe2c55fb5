/**
 * RFLAGS as one word, from and to the way the state keeps it.
 *
 * Encoding: vcpu/state.ts; Intel SDM 1, 3.4.3.
 */
import { Flag, type VcpuState } from '../../../vcpu/state.ts';

/** The bits that arithmetic sets. */
export const ARITHMETIC = Flag.CF | Flag.PF | Flag.AF | Flag.ZF | Flag.SF | Flag.OF;

/** The bits that exist besides those and bit 1. */
export const SYSTEM =
  Flag.TF |
  Flag.IF |
  Flag.DF |
  Flag.IOPL |
  Flag.NT |
  Flag.RF |
  Flag.VM |
  Flag.AC |
  Flag.VIF |
  Flag.VIP |
  Flag.ID;

/** Every bit that exists. */
export const ALL_FLAGS = ARITHMETIC | SYSTEM;

/** Those that SYSRET takes from R11: all but RF and VM. */
export const SYSRET_FLAGS = ALL_FLAGS & ~(Flag.RF | Flag.VM);

/** 1 where the low byte has an even number of ones. */
function evenParity(byte: number): number {
  const folded = byte ^ (byte >> 4);
  // Bit n of the constant is set where n has an even number of ones.
  return (0x9669 >> (folded & 0xf)) & 1;
}

/** RFLAGS, whole, bit 1 set. */
export function readFlags(state: VcpuState): number {
  const result = state.flagsRes;
  const aux = state.flagsAux;
  const low = Number(BigInt.asUintN(8, result));
  let flags = state.flagsSys | 2;
  if (aux >>> 31 !== 0) flags |= Flag.CF;
  if (evenParity((low ^ (aux >> 8)) & 0xff) !== 0) flags |= Flag.PF;
  if ((aux & 8) !== 0) flags |= Flag.AF;
  if (result === 0n) flags |= Flag.ZF;
  if (result < 0n !== ((aux & 1) !== 0)) flags |= Flag.SF;
  if (((aux ^ (aux << 1)) & 0x8000_0000) !== 0) flags |= Flag.OF;
  return flags;
}

/** Sets the six arithmetic flags from their bits of `word`. */
function writeArithmetic(state: VcpuState, word: number): void {
  const zero = (word & Flag.ZF) !== 0;
  state.flagsRes = zero ? 0n : 1n;
  const carry = (word & Flag.CF) !== 0 ? 1 : 0;
  const overflow = (word & Flag.OF) !== 0 ? 1 : 0;
  // The result 0 has even parity, 1 odd: exclusive-or with one where PF says otherwise.
  const parity = ((word & Flag.PF) !== 0) !== zero ? 1 : 0;
  const sign = (word & Flag.SF) !== 0 ? 1 : 0;
  state.flagsAux =
    ((carry << 31) | ((carry ^ overflow) << 30) | (parity << 8) | ((word & Flag.AF) !== 0 ? 8 : 0) | sign) >>>
    0;
}

/** Sets the flags in `mask` from `word` and leaves the others; bits that don't exist are ignored. */
export function writeFlags(state: VcpuState, word: number, mask: number = ALL_FLAGS): void {
  const arithmetic = mask & ARITHMETIC;
  if (arithmetic === ARITHMETIC) writeArithmetic(state, word);
  else if (arithmetic !== 0) writeArithmetic(state, (readFlags(state) & ~arithmetic) | (word & arithmetic));
  const system = mask & SYSTEM;
  state.flagsSys = ((state.flagsSys & ~system) | (word & system)) >>> 0;
}
