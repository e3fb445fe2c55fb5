/**
 * Arithmetic flags.
 *
 * They are kept as what they follow from, not as bits, so that the many instructions whose flags nobody
 * reads pay two stores. `flagsRes` is the result sign-extended to 64 bits; `flagsAux` holds, of the vector
 * of carries out of each bit position, the carry out of the top bit (CF, bit 31), out of the one below
 * (bit 30; OF is the exclusive or of the two) and out of bit 3 (AF, bit 3). Bits 8-15 are exclusive-ored
 * into the parity byte and bit 0 into the sign, for values that no result has (POPF, SAHF and the like).
 *
 * Flags: Intel SDM 1, 3.4.3.1.
 */
import { i32, i64, type Expr, type I32, type I64 } from '../emit/expr.ts';
import type { FlagSource } from './flag-source.ts';
import type { Env } from './env.ts';
import type { Size } from './form.ts';
import { ops, topBit } from './ops.ts';

const CARRIES = 0xc000_0008 | 0;

/** Sign-extends a value of `size` bytes (i32 below 8, i64 for 8) to 64 bits. */
export function signExtend(value: Expr, size: Size): I64 {
  if (size === 8) return value as I64;
  const v = value as I32;
  return i64.extend_s(size === 1 ? i32.extend8_s(v) : size === 2 ? i32.extend16_s(v) : v);
}

function setResult(e: Env, result: Expr, size: Size): void {
  e.setFlagsResult(signExtend(result, size));
}

function setAux(e: Env, aux: I32 | number): void {
  e.setFlagsCarries(aux);
}

/** Brings a vector of carries into the positions of flagsAux. */
function carriesToAux(carries: Expr, size: Size, e: Env): I32 {
  if (size === 8) {
    const c = e.c.let(carries as I64);
    return i32.or(i32.and(i32.wrap(i64.shr_u(c, 32)), 0xc000_0000 | 0), i32.and(i32.wrap(c), 8));
  }
  if (size === 4) return i32.and(carries as I32, CARRIES);
  const c = e.c.let(carries as I32);
  return i32.or(i32.and(i32.shl(c, 32 - 8 * size), 0xc000_0000 | 0), i32.and(c, 8));
}

/** Sets flags now, or leaves it to the environment. */
function flagsFrom(e: Env, source: FlagSource): void {
  if (!e.deferFlags(source)) source.compute();
}

/** Flags of `result` = a + b: all six. */
export function flagsAdd(e: Env, a: Expr, b: Expr, result: Expr, size: Size = e.size): void {
  flagsFrom(e, { kind: 'add', a, b, result, size, compute: () => computeAdd(e, a, b, result, size) });
}

/** Flags of `result` = a - b: all six. */
export function flagsSub(e: Env, a: Expr, b: Expr, result: Expr, size: Size = e.size): void {
  flagsFrom(e, { kind: 'sub', a, b, result, size, compute: () => computeSub(e, a, b, result, size) });
}

/** Flags of `result` = a + b + carry, all six; as a - b - borrow by {@link flagsSubBorrow}. */
export function flagsAddCarry(e: Env, a: Expr, b: Expr, result: Expr): void {
  const { size } = e;
  flagsFrom(e, {
    kind: 'other', result, size,
    compute: () => computeAdd(e, a, b, result, size),
    carry: () => topBit(addCarries(a, b, result, size), size),
  }); // prettier-ignore
}

export function flagsSubBorrow(e: Env, a: Expr, b: Expr, result: Expr): void {
  const { size } = e;
  flagsFrom(e, {
    kind: 'other', result, size,
    compute: () => computeSub(e, a, b, result, size),
    carry: () => topBit(subCarries(a, b, result, size), size),
  }); // prettier-ignore
}

/** The vector of carries out of each bit of a sum. */
function addCarries(a: Expr, b: Expr, result: Expr, size: Size): Expr {
  const o = ops(size);
  return o.or(o.and(a, b), o.and(o.or(a, b), o.not(result)));
}

/** The vector of borrows out of each bit of a difference. */
function subCarries(a: Expr, b: Expr, result: Expr, size: Size): Expr {
  const o = ops(size);
  return o.or(o.and(o.not(a), b), o.and(o.or(o.not(a), b), result));
}

function computeAdd(e: Env, a: Expr, b: Expr, result: Expr, size: Size): void {
  setResult(e, result, size);
  setAux(e, carriesToAux(addCarries(a, b, result, size), size, e));
}

function computeSub(e: Env, a: Expr, b: Expr, result: Expr, size: Size): void {
  setResult(e, result, size);
  setAux(e, carriesToAux(subCarries(a, b, result, size), size, e));
}

/** Flags of a logical result: SF, ZF, PF; CF, OF and AF cleared (AF is undefined; hardware clears it). */
export function flagsLogic(e: Env, result: Expr, size: Size = e.size): void {
  flagsFrom(e, { kind: 'logic', result, size, compute: () => computeLogic(e, result, size) });
}

function computeLogic(e: Env, result: Expr, size: Size): void {
  setResult(e, result, size);
  setAux(e, 0);
}

/** SF, ZF and PF by `result`, with CF, OF and AF as given (each 0 or 1; of bound values alone). */
export function flagsExplicit(
  e: Env,
  result: Expr,
  cf: I32 | (() => I32),
  of: I32 | (() => I32),
  af: I32 | number = 0,
  size: Size = e.size,
): void {
  const carry = typeof cf === 'function' ? cf : () => cf;
  const overflow = typeof of === 'function' ? of : () => of;
  const compute = (): void => {
    const c = e.c.let(carry());
    const o = carry === overflow ? c : overflow();
    const aux = i32.or(i32.shl(c, 31), i32.shl(i32.xor(c, o), 30));
    const whole = e.c.let(typeof af === 'number' && af === 0 ? aux : i32.or(aux, i32.shl(af, 3)));
    setResult(e, result, size);
    setAux(e, whole);
  };
  flagsFrom(e, { kind: 'other', result, size, compute, carry, overflow });
}

/** INC and DEC: as add or sub of one (`b`), with CF left as it was. */
export function flagsStep(e: Env, kind: 'add' | 'sub', a: Expr, b: Expr, result: Expr): void {
  const { size } = e;
  const compute = (): void => {
    const old = e.c.let(carryFlag(e));
    (kind === 'add' ? computeAdd : computeSub)(e, a, b, result, size);
    const aux = e.c.let(e.flagsCarries());
    // OF is bit 31 ^ bit 30: changing CF alone means changing both.
    const differs = e.c.let(i32.xor(i32.shr_u(aux, 31), old));
    setAux(e, i32.xor(aux, i32.or(i32.shl(differs, 31), i32.shl(differs, 30))));
  };
  flagsFrom(e, { kind, a, b, result, size, keeps: 'carry', compute });
}

/** Changes CF and OF (each 0 or 1, of bound values alone) and leaves the others: rotates. */
export function setCarryOverflow(e: Env, cf: I32, of: I32): void {
  const compute = (): void => {
    const carry = e.c.let(cf);
    const rest = i32.and(e.flagsCarries(), 0x3fff_ffff);
    setAux(e, i32.or(rest, i32.or(i32.shl(carry, 31), i32.shl(i32.xor(carry, of), 30))));
  };
  flagsFrom(e, { kind: 'other', size: e.size, keeps: 'rest', compute, carry: () => cf, overflow: () => of });
}

/** Changes CF alone (0 or 1, of bound values alone). */
export function setCarry(e: Env, cf: I32): void {
  const compute = (): void => {
    const carry = e.c.let(cf);
    const of = e.c.let(overflowFlag(e));
    const rest = i32.and(e.flagsCarries(), 0x3fff_ffff);
    setAux(e, i32.or(rest, i32.or(i32.shl(carry, 31), i32.shl(i32.xor(carry, of), 30))));
  };
  flagsFrom(e, { kind: 'other', size: e.size, keeps: 'rest', compute, carry: () => cf });
}

/**
 * Sets all six flags from a word with the flags in their RFLAGS positions; other bits are ignored.
 */
export function setArithmeticFlags(e: Env, word: I32): void {
  const w = e.c.let(word);
  const bit = (n: number) => i32.and(i32.shr_u(w, n), 1);
  const zf = e.c.let(bit(6));
  // A result that is zero or one as ZF wants; parity and sign are then bent to fit.
  setResult(e, i64.extend_u(i32.xor(zf, 1)), 8);
  const cf = e.c.let(bit(0));
  // Result 0 has even parity and result 1 odd: the delta is 1 where that differs from PF.
  const parityDelta = i32.xor(bit(2), zf);
  setAux(
    e,
    i32.or(
      i32.or(i32.shl(cf, 31), i32.shl(i32.xor(cf, bit(11)), 30)),
      i32.or(i32.or(i32.shl(bit(4), 3), i32.shl(parityDelta, 8)), bit(7)),
    ),
  );
}

/** The same from a bound word with SF, OF and AF clear: comparisons of numbers. */
export function flagsCompare(e: Env, word: I32): void {
  const bit = (n: number) => (): I32 => i32.and(i32.shr_u(word, n), 1);
  flagsFrom(e, {
    kind: 'other', size: 4, compute: () => setArithmeticFlags(e, word),
    carry: bit(0), parity: bit(2), zero: bit(6), overflow: () => i32.const(0),
  }); // prettier-ignore
}

const aux = (e: Env): I32 => e.flagsCarries();
const res = (e: Env): I64 => e.flagsResult();

/** CF as 0 or 1. */
export const carryFlag = (e: Env): I32 => i32.shr_u(aux(e), 31);
/** OF as 0 or 1. */
export const overflowFlag = (e: Env): I32 => {
  const a = e.c.let(aux(e));
  return i32.shr_u(i32.xor(a, i32.shl(a, 1)), 31);
};
/** ZF as 0 or 1. */
export const zeroFlag = (e: Env): I32 => i64.eqz(res(e));
/** SF as 0 or 1. */
export const signFlag = (e: Env): I32 => i32.xor(i32.wrap(i64.shr_u(res(e), 63)), i32.and(aux(e), 1));
/** PF as 0 or 1. */
export const parityFlag = (e: Env): I32 =>
  i32.and(i32.xor(i32.popcnt(i32.and(i32.xor(i32.wrap(res(e)), i32.shr_u(aux(e), 8)), 0xff)), 1), 1);
/** AF as 0 or 1. */
export const adjustFlag = (e: Env): I32 => i32.and(i32.shr_u(aux(e), 3), 1);

/** All six in their RFLAGS positions, bit 1 set. Bound. */
export function arithmeticFlags(e: Env): I32 {
  let word: I32 = i32.or(carryFlag(e), 2);
  for (const [flag, at] of [
    [parityFlag(e), 2],
    [adjustFlag(e), 4],
    [zeroFlag(e), 6],
    [signFlag(e), 7],
    [overflowFlag(e), 11],
  ] as const) {
    word = i32.or(word, i32.shl(flag, at));
  }
  return e.c.let(word);
}

/** Condition codes by number, as in Jcc, SETcc and CMOVcc (SDM 1, appendix B): true is non-zero. */
export function condition(e: Env, code: number): I32 {
  const deferred = e.deferredCondition(code);
  if (deferred !== undefined) return deferred;
  const positive = ((): I32 => {
    switch (code >> 1) {
      case 0:
        return overflowFlag(e);
      case 1:
        return carryFlag(e);
      case 2:
        return zeroFlag(e);
      case 3:
        return i32.or(carryFlag(e), zeroFlag(e));
      case 4:
        return signFlag(e);
      case 5:
        return parityFlag(e);
      case 6:
        return i32.xor(signFlag(e), overflowFlag(e));
      default:
        return i32.or(i32.xor(signFlag(e), overflowFlag(e)), zeroFlag(e));
    }
  })();
  return code & 1 ? i32.eqz(positive) : positive;
}
