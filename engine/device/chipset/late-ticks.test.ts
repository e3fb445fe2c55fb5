import { expect, test } from 'vitest';
import { LateTicks, MOST_LATE_TICKS } from './late-ticks.ts';

/** An edge-triggered input of an interrupt controller, and the processor behind it. */
class Input {
  masked = false;
  /** Requested, and not yet taken. */
  waiting = false;
  level = false;
  taken = 0;
  readonly ticks = new LateTicks(
    new Uint32Array(2),
    1,
    (level) => {
      if (level && !this.level && !this.masked) this.waiting = true;
      this.level = level;
    },
    () => this.waiting,
  );

  /** The processor takes interrupts as long as there are any, `most` at most. */
  take(most = Infinity): number {
    let count = 0;
    for (; this.waiting && count < most; count++) {
      this.waiting = false;
      this.ticks.raise();
    }
    this.taken += count;
    return count;
  }
}

test('each tick is an interrupt, however late it is taken', () => {
  const input = new Input();
  input.ticks.add(1);
  expect(input.take()).toBe(1);
  input.ticks.add(5);
  input.ticks.add(2);
  expect(input.take(3)).toBe(3);
  input.ticks.add(1);
  expect(input.take()).toBe(5);
  expect(input.take()).toBe(0);
});

test('but no more than a bound', () => {
  const input = new Input();
  input.ticks.add(1);
  input.ticks.add(1_000_000);
  expect(input.take()).toBe(1 + MOST_LATE_TICKS);
  input.ticks.add(2 ** 40);
  expect(input.take()).toBe(MOST_LATE_TICKS);
});

test('what a masked input is told is lost', () => {
  const input = new Input();
  input.masked = true;
  input.ticks.add(20);
  input.masked = false;
  input.ticks.raise();
  expect(input.take()).toBe(0);
  input.ticks.add(1);
  expect(input.take()).toBe(1);
});

test('masked while ticks are late, they are lost with the one that waits', () => {
  const input = new Input();
  input.ticks.add(20);
  input.masked = true;
  expect(input.take()).toBe(1);
  input.masked = false;
  expect(input.take()).toBe(0);
});

test('forgotten, none comes but the one that is raised', () => {
  const input = new Input();
  input.ticks.add(20);
  input.ticks.forget();
  expect(input.take()).toBe(1);
});
