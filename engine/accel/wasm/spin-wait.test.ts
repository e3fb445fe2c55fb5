import { availableParallelism } from 'node:os';
import { expect, test, vi } from 'vitest';
import { Arena } from '../../memory/layout.ts';
import { Coherence, coherenceBytes } from '../../vcpu/coherence.ts';
import { SpinWait } from './spin-wait.ts';

function setUp(vcpus: number) {
  const bytes = coherenceBytes(1, vcpus);
  const arena = new Arena(new SharedArrayBuffer(bytes), 0, bytes);
  const coherence = new Coherence(arena, 1, vcpus, { post: () => {} });
  const events = new Int32Array(new SharedArrayBuffer(4));
  return { coherence, spin: new SpinWait(coherence, 0, events) };
}

/** How many PAUSEs come before the vCPU sleeps. */
function untilSleep(spin: SpinWait): number {
  for (let count = 1; count <= 100_000; count++) if (spin.pause()) return count;
  return Infinity;
}

test('a vCPU that spins for long sleeps, again and again; sooner where some wait for a core', () => {
  const { spin } = setUp(2);
  const first = untilSleep(spin);
  expect(first).toBeGreaterThan(1);
  expect(untilSleep(spin)).toBe(first);
  const crowded = untilSleep(setUp(availableParallelism() + 1).spin);
  if (availableParallelism() >= 2) expect(crowded).toBeLessThan(first);
  else expect(crowded).toBe(first);
});

test('asleep it is outside the guest, and nobody waits for it', () => {
  const { coherence, spin } = setUp(2);
  coherence.gate.enter(0);
  const calls: string[] = [];
  vi.spyOn(coherence.gate, 'leave').mockImplementation(() => void calls.push('leave'));
  vi.spyOn(coherence.gate, 'enter').mockImplementation(() => void calls.push('enter'));
  expect(untilSleep(spin)).toBeLessThan(Infinity);
  expect(calls).toEqual(['leave', 'enter']);
});

test('a vCPU that is alone has nobody to wait for', () => {
  const { spin } = setUp(1);
  expect(untilSleep(spin)).toBe(Infinity);
});
