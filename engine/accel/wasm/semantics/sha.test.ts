import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { imm, SimdMachine, xmm } from './simd-harness.ts';

const pair = [xmm(1), xmm(2)];
const machine = new SimdMachine([
  { name: 'sha1rnds4', operands: [...pair, imm] },
  ...[0, 1, 2, 3].map((constant) => ({ name: `sha1rnds4`, operands: [...pair, imm], constant })),
  ...['sha1nexte', 'sha1msg1', 'sha1msg2', 'sha256rnds2', 'sha256msg1', 'sha256msg2'].map((name) => ({
    name,
    operands: pair,
  })),
]);

type Words = readonly number[];

/** Runs the form at a place in the list, or the first of a name, on vectors of words, lowest first. */
function run(form: string | number, a: Words, b: Words, immediate = 0, xmm0: Words = [0, 0, 0, 0]): number[] {
  const put = (n: number, words: Words) =>
    machine.xmm(n).set(new Uint8Array(Uint32Array.from(words, (word) => word >>> 0).buffer));
  put(0, xmm0);
  put(1, a);
  put(2, b);
  const vector = typeof form === 'string' ? machine.run(form, immediate) : machine.runForm(form, immediate);
  expect(vector).toBe(0);
  return [...new Uint32Array(machine.xmm(1).slice().buffer)];
}

const add = (a: Words, b: Words): number[] => a.map((word, i) => (word + b[i]) >>> 0);

/** "abc" and its padding: the one block of the examples of FIPS 180-4. */
const BLOCK = [0x61626380, ...Array.from({ length: 14 }, () => 0), 24];
const expected = (algorithm: string): number[] => {
  const digest = createHash(algorithm).update('abc').digest();
  return Array.from({ length: digest.length / 4 }, (_, i) => digest.readUInt32BE(4 * i));
};

/** One block of SHA-1 as programs compute it. @param known runs rounds with their immediate known when emitted */
function sha1(known: boolean): number[] {
  const [a, b, c, d, e] = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];
  const words = Array.from({ length: 4 }, (_, i) => BLOCK.slice(4 * i, 4 * i + 4).toReversed());
  for (let i = 4; i < 20; i++) {
    const mixed = run('sha1msg1', words[i - 4], words[i - 3]);
    const other = words[i - 2];
    words.push(run('sha1msg2', mixed.map((word, at) => word ^ other[at]), words[i - 1])); // prettier-ignore
  }
  let state = [d, c, b, a];
  let message = add(words[0], [0, 0, 0, e]);
  for (let i = 0; i < 20; i++) {
    const stage = Math.floor(i / 5);
    const before = state;
    state = known ? run(1 + stage, state, message) : run('sha1rnds4', state, message, stage);
    message = run('sha1nexte', before, i < 19 ? words[i + 1] : [0, 0, 0, e]);
  }
  return [...add(state, [d, c, b, a]).toReversed(), message[3]];
}

test('SHA-1 of the example of FIPS 180-4, rounds known when emitted or not', () => {
  expect(sha1(false)).toEqual(expected('sha1'));
  expect(sha1(true)).toEqual(expected('sha1'));
});

/** The first 32 bits of the fractional part of a root of the n-th prime (FIPS 180-4, 4.2.2 and 5.3.3). */
function rootBits(n: number, root: (x: number) => number): number {
  const primes: number[] = [];
  for (let x = 2; primes.length <= n; x++) if (primes.every((prime) => x % prime !== 0)) primes.push(x);
  return Math.floor((root(primes[n]) % 1) * 2 ** 32) >>> 0;
}

test('SHA-256 of the example of FIPS 180-4', () => {
  const initial = Array.from({ length: 8 }, (_, i) => rootBits(i, Math.sqrt));
  const words = Array.from({ length: 4 }, (_, i) => BLOCK.slice(4 * i, 4 * i + 4));
  for (let i = 4; i < 16; i++) {
    const [last, before] = [words[i - 1], words[i - 2]];
    const sums = run('sha256msg1', words[i - 4], words[i - 3]);
    words.push(run('sha256msg2', add(sums, [...before.slice(1), last[0]]), last));
  }
  const [a, b, c, d, e, f, g, h] = initial;
  let [first, second] = [[h, g, d, c], [f, e, b, a]]; // prettier-ignore
  for (let i = 0; i < 32; i++) {
    const at = words[i >> 1].slice(2 * (i & 1));
    const keyed = [0, 1].map((n) => at[n] + rootBits(2 * i + n, Math.cbrt));
    [first, second] = [second, run('sha256rnds2', first, second, 0, [...keyed, 0, 0])];
  }
  const [f2, e2, b2, a2] = second;
  const [h2, g2, d2, c2] = first;
  expect(add([a2, b2, c2, d2, e2, f2, g2, h2], initial)).toEqual(expected('sha256'));
});
