/**
 * 80-bit numbers in TypeScript: unpacking, NaNs and rounding, for the functions that compute with BigInt. The
 * emitted functions have the same rules (see encoding.ts and round.ts).
 */
import { ControlWord, FloatFlag, Rounding } from './format.ts';
import { EXTENDED_BIAS } from './round.ts';

/** An 80-bit number: unsigned 64-bit significand, sign and exponent in 16 bits. */
export interface Number80 {
  readonly significand: bigint;
  readonly signExponent: number;
}

/** A result, with exceptions and C1 (and C2) as in the status word. */
export interface Result80 extends Number80 {
  readonly flags: number;
}

export type Kind = 'zero' | 'finite' | 'infinity' | 'quiet' | 'signaling' | 'unsupported';

/** An unpacked number; a finite one is ± integer × 2^exponent. */
export interface Parts {
  readonly kind: Kind;
  readonly negative: boolean;
  readonly denormal: boolean;
  readonly integer: bigint;
  readonly exponent: number;
}

const TOP = 1n << 63n;
const QUIET = 1n << 62n;
const SMALLEST = 1 - EXTENDED_BIAS;
/** See SDM 1, 8.5.4. */
const EXPONENT_WRAP = 24576;

/** What an 80-bit number is: its kind, sign, exponent and significand with the leading bit (SDM 1, 4.2.2 and 4.8). */
export function unpack80({ significand, signExponent }: Number80): Parts {
  const field = signExponent & 0x7fff;
  const kind = kindOf(field, significand);
  const exponent = Math.max(field, 1) - EXTENDED_BIAS - 63;
  const denormal = field === 0 && kind === 'finite';
  return { kind, negative: (signExponent & 0x8000) !== 0, denormal, integer: significand, exponent };
}

function kindOf(field: number, significand: bigint): Kind {
  if (field === 0) return significand === 0n ? 'zero' : 'finite';
  if (significand < TOP) return 'unsupported';
  if (field < 0x7fff) return 'finite';
  if (significand === TOP) return 'infinity';
  return significand & QUIET ? 'quiet' : 'signaling';
}

const signed = (negative: boolean, field: number): number => field | (negative ? 0x8000 : 0);

/** Zero with a sign, and exception flags. */
export const zero80 = (negative: boolean, flags = 0): Result80 => ({
  significand: 0n,
  signExponent: signed(negative, 0),
  flags,
});

/** Infinity with a sign, and exception flags. */
export const infinity80 = (negative: boolean, flags = 0): Result80 => ({
  significand: TOP,
  signExponent: signed(negative, 0x7fff),
  flags,
});

/** The real indefinite, with IE. */
export const INVALID80: Result80 = { significand: TOP | QUIET, signExponent: 0xffff, flags: FloatFlag.IE };

/** What comes of operands where one is a NaN or not supported; undefined where none is (SDM 1, table 4-7). */
export function nan80(...operands: readonly Number80[]): Result80 | undefined {
  const all = operands.map((operand) => ({ operand, kind: unpack80(operand).kind }));
  if (all.some(({ kind }) => kind === 'unsupported')) return INVALID80;
  const signaling = all.some(({ kind }) => kind === 'signaling');
  const quiet = all.filter(({ kind }) => kind === 'quiet');
  const nans = quiet.length > 0 ? quiet : all.filter(({ kind }) => kind === 'signaling');
  const [first, ...rest] = nans.map(({ operand }) => operand);
  if (first === undefined) return undefined;
  const { significand, signExponent } = rest.reduce((a, b) => {
    if (a.significand !== b.significand) return a.significand > b.significand ? a : b;
    return a.signExponent < b.signExponent ? a : b;
  }, first);
  return { significand: significand | QUIET, signExponent, flags: signaling ? FloatFlag.IE : 0 };
}

/** Bits of a positive integer. */
export function bitLength(value: bigint): number {
  const hex = value.toString(16);
  return hex.length * 4 - Math.clz32(Number.parseInt(hex[0]!, 16)) + 28;
}

/** Rounds `integer` × 2^`shift` to an integer; PE, and C1 where the magnitude was rounded up. */
function roundShifted(integer: bigint, shift: number, negative: boolean, rounding: number): [bigint, number] {
  if (shift >= 0) return [integer << BigInt(shift), FloatFlag.PE];
  const dropped = BigInt(-shift);
  const kept = integer >> dropped;
  const rest = integer - (kept << dropped);
  if (rest === 0n) return [kept, FloatFlag.PE];
  const half = 1n << (dropped - 1n);
  const up =
    rounding === Rounding.Nearest
      ? rest > half || (rest === half && (kept & 1n) === 1n)
      : rounding === (negative ? Rounding.Down : Rounding.Up);
  return up ? [kept + 1n, FloatFlag.PE | FloatFlag.C1] : [kept, FloatFlag.PE];
}

/**
 * Rounds `integer` × 2^`exponent`, `integer` positive, to 64 bits of significand, with overflow and underflow
 * as the control word masks them. The value is taken to be an approximation: PE is always set, as processors
 * do it for transcendental instructions even where the result is exact.
 */
export function round80(negative: boolean, integer: bigint, exponent: number, fcw: number): Result80 {
  const rounding = (fcw >> ControlWord.RoundShift) & 3;
  const length = bitLength(integer);
  let [significand, flags] = roundShifted(integer, 64 - length, negative, rounding);
  let scale = exponent + length - 1;
  if (significand === TOP << 1n) {
    significand = TOP;
    scale++;
  }
  if (scale > EXTENDED_BIAS) {
    if (fcw & FloatFlag.OE) return overflow80(negative, rounding);
    scale -= EXPONENT_WRAP;
    flags |= FloatFlag.OE;
  } else if (scale < SMALLEST) {
    if (fcw & FloatFlag.UE) {
      [significand, flags] = roundShifted(integer, exponent + 63 - SMALLEST, negative, rounding);
      flags |= FloatFlag.UE;
      return { significand, signExponent: signed(negative, Number(significand >> 63n)), flags };
    }
    scale += EXPONENT_WRAP;
    flags |= FloatFlag.UE;
  }
  return { significand, signExponent: signed(negative, scale + EXTENDED_BIAS), flags };
}

function overflow80(negative: boolean, rounding: number): Result80 {
  const flags = FloatFlag.OE | FloatFlag.PE;
  const outward = negative ? Rounding.Down : Rounding.Up;
  if (rounding === Rounding.Nearest || rounding === outward)
    return infinity80(negative, flags | FloatFlag.C1);
  return { significand: (TOP << 1n) - 1n, signExponent: signed(negative, 0x7ffe), flags };
}
