/**
 * Operations that only the 80-bit format has: partial remainders, scaling, extraction of the exponent, and
 * classification.
 *
 * Intel SDM volume 2: FPREM, FPREM1, FSCALE, FXTRACT, FXAM.
 */
import type { Code, Func, Local } from '../emit/code.ts';
import { i32, i64, type I32, type I64 } from '../emit/expr.ts';
import type { ModuleBuilder } from '../emit/module.ts';
import { flagsAfter } from './arithmetic.ts';
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

function addRemainder(
  m: ModuleBuilder,
  core: Core,
  round: Round,
  encoding: Encoding,
  nearest: boolean,
): Func {
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
      c.return(significand, signExponent, flagsAfter(encoding, before, control, i32.or(packed, flags)));
    };
    const difference = c.let(i32.sub(ua.exponent, ub.exponent));
    const below = i32.lt_s(difference, nearest ? -1 : 0);
    c.if(i32.or(has(ub.info, Info.Infinity), below), () => {
      give(ua.exponent, ua.significand, i64.const(0), i32.const(0));
    });
    // Of a quotient beyond 64 binary digits only some are found; their number is the same modulo 32.
    const partial = c.let(i32.ge_s(difference, 64));
    const steps = c.let(i32.select(partial, i32.or(i32.and(difference, 31), 32), difference));
    const rest = c.var('i64', ua.significand);
    const quotient = c.local('i64');
    const exponent = c.var('i32', ua.exponent);
    c.if(i32.ge_s(difference, 0), () => {
      c.set(exponent, i32.sub(exponent.get, steps));
      divideBits(c, rest, quotient, steps, ub.significand);
    });
    if (nearest) {
      c.if(i32.eqz(partial), () => toNearest(c, rest, quotient, sign, difference, ub.significand));
    }
    const flags = c.let(i32.select(partial, FloatFlag.C2, quotientFlags(c, quotient.get)));
    c.if(i64.eqz(rest.get), () =>
      c.return(...encoding.zero(sign.get), flagsAfter(encoding, before, control, flags)),
    );
    const [high, low, count] = call(c, core.wide.normalize, ['i64', 'i64', 'i32'], rest.get, 0n);
    give(i32.sub(exponent.get, count), high, low, flags);
  });
}

/** Long division by one digit more than `steps`: `rest` becomes the remainder, scaled by 2^steps. */
function divideBits(c: Code, rest: Local<'i64'>, quotient: Local<'i64'>, steps: I32, divisor: I64): void {
  const left = c.var('i32', steps);
  const carry = c.local('i32');
  c.block((done) => {
    c.loop((again) => {
      const fits = c.let(i32.or(carry.get, i64.ge_u(rest.get, divisor)));
      c.set(rest, i64.sub(rest.get, i64.select(fits, divisor, 0)));
      c.set(quotient, i64.or(i64.shl(quotient.get, 1), i64.extend_u(fits)));
      c.brIf(done, i32.eqz(left.get));
      c.set(left, i32.sub(left.get, 1));
      c.set(carry, i64.lt_s(rest.get, 0));
      c.set(rest, i64.shl(rest.get, 1));
      c.br(again);
    });
  });
}

/** Takes the divisor once more where the remainder is above its half, or at it with an odd quotient. With a
 * difference of -1 the remainder is the dividend, at half the divisor's weight. */
function toNearest(
  c: Code,
  rest: Local<'i64'>,
  quotient: Local<'i64'>,
  sign: Local<'i32'>,
  difference: I32,
  divisor: I64,
): void {
  const half = c.let(i32.lt_s(difference, 0));
  const complement = c.let(i64.sub(i64.shl(divisor, i64.extend_u(half)), rest.get));
  const above = i32.select(half, i64.gt_u(rest.get, divisor), i64.gt_u(rest.get, complement));
  const odd = i32.wrap(i64.and(quotient.get, 1));
  const tie = i32.and(i32.and(odd, i32.eqz(half)), i64.eq(rest.get, complement));
  c.if(i32.or(above, tie), () => {
    c.set(rest, complement);
    c.set(quotient, i64.add(quotient.get, 1));
    c.set(sign, i32.xor(sign.get, 1));
  });
}

/** Any scale beyond this over- or underflows every number, biased results included. */
const LARGEST_SCALE = 1 << 16;

function addScale(m: ModuleBuilder, round: Round, encoding: Encoding): Func {
  return m.function(PAIR, RESULT, (c) => {
    const { a, ua, ub, control } = operands(c, encoding);
    const before = c.let(denormalFlag(i32.or(ua.info, ub.info)));
    const sign = c.let(signOf(ua.info));
    const negative = c.let(signOf(ub.info));
    c.if(has(ub.info, Info.Infinity), () => {
      const undone = i32.select(negative, Info.Infinity, Info.Zero);
      c.if(i32.and(ua.info, undone), () => c.return(...encoding.indefinite(), INVALID));
      c.return(...choose(c, negative, encoding.zero(sign), encoding.infinity(sign)), before);
    });
    c.if(has(ua.info, Info.Infinity | Info.Zero), () => c.return(...a, before));
    const scale = c.local('i32');
    c.if(i32.and(has(ub.info, Info.Finite), i32.ge_s(ub.exponent, 0)), () => {
      const integer = i32.wrap(i64.shr_u(ub.significand, i64.extend_u(i32.sub(63, ub.exponent))));
      const magnitude = c.let(i32.select(i32.lt_s(ub.exponent, 16), integer, LARGEST_SCALE));
      c.set(scale, i32.select(negative, i32.sub(0, magnitude), magnitude));
    });
    const exponent = i32.add(ua.exponent, scale.get);
    const args = [sign, exponent, ua.significand, 0n, 0, control] as const;
    const [significand, signExponent, flags] = call(c, round.pack80, RESULT, ...args);
    c.return(significand, signExponent, flagsAfter(encoding, before, control, flags));
  });
}

function addExtract(m: ModuleBuilder, encoding: Encoding, extendInteger: Func): Func {
  return m.function(['i64', 'i32'], ['i64', 'i32', 'i64', 'i32', 'i32'], (c) => {
    const a = encoding.param(c, 0);
    const ua = encoding.unpack(c, a, i32.const(0));
    c.if(has(ua.info, Info.NaN), () => {
      const nan = encoding.propagate(c, a, a, ua, ua);
      c.return(...nan, ...nan, invalidFlag(ua.info));
    });
    c.if(has(ua.info, Info.Zero), () => {
      c.return(...encoding.infinity(i32.const(1)), ...a, i32.const(FloatFlag.ZE));
    });
    c.if(has(ua.info, Info.Infinity), () => c.return(...encoding.infinity(i32.const(0)), ...a, i32.const(0)));
    const exponent = call(c, extendInteger, ['i64', 'i32'], i64.extend_s(ua.exponent));
    const significand = encoding.exact(signOf(ua.info), i32.const(0), ua.significand);
    c.return(...exponent, ...significand, denormalFlag(ua.info));
  });
}

function addExamine(m: ModuleBuilder, encoding: Encoding): Func {
  const { C0, C2, C3 } = FloatFlag;
  const codes: ReadonlyArray<readonly [attribute: number, code: number]> = [
    [Info.Unsupported, 0],
    [Info.Quiet | Info.Signaling, C0],
    [Info.Infinity, C2 | C0],
    [Info.Zero, C3],
    [Info.Denormal, C3 | C2],
  ];
  return m.function(['i64', 'i32'], ['i32'], (c) => {
    const { info } = encoding.unpack(c, encoding.param(c, 0), i32.const(0));
    const sign = c.let(i32.shl(signOf(info), 9));
    for (const [attribute, code] of codes) c.if(has(info, attribute), () => c.return(i32.or(sign, code)));
    c.return(i32.or(sign, C2));
  });
}
