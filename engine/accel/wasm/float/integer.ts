/**
 * Conversions to and from integers, and rounding to an integral value.
 *
 * Intel SDM volume 2: CVTSD2SI, CVTTSD2SI, CVTSI2SD, ROUNDSD, FILD, FIST, FISTTP, FRNDINT;
 * volume 1, table 4-1 (integer indefinite).
 */
import type { Func } from '../emit/code.ts';
import { i32, i64 } from '../emit/expr.ts';
import type { ModuleBuilder } from '../emit/module.ts';
import { flagsAfter } from './arithmetic.ts';
import type { Core } from './core.ts';
import type { Encoding } from './encoding.ts';
import { call, denormalFlag, FloatFlag, has, Info, invalidFlag, signOf } from './format.ts';
import type { Round } from './round.ts';

/** (sign, exponent ≤ 63, significand, rounding) → (magnitude, flags): the integer part, rounded. */
export function addRoundToInteger(m: ModuleBuilder, core: Core, round: Round): Func {
  return m.function(['i32', 'i32', 'i64', 'i32'], ['i64', 'i32'], (c) => {
    const distance = i32.sub(63, c.param('i32', 1).get);
    const shifted = call(c, core.wide.shiftRightSticky, ['i64', 'i64'], c.param('i64', 2).get, 0n, distance);
    const sign = c.param('i32', 0).get;
    c.return(...call(c, round.roundAt, ['i64', 'i32'], sign, ...shifted, 0, c.param('i32', 3).get));
  });
}

/** (value, control, rounding, width) → (integer, flags): to a signed integer of `width` (16, 32 or 64) bits,
 * sign-extended. What does not fit, NaNs and infinities give the integer indefinite, -2^(width-1), and IE. */
export function addToInteger(m: ModuleBuilder, encoding: Encoding, roundToInteger: Func): Func {
  const count = encoding.types.length;
  return m.function([...encoding.types, 'i32', 'i32', 'i32'], ['i64', 'i32'], (c) => {
    const control = c.param('i32', count).get;
    const rounding = c.param('i32', count + 1).get;
    const width = c.param('i32', count + 2).get;
    const { info, exponent, significand } = encoding.unpack(c, encoding.param(c, 0), control);
    c.if(has(info, Info.Zero), () => c.return(i64.const(0), i32.const(0)));
    const limit = c.let(i64.shl(1, i64.extend_u(i32.sub(width, 1))));
    c.if(i32.and(has(info, Info.Finite), i32.le_s(exponent, 63)), () => {
      const sign = c.let(signOf(info));
      const args = [sign, exponent, significand, rounding];
      const [magnitude, flags] = call(c, roundToInteger, ['i64', 'i32'], ...args);
      const wide = c.let(i64.extend_u(sign));
      const fits = i64.le_u(magnitude, i64.add(i64.sub(limit, 1), wide));
      c.if(fits, () => {
        const integer = i64.select(sign, i64.sub(0, magnitude), magnitude);
        c.return(integer, i32.and(flags, encoding.kept));
      });
    });
    c.return(i64.sub(0, limit), i32.const(FloatFlag.IE));
  });
}

/** (i64, control) → (result, flags): from a signed integer. */
export function addFromInteger(m: ModuleBuilder, encoding: Encoding): Func {
  return m.function(['i64', 'i32'], [...encoding.types, 'i32'], (c) => {
    const integer = c.param('i64', 0).get;
    const control = c.param('i32', 1).get;
    const sign = c.let(i64.lt_s(integer, 0));
    const magnitude = c.let(i64.select(sign, i64.sub(0, integer), integer));
    c.if(i64.eqz(magnitude), () => c.return(...encoding.zero(i32.const(0)), i32.const(0)));
    const zeros = c.let(i64.clz(magnitude));
    const exponent = i32.sub(63, i32.wrap(zeros));
    const significand = i64.shl(magnitude, zeros);
    const { value, flags } = encoding.pack(c, sign, exponent, significand, i64.const(0), control);
    c.return(...value, i32.and(flags, encoding.kept));
  });
}

/** (i64) → (significand, signExponent): exact. */
export function addExtendInteger(m: ModuleBuilder, encoding: Encoding): Func {
  return m.function(['i64'], encoding.types, (c) => {
    const integer = c.param('i64', 0).get;
    c.if(i64.eqz(integer), () => c.return(...encoding.zero(i32.const(0))));
    const sign = c.let(i64.lt_s(integer, 0));
    const magnitude = c.let(i64.select(sign, i64.sub(0, integer), integer));
    const zeros = c.let(i64.clz(magnitude));
    c.return(...encoding.exact(sign, i32.sub(63, i32.wrap(zeros)), i64.shl(magnitude, zeros)));
  });
}

/**
 * (value, control, rounding) → (result, flags): to an integral value in the same format.
 *
 * @param precision significand bits of the format
 * @param reportsDenormal whether a denormal operand sets DE, as FRNDINT has it but ROUNDSD not
 */
export function addRoundToIntegral(
  m: ModuleBuilder,
  encoding: Encoding,
  precision: number,
  roundToInteger: Func,
  reportsDenormal: boolean,
): Func {
  const { types } = encoding;
  const count = types.length;
  return m.function([...types, 'i32', 'i32'], [...types, 'i32'], (c) => {
    const control = c.param('i32', count).get;
    const rounding = c.param('i32', count + 1).get;
    const value = encoding.param(c, 0);
    const unpacked = encoding.unpack(c, value, control);
    const { info, exponent, significand } = unpacked;
    c.if(has(info, Info.NaN), () => {
      c.return(...encoding.propagate(c, value, value, unpacked, unpacked), invalidFlag(info));
    });
    const sign = c.let(signOf(info));
    c.if(has(info, Info.Zero), () => c.return(...encoding.zero(sign), i32.const(0)));
    const integral = i32.or(has(info, Info.Infinity), i32.ge_s(exponent, precision - 1));
    c.if(integral, () => c.return(...value, i32.const(0)));
    const before = reportsDenormal ? denormalFlag(info) : i32.const(0);
    const args = [sign, exponent, significand, rounding];
    const [magnitude, rounded] = call(c, roundToInteger, ['i64', 'i32'], ...args);
    const flags = c.let(flagsAfter(encoding, before, control, rounded));
    c.if(i64.eqz(magnitude), () => c.return(...encoding.zero(sign), flags));
    const zeros = c.let(i64.clz(magnitude));
    const result = encoding.exact(sign, i32.sub(63, i32.wrap(zeros)), i64.shl(magnitude, zeros));
    c.return(...result, flags);
  });
}
