/**
 * The encodings as the arithmetic sees them: how to unpack, pack and name special values, and which NaN comes
 * out of an operation. One interface for all three, so that arithmetic is written once.
 *
 * Intel SDM volume 1, 4.8.3.4 … 4.8.3.7 and table 4-7 (NaNs).
 */
import type { Code } from '../emit/code.ts';
import { i32, i64, type Expr, type I32, type I64, type Type } from '../emit/expr.ts';
import { call, FloatFlag, has, Info, Mxcsr, type Unpacked } from './format.ts';
import { mxcsrRounding, precisionDrop, x87Rounding, type BinaryFormat, type Round } from './round.ts';
import { BINARY32, BINARY64, EXTENDED_BIAS } from './round.ts';
import type { Unpack } from './unpack.ts';

/** A packed number: the bits, or significand and signExponent in the 80-bit format. */
export type Packed = readonly Expr[];

export interface Encoding {
  /** The WebAssembly types of a packed number. */
  readonly types: readonly Type[];
  /** Parameters `first` … of a function that are a packed number. */
  param(c: Code, first: number): Packed;
  /** @param control MXCSR, or the x87 control word, by format; so everywhere */
  unpack(c: Code, value: Packed, control: I32): Unpacked;
  /** Rounds and packs; the flags have C1. Precision control applies. */
  pack(c: Code, sign: I32, exponent: I32, high: I64, low: I64, control: I32): Result;
  /** Packs a normal number that needs no rounding. */
  exact(sign: I32, exponent: I32, significand: I64): Packed;
  zero(sign: I32): Packed;
  infinity(sign: I32): Packed;
  /** The real indefinite: what invalid operations give. */
  indefinite(): Packed;
  /** The value with its sign replaced. */
  withSign(value: Packed, sign: I32): Packed;
  /** The quiet NaN with this sign and left-justified payload. */
  nan(sign: I32, significand: I64): Packed;
  /** A NaN made quiet. */
  quiet(value: Packed): Packed;
  /** The result where `a` or `b` is a NaN. */
  propagate(c: Code, a: Packed, b: Packed, ua: Unpacked, ub: Unpacked): Packed;
  rounding(control: I32): I32;
  /** Not zero where the exception is masked. */
  masked(control: I32, flag: number): I32;
  /** Returns results of usual operands the short way, and falls through for others; see usual.ts. */
  readonly usual?: {
    sum(c: Code, a: Packed, b: Packed, control: I32, negate: 0 | 1): void;
    product(c: Code, a: Packed, b: Packed, control: I32): void;
  };
  /** Flags that results of this format keep. */
  readonly kept: number;
}

export interface Result {
  readonly value: Packed;
  readonly flags: I32;
}

function asI32(e: Expr): I32 {
  if (!isI32(e)) throw new TypeError(`i32 expected, not ${e.type}`);
  return e;
}
function asI64(e: Expr): I64 {
  if (!isI64(e)) throw new TypeError(`i64 expected, not ${e.type}`);
  return e;
}
const isI32 = (e: Expr): e is I32 => e.type === 'i32';
const isI64 = (e: Expr): e is I64 => e.type === 'i64';

/** `condition ? a : b` of packed numbers, evaluated now. */
export function choose(c: Code, condition: I32, a: Packed, b: Packed): Packed {
  return a.map((x, i) => {
    const y = b[i]!;
    return isI32(x)
      ? c.let(i32.select(condition, x, asI32(y)))
      : c.let(i64.select(condition, asI64(x), asI64(y)));
  });
}

/** The 80-bit halves of a packed number. */
export const halves = (value: Packed): [significand: I64, signExponent: I32] => [
  asI64(value[0]!),
  asI32(value[1]!),
];

function binary(format: BinaryFormat, unpack: Unpack, round: Round): Encoding {
  const { width, precision, bias } = format;
  const narrow = width === 32;
  const wrap = (bits: I64): Packed => [narrow ? i32.wrap(bits) : bits];
  const widen = (value: Packed): I64 => (narrow ? i64.extend_u(asI32(value[0]!)) : asI64(value[0]!));
  const signBit = (sign: I32): I64 => i64.shl(i64.extend_u(sign), width - 1);
  const infinity = BigInt(2 * bias + 1) << BigInt(precision - 1);
  const quietBit = 1n << BigInt(precision - 2);
  const magnitude = (1n << BigInt(width - 1)) - 1n;
  const quiet = (value: Packed): Packed => wrap(i64.or(widen(value), quietBit));
  return {
    types: [narrow ? 'i32' : 'i64'],
    param: (c, first) => [narrow ? c.param('i32', first).get : c.param('i64', first).get],
    unpack: (c, value, control) => {
      const func = narrow ? unpack.unpack32 : unpack.unpack64;
      const bits = narrow ? asI32(value[0]!) : asI64(value[0]!);
      const [info, exponent, significand] = call(c, func, ['i32', 'i32', 'i64'], bits, control);
      return { info, exponent, significand };
    },
    pack: (c, sign, exponent, high, low, control) => {
      if (narrow) {
        const [bits, flags] = call(c, round.pack32, ['i32', 'i32'], sign, exponent, high, low, control);
        return { value: [bits], flags };
      }
      const [bits, flags] = call(c, round.pack64, ['i64', 'i32'], sign, exponent, high, low, control);
      return { value: [bits], flags };
    },
    exact: (sign, exponent, significand) => {
      const field = i64.shl(i64.extend_u(i32.add(exponent, bias - 1)), precision - 1);
      return wrap(i64.or(signBit(sign), i64.add(field, i64.shr_u(significand, 64 - precision))));
    },
    zero: (sign) => wrap(signBit(sign)),
    infinity: (sign) => wrap(i64.or(signBit(sign), infinity)),
    indefinite: () => wrap(i64.const(infinity | quietBit | (1n << BigInt(width - 1)))),
    withSign: (value, sign) => wrap(i64.or(i64.and(widen(value), magnitude), signBit(sign))),
    nan: (sign, significand) => {
      const payload = i64.shr_u(i64.shl(significand, 1), 65 - precision);
      return wrap(i64.or(i64.or(signBit(sign), payload), infinity | quietBit));
    },
    quiet,
    // SSE takes the first operand where it is a NaN, else the second.
    propagate: (c, a, b, ua) => choose(c, has(ua.info, Info.NaN), quiet(a), quiet(b)),
    rounding: mxcsrRounding,
    masked: (control, flag) => i32.and(control, flag << Mxcsr.MaskShift),
    kept: FloatFlag.Exceptions,
  };
}

function extended(unpack: Unpack, round: Round): Encoding {
  const QUIET = 1n << 62n;
  const quiet = (value: Packed): Packed => {
    const [significand, signExponent] = halves(value);
    return [i64.or(significand, QUIET), signExponent];
  };
  const indefinite = (): Packed => [i64.const(3n << 62n), i32.const(0xffff)];
  return {
    types: ['i64', 'i32'],
    param: (c, first) => [c.param('i64', first).get, c.param('i32', first + 1).get],
    unpack: (c, value) => {
      const [info, exponent, significand] = call(c, unpack.unpack80, ['i32', 'i32', 'i64'], ...halves(value));
      return { info, exponent, significand };
    },
    pack: (c, sign, exponent, high, low, control) => {
      const drop = precisionDrop(control);
      const args = [sign, exponent, high, low, drop, control] as const;
      const [significand, signExponent, flags] = call(c, round.pack80, ['i64', 'i32', 'i32'], ...args);
      return { value: [significand, signExponent], flags };
    },
    exact: (sign, exponent, significand) => [
      significand,
      i32.or(i32.shl(sign, 15), i32.add(exponent, EXTENDED_BIAS)),
    ],
    zero: (sign) => [i64.const(0), i32.shl(sign, 15)],
    infinity: (sign) => [i64.const(1n << 63n), i32.or(i32.shl(sign, 15), 0x7fff)],
    indefinite,
    withSign: (value, sign) => {
      const [significand, signExponent] = halves(value);
      return [significand, i32.or(i32.and(signExponent, 0x7fff), i32.shl(sign, 15))];
    },
    nan: (sign, significand) => [i64.or(significand, QUIET), i32.or(i32.shl(sign, 15), 0x7fff)],
    quiet,
    propagate: (c, a, b, ua, ub) => {
      const either = c.let(i32.or(ua.info, ub.info));
      // A quiet NaN before a signaling one, else the larger significand, else the positive one.
      const [sigA, seA] = halves(a);
      const [sigB, seB] = halves(b);
      const larger = i32.select(i64.eq(sigA, sigB), i32.lt_u(seA, seB), i64.gt_u(sigA, sigB));
      const both = i32.and(has(ua.info, Info.NaN), has(ub.info, Info.NaN));
      const mixed = i32.and(has(either, Info.Quiet), has(either, Info.Signaling));
      const one = i32.select(mixed, has(ua.info, Info.Quiet), larger);
      const first = c.let(i32.select(both, one, has(ua.info, Info.NaN)));
      const nan = choose(c, first, quiet(a), quiet(b));
      return choose(c, has(either, Info.Unsupported), indefinite(), nan);
    },
    rounding: x87Rounding,
    masked: (control, flag) => i32.and(control, flag),
    kept: FloatFlag.Exceptions | FloatFlag.C0 | FloatFlag.C1 | FloatFlag.C2 | FloatFlag.C3,
  };
}

export interface Encodings {
  readonly f32: Encoding;
  readonly f64: Encoding;
  readonly f80: Encoding;
}

/** Reading and writing numbers of each format, over one way of unpacking and one of rounding. */
export function encodings(unpack: Unpack, round: Round): Encodings {
  return {
    f32: binary(BINARY32, unpack, round),
    f64: binary(BINARY64, unpack, round),
    f80: extended(unpack, round),
  };
}
