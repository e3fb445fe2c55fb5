import { expect, test } from 'vitest';
import { Moderation } from './moderation.ts';

test('with a vCPU halted the driver is told at once', () => {
  const m = new Moderation();
  expect([m.done(0, true), m.holding]).toEqual([true, false]);
});

test('while all are busy, until the time is over, or one has halted', () => {
  const m = new Moderation();
  expect([m.done(0, false), m.holding]).toEqual([false, true]);
  expect(m.due).toBeLessThan(1);
  expect([m.done(0.2, false), m.over(0.2, false)]).toEqual([false, false]);
  expect([m.over(m.due, false), m.holding]).toEqual([false, true]);
  expect([m.over(1, false), m.holding]).toEqual([true, false]);
  m.done(2, false);
  m.done(2.1, false);
  expect([m.over(2.2, true), m.holding]).toEqual([true, false]);
});

test('looks follow each other, and the last is at the end', () => {
  const m = new Moderation();
  m.done(0, false);
  const looks: number[] = [];
  while (!m.over(m.due, false)) looks.push(m.due);
  expect(looks.length).toBeGreaterThan(1);
  expect(looks.at(-1)).toBe(1);
  expect(looks).toEqual(looks.toSorted((a, b) => a - b));
});

test('where nothing comes meanwhile it is done ever more rarely, until something does', () => {
  const m = new Moderation();
  let now = 0;
  const atOnce = (): number => {
    let times = 0;
    while (m.done(now, false)) times++;
    return times;
  };
  const end = () => m.over((now += 10), false);
  expect(atOnce()).toBe(0);
  end();
  const first = atOnce();
  expect(first).toBeGreaterThan(0);
  end();
  expect(atOnce()).toBe(2 * first);
  m.done(now, false);
  end();
  expect(atOnce()).toBe(0);
  end();
  expect(atOnce()).toBe(first);
  for (let i = 0; i < 20; i++) {
    end();
    atOnce();
  }
  end();
  expect(atOnce()).toBeLessThan(5000);
});
