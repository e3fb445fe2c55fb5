import { expect, test } from 'vitest';
import { Arena } from '../../memory/layout.ts';
import { IoSlots } from './io-slots.ts';

/** Slots, and how often the thread was woken. */
function make() {
  const wakes: Array<() => void> = [];
  const slots = new IoSlots(new Arena(new SharedArrayBuffer(0x1000), 0, 0x1000), (wake) => wakes.push(wake));
  return { slots, wakes };
}

test('who has rung is heard once, and the thread woken once for all', () => {
  const { slots, wakes } = make();
  const [one, other] = [slots.slot(), slots.slot()];
  other.ring();
  one.ring();
  other.ring();
  expect(wakes.length).toBe(1);
  expect(slots.wait()).toBe(3);
  expect(slots.wait(performance.now())).toBe(0);
  one.ring();
  expect(wakes.length).toBe(2);
  expect(slots.wait()).toBe(1);
});

test('a wait for a time ends then', () => {
  const { slots } = make();
  const due = performance.now() + 5;
  expect(slots.wait(due)).toBe(0);
  expect(performance.now()).toBeGreaterThanOrEqual(due);
});

test('a vCPU that halts rings for those who hold something back, and only then', () => {
  const { slots } = make();
  const [one, other] = [slots.slot(), slots.slot()];
  expect(one.idle).toBe(false);
  other.hold(true);
  slots.halted();
  expect([one.idle, other.idle]).toEqual([true, true]);
  expect(slots.wait(0)).toBe(2);
  slots.woken();
  other.hold(false);
  slots.halted();
  expect(slots.wait(0)).toBe(0);
  slots.halted();
  slots.woken();
  expect(one.idle).toBe(true);
  slots.woken();
  expect(one.idle).toBe(false);
});

test('the end is told after what has rung', () => {
  const { slots } = make();
  slots.slot();
  slots.stop();
  expect(slots.wait()).toBe(-1);
  expect(slots.wait()).toBe(undefined);
});
