/**
 * Rounding unpacked results and packing them into the three formats: overflow, underflow with tininess
 * detected after rounding, flush-to-zero, and the biased results of unmasked x87 exceptions.
 *
 * Intel SDM volume 1, 4.8.4 (rounding), 4.9.1.4 … 4.9.1.6 (overflow, underflow, precision), 8.5.4 … 8.5.6
 * (x87), 10.2.3.3 (flush-to-zero).
 */
import type { Code, Func } from '../emit/code.ts';
import { i32, i64, type I32, type I64 } from '../emit/expr.ts';
import type { ModuleBuilder } from '../emit/module.ts';
import { call, ControlWord, FloatFlag, Mxcsr, Rounding } from './format.ts';
import type { Wide } from './wide.ts';

/** The parameters of a binary interchange format. */
export interface BinaryFormat {
  readonly width: 32 | 64;
  /** Significand bits, the implicit one included. */
  readonly precision: number;
  /** Largest exponent, also the bias; the smallest of a normal number is 1 - bias. */
  readonly bias: number;
}

export const BINARY32: BinaryFormat = { width: 32, precision: 24, bias: 127 };
export const BINARY64: BinaryFormat = { width: 64, precision: 53, bias: 1023 };

/** Exponent range of the 80-bit format. */
export const EXTENDED_BIAS = 16383;

/** What is added to or taken from the exponent of an unmasked underflow or overflow (SDM 1, 8.5.4). */
const EXPONENT_WRAP = 24576;

export interface Round {
  /**
   * (sign, high, low, drop, rounding) → (significand, flags): rounds at bit `drop` (0 … 63) of high, which
   * becomes bit 0; 2^64 comes out as 0. Flags: PE where inexact, C1 where rounded up.
   */
  readonly roundAt: Func;
  /** (sign, exponent, high, low, MXCSR) → (i32 bits, flags); C1 tells a rounding up. */
  readonly pack32: Func;
  /** (sign, exponent, high, low, MXCSR) → (i64 bits, flags) */
  readonly pack64: Func;
  /** (sign, exponent, high, low, drop, control word) → (significand, signExponent, flags); `drop` is 64 less
   * the precision to round to, see {@link precisionDrop}. */
  readonly pack80: Func;
}

/** Adds the functions to a module. */
export function addRound(m: ModuleBuilder, wide: Wide): Round {
  const roundAt = addRoundAt(m);
  return {
    roundAt,
    pack32: addPack(m, wide, roundAt, BINARY32),
    pack64: addPack(m, wide, roundAt, BINARY64),
    pack80: addPack80(m, wide, roundAt),
  };
}

/** Rounding control of an MXCSR value. */
export const mxcsrRounding = (mxcsr: I32): I32 => i32.and(i32.shr_u(mxcsr, Mxcsr.RoundShift), 3);

/** Rounding control of an x87 control word. */
export const x87Rounding = (fcw: I32): I32 => i32.and(i32.shr_u(fcw, ControlWord.RoundShift), 3);

/** The MXCSR value that has an x87 control word's masks and rounding, for stores in the binary formats. */
export const mxcsrOf = (fcw: I32): I32 =>
  i32.or(
    i32.shl(i32.and(fcw, FloatFlag.Exceptions), Mxcsr.MaskShift),
    i32.shl(x87Rounding(fcw), Mxcsr.RoundShift),
  );

/** Bits of a 64-bit significand that the precision control drops: 40, 11 or 0; the reserved encoding 01
 * drops none (SDM 1, table 8-2). */
export function precisionDrop(fcw: I32): I32 {
  const control = i32.and(fcw, 3 << ControlWord.PrecisionShift);
  const double = i32.select(i32.eq(control, 2 << ControlWord.PrecisionShift), 11, 0);
  return i32.select(i32.eqz(control), 40, double);
}

function addRoundAt(m: ModuleBuilder): Func {
  return m.function(['i32', 'i64', 'i64', 'i32', 'i32'], ['i64', 'i32'], (c) => {
    const sign = c.param('i32', 0).get;
    const high = c.param('i64', 1);
    const low = c.param('i64', 2);
    const drop = c.param('i32', 3).get;
    const rounding = c.param('i32', 4).get;
    c.if(drop, () => {
      const n = c.let(i64.extend_u(drop));
      const back = c.let(i64.sub(64, n));
      const sticky = i64.extend_u(i64.ne(low.get, 0));
      c.set(low, i64.or(i64.shl(high.get, back), sticky));
      c.set(high, i64.shr_u(high.get, n));
    });
    c.if(i64.eqz(low.get), () => c.return(high.get, i32.const(0)));
    const up = c.local('i32');
    c.if(
      i32.eqz(rounding),
      () => {
        const aboveHalf = i64.ne(i64.or(i64.shl(low.get, 1), i64.and(high.get, 1)), 0);
        c.set(up, i32.and(i64.lt_s(low.get, 0), aboveHalf));
      },
      // Away from zero where the direction has the number's sign.
      () => c.set(up, i32.eq(rounding, i32.sub(Rounding.Up, sign))),
    );
    const flags = i32.select(up.get, FloatFlag.PE | FloatFlag.C1, FloatFlag.PE);
    c.return(i64.add(high.get, i64.extend_u(up.get)), flags);
  });
}

/** 1 where overflow goes to the largest finite number rather than to infinity. */
const staysFinite = (rounding: I32, sign: I32): I32 =>
  i32.and(i32.ne(rounding, 0), i32.ne(rounding, i32.sub(Rounding.Up, sign)));

function addPack(m: ModuleBuilder, wide: Wide, roundAt: Func, format: BinaryFormat): Func {
  const { width, precision, bias } = format;
  const drop = 64 - precision;
  const fractionBits = BigInt(precision - 1);
  const type = width === 32 ? 'i32' : 'i64';
  return m.function(['i32', 'i32', 'i64', 'i64', 'i32'], [type, 'i32'], (c) => {
    const sign = c.param('i32', 0).get;
    const exponent = c.param('i32', 1).get;
    const high = c.param('i64', 2).get;
    const low = c.param('i64', 3).get;
    const mxcsr = c.param('i32', 4).get;
    const give = (magnitude: I64, flags: I32) => {
      const bits = i64.or(magnitude, i64.shl(i64.extend_u(sign), width - 1));
      c.return(width === 32 ? i32.wrap(bits) : bits, flags);
    };
    const rounding = c.let(mxcsrRounding(mxcsr));
    const [significand, flags] = call(c, roundAt, ['i64', 'i32'], sign, high, low, drop, rounding);
    const rounded = c.let(i32.add(exponent, i32.wrap(i64.shr_u(significand, precision))));
    c.if(i32.gt_s(rounded, bias), () => {
      const largest = BigInt(2 * bias + 1) << fractionBits;
      const finite = c.let(staysFinite(rounding, sign));
      const raised = i32.select(finite, 0, FloatFlag.C1);
      const inexact = FloatFlag.OE | FloatFlag.PE;
      // Where overflow is not masked the precision flag tells what rounding the significand lost.
      const unmasked = i32.eqz(i32.and(mxcsr, FloatFlag.OE << Mxcsr.MaskShift));
      const told = i32.select(unmasked, i32.or(flags, FloatFlag.OE), i32.or(raised, inexact));
      give(i64.sub(i64.const(largest), i64.extend_u(finite)), told);
    });
    c.if(i32.lt_s(rounded, 1 - bias), () => {
      c.if(i32.eqz(i32.and(mxcsr, FloatFlag.UE << Mxcsr.MaskShift)), () => {
        give(i64.const(0), i32.or(flags, FloatFlag.UE));
      });
      c.if(i32.and(mxcsr, Mxcsr.FTZ), () => give(i64.const(0), i32.const(FloatFlag.UE | FloatFlag.PE)));
      const [denormal, lost] = packDenormal(
        c,
        wide,
        roundAt,
        sign,
        exponent,
        high,
        low,
        i32.const(drop),
        rounding,
        bias,
      );
      give(denormal, lost);
    });
    // The integer bit adds one to the exponent field.
    const field = i64.shl(i64.extend_s(i32.add(exponent, bias - 1)), fractionBits);
    give(i64.add(field, significand), flags);
  });
}

/** Rounds a tiny number at the position of the smallest denormal; UE comes with loss only. */
function packDenormal(
  c: Code,
  wide: Wide,
  roundAt: Func,
  sign: I32,
  exponent: I32,
  high: I64,
  low: I64,
  drop: I32,
  rounding: I32,
  bias: number,
): [significand: I64, flags: I32] {
  const distance = i32.sub(1 - bias, exponent);
  const [h, l] = call(c, wide.shiftRightSticky, ['i64', 'i64'], high, low, distance);
  const [significand, flags] = call(c, roundAt, ['i64', 'i32'], sign, h, l, drop, rounding);
  return [significand, i32.or(flags, i32.shr_u(i32.and(flags, FloatFlag.PE), 1))];
}

function addPack80(m: ModuleBuilder, wide: Wide, roundAt: Func): Func {
  return m.function(['i32', 'i32', 'i64', 'i64', 'i32', 'i32'], ['i64', 'i32', 'i32'], (c) => {
    const sign = c.param('i32', 0).get;
    const exponent = c.param('i32', 1);
    const high = c.param('i64', 2).get;
    const low = c.param('i64', 3).get;
    const drop = c.param('i32', 4).get;
    const fcw = c.param('i32', 5).get;
    const extra = c.local('i32');
    const give = (significand: I64, biased: I32, flags: I32) =>
      c.return(significand, i32.or(biased, i32.shl(sign, 15)), flags);
    const rounding = c.let(x87Rounding(fcw));
    const [integer, flags] = call(c, roundAt, ['i64', 'i32'], sign, high, low, drop, rounding);
    const shift = c.let(i64.extend_u(drop));
    // A carry out of the significand leaves nothing below bit 64.
    const aligned = c.let(i64.shl(integer, shift));
    const carry = c.let(i64.eqz(aligned));
    const significand = c.let(i64.select(carry, 1n << 63n, aligned));
    const rounded = c.var('i32', i32.add(exponent.get, carry));
    c.if(i32.gt_s(rounded.get, EXTENDED_BIAS), () => {
      c.if(i32.and(fcw, FloatFlag.OE), () => {
        const finite = c.let(staysFinite(rounding, sign));
        c.if(finite, () => {
          const all = i64.shl(-1n, shift);
          give(all, i32.const(0x7ffe), i32.const(FloatFlag.OE | FloatFlag.PE));
        });
        give(i64.const(1n << 63n), i32.const(0x7fff), i32.const(FloatFlag.OE | FloatFlag.PE | FloatFlag.C1));
      });
      c.set(rounded, i32.sub(rounded.get, EXPONENT_WRAP));
      // Only FSCALE goes beyond even that.
      c.if(i32.gt_s(rounded.get, EXTENDED_BIAS), () => {
        give(i64.const(1n << 63n), i32.const(0x7fff), i32.const(FloatFlag.OE | FloatFlag.PE | FloatFlag.C1));
      });
      c.set(extra, FloatFlag.OE);
    });
    c.if(i32.lt_s(rounded.get, 1 - EXTENDED_BIAS), () => {
      c.if(i32.and(fcw, FloatFlag.UE), () => {
        const [denormal, lost] = packDenormal(
          c,
          wide,
          roundAt,
          sign,
          exponent.get,
          high,
          low,
          drop,
          rounding,
          EXTENDED_BIAS,
        );
        const value = c.let(i64.shl(denormal, shift));
        give(value, i32.wrap(i64.shr_u(value, 63)), lost);
      });
      c.set(rounded, i32.add(rounded.get, EXPONENT_WRAP));
      c.if(i32.lt_s(rounded.get, 1 - EXTENDED_BIAS), () => {
        give(i64.const(0), i32.const(0), i32.const(FloatFlag.UE | FloatFlag.PE));
      });
      c.set(extra, FloatFlag.UE);
    });
    give(significand, i32.add(rounded.get, EXTENDED_BIAS), i32.or(flags, extra.get));
  });
}
