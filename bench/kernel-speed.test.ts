import { expect, test } from 'vitest';
import { doublings } from './kernel-speed.ts';

test('work grows by powers of two until it takes long enough, and not for ever', () => {
  expect(doublings(3, 2.5)).toBe(1);
  expect(doublings(2.5, 2.5)).toBe(1);
  expect(doublings(2.4, 2.5)).toBe(2);
  expect(doublings(0.3, 2.5)).toBe(16);
  expect(doublings(0, 2.5)).toBe(64);
  expect(doublings(0.06, 250)).toBe(256);
});
