/**
 * Packed decimal integers: 18 digits, two a byte, lowest first, then a byte whose bit 7 is the sign. Here the
 * first eight bytes are an i64, the last two the low half of an i32.
 *
 * Intel SDM volume 1, 4.7 (format, indefinite); volume 2, FBLD and FBSTP.
 */
import type { Func } from '../emit/code.ts';
import { i32, i64 } from '../emit/expr.ts';
import type { ModuleBuilder } from '../emit/module.ts';
import type { Encoding } from './encoding.ts';
import { call, FloatFlag, has, Info, signOf } from './format.ts';
import { x87Rounding } from './round.ts';

const LARGEST = 10n ** 18n - 1n;

/** (low, high) → (significand, signExponent): exact. A digit above 9, which is undefined, counts as what it
 * is in binary. */
export function addFromDecimal(m: ModuleBuilder, extendInteger: Func): Func {
  return m.function(['i64', 'i32'], ['i64', 'i32'], (c) => {
    const low = c.param('i64', 0);
    const high = c.param('i32', 1).get;
    const integer = c.var(
      'i64',
      i64.extend_u(i32.add(i32.mul(i32.and(i32.shr_u(high, 4), 15), 10), i32.and(high, 15))),
    );
    const digits = c.var('i32', 16);
    c.loop((again) => {
      c.set(integer, i64.add(i64.mul(integer.get, 10), i64.shr_u(low.get, 60)));
      c.set(low, i64.shl(low.get, 4));
      c.set(digits, i32.sub(digits.get, 1));
      c.brIf(again, digits.get);
    });
    const [significand, exponent] = call(c, extendInteger, ['i64', 'i32'], integer.get);
    c.return(significand, i32.or(exponent, i32.and(high, 0x8000)));
  });
}

/** (significand, signExponent, control word) → (low, high, flags): rounded by the rounding control; what does
 * not fit gives the packed decimal indefinite and IE. */
export function addToDecimal(m: ModuleBuilder, encoding: Encoding, roundToInteger: Func): Func {
  return m.function(['i64', 'i32', 'i32'], ['i64', 'i32', 'i32'], (c) => {
    const control = c.param('i32', 2).get;
    const { info, exponent, significand } = encoding.unpack(c, encoding.param(c, 0), control);
    const sign = c.let(signOf(info));
    c.if(has(info, Info.Zero), () => c.return(i64.const(0), i32.shl(sign, 15), i32.const(0)));
    c.if(i32.and(has(info, Info.Finite), i32.le_s(exponent, 63)), () => {
      const args = [sign, exponent, significand, x87Rounding(control)];
      const [magnitude, flags] = call(c, roundToInteger, ['i64', 'i32'], ...args);
      c.if(i64.le_u(magnitude, LARGEST), () => {
        const rest = c.var('i64', magnitude);
        const low = c.local('i64');
        const place = c.local('i64');
        const digit = () => c.let(i64.rem_u(rest.get, 10));
        c.loop((again) => {
          c.set(low, i64.or(low.get, i64.shl(digit(), place.get)));
          c.set(rest, i64.div_u(rest.get, 10));
          c.set(place, i64.add(place.get, 4));
          c.brIf(again, i64.lt_u(place.get, 64));
        });
        const tens = i64.or(i64.shl(i64.div_u(rest.get, 10), 4), i64.rem_u(rest.get, 10));
        c.return(low.get, i32.or(i32.wrap(tens), i32.shl(sign, 15)), flags);
      });
    });
    c.return(i64.const(0xc000_0000_0000_0000n), i32.const(0xffff), i32.const(FloatFlag.IE));
  });
}
