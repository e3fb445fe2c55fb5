/**
 * Addition and multiplication of 80-bit numbers in the usual case: normal operands, 64-bit precision, rounding to
 * nearest, and a normal result. In one piece, so several times faster than the general way, which does what is
 * left: these return where they can give the result and fall through where they cannot.
 */
import type { Code, Local } from '../emit/code.ts';
import { i32, i64, type I32, type I64 } from '../emit/expr.ts';
import { halves, type Packed } from './encoding.ts';
import { ControlWord, FloatFlag, Rounding } from './format.ts';
import { EXTENDED_BIAS } from './round.ts';
import { emitMultiply } from './wide.ts';

const TOP = 1n << 63n;

/** Precision and rounding control: 64 bits, to nearest. */
const CONTROL_MASK = (3 << ControlWord.PrecisionShift) | (3 << ControlWord.RoundShift);
const CONTROL = (3 << ControlWord.PrecisionShift) | (Rounding.Nearest << ControlWord.RoundShift);

interface Operand {
  readonly significand: I64;
  /** Sign in bit 15 and the exponent field. Bound. */
  readonly signExponent: I32;
  readonly exponent: I32;
}

function operand(c: Code, value: Packed): Operand {
  const [significand, signExponent] = halves(value);
  return { significand, signExponent, exponent: c.let(i32.and(signExponent, 0x7fff)) };
}

/** 1 where a biased exponent is that of a normal number. */
const inRange = (exponent: I32): I32 => i32.lt_u(i32.sub(exponent, 1), 0x7ffe);

/** 1 where both are normal, none was widened from a denormal, and the control word is the usual one. */
function isUsual(a: Operand, b: Operand, control: I32): I32 {
  const normal = i32.and(inRange(a.exponent), inRange(b.exponent));
  const supported = i64.lt_s(i64.and(a.significand, b.significand), 0);
  const plain = i32.eqz(i32.shr_u(i32.or(a.signExponent, b.signExponent), 16));
  const mode = i32.eq(i32.and(control, CONTROL_MASK), CONTROL);
  return i32.and(i32.and(normal, supported), i32.and(plain, mode));
}

/** Rounds to nearest, and returns the number where its exponent is in range. */
function giveNearest(c: Code, sign: I32, exponent: Local<'i32'>, high: Local<'i64'>, low: I64): void {
  const aboveHalf = i64.ne(i64.or(i64.shl(low, 1), i64.and(high.get, 1)), 0);
  const up = c.let(i32.and(i64.lt_s(low, 0), aboveHalf));
  c.set(high, i64.add(high.get, i64.extend_u(up)));
  c.if(i64.eqz(high.get), () => {
    c.set(high, TOP);
    c.set(exponent, i32.add(exponent.get, 1));
  });
  c.if(inRange(exponent.get), () => {
    const inexact = i32.select(up, FloatFlag.PE | FloatFlag.C1, FloatFlag.PE);
    const flags = i32.select(i64.eqz(low), 0, inexact);
    c.return(high.get, i32.or(i32.and(sign, 0x8000), exponent.get), flags);
  });
}

/** a + b, or a - b with `negate`. */
export function emitUsualSum(c: Code, a: Packed, b: Packed, control: I32, negate: 0 | 1): void {
  const x = operand(c, a);
  const y = operand(c, b);
  c.if(isUsual(x, y, control), () => {
    const signB = c.let(i32.xor(y.signExponent, negate << 15));
    const nearer = i32.lt_u(x.exponent, y.exponent);
    const swap = c.let(
      i32.select(i32.eq(x.exponent, y.exponent), i64.lt_u(x.significand, y.significand), nearer),
    );
    const sign = c.let(i32.select(swap, signB, x.signExponent));
    const exponent = c.var('i32', i32.select(swap, y.exponent, x.exponent));
    const large = c.let(i64.select(swap, y.significand, x.significand));
    const small = c.let(i64.select(swap, x.significand, y.significand));
    const distance = c.let(i32.sub(exponent.get, i32.select(swap, x.exponent, y.exponent)));
    c.if(i32.lt_u(distance, 64), () => {
      const n = c.let(i64.extend_u(distance));
      const high = c.var('i64', i64.shr_u(small, n));
      const low = c.var('i64', i64.select(distance, i64.shl(small, i64.sub(64, n)), 0));
      c.if(
        i32.and(i32.xor(x.signExponent, signB), 0x8000),
        () => {
          const borrow = i64.extend_u(i64.ne(low.get, 0));
          c.set(high, i64.sub(i64.sub(large, high.get), borrow));
          c.set(low, i64.sub(0, low.get));
          const zeros = c.let(i64.clz(high.get));
          c.if(i64.lt_u(i64.sub(zeros, 1), 63), () => {
            const moved = i64.shr_u(low.get, i64.sub(64, zeros));
            c.set(high, i64.or(i64.shl(high.get, zeros), moved));
            c.set(low, i64.shl(low.get, zeros));
            c.set(exponent, i32.sub(exponent.get, i32.wrap(zeros)));
          });
        },
        () => {
          c.set(high, i64.add(large, high.get));
          c.if(i64.lt_u(high.get, large), () => {
            const lost = i64.or(i64.shr_u(low.get, 1), i64.and(low.get, 1));
            c.set(low, i64.or(i64.shl(high.get, 63), lost));
            c.set(high, i64.or(i64.shr_u(high.get, 1), TOP));
            c.set(exponent, i32.add(exponent.get, 1));
          });
        },
      );
      // With all 64 bits cancelled there is no leading one yet.
      c.if(i64.lt_s(high.get, 0), () => giveNearest(c, sign, exponent, high, low.get));
    });
  });
}

/** a × b. */
export function emitUsualProduct(c: Code, a: Packed, b: Packed, control: I32): void {
  const x = operand(c, a);
  const y = operand(c, b);
  c.if(isUsual(x, y, control), () => {
    const [productHigh, productLow] = emitMultiply(c, x.significand, y.significand);
    const exponent = c.var('i32', i32.sub(i32.add(x.exponent, y.exponent), EXTENDED_BIAS - 1));
    const high = c.var('i64', productHigh);
    const low = c.var('i64', productLow);
    c.if(i64.ge_s(high.get, 0), () => {
      c.set(high, i64.or(i64.shl(high.get, 1), i64.shr_u(low.get, 63)));
      c.set(low, i64.shl(low.get, 1));
      c.set(exponent, i32.sub(exponent.get, 1));
    });
    giveNearest(c, i32.xor(x.signExponent, y.signExponent), exponent, high, low.get);
  });
}
