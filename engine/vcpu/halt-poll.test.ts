import { expect, test } from 'vitest';
import { HaltPoll } from './halt-poll.ts';

/** A vCPU whose events come after so many milliseconds of a clock that goes on as it is looked at. */
function setUp(vcpus = 1, cores = 2) {
  let now = 0;
  let due = 0;
  let slept = 0;
  const signals = {
    load: () => ((now += 0.001) >= due ? 1 : 0),
    wait: (_vcpu: number, _seen: number, milliseconds: number) => {
      const time = Math.min(Math.max(due - now, 0), Math.max(milliseconds, 0)) + 0.05;
      now += time;
      slept += time;
    },
  };
  const poll = new HaltPoll(signals, 0, vcpus, cores, () => now);
  /** @returns how long it slept, and looked, for an event that comes then */
  return (after: number, milliseconds = 1000): { slept: number; looked: number } => {
    const begun = now;
    due = now + after;
    slept = 0;
    const over = () => now >= due || now - begun >= milliseconds;
    while (!over()) poll.wait(0, milliseconds - (now - begun));
    return { slept, looked: now - begun - slept };
  };
}

test('what comes soon again and again is looked for without a sleep', () => {
  const wait = setUp();
  expect(wait(0.2).slept).toBeGreaterThan(0.2);
  for (let i = 0; i < 5; i++) wait(0.2);
  const { slept, looked } = wait(0.2);
  expect(slept).toBe(0);
  expect(looked).toBeCloseTo(0.2, 1);
});

test('what comes late is waited for asleep', () => {
  const wait = setUp();
  for (let i = 0; i < 6; i++) wait(0.2);
  wait(4);
  const { slept, looked } = wait(4);
  expect(slept).toBeCloseTo(4.05);
  expect(looked).toBeCloseTo(0);
});

test('it does not look for longer than it may wait', () => {
  const wait = setUp();
  for (let i = 0; i < 6; i++) wait(0.3);
  expect(wait(10, 0.1).looked).toBeLessThan(0.13);
});

test('where vCPUs have all of the host’s cores, those they wait for are left one', () => {
  const wait = setUp(2, 2);
  for (let i = 0; i < 6; i++) expect(wait(0.2).looked).toBeCloseTo(0);
});
