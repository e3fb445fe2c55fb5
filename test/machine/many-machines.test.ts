import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { Machine } from '../../engine/host/machine.ts';
import { acceleratorOf } from '../../engine/machine/accelerator.ts';

const MACHINES = 100;

/** Each machine has a megabyte of RAM and more than that of its own: hardly any of it may stay. */
const MOST_MEMORY = MACHINES * 0x10_0000;

const folder = mkdtempSync(path.join(tmpdir(), 'guesthouse-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A firmware image with a few bytes of code at the reset vector. */
function firmware(name: string, ...code: number[]): string {
  const image = new Uint8Array(0x1_0000).fill(0xf4);
  image.set(code, 0xfff0);
  const file = path.join(folder, name);
  writeFileSync(file, image);
  return file;
}

/** mov al, 0; out 0xf4, al: ends by itself through the debug exit port. */
const ENDS = firmware('ends', 0xb0, 0x00, 0xe6, 0xf4);
/** cli; again: jmp again. */
const SPINS = firmware('spins', 0xfa, 0xeb, 0xfe);

const held = () => ({
  threads: readdirSync('/proc/self/task').length,
  descriptors: readdirSync('/proc/self/fd').length,
});

const hostTells = process.platform === 'linux';

test.skipIf(!hostTells).each(['wasm', 'kvm'] as const)(
  'a hundred machines under %s, some of two vCPUs, one after the other, leave nothing behind',
  { timeout: 600_000 },
  async (accel) => {
    const found = acceleratorOf(accel).probe();
    if (!found.ok) {
      console.warn(`accelerator ${accel} cannot run here: ${found.reason}`);
      return;
    }
    const once = async (stopped: boolean, vcpus: number) => {
      const config = { accel, vcpus, memory: 1, firmware: stopped ? SPINS : ENDS, debugExit: true };
      const machine = Machine.create(config, { log: () => {} });
      machine.start();
      if (stopped) {
        await machine.pause();
        machine.resume();
        machine.stop();
      }
      const outcome = await machine.ended;
      expect(outcome).toEqual(stopped ? { kind: 'stopped' } : { kind: 'exit', status: 1 });
    };
    // What is made once for a process is there after a few.
    for (let i = 0; i < 6; i++) await once(i % 2 === 0, 1 + ((i % 3) >> 1));
    const before = held();
    const memory = process.memoryUsage.rss();
    for (let i = 0; i < MACHINES; i++) await once(i % 2 === 0, 1 + ((i % 3) >> 1));
    // The last worker's thread may still be on its way out.
    for (let i = 0; i < 20 && held().threads > before.threads; i++) await sleep(50);
    const after = held();
    expect(after.threads).toBeLessThanOrEqual(before.threads);
    expect(after.descriptors).toBeLessThanOrEqual(before.descriptors);
    expect(process.memoryUsage.rss() - memory).toBeLessThan(MOST_MEMORY);
  },
);
