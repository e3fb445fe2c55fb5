import { expect, test } from 'vitest';
import { Random } from './random.ts';

function take(seed: number): number[] {
  const random = new Random(seed);
  return Array.from({ length: 16 }, () => random.next());
}

test('the same seed gives the same sequence, another seed another', () => {
  expect(take(1)).toEqual(take(1));
  expect(take(1)).not.toEqual(take(2));
});

test('values stay in their range and use all of it', () => {
  const random = new Random(7);
  const seen = new Set<number>();
  for (let n = 0; n < 1000; n++) {
    const word = random.next();
    expect(Number.isInteger(word) && word >= 0 && word <= 0xffff_ffff).toBe(true);
    seen.add(random.below(10));
  }
  expect([...seen].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(random.below(1)).toBe(0);
});

test('every bit is set about half of the time', () => {
  const random = new Random(99);
  const ones = Array.from({ length: 64 }, () => 0);
  for (let n = 0; n < 2000; n++) {
    const word = random.next64();
    for (let bit = 0; bit < 64; bit++) if ((word >> BigInt(bit)) & 1n) ones[bit]!++;
  }
  for (const count of ones) expect(Math.abs(count - 1000)).toBeLessThan(150);
});
