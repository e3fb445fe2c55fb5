/** Integer operations by operand size: 8 bytes work on i64, less on i32 (with rubbish allowed above). */
import { i32, i64, type Expr, type I32, type I64, type In } from '../emit/expr.ts';
import type { Size } from './form.ts';

type Arg = Expr | number | bigint;

const NAMES = ['add', 'sub', 'mul', 'and', 'or', 'xor', 'shl', 'shr_s', 'shr_u', 'rotl', 'rotr'] as const;
const TESTS = ['eq', 'ne', 'lt_s', 'lt_u', 'gt_u', 'ge_u'] as const;

export type Ops = Record<(typeof NAMES)[number], (a: Arg, b: Arg) => Expr> &
  Record<(typeof TESTS)[number], (a: Arg, b: Arg) => I32> & {
    eqz(a: Arg): I32;
    not(a: Arg): Expr;
    select(condition: In<'i32'>, a: Arg, b: Arg): Expr;
    /** A 0/1 i32 or a count widened to the type. */
    from(a: I32): Expr;
    /** The low 32 bits. */
    low(a: Expr): I32;
    const(value: bigint | number): Expr;
  };

const of = (wide: boolean): Ops => {
  const table: Record<string, unknown> = {};
  for (const name of [...NAMES, ...TESTS]) {
    table[name] = wide
      ? (a: Arg, b: Arg) => i64[name](a as I64, b as I64)
      : (a: Arg, b: Arg) => i32[name](a as I32, b as I32);
  }
  table.eqz = wide ? (a: Arg) => i64.eqz(a as I64) : (a: Arg) => i32.eqz(a as I32);
  table.not = wide ? (a: Arg) => i64.xor(a as I64, -1) : (a: Arg) => i32.xor(a as I32, -1);
  table.select = wide
    ? (c: In<'i32'>, a: Arg, b: Arg) => i64.select(c, a as I64, b as I64)
    : (c: In<'i32'>, a: Arg, b: Arg) => i32.select(c, a as I32, b as I32);
  table.from = wide ? (a: I32) => i64.extend_u(a) : (a: I32) => a;
  table.low = wide ? (a: Expr) => i32.wrap(a as I64) : (a: Expr) => a;
  table.const = wide ? (v: bigint | number) => i64.const(v) : (v: bigint | number) => i32.const(Number(v));
  return table as Ops;
};

const WIDE = of(true);
const NARROW = of(false);

/** Operators for values of `size` bytes: i64's for 8, i32's for less. */
export const ops = (size: Size): Ops => (size === 8 ? WIDE : NARROW);

/** Bit `n` of a value of the given size, as 0 or 1. */
export const bit = (value: Expr, n: number, size: Size): I32 =>
  size === 8 ? i32.and(i32.wrap(i64.shr_u(value as I64, n)), 1) : i32.and(i32.shr_u(value as I32, n), 1);

/** The top bit. */
export const topBit = (value: Expr, size: Size): I32 => bit(value, 8 * size - 1, size);

/** Zero-extends within the type: clears what lies above the operand. */
export const zeroExtend = (value: Expr, size: Size): Expr =>
  size === 1 ? i32.and(value as I32, 0xff) : size === 2 ? i32.and(value as I32, 0xffff) : value;

/** Sign-extends within the type. */
export const signExtendIn = (value: Expr, size: Size): Expr =>
  size === 1 ? i32.extend8_s(value as I32) : size === 2 ? i32.extend16_s(value as I32) : value;
