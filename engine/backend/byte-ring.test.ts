import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { Arena } from '../memory/layout.ts';
import { ByteRing } from './byte-ring.ts';

const make = (capacity: number) => {
  const buffer = new SharedArrayBuffer(8192);
  return { ring: new ByteRing(new Arena(buffer, 0, 8192), capacity), buffer };
};

test('bytes come out in the order they went in, across the end of the ring', () => {
  const { ring } = make(8);
  const out: number[] = [];
  const into = new Uint8Array(5);
  let next = 0;
  for (let round = 0; round < 50; round++) {
    const offered = Uint8Array.from({ length: 3 + (round % 7) }, (_, i) => next + i);
    next = (next + ring.write(offered)) & 0xff;
    out.push(...into.subarray(0, ring.read(into)));
  }
  expect(out.length).toBeGreaterThan(100);
  out.forEach((byte, i) => expect(byte).toBe(i & 0xff));
});

test('a full ring takes nothing more; one byte read makes room for one', () => {
  const { ring } = make(4);
  expect(ring.write(Uint8Array.of(1, 2, 3, 4, 5))).toBe(4);
  expect([ring.write(9), ring.readable, ring.writable]).toEqual([0, 4, 0]);
  expect(ring.read(new Uint8Array(1))).toBe(1);
  expect([ring.write(9), ring.write(9)]).toEqual([1, 0]);
});

test('the counts wrap at 2^32 unnoticed', () => {
  const { ring, buffer } = make(16);
  const counts = new Int32Array(buffer);
  counts[0] = -3; // written
  counts[16] = -3; // read
  expect(ring.write(Uint8Array.of(1, 2, 3, 4, 5, 6))).toBe(6);
  expect(ring.readable).toBe(6);
  const into = new Uint8Array(8);
  expect(ring.read(into)).toBe(6);
  expect([...into.subarray(0, 6)]).toEqual([1, 2, 3, 4, 5, 6]);
  expect(ring.writable).toBe(16);
});

test('peek leaves the bytes, discard drops no more than there are', () => {
  const { ring } = make(8);
  ring.write(Uint8Array.of(1, 2));
  const into = new Uint8Array(4);
  expect([ring.peek(into), ring.readable]).toEqual([2, 2]);
  ring.discard(100);
  expect([ring.readable, ring.writable]).toEqual([0, 8]);
});

test('a closed ring can be drained, and nobody waits at it', async () => {
  const { ring } = make(8);
  ring.write(7);
  ring.close();
  expect(await ring.waitReadableAsync()).toBe(true);
  ring.read(new Uint8Array(1));
  expect(await ring.waitReadableAsync()).toBe(false);
  expect(ring.waitReadable()).toBe(false);
});

test('waiting times out', async () => {
  const { ring } = make(1);
  expect(ring.waitReadable(5)).toBe(false);
  expect(await ring.waitReadableAsync(5)).toBe(false);
  ring.write(1);
  expect(ring.waitWritable(5)).toBe(false);
  expect(await ring.waitWritableAsync(5)).toBe(false);
});

test('a capacity that is not a power of two is refused', () => {
  for (const capacity of [0, 3, -8, 12, 2 ** 31]) expect(() => make(capacity)).toThrow(RangeError);
});

test('a thread that blocks and one that does not pass 100000 bytes through 64', async () => {
  const { ring, buffer } = make(64);
  const worker = new Worker(
    `import { workerData } from 'node:worker_threads';
     const { ByteRing } = await import(workerData.ring);
     const { Arena } = await import(workerData.layout);
     const ring = new ByteRing(new Arena(workerData.buffer, 0, 8192), 64);
     let sent = 0;
     while (sent < 100000) {
       const bytes = Uint8Array.from({ length: Math.min(50, 100000 - sent) }, (_, i) => (sent + i) * 7);
       let at = 0;
       while (at < bytes.length) { at += ring.write(bytes.subarray(at)); if (at < bytes.length) ring.waitWritable(); }
       sent += bytes.length;
     }
     ring.close();`,
    {
      eval: true,
      workerData: {
        buffer,
        ring: new URL('./byte-ring.ts', import.meta.url).href,
        layout: new URL('../memory/layout.ts', import.meta.url).href,
      },
    },
  );
  const failed = new Promise<never>((_, reject) => worker.once('error', reject));
  const into = new Uint8Array(33);
  let received = 0;
  while (await Promise.race([ring.waitReadableAsync(), failed])) {
    const count = ring.read(into);
    for (let i = 0; i < count; i++) {
      if (into[i] !== (((received + i) * 7) & 0xff)) throw new Error(`byte ${received + i} is wrong`);
    }
    received += count;
  }
  expect(received).toBe(100000);
  await worker.terminate();
}, 20000);
