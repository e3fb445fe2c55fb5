/**
 * What can be asked of a machine, at any moment and whatever its guest does: each request ends in a defined
 * state within a bounded time. The guests are firmware images of a few bytes.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { acceleratorOf, type AcceleratorName } from '../machine/accelerator.ts';
import { Machine, type Outcome } from './machine.ts';

/** Milliseconds that a request may take: the guest is left within ten, the rest is for a busy host. */
const LIMIT = 5000;

/** Milliseconds for a test; most of it goes into starting threads. */
const TIMEOUT = 120_000;

const folder = mkdtempSync(path.join(tmpdir(), 'guesthouse-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Writes a firmware image of 64 KiB with real-mode code, in hexadecimal, that the reset vector leads to. */
function firmware(name: string, code: string): string {
  const image = new Uint8Array(0x1_0000).fill(0xf4);
  const bytes = code.match(/[0-9a-f]{2}/g)?.map((byte) => parseInt(byte, 16)) ?? [];
  const start = 0xff00;
  image.set(bytes, start);
  // At the reset vector: jmp start.
  new DataView(image.buffer).setUint8(0xfff0, 0xe9);
  new DataView(image.buffer).setInt16(0xfff1, start - 0xfff3, true);
  const file = path.join(folder, name);
  writeFileSync(file, image);
  return file;
}

const GUESTS = {
  'spins with interrupts off': firmware('spin', 'fa ebfe'), // cli; again: jmp again
  'halts with interrupts off': firmware('halt', 'fa f4 ebfc'), // cli; again: hlt; jmp again
  'hammers a port': firmware('ports', 'e680 ebfc'), // again: out 0x80, al; jmp again
  // cld; again: mov cx, 0xffff; mov dx, 0x80; rep outsb; jmp again
  'hammers a port with strings': firmware('strings', 'fc b9ffff ba8000 f36e ebf5'),
  // again: mov [0xa0000], al by way of DS = 0xa000: mov ax, 0xa000; mov ds, ax; mov [0], al; jmp again
  'hammers a device': firmware('device', 'b800a0 8ed8 a20000 ebfb'),
  'resets itself all the time': firmware('reset', 'b0fe e664 ebfe'), // mov al, 0xfe; out 0x64, al; jmp $
} as const;

/** Ends the machine at once through the debug exit port: mov al, 0x15; out 0xf4, al; hlt. */
const EXIT = firmware('exit', 'b015 e6f4 f4');

/** What a test that fails leaves running. */
const made = new Set<Machine>();
afterEach(async () => {
  for (const machine of made) machine.stop();
  await Promise.all([...made].map(({ ended }) => ended));
  made.clear();
});

function make(accel: AcceleratorName, file: string): Machine {
  const machine = Machine.create(
    { accel, memory: 1, firmware: file, debugExit: true, serial: [{ kind: 'null' }] },
    { log: () => {} },
  );
  made.add(machine);
  void machine.ended.then(() => made.delete(machine));
  return machine;
}

/** Awaits what must be there in {@link LIMIT}. */
async function soon<T>(promise: Promise<T>, what: string): Promise<T> {
  const ac = new AbortController();
  const late = sleep(LIMIT, undefined, { signal: ac.signal }).then(() => {
    throw new Error(`${what} took longer than ${LIMIT} ms`);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    ac.abort();
    late.catch(() => {});
  }
}

async function stop(machine: Machine): Promise<Outcome> {
  machine.stop();
  const outcome = await soon(machine.ended, 'stopping');
  expect(machine.state).toBe('ended');
  return outcome;
}

/** Waits until the machine's threads are there and its guest has begun. */
async function begun(machine: Machine): Promise<void> {
  await machine.pause();
  machine.resume();
}

const exits = (machine: Machine): number =>
  machine.statistics().exits.reduce((sum, { count }) => sum + count, 0);

for (const name of ['wasm', 'kvm'] as const) {
  const found = acceleratorOf(name).probe();
  if (!found.ok) {
    test.skip(`accelerator ${name} cannot run here: ${found.reason}`, () => {});
    continue;
  }

  describe.each(Object.entries(GUESTS))(`${name}: a guest that %s`, { timeout: TIMEOUT }, (_what, file) => {
    test('is paused, resumed, reset and stopped', async () => {
      const machine = make(name, file);
      expect(machine.state).toBe('ready');
      machine.start();
      await begun(machine);
      for (let round = 0; round < 5; round++) {
        await soon(machine.pause(), 'pausing');
        expect(machine.state).toBe('paused');
        const before = exits(machine);
        await sleep(20);
        expect(exits(machine)).toBe(before);
        machine.resume();
        if (round % 2 === 0) machine.reset();
        machine.pressPowerButton();
        await sleep(20);
        expect(machine.state).toBe('running');
      }
      expect(await stop(machine)).toEqual({ kind: 'stopped' });
    });

    test('is stopped while it is paused, and in the midst of other requests', async () => {
      const machine = make(name, file);
      machine.start();
      await begun(machine);
      await soon(machine.pause(), 'pausing');
      machine.reset();
      expect(await stop(machine)).toEqual({ kind: 'stopped' });

      const other = make(name, file);
      other.start();
      await begun(other);
      const pauses: Array<Promise<void>> = [];
      for (let i = 0; i < 20; i++) {
        pauses.push(other.pause());
        if (i % 3 === 0) other.reset();
        if (i % 4 !== 3) other.resume();
        if (i % 5 === 0) await sleep(1);
      }
      expect(await stop(other)).toEqual({ kind: 'stopped' });
      await soon(Promise.all(pauses), 'pausing');
    });
  });

  describe(`${name}: a machine`, { timeout: TIMEOUT }, () => {
    test('is stopped before it has started, and at once after', async () => {
      const early = make(name, GUESTS['hammers a port']);
      expect(await stop(early)).toEqual({ kind: 'stopped' });
      expect(() => early.start()).toThrow('started already');

      const late = make(name, GUESTS['hammers a port']);
      await expect(late.pause()).rejects.toThrow('has not been started');
      expect(() => late.reset()).toThrow('has not been started');
      late.start();
      late.stop();
      late.stop();
      expect(await late.ended).toEqual({ kind: 'stopped' });
    });

    test('that has ended takes every request, and stays ended', async () => {
      const machine = make(name, EXIT);
      machine.start();
      expect(await machine.ended).toEqual({ kind: 'exit', status: 43 });
      await machine.pause();
      machine.resume();
      machine.reset();
      machine.pressPowerButton();
      machine.stop();
      expect(await machine.ended).toEqual({ kind: 'exit', status: 43 });
      expect(machine.state).toBe('ended');
    });
  });
}
