/**
 * Conversions between the encodings.
 *
 * Intel SDM volume 2: CVTSS2SD, CVTSD2SS, FLD, FST; volume 1, 4.8.3.5 (NaNs become quiet, keeping the high bits
 * of their payload).
 */
import type { Func } from '../emit/code.ts';
import { i32, i64 } from '../emit/expr.ts';
import type { ModuleBuilder } from '../emit/module.ts';
import { flagsAfter } from './arithmetic.ts';
import type { Encoding } from './encoding.ts';
import {
  call,
  denormalFlag,
  FloatFlag,
  has,
  Info,
  invalidFlag,
  Mxcsr,
  signOf,
  WIDENED_DENORMAL,
} from './format.ts';
import { EXTENDED_BIAS, mxcsrOf, type BinaryFormat } from './round.ts';

/** (value, MXCSR) → (result, flags) between f32 and f64. */
export function addConvert(m: ModuleBuilder, from: Encoding, to: Encoding): Func {
  return m.function([...from.types, 'i32'], [...to.types, 'i32'], (c) => {
    const mxcsr = c.param('i32', 1).get;
    const { info, exponent, significand } = from.unpack(c, from.param(c, 0), mxcsr);
    const sign = c.let(signOf(info));
    c.if(has(info, Info.NaN), () => c.return(...to.nan(sign, significand), invalidFlag(info)));
    c.if(has(info, Info.Zero), () => c.return(...to.zero(sign), i32.const(0)));
    c.if(has(info, Info.Infinity), () => c.return(...to.infinity(sign), i32.const(0)));
    const before = c.let(denormalFlag(info));
    const { value, flags } = to.pack(c, sign, exponent, significand, i64.const(0), mxcsr);
    c.return(...value, flagsAfter(to, before, mxcsr, flags));
  });
}

/** (bits) → (significand, signExponent, flags): a load, with IE for a signaling NaN, made quiet, and DE. */
export function addLoad(m: ModuleBuilder, widen: Func): Func {
  return m.function(widen.params, ['i64', 'i32', 'i32'], (c) => {
    const value = widen.params[0] === 'i32' ? c.param('i32', 0).get : c.param('i64', 0).get;
    const [significand, signExponent] = call(c, widen, ['i64', 'i32'], value);
    const exponent = c.let(i32.and(signExponent, 0xffff));
    const nan = i32.eq(i32.and(exponent, 0x7fff), 0x7fff);
    const quiet = c.let(i64.or(significand, 1n << 62n));
    const signaling = i32.and(nan, i64.ne(significand, quiet));
    const infinite = i64.eqz(i64.shl(significand, 1));
    c.if(i32.and(signaling, i32.eqz(infinite)), () => c.return(quiet, exponent, i32.const(1)));
    c.return(significand, exponent, i32.shr_u(i32.and(signExponent, WIDENED_DENORMAL), 15));
  });
}

/** (bits) → (significand, signExponent): a memory operand of arithmetic. A signaling NaN stays one, and a
 * denormal is marked by {@link WIDENED_DENORMAL}, so that the operation sees what it was. */
export function addWiden(m: ModuleBuilder, from: Encoding, format: BinaryFormat): Func {
  const { width, precision, bias } = format;
  return m.function(from.types, ['i64', 'i32'], (c) => {
    const bits = width === 32 ? c.let(i64.extend_u(c.param('i32', 0).get)) : c.param('i64', 0).get;
    const field = c.let(i32.and(i32.wrap(i64.shr_u(bits, precision - 1)), 2 * bias + 1));
    // Normal numbers, the most of them, without unpacking.
    c.if(i32.lt_u(i32.sub(field, 1), 2 * bias), () => {
      const significand = i64.or(i64.shl(bits, 64 - precision), 1n << 63n);
      const negative = i32.shl(i32.wrap(i64.shr_u(bits, width - 1)), 15);
      c.return(significand, i32.or(negative, i32.add(field, EXTENDED_BIAS - bias)));
    });
    const { info, exponent, significand } = from.unpack(c, from.param(c, 0), i32.const(0));
    const sign = c.let(i32.shl(signOf(info), 15));
    c.if(has(info, Info.Zero), () => c.return(i64.const(0), sign));
    c.if(i32.eqz(has(info, Info.Finite)), () => c.return(significand, i32.or(sign, 0x7fff)));
    const mark = i32.shl(i32.and(info, Info.Denormal), 10);
    c.return(significand, i32.or(i32.or(sign, i32.add(exponent, EXTENDED_BIAS)), mark));
  });
}

/** (significand, signExponent, control word) → (bits, flags): a store, rounded to the format; no DE. */
export function addStore(m: ModuleBuilder, from: Encoding, to: Encoding): Func {
  return m.function([...from.types, 'i32'], [...to.types, 'i32'], (c) => {
    const mxcsr = mxcsrOf(c.param('i32', 2).get);
    const { info, exponent, significand } = from.unpack(c, from.param(c, 0), i32.const(0));
    const sign = c.let(signOf(info));
    c.if(has(info, Info.Unsupported), () => c.return(...to.indefinite(), i32.const(1)));
    c.if(has(info, Info.NaN), () => c.return(...to.nan(sign, significand), invalidFlag(info)));
    c.if(has(info, Info.Zero), () => c.return(...to.zero(sign), i32.const(0)));
    c.if(has(info, Info.Infinity), () => c.return(...to.infinity(sign), i32.const(0)));
    const { value, flags } = to.pack(c, sign, exponent, significand, i64.const(0), mxcsr);
    // With nothing stored, loss of precision is not told (SDM 1, 4.9.1.6).
    const stops = c.let(i32.and(flags, i32.xor(i32.shr_u(mxcsr, Mxcsr.MaskShift), -1)));
    const told = i32.and(stops, FloatFlag.OE | FloatFlag.UE);
    c.return(...value, i32.select(told, told, flags));
  });
}
