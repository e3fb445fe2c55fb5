import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { Arena } from '../memory/layout.ts';
import { GuestClock } from './clock.ts';
import { RunState } from './run-state.ts';
import { VcpuSignals } from './signals.ts';
import { VcpuEvent, vcpuLayout } from './state.ts';

/** Places what a machine of two vCPUs needs; the same calls in each thread. */
function attach(buffer: SharedArrayBuffer) {
  const arena = new Arena(buffer, 0, buffer.byteLength);
  const addresses = [arena.reserve(vcpuLayout.size), arena.reserve(vcpuLayout.size)];
  const signals = new VcpuSignals(buffer, addresses);
  const clock = new GuestClock(arena);
  const runState = new RunState(arena, signals, clock, () => {});
  const counts = new Int32Array(buffer, arena.reserve(16), 4);
  return { signals, clock, runState, counts };
}

/** A thread that attends as vCPU `index` until the machine ends; counts[0] counts resets, counts[1 + index]
 * rounds. */
function startVcpu(buffer: SharedArrayBuffer, index: number): Promise<unknown> {
  const source = `
    const { workerData: { buffer, index, base }, parentPort } = require('node:worker_threads');
    (async () => {
      const [{ Arena }, { GuestClock }, { RunState }, { VcpuSignals }, { vcpuLayout }] = await Promise.all(
        ['../memory/layout.ts', './clock.ts', './run-state.ts', './signals.ts', './state.ts'].map(
          (name) => import(new URL(name, base).href)));
      const arena = new Arena(buffer, 0, buffer.byteLength);
      const addresses = [arena.reserve(vcpuLayout.size), arena.reserve(vcpuLayout.size)];
      const signals = new VcpuSignals(buffer, addresses);
      const runState = new RunState(arena, signals, new GuestClock(arena), () => {});
      const counts = new Int32Array(buffer, arena.reserve(16), 4);
      for (;;) {
        Atomics.add(counts, 1 + index, 1);
        const end = runState.attend(index, () => Atomics.add(counts, 0, 1));
        if (end !== null) { parentPort.postMessage(end); return; }
      }
    })();`;
  const workerData = { buffer, index, base: import.meta.url };
  return new Promise((resolve, reject) =>
    new Worker(source, { eval: true, workerData }).on('message', resolve).on('error', reject),
  );
}

test('resets and pauses are carried out with every vCPU out of the guest, as often as asked', async () => {
  const buffer = new SharedArrayBuffer(32768);
  const { clock, runState, counts } = attach(buffer);
  clock.start();
  const ends = [startVcpu(buffer, 0), startVcpu(buffer, 1)];

  for (let round = 1; round <= 20; round++) {
    runState.reset('test');
    while (Atomics.load(counts, 0) < round) await new Promise((resolve) => setImmediate(resolve));
    runState.pause();
    await runState.waitPaused();
    const [time, rounds] = [clock.now(), counts.slice(1, 3)];
    await new Promise((resolve) => setTimeout(resolve, 2));
    expect(clock.now()).toBe(time);
    expect(counts.slice(1, 3)).toEqual(rounds);
    runState.resume();
  }
  expect(counts[0]).toBe(20);
  // A pause that is taken back at once leaves nobody waiting.
  for (let i = 0; i < 200; i++) {
    runState.pause();
    runState.resume();
  }
  runState.exit(7);
  expect(await Promise.all(ends)).toEqual([
    { kind: 'exit', status: 7 },
    { kind: 'exit', status: 7 },
  ]);
});

test('a request wakes every vCPU, and an SMI is raised on each', () => {
  const { runState, signals } = attach(new SharedArrayBuffer(32768));
  runState.powerOff();
  runState.systemManagementInterrupt();
  expect([0, 1].map((vcpu) => signals.load(vcpu))).toEqual([VcpuEvent.Kick | VcpuEvent.Smi, VcpuEvent.Kick]);
  expect(runState.attend(1, () => {})).toEqual({ kind: 'poweroff' });
});
