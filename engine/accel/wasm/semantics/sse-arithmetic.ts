/**
 * Floating-point arithmetic, minima and maxima, square roots, horizontal operations, dot products, rounding to
 * integral values, and the approximations.
 *
 * Intel SDM volume 1, 10.4.1, 11.4.1, 12.3 (SSE3), 12.10 (SSE4.1); each instruction in volume 2.
 */
import { f32x4, i32, i32x4, v128, type Expr, type I32, type V128 } from '../emit/expr.ts';
import { call } from '../float/format.ts';
import { define } from './registry.ts';
import type { Env } from './env.ts';
import { checked, exactly, PD, PS, SD, SS, unusual, type Shape } from './sse-float.ts';
import { dwords, field, helper, imm8, mxcsr, readLow } from './sse-operand.ts';

type ValueType = 'f32' | 'f64' | 'v128';
type MaskType = 'i32' | 'v128';
type Operation = 'add' | 'sub' | 'mul' | 'div';

/** Conditions of which one is true where a native result may need more than the precision flag. `a` and `b` are bound. */
function doubts<V extends ValueType, M extends MaskType>(
  shape: Shape<V, M>,
  operation: Operation,
  a: Expr<V>,
  b: Expr<V>,
  result: Expr<V>,
): I32[] {
  // A tiny sum is exact, so only its overflow matters.
  const isRight = operation === 'add' || operation === 'sub' ? shape.isFinite(result) : shape.isSafe(result);
  return shape.unless(shape.isNormalized(a), shape.isNormalized(b), isRight);
}

/** Whether a product or quotient needs nothing but the precision flag, by element: also where it is zero exactly. */
function isFine<V extends ValueType, M extends MaskType>(
  shape: Shape<V, M>,
  operation: 'mul' | 'div',
  a: Expr<V>,
  b: Expr<V>,
  result: Expr<V>,
): Expr<M> {
  const zeroOperand = operation === 'mul' ? shape.or(shape.isZero(a), shape.isZero(b)) : shape.isZero(a);
  const exactZero = shape.and(shape.isZero(result), zeroOperand);
  const operands = shape.and(shape.isOrdinary(a), shape.isOrdinary(b));
  return shape.and(operands, shape.or(shape.isSafe(result), exactZero));
}

function arithmetic<V extends ValueType, M extends MaskType>(shape: Shape<V, M>): void {
  for (const operation of ['add', 'sub', 'mul', 'div'] as const) {
    define(`${operation}${shape.suffix}`, (e) => {
      const [target, operand] = e.operands;
      const b = shape.read(e, operand);
      const a = shape.read(e, target);
      shape.write(e, target, dyadic(e, shape, operation, a, b));
    });
  }
  define(`sqrt${shape.suffix}`, (e) => {
    const [target, operand] = e.operands;
    const a = shape.read(e, operand);
    // A negative operand gives a NaN.
    const inDoubt = (result: Expr<V>) => [
      unusual(mxcsr(e)),
      ...shape.unless(shape.isNormalized(a), shape.isFinite(result)),
    ];
    const exact = exactly(e, shape, `${shape.library}.sqrt`, shape.bits(a));
    shape.write(e, target, checked(e, shape.sqrt(a), inDoubt, exact));
  });
  // The second operand comes out where the comparison does not hold: for NaNs, and for two zeros.
  for (const [name, of] of [
    ['min', shape.least],
    ['max', shape.greatest],
  ] as const) {
    define(`${name}${shape.suffix}`, (e) => {
      const [target, operand] = e.operands;
      const b = shape.read(e, operand);
      const a = shape.read(e, target);
      const inDoubt = () => shape.unless(shape.isOrdinary(a), shape.isOrdinary(b));
      const exact = exactly(e, shape, `${shape.library}.${name}`, shape.bits(a), shape.bits(b));
      shape.write(e, target, checked(e, of(a, b), inDoubt, exact));
    });
  }
}

function dyadic<V extends ValueType, M extends MaskType>(
  e: Env,
  shape: Shape<V, M>,
  operation: Operation,
  a: Expr<V>,
  b: Expr<V>,
): Expr<V> {
  const inDoubt = (result: Expr<V>) => [unusual(mxcsr(e)), ...doubts(shape, operation, a, b, result)];
  const exact = exactly(e, shape, `${shape.library}.${operation}`, shape.bits(a), shape.bits(b));
  if (operation === 'add' || operation === 'sub') return checked(e, shape[operation](a, b), inDoubt, exact);
  const fine = (result: Expr<V>) =>
    i32.and(i32.eqz(unusual(mxcsr(e))), shape.holds(isFine(shape, operation, a, b, result)));
  return checked(e, shape[operation](a, b), inDoubt, exact, fine);
}

arithmetic(SS);
arithmetic(SD);
arithmetic(PS);
arithmetic(PD);

// Horizontal operations: the even elements of both operands with the odd ones.
const EVEN_SINGLES = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27];
const ODD_SINGLES = EVEN_SINGLES.map((i) => i + 4);
const EVEN_DOUBLES = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];
const ODD_DOUBLES = EVEN_DOUBLES.map((i) => i + 8);

for (const [shape, even, odd, evenSigns] of [
  [PS, EVEN_SINGLES, ODD_SINGLES, dwords((i) => (i & 1 ? 0 : 1 << 31))],
  [PD, EVEN_DOUBLES, ODD_DOUBLES, dwords((i) => (i === 1 ? 1 << 31 : 0))],
] as const) {
  for (const operation of ['add', 'sub'] as const) {
    define(`h${operation}${shape.suffix}`, (e) => {
      const [target, operand] = e.operands;
      const b = e.readV(operand);
      const a = e.readV(target);
      const x = e.c.let(v128.shuffle(a, b, even));
      const y = e.c.let(v128.shuffle(a, b, odd));
      e.writeV(target, dyadic(e, shape, operation, x, y));
    });
  }
  // Subtracts in even elements, adds in odd ones.
  define(`addsub${shape.suffix}`, (e) => {
    const [target, operand] = e.operands;
    const b = e.readV(operand);
    const a = e.readV(target);
    const inDoubt = (result: V128) => [unusual(mxcsr(e)), ...doubts(shape, 'add', a, b, result)];
    const exact = exactly(e, shape, `${shape.library}.addsub`, a, b);
    e.writeV(target, checked(e, shape.add(a, v128.xor(b, evenSigns)), inDoubt, exact));
  });
}

/** Dot products: of the elements chosen by imm[7:4], into those chosen by imm[3:0]; the others become zero. */
function dot(shape: Shape<'v128', 'v128'>, own: V128, turns: ReadonlyArray<readonly number[]>): void {
  define(`dp${shape.suffix}`, (e) => {
    const c = e.c;
    const [target, operand] = e.operands;
    const imm = imm8(e);
    const second = e.readV(operand);
    const first = e.readV(target);
    const chosen = (bits: I32): V128 => i32x4.eq(v128.and(i32x4.splat(bits), own), own);
    // Elements left out take part as zeros, whose products raise nothing.
    const taken = c.let(chosen(field(imm, 4, 4)));
    const a = c.let(v128.and(first, taken));
    const b = c.let(v128.and(second, taken));
    const product = c.let(shape.mul(a, b));
    let fine = isFine(shape, 'mul', a, b, product);
    let sum = product;
    for (const turn of turns) {
      const next = c.let(shape.add(sum, v128.shuffle(sum, sum, turn)));
      fine = shape.and(fine, shape.and(shape.isOrdinary(sum), shape.isFinite(next)));
      sum = next;
    }
    const exact = exactly(e, shape, `${shape.library}.dot`, a, b);
    const result = checked(e, sum, () => [unusual(mxcsr(e)), ...shape.unless(fine)], exact);
    e.writeV(target, v128.and(result, chosen(imm)));
  });
}
const turned = (distance: number): number[] => Array.from({ length: 16 }, (_, i) => i ^ distance);
dot(PS, dwords((i) => 1 << i), [turned(4), turned(8)]); // prettier-ignore
dot(PD, dwords((i) => 1 << (i >> 1)), [turned(8)]); // prettier-ignore

// Rounding to integral values: by imm[1:0], or by MXCSR where imm[2] is set; imm[3] suppresses PE.
function round<V extends ValueType, M extends MaskType>(shape: Shape<V, M>): void {
  define(`round${shape.suffix}`, (e) => {
    const c = e.c;
    const [target, operand] = e.operands;
    const imm = imm8(e);
    const a = shape.read(e, operand);
    const control = mxcsr(e);
    const rounding = c.let(i32.select(field(imm, 2, 1), field(control, 13, 2), field(imm, 0, 2)));
    const result = c.local(shape.type);
    const modes = [shape.nearest(a), shape.floor(a), shape.ceil(a), shape.trunc(a)];
    const [nearest, ...others] = modes;
    c.set(result, nearest);
    others.forEach((value, i) => c.if(i32.eq(rounding, i + 1), () => c.set(result, value)));
    const native = result.get;
    const exact = (): readonly [Expr<V>, I32] => {
      const func = helper(e, `${shape.library}.roundToIntegral`);
      const [value, flags] = call(c, func, [shape.bitsType, 'i32'], shape.bits(a), control, rounding);
      return [shape.ofBits(value), i32.and(flags, i32.select(field(imm, 3, 1), ~0x20, -1))];
    };
    const inDoubt = () => [unusual(control), ...shape.unless(shape.isNumber(a))];
    shape.write(e, target, checked(e, native, inDoubt, exact));
  });
}
round(SS);
round(SD);
round(PS);
round(PD);

const ONE = f32x4.splat(1);
const INDEFINITE = dwords(() => 0xffc0_0000 | 0);
const QUIET_BIT = dwords(() => 0x0040_0000);
const SIGN = dwords(() => 1 << 31);
/** Keeps only the sign of elements where `which` holds. */
const signedZero = (v: V128, which: V128): V128 => v128.bitselect(v128.and(v, SIGN), v, which);

/**
 * Reciprocal and reciprocal square root: approximations with a relative error below 1.5 × 2^-12, here as good as
 * single precision gives. Denormals count as zeros, tiny results become zeros, no exception is raised.
 *
 * @param of the result for an operand that is no denormal
 */
function approximation(name: string, of: (v: V128) => V128): void {
  const compute = (e: Env, operand: V128): V128 => {
    const c = e.c;
    const result = c.let(of(c.let(signedZero(operand, PS.isBelow(operand, 2 ** -126)))));
    const invalid = f32x4.ne(result, result);
    const number = v128.bitselect(INDEFINITE, result, invalid);
    return v128.bitselect(number, v128.or(operand, QUIET_BIT), PS.isNumber(operand));
  };
  define(`${name}ps`, (e) => {
    const [target, operand] = e.operands;
    e.writeV(target, compute(e, e.readV(operand)));
  });
  define(`${name}ss`, (e) => {
    const [target, operand] = e.operands;
    e.writeN(target, 4, i32x4.extract(compute(e, readLow(e, operand, 4)), 0));
  });
}
// From 2^126 on the reciprocal may be taken for tiny, and is.
approximation('rcp', (v) => signedZero(f32x4.div(ONE, v), PS.isAtLeast(v, 2 ** 126)));
approximation('rsqrt', (v) => f32x4.div(ONE, f32x4.sqrt(v)));
