/**
 * The SHA extensions: four rounds of SHA-1, two of SHA-256, and what the next message words follow from.
 *
 * Intel SDM volume 1, 12.14.2; volume 2, each instruction. FIPS 180-4, sections 4.1 (functions), 4.2 (constants).
 */
import type { Code, Func } from '../emit/code.ts';
import { constant, i32, i32x4, v128, type I32, type V128 } from '../emit/expr.ts';
import type { ModuleBuilder } from '../emit/module.ts';
import { define } from './registry.ts';
import { helper, imm8, onXmm, xmm, ZERO } from './sse-operand.ts';

/** Doublewords chosen by their numbers, lowest first: 0-3 of `a`, 4-7 of `b`. */
const pick = (a: V128, b: V128, ...from: readonly [number, number, number, number]): V128 =>
  v128.shuffle(
    a,
    b,
    Array.from({ length: 16 }, (_, i) => 4 * from[i >> 2] + (i & 3)),
  );

/** Four doublewords as a vector, lowest first. */
const vector = (low: I32, ...rest: readonly [I32, I32, I32]): V128 =>
  rest.reduce((v, each, i) => i32x4.replace(v, i + 1, each), i32x4.splat(low));

/** Every doubleword turned left. @param v bound */
const rotateLeft = (v: V128, by: number): V128 => v128.or(i32x4.shl(v, by), i32x4.shr_u(v, 32 - by));

type Ternary = (x: I32, y: I32, z: I32) => I32;
const choice: Ternary = (x, y, z) => i32.xor(i32.and(x, i32.xor(y, z)), z);
const parity: Ternary = (x, y, z) => i32.xor(x, i32.xor(y, z));
const majority: Ternary = (x, y, z) => i32.or(i32.and(x, y), i32.and(i32.or(x, y), z));

/** The function and the constant of each twenty rounds of SHA-1. */
const SHA1_STAGES: ReadonlyArray<readonly [Ternary, number]> = [
  [choice, 0x5a82_7999],
  [parity, 0x6ed9_eba1],
  [majority, 0x8f1b_bcdc],
  [parity, 0xca62_c1d6],
];

/** (A B C D, message words with E added to the first) → A B C D, highest first. */
function addSha1Rounds(m: ModuleBuilder, [mix, round]: readonly [Ternary, number]): Func {
  return m.function(['v128', 'v128'], ['v128'], (c) => {
    const state = c.param('v128', 0).get;
    const message = c.let(i32x4.add(c.param('v128', 1).get, i32x4.splat(round)));
    let [a, b, d, f] = [3, 2, 1, 0].map((at) => c.let(i32x4.extract(state, at)));
    let e: I32 = i32.const(0);
    for (let i = 0; i < 4; i++) {
      const sum = i32.add(i32.add(mix(b, d, f), i32.rotl(a, 5)), i32.add(i32x4.extract(message, 3 - i), e));
      [a, b, d, f, e] = [c.let(sum), a, c.let(i32.rotl(b, 30)), d, f];
    }
    c.return(vector(f, d, b, a));
  });
}

/** Σ0 and Σ1 by their three rotations. @param x bound */
const sum = (x: I32, ...by: readonly [number, number, number]): I32 =>
  parity(i32.rotr(x, by[0]), i32.rotr(x, by[1]), i32.rotr(x, by[2]));

/** (C D G H, A B E F, two message words with their constants) → A B E F, highest first. */
function addSha256Rounds(m: ModuleBuilder): Func {
  return m.function(['v128', 'v128', 'v128'], ['v128'], (c) => {
    const [first, second, message] = [0, 1, 2].map((at) => c.param('v128', at).get);
    const dword = (v: V128, at: number): I32 => c.let(i32x4.extract(v, at));
    let [a, b, e, f] = [3, 2, 1, 0].map((at) => dword(second, at));
    let [x, d, g, h] = [3, 2, 1, 0].map((at) => dword(first, at));
    for (let i = 0; i < 2; i++) {
      const taken = i32.add(i32.add(choice(e, f, g), sum(e, 6, 11, 25)), i32.add(dword(message, i), h));
      const t = c.let(taken);
      const next = c.let(i32.add(t, i32.add(majority(a, b, x), sum(a, 2, 13, 22))));
      [a, b, x, d, e, f, g, h] = [next, a, b, x, c.let(i32.add(t, d)), e, f, g];
    }
    c.return(vector(f, e, b, a));
  });
}

/** σ0 and σ1 of every doubleword: two rotations and a shift. @param v bound */
const sigma = (v: V128, first: number, second: number, shift: number): V128 =>
  v128.xor(v128.xor(rotateLeft(v, 32 - first), rotateLeft(v, 32 - second)), i32x4.shr_u(v, shift));

/** Two more message words from the two before; words 14 and 15 are in the second operand. */
function nextWords(c: Code, sums: V128, last: V128): V128 {
  const low = c.let(i32x4.add(sums, sigma(c.let(pick(last, ZERO, 2, 3, 4, 4)), 17, 19, 10)));
  return i32x4.add(low, sigma(c.let(pick(low, ZERO, 4, 4, 0, 1)), 17, 19, 10));
}

/** Adds `sha1.rounds0` … `sha1.rounds3`, `sha1.rounds` (with the stage as its third parameter) and `sha256.*`. */
export function addShaLibrary(m: ModuleBuilder): Map<string, Func> {
  const stages = SHA1_STAGES.map((stage) => addSha1Rounds(m, stage));
  const any = m.function(['v128', 'v128', 'i32'], ['v128'], (c) => {
    const [state, message] = [c.param('v128', 0).get, c.param('v128', 1).get];
    const stage = c.param('i32', 2).get;
    const [first, ...others] = stages;
    others.forEach((func, i) =>
      c.if(i32.eq(stage, i + 1), () => c.return(c.call('v128', func, state, message))),
    );
    c.return(c.call('v128', first, state, message));
  });
  return new Map([
    ...stages.map((func, i) => [`sha1.rounds${i}`, func] as const),
    ['sha1.rounds', any],
    ['sha256.rounds', addSha256Rounds(m)],
    [
      'sha256.message',
      m.function(['v128', 'v128'], ['v128'], (c) =>
        c.return(nextWords(c, c.param('v128', 0).get, c.param('v128', 1).get)),
      ),
    ],
  ]);
}

define('sha1rnds4', (e) => {
  const c = e.c;
  const [target, operand] = e.operands;
  const message = e.readV(operand);
  const state = e.readV(target);
  const stage = i32.and(imm8(e), 3);
  const known = constant(stage);
  const result =
    known === undefined
      ? c.call('v128', helper(e, 'sha1.rounds'), state, message, stage)
      : c.call('v128', helper(e, `sha1.rounds${known}`), state, message);
  e.writeV(target, result);
});

/** E of the rounds to come, added to the first of their message words. */
onXmm('sha1nexte', (state, message, e) => {
  const highest = e.c.let(pick(state, ZERO, 4, 4, 4, 3));
  return i32x4.add(message, rotateLeft(highest, 30));
});
onXmm('sha1msg1', (a, b) => v128.xor(a, pick(b, a, 2, 3, 4, 5)));
/** The last word needs the first, which is only now made. */
onXmm('sha1msg2', (a, b, e) => {
  const turned = e.c.let(rotateLeft(e.c.let(v128.xor(a, pick(b, ZERO, 4, 0, 1, 2))), 1));
  return v128.xor(turned, rotateLeft(e.c.let(pick(turned, ZERO, 3, 4, 4, 4)), 1));
});

define('sha256rnds2', (e) => {
  const [target, operand] = e.operands;
  const second = e.readV(operand);
  const func = helper(e, 'sha256.rounds');
  e.writeV(target, e.c.call('v128', func, e.readV(target), second, e.readV(xmm(0))));
});
onXmm('sha256msg1', (a, b, e) => i32x4.add(a, sigma(e.c.let(pick(a, b, 1, 2, 3, 4)), 7, 18, 3)));
onXmm('sha256msg2', (a, b, e) => e.c.call('v128', helper(e, 'sha256.message'), a, b));
