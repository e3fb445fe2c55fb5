/**
 * Operations that only the 80-bit format has: partial remainders, scaling, extraction of the exponent, and
 * classification.
 *
 * Intel SDM volume 2: FPREM, FPREM1, FSCALE, FXTRACT, FXAM.
 */
import type { Code, Func, Local } from '../emit/code.ts';
import { i32, i64, type I32, type I64 } from '../emit/expr.ts';
import type { ModuleBuilder } from '../emit/module.ts';
import type { Core } from './core.ts';
import { choose, type Encoding, type Packed } from './encoding.ts';
import { call, denormalFlag, FloatFlag, has, Info, invalidFlag, signOf, type Unpacked } from './format.ts';
import type { Round } from './round.ts';

export interface Extended {
  /** (dividend, divisor, control word) → (remainder, flags), flags with C2 where the reduction is partial, else
   * C0, C3 and C1 the quotient's bits 2, 1 and 0. */
  readonly prem: Func;
  readonly prem1: Func;
  /** (value, scale, control word) → (result, flags) */
  readonly scale: Func;
  /** (value) → (exponent, significand, flags), both as 80-bit numbers */
  readonly extract: Func;
  /** (value) → status word bits C3, C2, C0 for its class and C1 for its sign; Empty is the caller's to know. */
  readonly examine: Func;
}

/** Adds the functions to a module. */
export function addExtended(
  m: ModuleBuilder,
  core: Core,
  round: Round,
  encoding: Encoding,
  extendInteger: Func,
): Extended {
  return {
    prem: addRemainder(m, core, round, encoding, false),
    prem1: addRemainder(m, core, round, encoding, true),
    scale: addScale(m, round, encoding),
    extract: addExtract(m, encoding, extendInteger),
    examine: addExamine(m, encoding),
  };
}

const PAIR = ['i64', 'i32', 'i64', 'i32', 'i32'] as const;
const RESULT = ['i64', 'i32', 'i32'] as const;

interface Pair {
  readonly a: Packed;
  readonly ua: Unpacked;
  readonly ub: Unpacked;
  readonly control: I32;
}

/** Unpacks two operands and returns what NaNs give. */
function operands(c: Code, encoding: Encoding): Pair {
  const [a, b] = [encoding.param(c, 0), encoding.param(c, 2)];
  const control = c.param('i32', 4).get;
  const ua = encoding.unpack(c, a, control);
  const ub = encoding.unpack(c, b, control);
  const either = c.let(i32.or(ua.info, ub.info));
  c.if(has(either, Info.NaN), () => {
    c.return(...encoding.propagate(c, a, b, ua, ub), invalidFlag(either));
  });
  return { a, ua, ub, control };
}

const INVALID = i32.const(FloatFlag.IE);

/** Quotient bits 2, 1, 0 as C0, C3, C1. */
function quotientFlags(c: Code, quotient: I64): I32 {
  const q = c.let(i32.wrap(quotient));
  const c0 = i32.shl(i32.and(q, 4), 6);
  const c3 = i32.shl(i32.and(q, 2), 13);
  return i32.or(i32.or(c0, c3), i32.shl(i32.and(q, 1), 9));
}

function addRemainder(m: ModuleBuilder, core: Core, round: Round, encoding: Encoding, nearest: boolean): Func {
  return m.function(PAIR, RESULT, (c) => {
    const { ua, ub, control } = operands(c, encoding);
    c.if(i32.or(has(ua.info, Info.Infinity), has(ub.info, Info.Zero)), () => {
      c.return(...encoding.indefinite(), INVALID);
    });
    const before = c.let(denormalFlag(i32.or(ua.info, ub.info)));
    const sign = c.var('i32', signOf(ua.info));
    c.if(has(ua.info, Info.Zero), () => c.return(...encoding.zero(sign.get), before));
    const give = (exponent: I32, high: I64, low: I64, flags: I32) => {
      const args = [sign.get, exponent, high, low, i32.const(0), control] as const;
      const [significand, signExponent, packed] = call(c, round.pack80, RESULT, ...args);
      c.return(significand, signExponent, i32.or(i32.or(before, packed), flags));
    };
    const difference = c.let(i32.sub(ua.exponent, ub.exponent));
    const unchanged = i32.or(has(ub.info, Info.Infinity), i32.lt_s(difference, nearest ? -1 : 0));
    c.if(unchanged, () => give(ua.exponent, ua.significand, i64.const(0), i32.const(0)));
    // Beyond 63 binary digits of quotient only some of them are found, a multiple of 32 short of all.
    const partial = c.let(i32.ge_s(difference, 64));
    const found = i32.or(i32.and(difference, 31), 32);
    const steps = c.var('i32', i32.select(partial, found, difference));
    const exponent = c.var('i32', i32.sub(ua.exponent, steps.get));
    const rest = c.var('i64', ua.significand);
    const quotient = c.local('i64');
    c.if(i32.ge_s(steps.get, 0), () => divideBits(c, rest, quotient, steps, ub.significand));
    c.if(nearest ? i32.eqz(partial) : i32.const(0), () => {
      toNearest(c, rest, quotient, sign, difference, ub.significand);
    });
    const flags = c.let(i32.select(partial, FloatFlag.C2, quotientFlags(c, quotient.get)));
    c.if(i64.eqz(rest.get), () => c.return(...encoding.zero(sign.get), i32.or(before, flags)));
    c.if(i32.and(i32.lt_s(difference, 0), i32.const(1)), () => c.set(exponent, ua.exponent));
    const [high, low, count] = call(c, core.wide.normalize, ['i64', 'i64', 'i32'], rest.get, 0n);
    give(i32.sub(exponent.get, count), high, low, flags);
  });
}
