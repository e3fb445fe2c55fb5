/**
 * Addition, subtraction, multiplication, division and square root in any of the three encodings: the special
 * operands of SDM 1, 4.8.3 and 4.9.1, tables 8-10 (invalid) and the FADD, FSUB, FMUL, FDIV and FSQRT tables
 * of volume 2, around the exact core.
 */
import type { Code, Func } from '../emit/code.ts';
import { i32, i64, type I32, type I64 } from '../emit/expr.ts';
import type { ModuleBuilder } from '../emit/module.ts';
import type { Core } from './core.ts';
import type { Encoding, Packed } from './encoding.ts';
import { call, denormalFlag, FloatFlag, has, Info, invalidFlag, signOf, type Unpacked } from './format.ts';

export interface Arithmetic {
  /** (a, b, control) → (result, flags), each operand and result in its packed types. */
  readonly add: Func;
  readonly sub: Func;
  readonly mul: Func;
  readonly div: Func;
  /** (a, control) → (result, flags) */
  readonly sqrt: Func;
}

/** Two operands, unpacked, and what an operation needs to give its result. */
interface Operation {
  readonly c: Code;
  readonly a: Packed;
  readonly b: Packed;
  readonly ua: Unpacked;
  readonly ub: Unpacked;
  /** `ua.info | ub.info` and `ua.info & ub.info`. */
  readonly either: I32;
  readonly both: I32;
  readonly control: I32;
  /** Returns a special value. */
  give(value: Packed, flags: I32): void;
  /** Returns a rounded one. */
  round(sign: I32, exponent: I32, high: I64, low: I64): void;
  /** DE where an operand is a denormal. */
  readonly denormal: I32;
}

/** Adds the functions for one encoding. */
export function addArithmetic(m: ModuleBuilder, core: Core, encoding: Encoding): Arithmetic {
  const { usual } = encoding;
  const dyadic = (emit: (o: Operation) => void, shortcut?: Shortcut) =>
    addDyadic(m, encoding, emit, shortcut);
  return {
    add: dyadic(
      (o) => sum(o, core, encoding, 0),
      (c, a, b, control) => usual?.sum(c, a, b, control, 0),
    ),
    sub: dyadic(
      (o) => sum(o, core, encoding, 1),
      (c, a, b, control) => usual?.sum(c, a, b, control, 1),
    ),
    mul: dyadic(
      (o) => product(o, core, encoding),
      (c, a, b, control) => usual?.product(c, a, b, control),
    ),
    div: dyadic((o) => quotient(o, core, encoding)),
    sqrt: addSquareRoot(m, core, encoding),
  };
}

/** The flags of a result: an unmasked denormal operand (in `before`) ends the operation ahead of rounding, so
 * that nothing of the result is reported. */
export function flagsAfter(encoding: Encoding, before: I32, control: I32, after: I32): I32 {
  const stops = i32.and(i32.shr_u(before, 1), i32.eqz(encoding.masked(control, FloatFlag.DE)));
  return i32.select(stops, before, i32.or(before, i32.and(after, encoding.kept)));
}

type Shortcut = (c: Code, a: Packed, b: Packed, control: I32) => void;

function addDyadic(
  m: ModuleBuilder,
  encoding: Encoding,
  emit: (o: Operation) => void,
  shortcut: Shortcut = () => {},
): Func {
  const { types } = encoding;
  const count = types.length;
  return m.function([...types, ...types, 'i32'], [...types, 'i32'], (c) => {
    const a = encoding.param(c, 0);
    const b = encoding.param(c, count);
    const control = c.param('i32', 2 * count).get;
    shortcut(c, a, b, control);
    const ua = encoding.unpack(c, a, control);
    const ub = encoding.unpack(c, b, control);
    const either = c.let(i32.or(ua.info, ub.info));
    c.if(has(either, Info.NaN), () => {
      c.return(...encoding.propagate(c, a, b, ua, ub), invalidFlag(either));
    });
    const both = i32.and(ua.info, ub.info);
    const denormal = c.let(denormalFlag(either));
    emit({
      c,
      a,
      b,
      ua,
      ub,
      either,
      both,
      control,
      denormal,
      give: (value, flags) => c.return(...value, flags),
      round: (sign, exponent, high, low) => {
        const { value, flags } = encoding.pack(c, sign, exponent, high, low, control);
        c.return(...value, flagsAfter(encoding, denormal, control, flags));
      },
    });
    c.unreachable();
  });
}

const INVALID = i32.const(FloatFlag.IE);

function sum(o: Operation, core: Core, encoding: Encoding, negate: 0 | 1): void {
  const { c, ua, ub, either, both, control, denormal } = o;
  const signA = c.let(signOf(ua.info));
  const signB = c.let(i32.xor(signOf(ub.info), negate));
  c.if(has(both, Info.Finite), () => {
    const results = ['i32', 'i32', 'i64', 'i64'] as const;
    const rounding = encoding.rounding(control);
    const args = [signA, ua.exponent, ua.significand, signB, ub.exponent, ub.significand, rounding];
    const [sign, exponent, high, low] = call(c, core.add, results, ...args);
    c.if(i64.eqz(high), () => o.give(encoding.zero(sign), denormal));
    o.round(sign, exponent, high, low);
  });
  c.if(has(either, Info.Infinity), () => {
    c.if(i32.and(has(both, Info.Infinity), i32.ne(signA, signB)), () =>
      o.give(encoding.indefinite(), INVALID),
    );
    o.give(encoding.infinity(i32.select(has(ua.info, Info.Infinity), signA, signB)), denormal);
  });
  c.if(has(both, Info.Zero), () => {
    const mixed = i32.eq(encoding.rounding(control), 1);
    o.give(encoding.zero(i32.select(i32.eq(signA, signB), signA, mixed)), i32.const(0));
  });
  c.if(has(ua.info, Info.Finite), () => o.round(signA, ua.exponent, ua.significand, i64.const(0)));
  o.round(signB, ub.exponent, ub.significand, i64.const(0));
}

function product(o: Operation, core: Core, encoding: Encoding): void {
  const { c, ua, ub, either, both, denormal } = o;
  const sign = c.let(i32.xor(signOf(ua.info), signOf(ub.info)));
  c.if(has(both, Info.Finite), () => {
    const args = [ua.exponent, ua.significand, ub.exponent, ub.significand];
    const [exponent, high, low] = call(c, core.multiply, ['i32', 'i64', 'i64'], ...args);
    o.round(sign, exponent, high, low);
  });
  c.if(has(either, Info.Infinity), () => {
    c.if(has(either, Info.Zero), () => o.give(encoding.indefinite(), INVALID));
    o.give(encoding.infinity(sign), denormal);
  });
  o.give(encoding.zero(sign), denormal);
}

function quotient(o: Operation, core: Core, encoding: Encoding): void {
  const { c, ua, ub, both, denormal } = o;
  const sign = c.let(i32.xor(signOf(ua.info), signOf(ub.info)));
  c.if(has(both, Info.Finite), () => {
    const args = [ua.exponent, ua.significand, ub.exponent, ub.significand];
    const [exponent, high, low] = call(c, core.divide, ['i32', 'i64', 'i64'], ...args);
    o.round(sign, exponent, high, low);
  });
  c.if(has(both, Info.Infinity | Info.Zero), () => o.give(encoding.indefinite(), INVALID));
  c.if(has(ua.info, Info.Infinity), () => o.give(encoding.infinity(sign), denormal));
  // Division by zero comes before a denormal dividend.
  c.if(has(ub.info, Info.Zero), () => o.give(encoding.infinity(sign), i32.const(FloatFlag.ZE)));
  o.give(encoding.zero(sign), denormal);
}

function addSquareRoot(m: ModuleBuilder, core: Core, encoding: Encoding): Func {
  const { types } = encoding;
  return m.function([...types, 'i32'], [...types, 'i32'], (c) => {
    const a = encoding.param(c, 0);
    const control = c.param('i32', types.length).get;
    const ua = encoding.unpack(c, a, control);
    c.if(has(ua.info, Info.NaN), () => {
      c.return(...encoding.propagate(c, a, a, ua, ua), invalidFlag(ua.info));
    });
    const sign = signOf(ua.info);
    c.if(has(ua.info, Info.Zero), () => c.return(...encoding.zero(sign), i32.const(0)));
    c.if(sign, () => c.return(...encoding.indefinite(), INVALID));
    c.if(has(ua.info, Info.Infinity), () => c.return(...a, i32.const(0)));
    const before = c.let(denormalFlag(ua.info));
    const [exponent, high, low] = call(
      c,
      core.squareRoot,
      ['i32', 'i64', 'i64'],
      ua.exponent,
      ua.significand,
    );
    const { value, flags } = encoding.pack(c, i32.const(0), exponent, high, low, control);
    c.return(...value, flagsAfter(encoding, before, control, flags));
  });
}
