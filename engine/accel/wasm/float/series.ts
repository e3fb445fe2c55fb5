/**
 * Elementary functions on big numbers: fixed point with {@link BITS} fraction bits, or an integer and a power of
 * two where small values must keep their precision. About 60 bits more than an 80-bit number holds are right, so
 * that a rounded result is the correctly rounded one but for astronomically rare cases.
 */

/** A value integer × 2^exponent. */
export interface Real {
  readonly integer: bigint;
  readonly exponent: number;
}

/** Fraction bits of fixed-point values. */
export const BITS = 160;

const SCALE = BigInt(BITS);
const ONE = 1n << SCALE;
const multiply = (a: bigint, b: bigint): bigint => (a * b) >> SCALE;

/** atanh(1/n), n > 1. */
function inverseHyperbolicTangent(n: bigint): bigint {
  let power = ONE / n;
  let sum = 0n;
  for (let k = 1n; power > 0n; k += 2n) {
    sum += power / k;
    power /= n * n;
  }
  return sum;
}

/** atan(1/n), n > 1. */
function inverseTangent(n: bigint): bigint {
  let power = ONE / n;
  let sum = 0n;
  for (let k = 1n; power > 0n; k += 2n) {
    sum += k & 2n ? -(power / k) : power / k;
    power /= n * n;
  }
  return sum;
}

/** ln 2 = 2 atanh(1/3), and π by Machin's formula; both in fixed point. */
export const LN2 = 2n * inverseHyperbolicTangent(3n);
export const PI = 4n * (4n * inverseTangent(5n) - inverseTangent(239n));

/** The value in fixed point, rounded down. */
export function toFixed({ integer, exponent }: Real): bigint {
  const shift = exponent + BITS;
  return shift >= 0 ? integer << BigInt(shift) : integer >> BigInt(-shift);
}

/** The product, exact. */
export const product = (a: Real, b: Real): Real => ({
  integer: a.integer * b.integer,
  exponent: a.exponent + b.exponent,
});

/** a / b with at least {@link BITS} bits, where neither integer has more than twice as many. */
export function ratio(a: Real, b: Real): Real {
  const integer = (a.integer << (3n * SCALE)) / b.integer;
  return { integer, exponent: a.exponent - b.exponent - 3 * BITS };
}

/** A fixed-point value. */
export const fixed = (integer: bigint): Real => ({ integer, exponent: -BITS });

/** Just below and above one: what a ratio that tends to one is at least away from it, so that directed rounding
 * of small arguments goes the right way. */
const BELOW_ONE = ONE - 1n;
const ABOVE_ONE = ONE + 1n;

/** The alternating series 1 - square/(k (k+1)) + square²/(k … (k+3)) - …, less than one. */
function alternating(square: bigint, from: bigint): bigint {
  let term = ONE;
  let total = ONE;
  for (let k = from; term !== 0n; k += 2n) {
    term = -(multiply(term, square) / (k * (k + 1n)));
    total += term;
  }
  return total > BELOW_ONE ? BELOW_ONE : total;
}

/** sin(x) / x and cos(x) for |x| ≤ π/4, in fixed point. */
const sineRatio = (x: Real): bigint => alternating(toFixed(product(x, x)), 2n);
const cosineFixed = (x: Real): bigint => alternating(toFixed(product(x, x)), 1n);

/** sin(x) for |x| ≤ π/4. */
export const sine = (x: Real): Real => product(x, fixed(sineRatio(x)));

/** cos(x) for |x| ≤ π/4. */
export const cosine = (x: Real): Real => fixed(cosineFixed(x));

/** tan(x) for |x| ≤ π/4. */
export function tangent(x: Real): Real {
  const quotient = (sineRatio(x) << SCALE) / cosineFixed(x);
  return product(x, fixed(quotient < ABOVE_ONE ? ABOVE_ONE : quotient));
}

/** atan(t) / t for |t| ≤ 1/16, by its series. */
function arcTangentRatio(t: Real): bigint {
  const square = toFixed(product(t, t));
  let power = ONE;
  let sum = ONE;
  for (let k = 3n; power !== 0n; k += 2n) {
    power = -multiply(power, square);
    sum += power / k;
  }
  return sum > BELOW_ONE ? BELOW_ONE : sum;
}

/** atan(k/16), as needed. */
const arcTangents: bigint[] = [0n];

function arcTangentOf16th(k: number): bigint {
  const known = arcTangents[k];
  if (known !== undefined) return known;
  // atan(k/16) - atan((k - 1)/16) = atan(16 / (256 + k (k - 1)))
  const step = ratio({ integer: 16n, exponent: 0 }, { integer: BigInt(256 + k * (k - 1)), exponent: 0 });
  const value = arcTangentOf16th(k - 1) + toFixed(product(step, fixed(arcTangentRatio(step))));
  arcTangents[k] = value;
  return value;
}

/** atan(t) for 0 < t ≤ 1. */
export function arcTangent(t: Real): Real {
  const value = toFixed(t);
  const k = Number((value * 16n + (ONE >> 1n)) >> SCALE);
  if (k === 0) return product(t, fixed(arcTangentRatio(t)));
  const base = (BigInt(k) * ONE) / 16n;
  const reduced = ratio(fixed(value - base), fixed(ONE + multiply(value, base)));
  return fixed(arcTangentOf16th(k) + toFixed(product(reduced, fixed(arcTangentRatio(reduced)))));
}

/** 2^x - 1 for |x| ≤ 1. */
export function exponentialMinusOne(x: Real): Real {
  const y = product(x, fixed(LN2));
  const argument = toFixed(y);
  let term = ONE;
  let sum = ONE;
  for (let k = 2n; term !== 0n && term !== -1n; k++) {
    term = multiply(term, argument) / k;
    sum += term;
  }
  return product(y, fixed(sum));
}

/** log2(1 + u) for -0.3 < u < 0.5. */
export function logarithmOnePlus(u: Real): Real {
  // 2 atanh(s) with s = u / (2 + u), where a small u does not count in the divisor
  const two = { integer: 1n, exponent: 1 };
  const s = u.exponent < -2 * BITS ? { ...u, exponent: u.exponent - 1 } : ratio(u, sum(two, u));
  const square = toFixed(product(s, s));
  let power = ONE;
  let total = ONE;
  for (let k = 3n; power !== 0n; k += 2n) {
    power = multiply(power, square);
    total += power / k;
  }
  return ratio(product(s, fixed(2n * total)), fixed(LN2));
}

/** a + b exactly, for exponents not far apart. */
export function sum(a: Real, b: Real): Real {
  const exponent = Math.min(a.exponent, b.exponent);
  const integer = (a.integer << BigInt(a.exponent - exponent)) + (b.integer << BigInt(b.exponent - exponent));
  return { integer, exponent };
}
