/**
 * How SSE floating point is done: natively where that can be seen to give what the manual says, else by the
 * exact library.
 *
 * A native result is taken where MXCSR is as programs mostly have it (all exceptions masked, rounding to nearest,
 * neither FTZ nor DAZ, and the precision flag set already, which the first inexact result does) and no flag but
 * that one can be raised: no operand is a denormal or a NaN and the result is neither tiny nor infinite. Then
 * the processor that runs us does the very operation that the guest's would.
 *
 * One description, {@link Shape}, serves scalar and packed operands of both precisions.
 *
 * Intel SDM volume 1, 4.8.4 (rounding), 4.9 (exceptions), 11.5 (SIMD floating-point exceptions).
 */
import type { Code, Func } from '../emit/code.ts';
import {
  f32, f32x4, f64, f64x2, i32, i32x4, i64, i64x2, v128, type Expr, type I32, type I64, type In, type Type, type V128,
} from '../emit/expr.ts'; // prettier-ignore
import { call, FloatFlag, Mxcsr } from '../float/format.ts';
import type { Env } from './env.ts';
import type { Operand } from './form.ts';
import { helper, mxcsr, read32, read64, ZERO } from './sse-operand.ts';

/** MXCSR's DAZ, masks, rounding control, FTZ and PE, and their usual values. */
const USUAL_MASK = 0xffe0;
const USUAL = 0x1fa0;

/** True where MXCSR lets inexact results pass without notice. */
export const usual = (control: I32): I32 => i32.eq(i32.and(control, USUAL_MASK), USUAL);

/** Scalar or packed operands of one precision. `V` holds values as their bits; `M`, truth by element. */
export interface Shape<V extends 'i32' | 'i64' | 'v128', M extends 'i32' | 'v128'> {
  readonly suffix: 'ss' | 'sd' | 'ps' | 'pd';
  /** What the names of its library functions begin with. */
  readonly library: string;
  readonly type: V;
  /** Bound. */
  read(e: Env, operand: Operand): Expr<V>;
  /** Leaves the other elements of the register as they are. */
  write(e: Env, operand: Operand, value: Expr<V>): void;

  add(a: Expr<V>, b: Expr<V>): Expr<V>;
  sub(a: Expr<V>, b: Expr<V>): Expr<V>;
  mul(a: Expr<V>, b: Expr<V>): Expr<V>;
  div(a: Expr<V>, b: Expr<V>): Expr<V>;
  sqrt(a: Expr<V>): Expr<V>;
  nearest(a: Expr<V>): Expr<V>;
  floor(a: Expr<V>): Expr<V>;
  ceil(a: Expr<V>): Expr<V>;
  trunc(a: Expr<V>): Expr<V>;
  /** a where the comparison holds, else b. */
  select(condition: Expr<M>, a: Expr<V>, b: Expr<V>): Expr<V>;

  lt(a: Expr<V>, b: Expr<V>): Expr<M>;
  eq(a: Expr<V>, b: Expr<V>): Expr<M>;
  isZero(v: Expr<V>): Expr<M>;
  isNumber(v: Expr<V>): Expr<M>;
  isFinite(v: Expr<V>): Expr<M>;
  /** Zero, normal or infinite. */
  isOrdinary(v: Expr<V>): Expr<M>;
  /** Finite and above the smallest normal number in magnitude: so neither rounding made it so large nor a
   * tiny result so small that a flag is due. */
  isSafe(v: Expr<V>): Expr<M>;
  /** Below a bound in magnitude; at it or above. */
  isBelow(v: Expr<V>, bound: number): Expr<M>;
  isAtLeast(v: Expr<V>, bound: number): Expr<M>;

  and(a: Expr<M>, b: Expr<M>): Expr<M>;
  or(a: Expr<M>, b: Expr<M>): Expr<M>;
  /** One of two by a condition on all elements. */
  pick(condition: I32, a: Expr<M>, b: Expr<M>): Expr<M>;
  /** All ones where true, with `inverted` (0 or 1) where false. */
  toMask(m: Expr<M>, inverted: I32): Expr<V>;
  /** True in all elements. */
  holds(m: Expr<M>): I32;
}

// Comparing bits shifted left by one compares magnitudes.
const magnitude32 = (v: I32): I32 => i32.shl(v, 1);
const magnitude64 = (v: I64): I64 => i64.shl(v, 1);
const INFINITY_32 = 0xff00_0000;
const NORMAL_32 = 1 << 24;
const INFINITY_64 = 0xffe0_0000_0000_0000n;
const NORMAL_64 = 1n << 53n;

export const SS: Shape<'i32', 'i32'> = {
  suffix: 'ss',
  library: 'f32',
  type: 'i32',
  read: read32,
  write: (e, operand, value) => e.writeN(operand, 4, value),
  ...scalarOperations(f32, f32.reinterpret, i32.reinterpret),
  select: i32.select,
  isZero: (v) => i32.eqz(magnitude32(v)),
  isNumber: (v) => i32.le_u(magnitude32(v), INFINITY_32),
  isFinite: (v) => i32.lt_u(magnitude32(v), INFINITY_32),
  // Subtracting one makes zero the largest.
  isOrdinary: (v) =>
    i32.and(i32.ge_u(i32.sub(magnitude32(v), 1), NORMAL_32 - 1), i32.le_u(magnitude32(v), INFINITY_32)),
  isSafe: (v) => i32.lt_u(i32.sub(magnitude32(v), NORMAL_32 + 1), INFINITY_32 - NORMAL_32 - 1),
  toMask: (m, inverted) => i32.sub(0, i32.xor(m, inverted)),
};

export const SD: Shape<'i64', 'i32'> = {
  suffix: 'sd',
  library: 'f64',
  type: 'i64',
  read: read64,
  write: (e, operand, value) => e.writeN(operand, 8, value),
  ...scalarOperations(f64, f64.reinterpret, i64.reinterpret),
  select: i64.select,
  isZero: (v) => i64.eqz(magnitude64(v)),
  isNumber: (v) => i64.le_u(magnitude64(v), INFINITY_64),
  isFinite: (v) => i64.lt_u(magnitude64(v), INFINITY_64),
  isOrdinary: (v) =>
    i32.and(i64.ge_u(i64.sub(magnitude64(v), 1), NORMAL_64 - 1n), i64.le_u(magnitude64(v), INFINITY_64)),
  isSafe: (v) => i64.lt_u(i64.sub(magnitude64(v), NORMAL_64 + 1n), INFINITY_64 - NORMAL_64 - 1n),
  toMask: (m, inverted) => i64.sub(0, i64.extend_u(i32.xor(m, inverted))),
};

/** What WebAssembly offers for f32 and f64 alike. */
interface FloatOperations<F extends 'f32' | 'f64'> {
  add(a: Expr<F>, b: Expr<F>): Expr<F>;
  sub(a: Expr<F>, b: Expr<F>): Expr<F>;
  mul(a: Expr<F>, b: Expr<F>): Expr<F>;
  div(a: Expr<F>, b: Expr<F>): Expr<F>;
  sqrt(a: Expr<F>): Expr<F>;
  nearest(a: Expr<F>): Expr<F>;
  floor(a: Expr<F>): Expr<F>;
  ceil(a: Expr<F>): Expr<F>;
  trunc(a: Expr<F>): Expr<F>;
  abs(a: Expr<F>): Expr<F>;
  lt(a: Expr<F>, b: Expr<F>): I32;
  ge(a: Expr<F>, b: Expr<F>): I32;
  eq(a: Expr<F>, b: Expr<F>): I32;
  const(value: number): Expr<F>;
}

function scalarOperations<B extends 'i32' | 'i64', F extends 'f32' | 'f64'>(
  float: FloatOperations<F>,
  toFloat: (bits: Expr<B>) => Expr<F>,
  toBits: (value: Expr<F>) => Expr<B>,
) {
  type Bits = Expr<B>;
  const unary = (op: (a: Expr<F>) => Expr<F>) => (a: Bits) => toBits(op(toFloat(a)));
  const binary = (op: (a: Expr<F>, b: Expr<F>) => Expr<F>) => (a: Bits, b: Bits) =>
    toBits(op(toFloat(a), toFloat(b)));
  const test = (op: (a: Expr<F>, b: Expr<F>) => I32) => (a: Bits, b: Bits) => op(toFloat(a), toFloat(b));
  return {
    add: binary(float.add),
    sub: binary(float.sub),
    mul: binary(float.mul),
    div: binary(float.div),
    sqrt: unary(float.sqrt),
    nearest: unary(float.nearest),
    floor: unary(float.floor),
    ceil: unary(float.ceil),
    trunc: unary(float.trunc),
    lt: test(float.lt),
    eq: test(float.eq),
    isBelow: (v: Bits, bound: number) => float.lt(float.abs(toFloat(v)), float.const(bound)),
    isAtLeast: (v: Bits, bound: number) => float.ge(float.abs(toFloat(v)), float.const(bound)),
    and: (a: I32, b: I32) => i32.and(a, b),
    or: (a: I32, b: I32) => i32.or(a, b),
    pick: (condition: I32, a: I32, b: I32) => i32.select(condition, a, b),
    holds: (m: I32) => m,
  };
}

export const PS: Shape<'v128', 'v128'> = packedShape(
  'ps',
  'f32x4',
  f32x4,
  (value) => f32x4.splat(value),
  2 ** -126,
  i32x4.all_true,
);

export const PD: Shape<'v128', 'v128'> = packedShape(
  'pd',
  'f64x2',
  f64x2,
  (value) => f64x2.splat(value),
  2 ** -1022,
  i64x2.all_true,
);

function packedShape(
  suffix: 'ps' | 'pd',
  library: string,
  vector: typeof f32x4 | typeof f64x2,
  splat: (value: number) => V128,
  smallestNormal: number,
  allTrue: (m: V128) => I32,
): Shape<'v128', 'v128'> {
  const isFinite = (v: V128) => vector.lt(vector.abs(v), splat(Infinity));
  return {
    suffix,
    library,
    type: 'v128',
    read: (e, operand) => e.readV(operand),
    write: (e, operand, value) => e.writeV(operand, value),
    add: vector.add,
    sub: vector.sub,
    mul: vector.mul,
    div: vector.div,
    sqrt: vector.sqrt,
    nearest: vector.nearest,
    floor: vector.floor,
    ceil: vector.ceil,
    trunc: vector.trunc,
    select: (condition, a, b) => v128.bitselect(a, b, condition),
    lt: vector.lt,
    eq: vector.eq,
    isZero: (v) => vector.eq(v, ZERO),
    isNumber: (v) => vector.eq(v, v),
    isFinite,
    isOrdinary: (v) => v128.or(vector.ge(vector.abs(v), splat(smallestNormal)), vector.eq(v, ZERO)),
    isSafe: (v) => v128.and(vector.gt(vector.abs(v), splat(smallestNormal)), isFinite(v)),
    isBelow: (v, bound) => vector.lt(vector.abs(v), splat(bound)),
    isAtLeast: (v, bound) => vector.ge(vector.abs(v), splat(bound)),
    and: v128.and,
    or: v128.or,
    pick: (condition, a, b) => v128.select(condition, a, b),
    toMask: (m, inverted) => v128.xor(m, i32x4.splat(i32.sub(0, inverted))),
    holds: allTrue,
  };
}

/** Adds flags to MXCSR, and leaves with #XM (or #UD) where one is not masked (SDM 1, 11.5.2). */
export function settle(e: Env, flags: I32): void {
  if (e.vex?.keepFlags(flags) === true) return;
  const vector = e.c.let(e.c.call('i32', helper(e, 'sse.exceptions'), e.cpu, flags));
  e.c.if(vector, () => e.raiseDynamic(vector));
}

/**
 * The same for the exceptions of both lanes of a VEX form: where one that is not masked comes before the operation, none
 * of those that come after it (SDM 1, 11.5.3).
 */
export function settleLanes(e: Env, flags: I32): void {
  const before = FloatFlag.IE | FloatFlag.DE | FloatFlag.ZE;
  const masks = i32.shr_u(mxcsr(e), Mxcsr.MaskShift);
  const stopped = i32.and(flags, i32.and(i32.xor(masks, -1), before));
  settle(e, e.c.let(i32.select(stopped, i32.and(flags, before), flags)));
}

/**
 * A native result where it will do, else the library's. Bound.
 *
 * @param isFine whether the native result (bound) is right, with no flag to be raised
 * @param exact calls the library: result and flags
 */
export function checked<T extends Type>(
  e: Env,
  native: Expr<T>,
  isFine: (result: Expr<T>) => I32,
  exact: (control: I32) => readonly [Expr<T>, I32],
): Expr<T> {
  const c = e.c;
  const result = c.local(native.type);
  c.set(result, native);
  c.if(i32.eqz(isFine(result.get)), () => {
    const [value, flags] = exact(mxcsr(e));
    settle(e, flags);
    c.set(result, value);
  });
  return result.get;
}

/** A call of a library function that gives a value of a shape and flags. */
export const exactly =
  <V extends Type>(c: Code, func: Func, type: V, ...args: ReadonlyArray<In<Type>>) =>
  (control: I32): readonly [Expr<V>, I32] => {
    const [value, flags] = call(c, func, [type, 'i32'], ...args, control);
    return [value, flags];
  };
