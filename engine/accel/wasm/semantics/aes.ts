/**
 * AES-NI. The state is a vector, byte 4 c + r being row r of column c. The substitution box is computed for all
 * sixteen bytes at a time by shuffles, so its time depends on no data.
 *
 * Intel SDM volume 1, 12.13; FIPS 197, sections 4.2 (arithmetic) and 5 (transformations).
 */
import type { Code, Func } from '../emit/code.ts';
import { i32x4, i8x16, v128, type V128 } from '../emit/expr.ts';
import type { ModuleBuilder } from '../emit/module.ts';
import { define } from './registry.ts';
import { bytes, dwords, helper, imm8, ZERO } from './sse-operand.ts';

/** Product in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1. */
function multiply(a: number, b: number): number {
  let product = 0;
  for (; b !== 0; b >>= 1) {
    if (b & 1) product ^= a;
    a = (a << 1) ^ (a & 0x80 ? 0x11b : 0);
  }
  return product;
}

const power = (x: number, exponent: number): number =>
  Array.from({ length: exponent }).reduce<number>((product) => multiply(product, x), 1);

/** A linear map given by the images of 1, 2, 4 … */
const linear = (images: readonly number[], x: number): number =>
  images.reduce((sum, image, i) => (x & (1 << i) ? sum ^ image : sum), 0);

/** The affine map of the S-box without its constant: every byte with four turns of itself (FIPS 197, 5.1.1). */
const spread = (x: number): number =>
  [0, 1, 2, 3, 4].reduce((y, n) => y ^ (((x << n) | (x >> (8 - n))) & 0xff), 0);
const CONSTANT = 0x63;
const BYTES = Array.from({ length: 256 }, (_, x) => x);
const UNSPREAD = BYTES.map((y) => BYTES.findIndex((x) => spread(x) === y));

/*
 * Inversion by look-ups of nibbles. GF(2^8) is seen as the elements i u + k with i and k from its subfield GF(2^4);
 * nibbles name the latter. u is such that its trace and its norm are one and the same, a. Then
 *
 *     1 / (i u + k) = (i u + a i + k) / n   with n = a i² + a i k + k²,
 *
 * and with p = 1 / (1 / (1/i + a/k) + i + k) and q = 1 / (1 / (1/(i+k) + a/k) + i) it comes out that
 *
 *     p = (a i + k) / n,   q = (a i + a k + k) / n,   k / n = (p + q) / a,   i / n = (p + k / n) / a,
 *
 * so that the inverse is the sum of a linear function of p and one of q: every division is the look-up of a nibble.
 * 1/0 is 0x80, whose top bit outlasts additions and makes zero of the next look-up, which is right for a divisor that
 * is infinite. (M. Hamburg, "Accelerating AES with vector permute instructions", CHES 2009, section 3.)
 */
const INFINITE = 0x80;
const SUBFIELD = BYTES.filter((x) => power(x, 16) === x);
const GENERATOR = SUBFIELD.find((x) => x > 1 && power(x, 3) !== 1 && power(x, 5) !== 1) ?? 0;
const BASIS = [0, 1, 2, 3].map((n) => power(GENERATOR, n));
/** The element a nibble names, and back. */
const elementOf = (nibble: number): number => linear(BASIS, nibble);
const nibbleOf = (x: number): number => BYTES.findIndex((n) => n < 16 && elementOf(n) === x);
const U = BYTES.find((x) => !SUBFIELD.includes(x) && (x ^ power(x, 16)) === power(x, 17)) ?? 0;
const A = power(U, 17);
const inverse = (x: number): number => power(x, 254);

/** Sixteen entries, to be looked up by nibbles. */
type Nibbles = readonly number[];
const nibbles = (of: (nibble: number) => number): Nibbles => Array.from({ length: 16 }, (_, n) => of(n));
const reciprocal = (numerator: number): Nibbles =>
  nibbles((n) => (n === 0 ? INFINITE : nibbleOf(multiply(numerator, inverse(elementOf(n))))));
const RECIPROCAL = reciprocal(1);
const RECIPROCAL_A = reciprocal(A);

/** i in the low nibble and k in the high one, for every byte. */
const SPLIT: readonly number[] = (() => {
  const split: number[] = [];
  for (let n = 0; n < 256; n++) split[multiply(elementOf(n & 15), U) ^ elementOf(n >> 4)] = n;
  return split;
})();

/** What differs between the S-box, its inverse and other functions of the inverse. */
interface Substitution {
  /** From the low and the high nibble of a byte to halves of what is to be inverted, split. */
  readonly low: Nibbles;
  readonly high: Nibbles;
  /** From 1/p and 1/q to halves of the result. */
  readonly first: Nibbles;
  readonly second: Nibbles;
}

/** @param before linear, up to its constant; @param after linear */
function substitution(before: (x: number) => number, after: (x: number) => number): Substitution {
  const overA = inverse(A);
  const ofNibble = (result: (x: number) => number) =>
    nibbles((n) => (n === 0 ? 0 : after(result(inverse(elementOf(n))))));
  return {
    low: nibbles((n) => SPLIT[before(n)]),
    high: nibbles((n) => SPLIT[before(n << 4) ^ before(0)]),
    first: ofNibble((p) => p ^ multiply(U, multiply(overA, p ^ multiply(overA, p)))),
    second: ofNibble((q) => multiply(U, multiply(overA, multiply(overA, q)))),
  };
}
/** The S-box without its constant, and its inverse. */
const S_BOX = substitution((x) => x, spread);
const INVERSE_S_BOX = substitution(
  (y) => UNSPREAD[y ^ CONSTANT],
  (x) => x,
);

/** Sixteen look-ups at once; an index with its top bit set finds zero. */
const lookUp = (table: Nibbles, index: V128): V128 => i8x16.relaxed_swizzle(v128.const(table), index);

/** Replaces each byte. @param v bound */
function substitute(c: Code, v: V128, { low, high, first, second }: Substitution): V128 {
  const lowNibbles = (of: V128): V128 =>
    v128.and(
      of,
      bytes(() => 15),
    );
  const split = c.let(v128.xor(lookUp(low, lowNibbles(v)), lookUp(high, i8x16.shr_u(v, 4))));
  const i = c.let(lowNibbles(split));
  const k = c.let(i8x16.shr_u(split, 4));
  const j = c.let(v128.xor(i, k));
  const overK = c.let(lookUp(RECIPROCAL_A, k));
  const p = v128.xor(lookUp(RECIPROCAL, v128.xor(lookUp(RECIPROCAL, i), overK)), j);
  const q = v128.xor(lookUp(RECIPROCAL, v128.xor(lookUp(RECIPROCAL, j), overK)), i);
  return c.let(v128.xor(lookUp(first, p), lookUp(second, q)));
}

const positions = (of: (row: number, column: number) => number): number[] =>
  Array.from({ length: 16 }, (_, i) => of(i & 3, i >> 2));
const permute = (v: V128, lanes: readonly number[]): V128 => v128.shuffle(v, v, lanes);

const SHIFT_ROWS = positions((row, column) => 4 * ((column + row) & 3) + row);
const INVERSE_SHIFT_ROWS = positions((row, column) => 4 * ((column - row) & 3) + row);
/** Each byte from `n` rows below. */
const turnColumns = (v: V128, n: number): V128 =>
  permute(
    v,
    positions((row, column) => 4 * column + ((row + n) & 3)),
  );

/** Every byte times x. @param v bound */
const double = (v: V128): V128 =>
  v128.xor(
    i8x16.add(v, v),
    v128.and(
      i8x16.lt_s(v, ZERO),
      bytes(() => 0x1b),
    ),
  );

/** MixColumns: 2 a + 3 b + c + d down each column, which is 2 (a + b) + b + (c + d). @param v bound */
function mixColumns(c: Code, v: V128): V128 {
  const next = c.let(turnColumns(v, 1));
  const pairs = c.let(v128.xor(v, next));
  return v128.xor(double(pairs), v128.xor(next, turnColumns(pairs, 2)));
}

/** Its inverse, which is MixColumns after adding 4 (a + c) to a and to c, and so for b and d. @param v bound */
function inverseMixColumns(c: Code, v: V128): V128 {
  const twice = c.let(double(c.let(v128.xor(v, turnColumns(v, 2)))));
  return mixColumns(c, c.let(v128.xor(v, double(twice))));
}

/** Adds the rounds: (state, round key) → state; `aes.substitute`: (vector) → vector; `aes.mixInverse` likewise. */
export function addAesLibrary(m: ModuleBuilder): Map<string, Func> {
  // MixColumns leaves a column of four equal bytes as it is, so the S-box's constant can wait until after it.
  const constant = bytes(() => CONSTANT);
  const encrypt = (mix: (c: Code, v: V128) => V128) =>
    m.function(['v128', 'v128'], ['v128'], (c) => {
      const [state, key] = [c.param('v128', 0).get, c.param('v128', 1).get];
      const substituted = substitute(c, c.let(permute(state, SHIFT_ROWS)), S_BOX);
      c.return(v128.xor(mix(c, substituted), v128.xor(key, constant)));
    });
  const decrypt = (mix: (c: Code, v: V128) => V128) =>
    m.function(['v128', 'v128'], ['v128'], (c) => {
      const [state, key] = [c.param('v128', 0).get, c.param('v128', 1).get];
      const substituted = substitute(c, c.let(permute(state, INVERSE_SHIFT_ROWS)), INVERSE_S_BOX);
      c.return(v128.xor(mix(c, substituted), key));
    });
  const last = (_: Code, v: V128): V128 => v;
  const unary = (body: (c: Code, v: V128) => V128) =>
    m.function(['v128'], ['v128'], (c) => c.return(body(c, c.param('v128', 0).get)));
  return new Map([
    ['aes.encrypt', encrypt(mixColumns)],
    ['aes.encryptLast', encrypt(last)],
    ['aes.decrypt', decrypt(inverseMixColumns)],
    ['aes.decryptLast', decrypt(last)],
    ['aes.mixInverse', unary(inverseMixColumns)],
    ['aes.substitute', unary((c, v) => v128.xor(substitute(c, v, S_BOX), constant))],
  ]);
}

for (const [name, round] of [
  ['aesenc', 'aes.encrypt'],
  ['aesenclast', 'aes.encryptLast'],
  ['aesdec', 'aes.decrypt'],
  ['aesdeclast', 'aes.decryptLast'],
] as const) {
  define(name, (e) => {
    const [target, operand] = e.operands;
    const key = e.readV(operand);
    e.writeV(target, e.c.call('v128', helper(e, round), e.readV(target), key));
  });
}

define('aesimc', (e) => {
  const [target, operand] = e.operands;
  e.writeV(target, e.c.call('v128', helper(e, 'aes.mixInverse'), e.readV(operand)));
});

/** Of doublewords 1 and 3: SubWord, and RotWord of that with the round constant. */
define('aeskeygenassist', (e) => {
  const [target, operand] = e.operands;
  const words = e.c.let(e.c.call('v128', helper(e, 'aes.substitute'), e.readV(operand)));
  const arranged = permute(words, [4, 5, 6, 7, 5, 6, 7, 4, 12, 13, 14, 15, 13, 14, 15, 12]);
  const constant = v128.and(
    i32x4.splat(imm8(e)),
    dwords((i) => (i & 1 ? -1 : 0)),
  );
  e.writeV(target, v128.xor(arranged, constant));
});
