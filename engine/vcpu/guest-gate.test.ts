import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { Arena } from '../memory/layout.ts';
import { gateBytes, GuestGate } from './guest-gate.ts';

const VCPUS = 2;
/** Words behind the gate: the other vCPU is to leave, whether it is inside, how often the others were, and whether it
 * is to end. */
const WORDS = { ask: 0, inside: 1, visits: 2, end: 3 } as const;

function setUp() {
  const buffer = new SharedArrayBuffer(gateBytes(VCPUS) + 64);
  const arena = new Arena(buffer, 0, buffer.byteLength);
  const gate = new GuestGate(arena, VCPUS);
  const words = new Int32Array(buffer, arena.reserve(16, 16), 4);
  return { buffer, gate, words };
}

/** vCPU 1 in a thread of its own: in and out, staying inside until it is asked to leave. */
function startOther(buffer: SharedArrayBuffer): Promise<unknown> {
  const source = `
    const { workerData: { buffer, base } } = require('node:worker_threads');
    Promise.all(['../memory/layout.ts', './guest-gate.ts'].map((name) => import(new URL(name, base).href)))
      .then(([{ Arena }, { GuestGate }]) => {
        const arena = new Arena(buffer, 0, buffer.byteLength);
        const gate = new GuestGate(arena, ${VCPUS});
        const words = new Int32Array(buffer, arena.reserve(16, 16), 4);
        while (Atomics.load(words, ${WORDS.end}) === 0) {
          gate.enter(1);
          Atomics.store(words, ${WORDS.inside}, 1);
          Atomics.add(words, ${WORDS.visits}, 1);
          Atomics.notify(words, ${WORDS.visits});
          while (Atomics.load(words, ${WORDS.ask}) === 0 && Atomics.load(words, ${WORDS.end}) === 0);
          Atomics.store(words, ${WORDS.ask}, 0);
          Atomics.store(words, ${WORDS.inside}, 0);
          gate.leave(1);
        }
      });`;
  return new Promise((resolve, reject) =>
    new Worker(source, { eval: true, workerData: { buffer, base: import.meta.url } })
      .on('exit', resolve)
      .on('error', reject),
  );
}

test('who is outside, or has done what was asked, is not waited for', () => {
  const { gate } = setUp();
  gate.waitFor(1, () => false);
  gate.enter(1);
  gate.waitFor(1, () => true);
  gate.leave(1);
  gate.waitFor(1, () => false);
});

test('the epoch counts how often translations were dropped, in 24 bits', () => {
  const { gate, buffer } = setUp();
  expect(gate.epoch(1)).toBe(0);
  gate.advance(1);
  gate.advance(1);
  expect([gate.epoch(0), gate.epoch(1)]).toEqual([0, 2]);
  // The word after the one that tells whether vCPU 1 is inside.
  new Int32Array(buffer)[2 * 16 + 1] = 0xff_ffff;
  gate.advance(1);
  expect(gate.epoch(1)).toBe(0);
});

test('one vCPU becomes the only one in the guest, and the other waits outside meanwhile', async () => {
  const { buffer, gate, words } = setUp();
  const ended = startOther(buffer);
  gate.enter(0);
  for (let round = 0; round < 200; round++) {
    // The other has been inside since the last round, so that there is something to wait for.
    while (Atomics.load(words, WORDS.visits) <= round) Atomics.wait(words, WORDS.visits, round, 1000);
    gate.beAlone(0, () => Atomics.store(words, WORDS.ask, 1));
    const visits = Atomics.load(words, WORDS.visits);
    expect(Atomics.load(words, WORDS.inside)).toBe(0);
    // Time for it to come in, if nothing held it.
    if (round % 50 === 0) Atomics.wait(words, WORDS.inside, 0, 5);
    expect([Atomics.load(words, WORDS.visits), Atomics.load(words, WORDS.inside)]).toEqual([visits, 0]);
    gate.beTogether();
  }
  gate.leave(0);
  Atomics.store(words, WORDS.end, 1);
  expect(await ended).toBe(0);
});
