import { expect, test } from 'vitest';
import { Random } from '../../base/random.ts';
import { nanosecondsAt, ticksAt } from './ticks.ts';

test('a tick begins where the conversion back says, and not a nanosecond earlier', () => {
  const random = new Random(5);
  for (const hz of [1_193_182, 32_768]) {
    for (let n = 0; n < 2000; n++) {
      const tick = random.below(2 ** (1 + random.below(32)));
      const ns = nanosecondsAt(tick, hz);
      expect(ticksAt(ns, hz)).toBeGreaterThanOrEqual(tick);
      if (tick > 0) expect(ticksAt(ns - 3, hz)).toBeLessThan(tick);
    }
  }
  expect(nanosecondsAt(Infinity, 32_768)).toBe(Infinity);
});

test('a second has as many ticks as the frequency says', () => {
  expect(ticksAt(1e9, 1_193_182)).toBe(1_193_182);
  expect(nanosecondsAt(32_768, 32_768)).toBe(1e9);
});
