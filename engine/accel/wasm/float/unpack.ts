/**
 * Unpacking the three formats, and the packed special values of each.
 *
 * Intel SDM volume 1, tables 4-3 (binary formats) and 8-3 (unsupported and pseudo-denormal encodings),
 * 10.2.3.4 (denormals-are-zero).
 */
import type { Func } from '../emit/code.ts';
import { i32, i64, type I32, type I64 } from '../emit/expr.ts';
import type { ModuleBuilder } from '../emit/module.ts';
import { has, Info, Mxcsr, WIDENED_DENORMAL } from './format.ts';
import { BINARY32, BINARY64, EXTENDED_BIAS, type BinaryFormat } from './round.ts';

export interface Unpack {
  /** (i32 bits, MXCSR) → (info, exponent, significand); DAZ makes denormals zeros. */
  readonly unpack32: Func;
  /** (i64 bits, MXCSR) → (info, exponent, significand) */
  readonly unpack64: Func;
  /** (significand, signExponent) → (info, exponent, significand) */
  readonly unpack80: Func;
}

/** Adds the functions to a module. */
export function addUnpack(m: ModuleBuilder): Unpack {
  return {
    unpack32: addUnpackBinary(m, BINARY32),
    unpack64: addUnpackBinary(m, BINARY64),
    unpack80: addUnpack80(m),
  };
}

const TOP = 1n << 63n;

function addUnpackBinary(m: ModuleBuilder, format: BinaryFormat): Func {
  const { width, precision, bias } = format;
  const type = width === 32 ? 'i32' : 'i64';
  return m.function([type, 'i32'], ['i32', 'i32', 'i64'], (c) => {
    const bits = width === 32 ? c.let(i64.extend_u(c.param('i32', 0).get)) : c.param('i64', 0).get;
    const mxcsr = c.param('i32', 1).get;
    const fraction = c.let(i64.shl(bits, 65 - precision));
    const field = c.let(i32.and(i32.wrap(i64.shr_u(bits, precision - 1)), 2 * bias + 1));
    const sign = c.let(i32.shl(i32.and(i32.wrap(i64.shr_u(bits, width - 1)), 1), 7));
    const give = (info: I32 | number, exponent: I32 | number, significand: I64) =>
      c.return(i32.or(sign, info), i32.add(exponent, 0), significand);
    c.if(i32.eqz(field), () => {
      c.if(i32.or(i64.eqz(fraction), has(mxcsr, Mxcsr.DAZ)), () => give(Info.Zero, 0, i64.const(0)));
      const zeros = c.let(i64.clz(fraction));
      const exponent = i32.sub(-bias, i32.wrap(zeros));
      give(Info.Finite | Info.Denormal, exponent, i64.shl(fraction, zeros));
    });
    const significand = c.let(i64.or(i64.shr_u(fraction, 1), TOP));
    c.if(i32.eq(field, 2 * bias + 1), () => {
      const nan = i32.select(i64.lt_s(fraction, 0), Info.Quiet, Info.Signaling);
      give(i32.select(i64.eqz(fraction), Info.Infinity, nan), 0, significand);
    });
    give(Info.Finite, i32.sub(field, bias), significand);
  });
}

function addUnpack80(m: ModuleBuilder): Func {
  return m.function(['i64', 'i32'], ['i32', 'i32', 'i64'], (c) => {
    const significand = c.param('i64', 0).get;
    const signExponent = c.param('i32', 1).get;
    const field = c.let(i32.and(signExponent, 0x7fff));
    const sign = c.let(i32.and(i32.shr_u(signExponent, 8), Info.Negative));
    const give = (info: I32 | number, exponent: I32 | number, s: I64) =>
      c.return(i32.or(sign, info), i32.add(exponent, 0), s);
    c.if(i32.eqz(field), () => {
      c.if(i64.eqz(significand), () => give(Info.Zero, 0, i64.const(0)));
      // A pseudo-denormal has its integer bit, and the same smallest exponent.
      const zeros = c.let(i64.clz(significand));
      const exponent = i32.sub(1 - EXTENDED_BIAS, i32.wrap(zeros));
      give(Info.Finite | Info.Denormal, exponent, i64.shl(significand, zeros));
    });
    c.if(i64.ge_s(significand, 0), () => give(Info.Unsupported, 0, significand));
    c.if(i32.eq(field, 0x7fff), () => {
      const fraction = c.let(i64.shl(significand, 1));
      const nan = i32.select(i64.lt_s(fraction, 0), Info.Quiet, Info.Signaling);
      give(i32.select(i64.eqz(fraction), Info.Infinity, nan), 0, significand);
    });
    const widened = i32.shl(i32.shr_u(i32.and(signExponent, WIDENED_DENORMAL), 16), 6);
    give(i32.or(Info.Finite, widened), i32.sub(field, EXTENDED_BIAS), significand);
  });
}
