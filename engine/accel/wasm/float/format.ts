/**
 * What all the floating-point functions share: exception flags, control-word fields, and the unpacked form
 * in which numbers of every format are computed with.
 *
 * An unpacked number is three values: an information word (below), an unbiased exponent, and a 64-bit
 * significand whose bit 63 is its integer bit, so a finite number is ± significand / 2^63 × 2^exponent. NaNs
 * keep their payload left-justified in the significand, so that it moves between formats by itself. A result
 * before rounding has 64 more bits below the significand, the lowest of which also stands for all that
 * would follow (a sticky bit).
 *
 * Intel SDM volume 1, 4.2.2 (formats), 4.8 (real numbers and encodings), 4.9 (exceptions).
 */
import { i32, type Expr, type I32, type I64, type In, type Type } from '../emit/expr.ts';
import type { Code, Func, Local } from '../emit/code.ts';

/** Exception flags, in place for both MXCSR and the x87 status word; C0 … C3 as in the latter. */
export const FloatFlag = {
  IE: 1 << 0,
  DE: 1 << 1,
  ZE: 1 << 2,
  OE: 1 << 3,
  UE: 1 << 4,
  PE: 1 << 5,
  /** All six. */
  Exceptions: 0x3f,
  C0: 1 << 8,
  C1: 1 << 9,
  C2: 1 << 10,
  C3: 1 << 14,
} as const;

/** MXCSR fields above the flags (SDM 1, 10.2.3). */
export const Mxcsr = { DAZ: 1 << 6, MaskShift: 7, RoundShift: 13, FTZ: 1 << 15 } as const;

/** x87 control word fields above the masks (SDM 1, 8.1.5). */
export const ControlWord = { PrecisionShift: 8, RoundShift: 10 } as const;

/** Rounding control, as encoded in both registers and in immediates (SDM 1, table 4-8). */
export const Rounding = { Nearest: 0, Down: 1, Up: 2, Zero: 3 } as const;

/** Information word of an unpacked number: exactly one of the classes, and two attributes. */
export const Info = {
  Zero: 1,
  Finite: 2,
  Infinity: 4,
  Quiet: 8,
  Signaling: 16,
  /** An encoding that the x87 FPU refuses: unnormal, pseudo-infinity or pseudo-NaN (SDM 1, table 8-3). */
  Unsupported: 32,
  NaN: 8 | 16 | 32,
  Denormal: 64,
  Negative: 128,
} as const;

/** In the sign-and-exponent word of an 80-bit operand: it was a denormal before it was widened. */
export const WIDENED_DENORMAL = 1 << 16;

/** An unpacked operand. */
export interface Unpacked {
  readonly info: I32;
  readonly exponent: I32;
  readonly significand: I64;
}

/** Relations between two numbers, one bit each, so that a predicate is a mask of them. */
export const Relation = { Less: 1, Equal: 2, Greater: 4, Unordered: 8 } as const;

/** 1 where the number is negative, else 0. */
export const signOf = (info: I32): I32 => i32.and(i32.shr_u(info, 7), 1);

/** The DE flag where an operand is a denormal. */
export const denormalFlag = (info: I32): I32 => i32.and(i32.shr_u(info, 5), FloatFlag.DE);

/** The IE flag where an operand is a signaling NaN or not a supported encoding. */
export const invalidFlag = (info: I32): I32 => i32.ne(i32.and(info, Info.Signaling | Info.Unsupported), 0);

/** `e` with bit `bit` moved to be a 0 or 1. */
export const has = (e: I32, bits: number): I32 => i32.ne(i32.and(e, bits), 0);

type Values<T extends readonly Type[]> = { -readonly [K in keyof T]: Expr<T[K]> };

function isOf<T extends Type>(local: Local<Type>, type: T): local is Local<T> {
  return local.type === type;
}

/**
 * Calls a function now and gives its results with their types.
 *
 * @param types the result types, as the function has them
 * @throws TypeError where it has others
 */
export function call<const T extends readonly Type[]>(
  c: Code,
  func: Func,
  types: T,
  ...args: ReadonlyArray<In<Type>>
): Values<T> {
  const locals = c.callMulti(func, ...args);
  return types.map((type, i) => {
    const local = locals[i];
    if (local === undefined || !isOf(local, type)) throw new TypeError(`result ${i} is not ${type}`);
    return local.get;
  }) as Values<T>;
}
