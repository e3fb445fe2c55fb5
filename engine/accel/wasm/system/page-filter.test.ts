import { expect, test } from 'vitest';
import { Random } from '../../../base/random.ts';
import { PageFilter } from './page-filter.ts';

test.each([12, 21, 30])('what was noted is known, in stretches of 2^%i bytes', (shift) => {
  const filter = new PageFilter(shift);
  const random = new Random(shift);
  const mask = 2 ** shift - 1;
  for (let n = 0; n < 500; n++) {
    const [low, high] = [random.next() | 0, random.next() | 0];
    filter.add(low, high);
    // Anywhere in the same stretch, with halves signed or not.
    expect(filter.mayHave((low & ~mask) | (random.next() & mask), high)).toBe(true);
    expect(filter.mayHave(low >>> 0, high >>> 0)).toBe(true);
  }
  filter.clear();
  expect(filter.mayHave(0, 0)).toBe(false);
});

test('few addresses are not taken for others', () => {
  const filter = new PageFilter(12);
  for (let page = 0; page < 64; page++) filter.add(page << 12, 0x7fff);
  let claimed = 0;
  for (let page = 64; page < 4096; page++) if (filter.mayHave(page << 12, 0x7ffe)) claimed++;
  expect(claimed).toBeLessThan(200);
});
