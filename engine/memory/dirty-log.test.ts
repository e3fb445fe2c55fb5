import { expect, test } from 'vitest';
import { DirtyLog } from './dirty-log.ts';
import { Arena } from './layout.ts';

function setUp(pages = 100) {
  const buffer = new SharedArrayBuffer(4096);
  let flushes = 0;
  const log = new DirtyLog(new Arena(buffer, 0, 4096), pages, () => flushes++);
  return { log, flushes: () => flushes };
}

test('nothing is logged until asked for', () => {
  const { log } = setUp();
  log.mark(5);
  expect(log.isLogged(5)).toBe(false);
  expect(log.needsTrap(5)).toBe(false);
  expect(log.collect(0, 100)).toEqual([]);
});

test('a logged page traps until it is dirty, and again once collected', () => {
  const { log, flushes } = setUp();
  log.enable(10, 50);
  expect(flushes()).toBe(1);
  expect([9, 10, 59, 60].map((page) => log.needsTrap(page))).toEqual([false, true, true, false]);
  for (const page of [59, 31, 32, 10, 63]) log.mark(page);
  expect(log.needsTrap(31)).toBe(false);
  expect(log.collect(0, 32)).toEqual([10, 31]);
  expect(flushes()).toBe(2);
  expect(log.needsTrap(31)).toBe(true);
  expect(log.collect(0, 100)).toEqual([32, 59]);
  expect(log.collect(0, 100)).toEqual([]);
  expect(flushes()).toBe(3);
});

test('disabling drops what was dirty; ranges beyond RAM are cut off', () => {
  const { log } = setUp();
  log.enable(0, 1000);
  expect(log.needsTrap(99)).toBe(true);
  expect(log.needsTrap(100)).toBe(false);
  log.mark(1);
  log.disable(0, 2);
  log.enable(0, 2);
  expect(log.collect(0, 1000)).toEqual([]);
});

test('what the accelerator has noticed by itself is fetched before anybody looks', () => {
  const buffer = new SharedArrayBuffer(4096);
  const noticed: number[] = [];
  const log: DirtyLog = new DirtyLog(
    new Arena(buffer, 0, 4096),
    100,
    () => {},
    () => {
      for (const page of noticed.splice(0)) log.mark(page);
    },
  );
  noticed.push(7);
  log.enable(0, 64);
  expect(log.collect(0, 100)).toEqual([]);
  noticed.push(3, 70);
  expect(log.collect(0, 100)).toEqual([3]);
});

test('whether any of some pages is logged', () => {
  const { log } = setUp();
  log.enable(40, 2);
  expect([log.anyLogged(0, 40), log.anyLogged(0, 41), log.anyLogged(41, 1), log.anyLogged(42, 50)]).toEqual([
    false,
    true,
    true,
    false,
  ]);
});
