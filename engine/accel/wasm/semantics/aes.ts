/**
 * AES-NI. The state is a vector, byte 4 c + r being row r of column c. The substitution box is looked up sixteen
 * rows of sixteen at a time, so its time depends on no data.
 *
 * Intel SDM volume 1, 12.13; FIPS 197, sections 4.2 (arithmetic) and 5 (transformations).
 */
import type { Code, Func } from '../emit/code.ts';
import { i32x4, i8x16, v128, type V128 } from '../emit/expr.ts';
import type { ModuleBuilder } from '../emit/module.ts';
import { define } from './env.ts';
import { bytes, dwords, helper, imm8 } from './sse-operand.ts';

/** Product in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1. */
function multiply(a: number, b: number): number {
  let product = 0;
  for (; b !== 0; b >>= 1) {
    if (b & 1) product ^= a;
    a = (a << 1) ^ (a & 0x80 ? 0x11b : 0);
  }
  return product;
}

/** The S-box: the inverse, put through an affine map (FIPS 197, 5.1.1). */
const S_BOX = Array.from({ length: 256 }, (_, x) => {
  let inverse = 1;
  for (let i = 0; i < 254; i++) inverse = multiply(inverse, x); // x^254 = 1/x, and 0 for 0
  let y = 0x63;
  for (let turn = 0; turn < 5; turn++) y ^= ((inverse << turn) | (inverse >> (8 - turn))) & 0xff;
  return y;
});
const INVERSE_S_BOX = S_BOX.map((_, y) => S_BOX.indexOf(y));

/** Replaces each byte by its entry in a table of 256. @param v bound */
function substitute(c: Code, v: V128, table: readonly number[]): V128 {
  let result = bytes(() => 0);
  for (let row = 0; row < 256; row += 16) {
    // In all rows but one the index leaves 0 … 15, and zero comes out.
    const index = i8x16.sub(
      v,
      bytes(() => row),
    );
    result = v128.or(
      result,
      i8x16.swizzle(
        bytes((i) => table[row + i]),
        index,
      ),
    );
  }
  return c.let(result);
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
    i8x16.shl(v, 1),
    v128.and(
      i8x16.shr_s(v, 7),
      bytes(() => 0x1b),
    ),
  );

/** MixColumns: 2 a + 3 b + c + d down each column, which is 2 (a + b) + b + c + d. @param v bound */
function mixColumns(c: Code, v: V128): V128 {
  const next = c.let(turnColumns(v, 1));
  const others = v128.xor(next, v128.xor(turnColumns(v, 2), turnColumns(v, 3)));
  return v128.xor(double(c.let(v128.xor(v, next))), others);
}

/** Its inverse, which is MixColumns after adding 4 (a + c) to a and to c, and so for b and d. @param v bound */
function inverseMixColumns(c: Code, v: V128): V128 {
  const twice = c.let(double(c.let(v128.xor(v, turnColumns(v, 2)))));
  return mixColumns(c, c.let(v128.xor(v, double(twice))));
}

/** Adds the rounds: (state, round key) → state; `aes.substitute`: (vector) → vector; `aes.mixInverse` likewise. */
export function addAesLibrary(m: ModuleBuilder): Map<string, Func> {
  const encrypt = m.function(['v128'], ['v128'], (c) =>
    c.return(substitute(c, c.let(permute(c.param('v128', 0).get, SHIFT_ROWS)), S_BOX)),
  );
  const decrypt = m.function(['v128'], ['v128'], (c) =>
    c.return(substitute(c, c.let(permute(c.param('v128', 0).get, INVERSE_SHIFT_ROWS)), INVERSE_S_BOX)),
  );
  const round = (half: Func, mix: (c: Code, v: V128) => V128) =>
    m.function(['v128', 'v128'], ['v128'], (c) => {
      const state = c.let(c.call('v128', half, c.param('v128', 0).get));
      c.return(v128.xor(mix(c, state), c.param('v128', 1).get));
    });
  const last = (_: Code, v: V128): V128 => v;
  return new Map([
    ['aes.encrypt', round(encrypt, mixColumns)],
    ['aes.encryptLast', round(encrypt, last)],
    ['aes.decrypt', round(decrypt, inverseMixColumns)],
    ['aes.decryptLast', round(decrypt, last)],
    [
      'aes.mixInverse',
      m.function(['v128'], ['v128'], (c) => c.return(inverseMixColumns(c, c.param('v128', 0).get))),
    ],
    [
      'aes.substitute',
      m.function(['v128'], ['v128'], (c) => c.return(substitute(c, c.param('v128', 0).get, S_BOX))),
    ],
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
