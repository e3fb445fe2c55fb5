import { expect, test } from 'vitest';
import { cpuSeconds, geometricMean, median } from './measure.ts';

test('the median is the middle, or the mean of both middles', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([10, 9, 1, 2])).toBe(5.5);
  expect(median([7])).toBe(7);
  expect(() => median([])).toThrow(RangeError);
});

test('the median leaves its input alone', () => {
  const numbers = [3, 1, 2];
  median(numbers);
  expect(numbers).toEqual([3, 1, 2]);
});

test('the geometric mean of a speed and its inverse is one', () => {
  expect(geometricMean([4, 0.25])).toBeCloseTo(1);
  expect(() => geometricMean([])).toThrow(RangeError);
});

test.runIf(process.platform === 'linux')('processor time is what the process has used', () => {
  const before = cpuSeconds(process.pid);
  const { user, system } = process.cpuUsage();
  const after = cpuSeconds(process.pid);
  const used = (user + system) / 1e6;
  // In ticks of 10 ms, user and system time apart.
  expect(used).toBeGreaterThan(before - 0.1);
  expect(used).toBeLessThan(after + 0.1);
  expect(() => cpuSeconds(2 ** 22 + 1)).toThrow('ENOENT');
});
