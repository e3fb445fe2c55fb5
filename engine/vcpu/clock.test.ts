import { expect, test } from 'vitest';
import { Arena } from '../memory/layout.ts';
import { GuestClock, timeOfTsc, tscAt } from './clock.ts';

function busy(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

test('guest time stands at 0 until started, never goes back, and stops while paused', () => {
  const clock = new GuestClock(new Arena(new SharedArrayBuffer(64), 0, 64));
  expect(clock.now()).toBe(0);
  clock.start();
  busy(2);
  const first = clock.now();
  expect(first).toBeGreaterThanOrEqual(2e6);
  expect(clock.now()).toBeGreaterThanOrEqual(first);
  clock.stop();
  const stopped = clock.now();
  busy(2);
  expect(clock.now()).toBe(stopped);
  const begun = process.hrtime.bigint();
  clock.start();
  const now = clock.now();
  expect(now).toBeGreaterThanOrEqual(stopped);
  // No more than has passed since, whenever the host lets this thread go on.
  expect(now - stopped).toBeLessThanOrEqual(Number(process.hrtime.bigint() - begun));
});

test('threads that attach to the same state agree', () => {
  const buffer = new SharedArrayBuffer(64);
  const [one, other] = [new GuestClock(new Arena(buffer, 0, 64)), new GuestClock(new Arena(buffer, 0, 64))];
  one.start();
  const before = one.now();
  const between = other.now();
  expect(between).toBeGreaterThanOrEqual(before);
  expect(between).toBeLessThanOrEqual(one.now());
});

test('the TSC counts guest nanoseconds', () => {
  expect(tscAt(1234.5)).toBe(1234n);
  expect(timeOfTsc(tscAt(987654321))).toBe(987654321);
});
