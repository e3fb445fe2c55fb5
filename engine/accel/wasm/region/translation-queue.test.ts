import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { TranslationQueue } from './translation-queue.ts';
import type { TranslationRequest } from './translator.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A queue of numbered requests, and what it has had translated so far: the numbers in each module. */
function queue(): { add(...numbers: number[]): void; hurry(number: number): void; modules: number[][] } {
  const modules: number[][] = [];
  const made = new TranslationQueue((requests) => modules.push(requests.map(({ request }) => request)));
  return {
    add: (...numbers) => numbers.forEach((request) => made.add({ request } as TranslationRequest)),
    hurry: (number) => made.hurry(number),
    modules,
  };
}

test('requests that come within a while are one module', () => {
  const { add, modules } = queue();
  add(1);
  vi.advanceTimersByTime(30);
  add(2, 3);
  expect(modules).toEqual([]);
  vi.advanceTimersByTime(30);
  expect(modules).toEqual([[1, 2, 3]]);
  add(4);
  vi.advanceTimersByTime(60);
  expect(modules).toEqual([[1, 2, 3], [4]]);
});

test('many are several modules', () => {
  const { add, modules } = queue();
  add(...Array.from({ length: 20 }, (_, i) => i));
  vi.advanceTimersByTime(60);
  expect(modules.map((module) => module.length)).toEqual([16, 4]);
});

test('what the vCPU waits for is translated at once, alone, and the rest as if nothing had been', () => {
  const { add, hurry, modules } = queue();
  add(1, 2, 3);
  hurry(2);
  expect(modules).toEqual([[2]]);
  vi.advanceTimersByTime(60);
  expect(modules).toEqual([[2], [1, 3]]);
});

test('a hurry for what has been sent already changes nothing', () => {
  const { add, hurry, modules } = queue();
  add(1);
  hurry(1);
  hurry(1);
  hurry(7);
  vi.advanceTimersByTime(60);
  expect(modules).toEqual([[1]]);
});
