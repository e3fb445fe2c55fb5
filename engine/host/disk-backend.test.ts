import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import type { DiskConfig } from '../api/config.ts';
import { parseMachineConfig } from '../api/config.ts';
import { MemoryFile } from '../backend/image/memory-file.ts';
import { RawImage } from '../backend/image/raw.ts';
import { BlockCounters } from '../device/storage/block-counters.ts';
import { IoSlots } from '../device/storage/io-slots.ts';
import { Arena } from '../memory/layout.ts';
import { DiskBackend, type DiskFailure } from './disk-backend.ts';

const SIZE = 65536;

function make(config: Partial<DiskConfig>) {
  const [disk] = parseMachineConfig({ kernel: 'k', disks: [{ file: 'disk.raw', ...config }] }).disks;
  const buffer = new SharedArrayBuffer(4096);
  const arena = new Arena(buffer, 0, 4096);
  const slots = new IoSlots(arena);
  const counters = new BlockCounters(arena);
  const slot = slots.slot();
  const file = new MemoryFile();
  file.truncate(SIZE);
  const failures: DiskFailure[] = [];
  const backend = new DiskBackend(new RawImage(file, 'disk.raw', true), {
    config: disk,
    counters,
    slot,
    slots,
    failed: (failure) => failures.push(failure),
    wasRead: () => {},
  });
  const failWith = (code: string) => {
    file.onWrite = () => {
      throw Object.assign(new Error(`${code}: it is so, write`), { code });
    };
  };
  return { backend, file, counters, slots, slot, failures, failWith, buffer };
}

const data = [new Uint8Array(512).fill(7)];

test('writes go through at once where they are to', () => {
  const { backend, file } = make({ cache: 'writethrough' });
  file.log.length = 0;
  expect(backend.write(0, data)).toBe(true);
  expect(file.log.map(({ kind }) => kind)).toEqual(['write', 'sync']);
  const back = make({ cache: 'writeback' });
  back.file.log.length = 0;
  back.backend.write(0, data);
  expect(back.file.log.map(({ kind }) => kind)).toEqual(['write']);
  expect(back.backend.flush()).toBe(true);
  expect(back.file.log.map(({ kind }) => kind)).toEqual(['write', 'sync']);
});

test.each([
  ['EIO', 'enospc'],
  ['EIO', 'report'],
  ['ENOSPC', 'report'],
] as const)('%s with werror=%s is told the guest', (code, writeError) => {
  const { backend, failures, failWith } = make({ writeError });
  failWith(code);
  expect(backend.write(0, data)).toBe(false);
  expect(failures).toEqual([
    { message: 'cannot write disk.raw: it is so', held: false, full: code === 'ENOSPC' },
  ]);
});

/** Runs a line in another thread, a moment later, with the slots and the only one of them. */
function later(buffer: SharedArrayBuffer, line: string): Promise<unknown> {
  const source = `
    const { arena, slots, buffer } = require('node:worker_threads').workerData;
    Promise.all([import(arena), import(slots)]).then(([{ Arena }, { IoSlots }]) => {
      const slots = new IoSlots(new Arena(buffer, 0, buffer.byteLength));
      const slot = slots.slot();
      setTimeout(() => { ${line} }, 200);
    });`;
  const workerData = {
    buffer,
    arena: new URL('../memory/layout.ts', import.meta.url).href,
    slots: new URL('../device/storage/io-slots.ts', import.meta.url).href,
  };
  return new Promise((resolve) => {
    new Worker(source, { eval: true, workerData }).on('exit', resolve);
  });
}

test('a write to a full disk is held, and tried again when the machine goes on', async () => {
  const { backend, file, slot, failures, failWith, buffer } = make({});
  slot.begin();
  failWith('ENOSPC');
  const full = file.onWrite;
  file.onWrite = () => {
    file.onWrite = () => {};
    full();
  };
  const resumed = later(buffer, 'slots.resume();');
  expect(backend.write(0, data)).toBe(true);
  expect(failures).toEqual([{ message: 'cannot write disk.raw: it is so', held: true, full: true }]);
  expect(file.contents()[0]).toBe(7);
  slot.end();
  await resumed;
});

test('a held request that is called off ends, and memory is free meanwhile', async () => {
  const { backend, slot, failWith, buffer } = make({ writeError: 'stop' });
  slot.begin();
  failWith('EIO');
  const calledOff = later(buffer, 'slot.callOff();');
  expect(backend.write(0, data)).toBe(false);
  slot.end();
  await calledOff;
});

test('what the host has carried out is counted, and what it has failed', () => {
  const { backend, counters, failWith } = make({ writeError: 'report' });
  backend.write(0, [...data, ...data]);
  backend.read(0, [new Uint8Array(100)]);
  backend.flush();
  backend.discard(0, 4096);
  failWith('EIO');
  backend.write(0, data);
  expect(counters.of('write')).toMatchObject({ requests: 2, bytes: 1024 });
  expect(counters.of('read')).toMatchObject({ requests: 1, bytes: 100 });
  expect(counters.of('flush')).toMatchObject({ requests: 1, bytes: 0 });
  expect(counters.errors).toBe(1);
});
