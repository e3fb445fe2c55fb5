/**
 * The floating-point library: every function that instructions need, added to a module.
 *
 * Numbers are bits: f32 an i32, f64 an i64, f80 a significand (i64) and a sign-and-exponent word (i32, low 16
 * bits). `control` is MXCSR for f32 and f64, the x87 control word for f80. Flags have the exceptions in bits 0 …
 * 5, and from f80 functions C1 at bit 9 where the result was rounded up, as in the status word.
 *
 * The caller decides what masked means for it. Where IE, DE or ZE is raised and not masked, the operation has
 * not happened and the result is to be dropped. Where OE or UE is not masked, SSE drops the result; f80 results
 * come with the biased exponent that a register gets, while stores to memory are to be dropped. For packed
 * operands, an unmasked IE, DE or ZE of any element hides the OE, UE and PE of all.
 */
import type { Func } from '../emit/code.ts';
import type { ModuleBuilder } from '../emit/module.ts';
import { addArithmetic, type Arithmetic } from './arithmetic.ts';
import { addCompare, addSelect } from './compare.ts';
import { addConvert, addLoad, addStore, addWiden } from './convert.ts';
import { addCore } from './core.ts';
import { addFromDecimal, addToDecimal } from './decimal.ts';
import { encodings, type Encoding } from './encoding.ts';
import { addExtended, type Extended } from './extended.ts';
import { Relation } from './format.ts';
import {
  addExtendInteger,
  addFromInteger,
  addRoundToInteger,
  addRoundToIntegral,
  addToInteger,
} from './integer.ts';
import { addRound, BINARY32, BINARY64 } from './round.ts';
import { addUnpack } from './unpack.ts';
import { emitUsualProduct, emitUsualSum } from './usual.ts';

/** What f32 and f64 have in common. `x` is the format's type. */
export interface BinaryFloat extends Arithmetic {
  /** (x a, x b, i32 MXCSR, i32 signaling) → (i32 relation, i32 flags): one bit of {@link Relation}; with
   * `signaling` 1 quiet NaNs are invalid too (COMISD and the signaling predicates). */
  readonly compare: Func;
  /** (x a, x b, i32 MXCSR) → (x, i32 flags) */
  readonly min: Func;
  readonly max: Func;
  /** (i64 integer, i32 MXCSR) → (x, i32 flags) */
  readonly fromInteger: Func;
  /** (x, i32 MXCSR, i32 rounding, i32 width) → (i64, i32 flags): sign-extended; `rounding` is a
   * {@link Rounding}, `width` 32 or 64. */
  readonly toInteger: Func;
  /** (x, i32 MXCSR, i32 rounding) → (x, i32 flags): an instruction that suppresses PE drops it. */
  readonly roundToIntegral: Func;
}

/** The 80-bit functions; f80 is two parameters or results. Add, sub, mul, div and sqrt heed precision control. */
export interface ExtendedFloat extends Arithmetic, Extended {
  /** (f80 a, f80 b, i32 control, i32 signaling) → (i32 relation, i32 flags) */
  readonly compare: Func;
  /** (bits) → (f80, i32 flags): FLD of a 32- or 64-bit number. */
  readonly load32: Func;
  readonly load64: Func;
  /** (bits) → f80: a memory operand of arithmetic, to be handed to it and nowhere else. */
  readonly widen32: Func;
  readonly widen64: Func;
  /** (f80, i32 control) → (bits, i32 flags): FST */
  readonly store32: Func;
  readonly store64: Func;
  /** (i64) → f80 */
  readonly extendInteger: Func;
  /** (f80, i32 control, i32 rounding, i32 width) → (i64, i32 flags): `width` 16, 32 or 64. */
  readonly toInteger: Func;
  /** (f80, i32 control, i32 rounding) → (f80, i32 flags) */
  readonly roundToIntegral: Func;
  /** (i64 low, i32 high) → f80, and (f80, i32 control) → (i64 low, i32 high, i32 flags) */
  readonly fromDecimal: Func;
  readonly toDecimal: Func;
}

export interface FloatLibrary {
  readonly f32: BinaryFloat;
  readonly f64: BinaryFloat;
  readonly f80: ExtendedFloat;
  /** (i32, i32 MXCSR) → (i64, i32 flags) */
  readonly f32ToF64: Func;
  /** (i64, i32 MXCSR) → (i32, i32 flags) */
  readonly f64ToF32: Func;
}

/** Adds the library to a module, once. Imports come before. */
export function addFloatLibrary(m: ModuleBuilder): FloatLibrary {
  const core = addCore(m);
  const round = addRound(m, core.wide);
  const { f32, f64, f80 } = encodings(addUnpack(m), round);
  const usual = { sum: emitUsualSum, product: emitUsualProduct };
  const roundToInteger = addRoundToInteger(m, core, round);
  const extendInteger = addExtendInteger(m, f80);
  const binary = (encoding: Encoding, precision: number): BinaryFloat => {
    const compare = addCompare(m, encoding);
    return {
      ...addArithmetic(m, core, encoding),
      compare,
      min: addSelect(m, encoding, compare, Relation.Less),
      max: addSelect(m, encoding, compare, Relation.Greater),
      fromInteger: addFromInteger(m, encoding),
      toInteger: addToInteger(m, encoding, roundToInteger),
      roundToIntegral: addRoundToIntegral(m, encoding, precision, roundToInteger, false),
    };
  };
  const widen32 = addWiden(m, f32, BINARY32);
  const widen64 = addWiden(m, f64, BINARY64);
  return {
    f32: binary(f32, BINARY32.precision),
    f64: binary(f64, BINARY64.precision),
    f80: {
      ...addArithmetic(m, core, { ...f80, usual }),
      ...addExtended(m, core, round, f80, extendInteger),
      compare: addCompare(m, f80),
      load32: addLoad(m, widen32),
      load64: addLoad(m, widen64),
      widen32,
      widen64,
      store32: addStore(m, f80, f32),
      store64: addStore(m, f80, f64),
      extendInteger,
      toInteger: addToInteger(m, f80, roundToInteger),
      roundToIntegral: addRoundToIntegral(m, f80, 64, roundToInteger, true),
      fromDecimal: addFromDecimal(m, extendInteger),
      toDecimal: addToDecimal(m, f80, roundToInteger),
    },
    f32ToF64: addConvert(m, f32, f64),
    f64ToF32: addConvert(m, f64, f32),
  };
}
