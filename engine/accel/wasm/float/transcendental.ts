/**
 * The x87 transcendental instructions. Results are rounded by the rounding control to 64 bits of significand
 * whatever the precision control says; the architecture promises an error below one unit in the last place.
 *
 * Intel SDM volume 2: F2XM1, FYL2X, FYL2XP1, FPATAN, FSIN, FCOS, FSINCOS, FPTAN (tables of special operands);
 * volume 1, 8.3.8 (the internal π of 66 bits) and 8.3.10 (accuracy).
 */
import { FloatFlag } from './format.ts';
import {
  bitLength,
  infinity80,
  INVALID80,
  nan80,
  round80,
  unpack80,
  zero80,
  type Number80,
  type Parts,
  type Result80,
} from './number.ts';
import {
  arcTangent,
  cosine,
  exponentialMinusOne,
  fixed,
  logarithmOnePlus,
  PI,
  product,
  ratio,
  sine,
  sum,
  tangent,
  toFixed,
  type Real,
} from './series.ts';

const { C2, DE, ZE } = FloatFlag;

const real = (p: Parts): Real => ({ integer: p.negative ? -p.integer : p.integer, exponent: p.exponent });

function round(value: Real, fcw: number): Result80 {
  const negative = value.integer < 0n;
  return round80(negative, negative ? -value.integer : value.integer, value.exponent, fcw);
}

/** Adds DE for denormal operands; where it is not masked, nothing else happened. */
function withDenormals(result: Result80, fcw: number, ...operands: readonly Parts[]): Result80 {
  if (!operands.some(({ denormal }) => denormal)) return result;
  return { ...result, flags: fcw & DE ? result.flags | DE : DE };
}

const ONE80: Number80 = { significand: 1n << 63n, signExponent: 0x3fff };

/** Exponent of the highest bit of a finite number. */
const magnitude = (p: Parts): number => p.exponent + bitLength(p.integer) - 1;

/** 2^x - 1. Outside -1 … 1, where the manual leaves it undefined, x itself. */
export function f2xm1(x: Number80, fcw: number): Result80 {
  const nan = nan80(x);
  if (nan) return nan;
  const p = unpack80(x);
  if (p.kind === 'zero') return { ...x, flags: 0 };
  if (p.kind === 'infinity')
    return p.negative ? { ...ONE80, signExponent: 0xbfff, flags: 0 } : { ...x, flags: 0 };
  const top = magnitude(p);
  const whole = top === 0 && p.integer === 1n << 63n;
  if (top >= 0 && !whole) return { ...x, flags: FloatFlag.PE };
  if (whole) return round(p.negative ? { integer: -1n, exponent: -1 } : { integer: 1n, exponent: 0 }, fcw);
  return withDenormals(round(exponentialMinusOne(real(p)), fcw), fcw, p);
}

/** log2 of a positive finite number, exact for powers of two. */
function logarithm(p: Real): Real {
  const length = bitLength(p.integer);
  let exponent = p.exponent + length - 1;
  // The significand in 0.75 … 1.5, so that near one there is no exponent to cancel.
  const high = p.integer << 1n >= 3n << BigInt(length - 1);
  if (high) exponent++;
  const scale = high ? length : length - 1;
  const u = { integer: p.integer - (1n << BigInt(scale)), exponent: -scale };
  if (u.integer === 0n) return { integer: BigInt(exponent), exponent: 0 };
  if (exponent === 0) return logarithmOnePlus(u);
  return fixed(toFixed(logarithmOnePlus(u)) + toFixed({ integer: BigInt(exponent), exponent: 0 }));
}

/** y × log2(x). */
export function fyl2x(x: Number80, y: Number80, fcw: number): Result80 {
  const nan = nan80(x, y);
  if (nan) return nan;
  const px = unpack80(x);
  const py = unpack80(y);
  if (px.kind === 'zero') {
    if (py.kind === 'zero') return INVALID80;
    return infinity80(!py.negative, py.kind === 'infinity' ? 0 : ZE);
  }
  if (px.negative) return INVALID80;
  if (px.kind === 'infinity') {
    if (py.kind === 'zero') return INVALID80;
    return withDenormals(infinity80(py.negative), fcw, py);
  }
  return scaledLogarithm(logarithm(real(px)), px, py, fcw);
}

/** y × log, with the signs of zeros and infinities that come of it. */
function scaledLogarithm(log: Real, px: Parts, py: Parts, fcw: number): Result80 {
  const negative = log.integer < 0n !== py.negative;
  if (py.kind === 'infinity') {
    return log.integer === 0n ? INVALID80 : withDenormals(infinity80(negative), fcw, px);
  }
  if (log.integer === 0n || py.kind === 'zero') return withDenormals(zero80(negative), fcw, px, py);
  return withDenormals(round(product(log, real(py)), fcw), fcw, px, py);
}

/** y × log2(x + 1). The manual defines it for |x| below 1 - √½; up from there it goes on as what it says, and
 * from -1 down the logarithm counts as negative, and gives x itself where that is no zero or infinity. */
export function fyl2xp1(x: Number80, y: Number80, fcw: number): Result80 {
  const nan = nan80(x, y);
  if (nan) return nan;
  const px = unpack80(x);
  const py = unpack80(y);
  if (px.kind === 'infinity') {
    return px.negative || py.kind === 'zero' ? INVALID80 : withDenormals(infinity80(py.negative), fcw, py);
  }
  if (px.kind === 'zero') {
    if (py.kind === 'infinity') return INVALID80;
    return withDenormals(zero80(px.negative !== py.negative), fcw, py);
  }
  const top = magnitude(px);
  if (px.negative && top >= 0) {
    if (py.kind === 'finite') return withDenormals({ ...x, flags: FloatFlag.PE }, fcw, py);
    return py.kind === 'zero' ? zero80(!py.negative) : infinity80(!py.negative);
  }
  const log = top < -2 ? logarithmOnePlus(real(px)) : logarithm(sum(real(px), { integer: 1n, exponent: 0 }));
  return scaledLogarithm(log, px, py, fcw);
}

/** π, π/2 and so on: eighths of a turn, in fixed point. */
const eighths = (count: bigint): bigint => (PI * count) / 4n;

/** The angle of the point (x, y). */
export function fpatan(x: Number80, y: Number80, fcw: number): Result80 {
  const nan = nan80(x, y);
  if (nan) return nan;
  const px = unpack80(x);
  const py = unpack80(y);
  const give = (angle: bigint) => {
    return withDenormals(round(fixed(py.negative ? -angle : angle), fcw), fcw, px, py);
  };
  if (px.kind === 'infinity') {
    if (py.kind === 'infinity') return give(eighths(px.negative ? 3n : 1n));
    return px.negative ? give(eighths(4n)) : withDenormals(zero80(py.negative), fcw, py);
  }
  if (py.kind === 'infinity') return give(eighths(2n));
  if (py.kind === 'zero') {
    return px.negative ? give(eighths(4n)) : withDenormals(zero80(py.negative), fcw, px);
  }
  if (px.kind === 'zero') return give(eighths(2n));
  const a = { integer: px.integer, exponent: px.exponent };
  const b = { integer: py.integer, exponent: py.exponent };
  const order = magnitude(py) - magnitude(px);
  // Above one the angle is counted from the vertical.
  if (order > 1 || (order >= -1 && toFixed(ratio(b, a)) > toFixed({ integer: 1n, exponent: 0 }))) {
    const rest = toFixed(arcTangent(ratio(a, b)));
    return give(px.negative ? eighths(2n) + rest : eighths(2n) - rest);
  }
  const angle = arcTangent(ratio(b, a));
  if (px.negative) return give(eighths(4n) - toFixed(angle));
  const signed = py.negative ? { ...angle, integer: -angle.integer } : angle;
  return withDenormals(round(signed, fcw), fcw, px, py);
}

/** Half of the π that the processor reduces by: 66 bits, in units of 2^-67 (SDM 1, 8.3.8). */
const HALF_PI = 0xc_90fd_aa22_168c_234cn;
const HALF_PI_EXPONENT = -67;

/** x as a number of quarter turns, modulo 4, and the rest within half of one to either side, exact. */
function reduce(p: Parts): { quarter: number; rest: Real } {
  const shift = p.exponent - HALF_PI_EXPONENT;
  if (shift < 0) return { quarter: 0, rest: real(p) };
  const x = real(p).integer << BigInt(shift);
  const doubled = 2n * x + HALF_PI;
  const quarters = floorDivide(doubled, 2n * HALF_PI);
  const rest = { integer: x - quarters * HALF_PI, exponent: HALF_PI_EXPONENT };
  return { quarter: Number(BigInt.asUintN(2, quarters)), rest };
}

function floorDivide(a: bigint, b: bigint): bigint {
  return a >= 0n ? a / b : -((b - 1n - a) / b);
}

const negate = (x: Real): Real => ({ ...x, integer: -x.integer });

/** The sine of a reduced argument, `quarter` quarter turns ahead. */
function sineOf(quarter: number, rest: Real): Real {
  const value = quarter & 1 ? cosine(rest) : sine(rest);
  return quarter & 2 ? negate(value) : value;
}

/** What FSIN, FCOS, FSINCOS and FPTAN have in common: NaNs and infinities, arguments from 2^63 up (C2, operand
 * unchanged), and zero. */
function trigonometric(
  x: Number80,
  fcw: number,
  atZero: Number80,
  compute: (quarter: number, rest: Real) => Real,
): Result80 {
  const nan = nan80(x);
  if (nan) return nan;
  const p = unpack80(x);
  if (p.kind === 'infinity') return INVALID80;
  if (p.kind === 'zero') return { ...atZero, flags: 0 };
  if (magnitude(p) >= 63) return { ...x, flags: C2 };
  const { quarter, rest } = reduce(p);
  return withDenormals(round(compute(quarter, rest), fcw), fcw, p);
}

/** FSIN: the sine, or the argument with C2 from 2^63 on (SDM 2, FSIN). @param fcw control word, for rounding */
export const fsin = (x: Number80, fcw: number): Result80 => trigonometric(x, fcw, x, sineOf);

/** FCOS, likewise (SDM 2, FCOS). */
export const fcos = (x: Number80, fcw: number): Result80 =>
  trigonometric(x, fcw, ONE80, (quarter, rest) => sineOf((quarter + 1) & 3, rest));

/** The sine, which replaces ST(0), and the cosine, which is pushed unless C2 is set. Flags are in `sine`; C1 is
 * the sine's. */
export function fsincos(x: Number80, fcw: number): { sine: Result80; cosine: Number80 } {
  const cosineResult = fcos(x, fcw);
  const sineResult = fsin(x, fcw);
  const flags = sineResult.flags | (cosineResult.flags & ~FloatFlag.C1);
  return { sine: { ...sineResult, flags }, cosine: cosineResult };
}

/** The tangent, which replaces ST(0); 1.0, or a NaN again, is pushed unless C2 is set. Leaves C1 clear. */
export function fptan(x: Number80, fcw: number): { tangent: Result80; pushed: Number80 } {
  const result = trigonometric(x, fcw, x, (quarter, rest) =>
    quarter & 1 ? negate(ratio(cosine(rest), sine(rest))) : tangent(rest),
  );
  const pushed = (result.signExponent & 0x7fff) === 0x7fff ? result : ONE80;
  return { tangent: { ...result, flags: result.flags & ~FloatFlag.C1 }, pushed };
}
