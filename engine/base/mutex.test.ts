import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { Mutex } from './mutex.ts';

test('only one can hold it, and it is given up when the body throws', () => {
  const buffer = new SharedArrayBuffer(16);
  const [one, other] = [new Mutex(buffer, 4), new Mutex(buffer, 4)];
  one.with(() => expect(other.tryLock()).toBe(false));
  expect(() =>
    one.with(() => {
      throw new Error('from the body');
    }),
  ).toThrow('from the body');
  expect(other.tryLock()).toBe(true);
  other.unlock();
  expect(one.tryLock()).toBe(true);
});

test('increments by two threads that are not atomic lose nothing under it', async () => {
  const rounds = 20_000;
  const buffer = new SharedArrayBuffer(16);
  const source = `
    const { workerData } = require('node:worker_threads');
    import(workerData.module).then(({ Mutex }) => {
      const mutex = new Mutex(workerData.buffer, 0);
      const words = new Int32Array(workerData.buffer);
      for (let i = 0; i < ${rounds}; i++) mutex.with(() => words[1]++);
    });`;
  const module = new URL('./mutex.ts', import.meta.url).href;
  const ends = [0, 1].map(
    () =>
      new Promise((resolve, reject) =>
        new Worker(source, { eval: true, workerData: { buffer, module } })
          .on('exit', resolve)
          .on('error', reject),
      ),
  );
  expect(await Promise.all(ends)).toEqual([0, 0]);
  expect(new Int32Array(buffer)[1]).toBe(2 * rounds);
});

test('what is to come afterwards comes when the lock is free, and at once where it is not held', () => {
  const buffer = new SharedArrayBuffer(16);
  const [one, other] = [new Mutex(buffer, 0), new Mutex(buffer, 0)];
  const journal: string[] = [];
  const look = (what: string) => () => {
    const free = other.tryLock();
    if (free) other.unlock();
    journal.push(`${what} ${free ? 'free' : 'held'}`);
  };
  one.with(() => {
    one.afterwards(look('first'));
    one.afterwards(look('second'));
    look('inside')();
  });
  one.with(look('later'));
  one.afterwards(look('outside'));
  expect(journal).toEqual(['inside held', 'first free', 'second free', 'later held', 'outside free']);
});
