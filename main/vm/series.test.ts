import { expect, test } from 'vitest';
import { GuesthouseError } from '../../engine/base/errors.ts';
import type { Operation } from '../contract/machine.ts';
import { Operations } from './operations.ts';
import { Series, SERIES_LENGTH } from './series.ts';

const usage = (
  time: number,
  seconds: number,
  disk: { readBytes: number; writtenBytes: number } | null = null,
) => ({
  time,
  processorSeconds: seconds,
  residentBytes: 1000,
  instructions: 1e6 * seconds,
  exits: 10 * seconds,
  consoleBytes: 0,
  disk,
});

test('rates are over the time between two samples', () => {
  const series = new Series();
  expect(series.add(usage(1000, 1))).toBeUndefined();
  const sample = series.add(usage(3000, 2));
  expect(sample).toMatchObject({ cpu: 50, memory: 1000, instructions: 5e5, exits: 5, diskRead: null });
  // A clock that stands still, or goes back, gives no sample.
  expect(series.add(usage(3000, 3))).toBeUndefined();
  expect(series.add(usage(2000, 3))).toBeUndefined();
});

test('disks count where there are any', () => {
  const series = new Series();
  series.add(usage(0, 0, { readBytes: 0, writtenBytes: 100 }));
  expect(series.add(usage(500, 0, { readBytes: 50, writtenBytes: 100 }))).toMatchObject({
    diskRead: 100,
    diskWrite: 0,
  });
});

test('the last ten minutes are kept', () => {
  const series = new Series();
  for (let i = 0; i < SERIES_LENGTH + 50; i++) series.add(usage(1000 * i, i));
  expect(series.list()).toHaveLength(SERIES_LENGTH);
  expect(series.list()[0].time).toBe(50_000);
});

test('an operation is told from its beginning to its end', async () => {
  const told: Operation[] = [];
  const operations = new Operations((operation) => told.push(operation));
  const subject = { kind: 'clone', machine: 'a', name: 'one' };
  await operations.run(subject, async ({ step }) => step('copying', 0.5));
  expect(told.map(({ state, step, progress }) => [state, step, progress])).toEqual([
    ['running', '', null],
    ['running', 'copying', 0.5],
    ['done', 'copying', 1],
  ]);
  const fails = async () => Promise.reject(new GuesthouseError('file', 'gone'));
  await expect(operations.run(subject, fails)).rejects.toThrow('gone');
  expect(operations.list().at(-1)).toMatchObject({ state: 'failed', error: { code: 'file' } });
});

test('an operation is cancelled at its next step, and not once it is too late', async () => {
  const operations = new Operations(() => {});
  const subject = { kind: 'start', machine: null, name: 'one' };
  const cancelled = operations.run(subject, async ({ step }) => {
    operations.cancel(1);
    step('never');
  });
  await expect(cancelled).rejects.toThrow('start was cancelled');
  expect(operations.list()[0]).toMatchObject({ state: 'cancelled', error: null });
  await operations.run(subject, async ({ commit }) => {
    commit();
    expect(() => operations.cancel(2)).toThrow('too late');
  });
  expect(() => operations.cancel(99)).toThrow('no operation');
});
