import { expect, test } from 'vitest';
import { Random } from '../base/random.ts';
import { Runs } from './runs.ts';

const listOf = (runs: Runs): number[][] =>
  Array.from({ length: runs.count }, (_, run) => [runs.start(run), runs.length(run)]);

test('runs that follow each other are one, and empty ones none', () => {
  const runs = new Runs(new SharedArrayBuffer(4096));
  runs.add(100, 20);
  runs.add(120, 0);
  runs.add(120, 5);
  runs.add(100, 3);
  expect(listOf(runs)).toEqual([
    [100, 25],
    [100, 3],
  ]);
  expect(runs.bytes).toBe(28);
});

test('a part has the bytes that the whole has there', () => {
  const random = new Random(17);
  const buffer = new SharedArrayBuffer(8192);
  const bytes = new Uint8Array(buffer);
  for (let i = 0; i < bytes.length; i++) bytes[i] = random.below(256);
  const contents = (of: Runs): number[] => of.views().flatMap((view) => [...view]);
  for (let round = 0; round < 200; round++) {
    const runs = new Runs(buffer);
    for (let n = random.below(6); n > 0; n--) runs.add(random.below(8000), random.below(150));
    const all = contents(runs);
    const from = random.below(runs.bytes + 10);
    const length = round % 10 === 0 ? Infinity : random.below(runs.bytes + 10);
    const part = runs.slice(from, length);
    expect(contents(part)).toEqual(all.slice(from, from + length));
    expect(part.bytes).toBe(contents(part).length);
  }
});
