import { expect, test } from 'vitest';
import { highHalf, lowHalf, ofHalves } from './halves.ts';
import { Random } from './random.ts';

test('halves of numbers, signed or not, and back', () => {
  const random = new Random(1);
  const some = [
    0n,
    1n,
    0x7fff_ffffn,
    0x8000_0000n,
    0xffff_ffffn,
    1n << 63n,
    2n ** 64n - 1n,
    -1n,
    -(2n ** 63n),
  ];
  for (const value of [...some, ...Array.from({ length: 1000 }, () => random.next64())]) {
    const [low, high] = [lowHalf(value), highHalf(value)];
    expect(low).toBe(Number(BigInt.asIntN(32, value)));
    expect(high).toBe(Number(BigInt.asIntN(32, value >> 32n)));
    expect(ofHalves(low, high)).toBe(BigInt.asUintN(64, value));
    expect(ofHalves(low >>> 0, high >>> 0)).toBe(BigInt.asUintN(64, value));
  }
});
