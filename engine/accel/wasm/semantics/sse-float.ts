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
import type { Code } from '../emit/code.ts';
import {
  f32, f32x4, f64, f64x2, i32, i32x4, i64, i64x2, v128, type Expr, type F32, type F64, type I32, type I64, type Type, type V128,
} from '../emit/expr.ts'; // prettier-ignore
import { call, FloatFlag, Mxcsr } from '../float/format.ts';
import type { Env } from './env.ts';
import type { Operand } from './form.ts';
import { helper, mxcsr, ZERO } from './sse-operand.ts';

/** MXCSR's DAZ, masks, rounding control, FTZ and PE, and their usual values. */
const USUAL_MASK = 0xffe0;
const USUAL = 0x1fa0;

/** True where MXCSR does not let inexact results pass without notice. */
export const unusual = (control: I32): I32 => i32.ne(i32.and(control, USUAL_MASK), USUAL);

/** How the library has values of a type: as their bits. */
type Bits<V extends 'f32' | 'f64' | 'v128'> = { f32: 'i32'; f64: 'i64'; v128: 'v128' }[V];

/**
 * Scalar or packed operands of one precision. `V` holds values, whose bits are kept whatever they are as long as
 * nothing is computed with them; `M` holds truth by element.
 */
export interface Shape<V extends 'f32' | 'f64' | 'v128', M extends 'i32' | 'v128'> {
  readonly suffix: 'ss' | 'sd' | 'ps' | 'pd';
  /** What the names of its library functions begin with. */
  readonly library: string;
  readonly type: V;
  readonly bitsType: Bits<V>;
  bits(v: Expr<V>): Expr<Bits<V>>;
  ofBits(v: Expr<Bits<V>>): Expr<V>;
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
  /** a < b ? a : b, and b < a ? a : b. */
  least(a: Expr<V>, b: Expr<V>): Expr<V>;
  greatest(a: Expr<V>, b: Expr<V>): Expr<V>;

  lt(a: Expr<V>, b: Expr<V>): Expr<M>;
  eq(a: Expr<V>, b: Expr<V>): Expr<M>;
  isZero(v: Expr<V>): Expr<M>;
  isNumber(v: Expr<V>): Expr<M>;
  isFinite(v: Expr<V>): Expr<M>;
  /** No denormal; where the result of an operation is finite, that its operands are ordinary. */
  isNormalized(v: Expr<V>): Expr<M>;
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
  /** Conditions of which none is true only where all of these hold in all elements. */
  unless(...all: ReadonlyArray<Expr<M>>): I32[];
}

// Comparing bits shifted left by one compares magnitudes.
const magnitude32 = (v: F32): I32 => i32.shl(i32.reinterpret(v), 1);
const magnitude64 = (v: F64): I64 => i64.shl(i64.reinterpret(v), 1);
const INFINITY_32 = 0xff00_0000;
const NORMAL_32 = 1 << 24;
const INFINITY_64 = 0xffe0_0000_0000_0000n;
const NORMAL_64 = 1n << 53n;
// Subtracting one makes zero the largest.
const isNormalized32 = (v: F32): I32 => i32.ge_u(i32.sub(magnitude32(v), 1), NORMAL_32 - 1);
const isNormalized64 = (v: F64): I32 => i64.ge_u(i64.sub(magnitude64(v), 1), NORMAL_64 - 1n);

export const SS: Shape<'f32', 'i32'> = {
  suffix: 'ss',
  library: 'f32',
  type: 'f32',
  bitsType: 'i32',
  bits: i32.reinterpret,
  ofBits: f32.reinterpret,
  read: (e, operand) => e.readFloat(operand, 'f32'),
  write: (e, operand, value) => e.writeN(operand, 4, value),
  ...scalarOperations(f32, f32x4),
  isZero: (v) => i32.eqz(magnitude32(v)),
  isNumber: (v) => i32.le_u(magnitude32(v), INFINITY_32),
  isFinite: (v) => i32.lt_u(magnitude32(v), INFINITY_32),
  isNormalized: isNormalized32,
  isOrdinary: (v) => i32.and(isNormalized32(v), i32.le_u(magnitude32(v), INFINITY_32)),
  isSafe: (v) => i32.lt_u(i32.sub(magnitude32(v), NORMAL_32 + 1), INFINITY_32 - NORMAL_32 - 1),
  toMask: (m, inverted) => f32.reinterpret(i32.sub(0, i32.xor(m, inverted))),
};

export const SD: Shape<'f64', 'i32'> = {
  suffix: 'sd',
  library: 'f64',
  type: 'f64',
  bitsType: 'i64',
  bits: i64.reinterpret,
  ofBits: f64.reinterpret,
  read: (e, operand) => e.readFloat(operand, 'f64'),
  write: (e, operand, value) => e.writeN(operand, 8, value),
  ...scalarOperations(f64, f64x2),
  isZero: (v) => i64.eqz(magnitude64(v)),
  isNumber: (v) => i64.le_u(magnitude64(v), INFINITY_64),
  isFinite: (v) => i64.lt_u(magnitude64(v), INFINITY_64),
  isNormalized: isNormalized64,
  isOrdinary: (v) => i32.and(isNormalized64(v), i64.le_u(magnitude64(v), INFINITY_64)),
  isSafe: (v) => i64.lt_u(i64.sub(magnitude64(v), NORMAL_64 + 1n), INFINITY_64 - NORMAL_64 - 1n),
  toMask: (m, inverted) => f64.reinterpret(i64.sub(0, i64.extend_u(i32.xor(m, inverted)))),
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

function scalarOperations<F extends 'f32' | 'f64'>(
  float: FloatOperations<F>,
  vector: {
    splat(a: Expr<F>): V128;
    extract(v: V128, element: number): Expr<F>;
    pmin(a: V128, b: V128): V128;
    pmax(a: V128, b: V128): V128;
  },
) {
  type Value = Expr<F>;
  // There is no such operation on scalars; pmin(b, a) is a < b ? a : b.
  const inVector = (op: (a: V128, b: V128) => V128) => (a: Value, b: Value) =>
    vector.extract(op(vector.splat(b), vector.splat(a)), 0);
  return {
    add: float.add,
    sub: float.sub,
    mul: float.mul,
    div: float.div,
    sqrt: float.sqrt,
    nearest: float.nearest,
    floor: float.floor,
    ceil: float.ceil,
    trunc: float.trunc,
    least: inVector(vector.pmin),
    greatest: inVector(vector.pmax),
    lt: float.lt,
    eq: float.eq,
    isBelow: (v: Value, bound: number) => float.lt(float.abs(v), float.const(bound)),
    isAtLeast: (v: Value, bound: number) => float.ge(float.abs(v), float.const(bound)),
    and: (a: I32, b: I32) => i32.and(a, b),
    or: (a: I32, b: I32) => i32.or(a, b),
    pick: (condition: I32, a: I32, b: I32) => i32.select(condition, a, b),
    holds: (m: I32) => m,
    unless: (...all: readonly I32[]) => all.map((each) => i32.eqz(each)),
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
  const isOrdinary = (v: V128) =>
    v128.or(vector.ge(vector.abs(v), splat(smallestNormal)), vector.eq(v, ZERO));
  return {
    suffix,
    library,
    type: 'v128',
    bitsType: 'v128',
    bits: (v) => v,
    ofBits: (v) => v,
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
    least: (a, b) => vector.pmin(b, a),
    greatest: (a, b) => vector.pmax(b, a),
    lt: vector.lt,
    eq: vector.eq,
    isZero: (v) => vector.eq(v, ZERO),
    isNumber: (v) => vector.eq(v, v),
    isFinite,
    isNormalized: isOrdinary,
    isOrdinary,
    isSafe: (v) => v128.and(vector.gt(vector.abs(v), splat(smallestNormal)), isFinite(v)),
    isBelow: (v, bound) => vector.lt(vector.abs(v), splat(bound)),
    isAtLeast: (v, bound) => vector.ge(vector.abs(v), splat(bound)),
    and: v128.and,
    or: v128.or,
    pick: (condition, a, b) => v128.select(condition, a, b),
    toMask: (m, inverted) => v128.xor(m, i32x4.splat(i32.sub(0, inverted))),
    holds: allTrue,
    unless: (...all) => [i32.eqz(allTrue(all.reduce((a, b) => v128.and(a, b))))],
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

/** Does something where one of some conditions holds, which is rarely so. */
export function inDoubt(c: Code, doubts: readonly I32[], then: () => void): void {
  c.block((done) => {
    c.block((doubted) => {
      for (const doubt of doubts) c.brIf(doubted, doubt, 'unlikely');
      c.br(done);
    });
    then();
  });
}

/**
 * A native result where it will do, else the library's. Bound.
 *
 * @param doubts conditions of which one is true where the native result (bound) may be wrong, or a flag is to be raised
 * @param exact calls the library: result and flags
 * @param isFine where there is doubt: whether the native result is right all the same
 */
export function checked<T extends Type>(
  e: Env,
  native: Expr<T>,
  doubts: (result: Expr<T>) => readonly I32[],
  exact: (control: I32) => readonly [Expr<T>, I32],
  isFine?: (result: Expr<T>) => I32,
): Expr<T> {
  const c = e.c;
  const result = c.local(native.type);
  c.set(result, native);
  const byLibrary = (): void => {
    const [value, flags] = exact(mxcsr(e));
    settle(e, flags);
    c.set(result, value);
  };
  inDoubt(c, doubts(result.get), () => {
    if (isFine === undefined) byLibrary();
    else c.if(i32.eqz(isFine(result.get)), byLibrary);
  });
  return result.get;
}

/** A call of a shape's library function that gives a value and flags. */
export const exactly =
  <V extends 'f32' | 'f64' | 'v128'>(
    e: Env,
    shape: Shape<V, 'i32' | 'v128'>,
    name: string,
    ...args: readonly Expr[]
  ) =>
  (control: I32): readonly [Expr<V>, I32] => {
    const [value, flags] = call(e.c, helper(e, name), [shape.bitsType, 'i32'], ...args, control);
    return [shape.ofBits(value), flags];
  };
