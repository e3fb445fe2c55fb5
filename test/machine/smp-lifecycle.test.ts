/** What can be asked of a machine whose vCPUs are all hard at work, and more than the host has cores. */
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { Machine } from '../../engine/host/machine.ts';
import { assemble } from '../guest/assemble.ts';

const VCPUS = 5;

/** Milliseconds that a request may take: the guest is left within ten, the rest is for a busy host. */
const LIMIT = 5000;

const TIMEOUT = { timeout: 120_000 };

const kernel = assemble(path.join(import.meta.dirname, 'guests', 'smp-storm.asm'));

const made: Machine[] = [];
afterEach(async () => {
  for (const machine of made) machine.stop();
  await Promise.all(made.splice(0).map(({ ended }) => ended));
});

/** A machine in whose guest every vCPU works. */
async function storm(): Promise<Machine> {
  const machine = Machine.create(
    { accel: 'wasm', memory: 64, vcpus: VCPUS, kernel, serial: [{ kind: 'null' }] },
    { log: () => {} },
  );
  made.push(machine);
  machine.start();
  await begun(machine);
  return machine;
}

/** Waits until every vCPU has executed a good deal more than it takes to start. */
async function begun(machine: Machine): Promise<void> {
  const before = machine.vcpus().map(({ instructions }) => instructions);
  const deadline = performance.now() + 60_000;
  const progress = () =>
    machine.vcpus().every(({ instructions }, i) => instructions > (before[i] ?? 0) + 10_000);
  while (!progress()) {
    if (performance.now() > deadline)
      throw new Error(`some vCPU does not work: ${JSON.stringify(machine.vcpus())}`);
    await sleep(10);
  }
}

/** Awaits what must be there in {@link LIMIT}. */
async function soon<T>(promise: Promise<T>, what: string): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`${what} took longer than ${LIMIT} ms`)), LIMIT);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

const done = (machine: Machine): number => machine.statistics().instructions;

test(
  'it is paused, resumed, reset and stopped, and every vCPU stands still or goes on',
  TIMEOUT,
  async () => {
    const machine = await storm();
    for (let round = 0; round < 4; round++) {
      await soon(machine.pause(), 'pausing');
      expect(machine.state).toBe('paused');
      const before = done(machine);
      await sleep(20);
      expect(done(machine)).toBe(before);
      if (round === 2) machine.reset();
      machine.resume();
      await begun(machine);
    }
    machine.stop();
    expect(await soon(machine.ended, 'stopping')).toEqual({ kind: 'stopped' });
  },
);

test('it is stopped in the midst of other requests, and while it is paused', TIMEOUT, async () => {
  const machine = await storm();
  const pauses: Array<Promise<void>> = [];
  for (let i = 0; i < 30; i++) {
    pauses.push(machine.pause());
    if (i % 3 === 0) machine.reset();
    if (i % 4 !== 3) machine.resume();
    if (i % 5 === 0) await sleep(3);
  }
  await soon(machine.pause(), 'pausing');
  machine.stop();
  expect(await soon(machine.ended, 'stopping')).toEqual({ kind: 'stopped' });
  await soon(Promise.all(pauses), 'pausing');
  expect(machine.state).toBe('ended');
});
