import { expect, test } from 'vitest';
import { COLUMNS } from './columns.ts';
import type { Cost } from './measure.ts';
import { demandOneResult, type Series, takeTurns } from './series.ts';
import { costLine, head, speeds, summary } from './table.ts';

const [tier0, tiers, qemu] = COLUMNS;

const series = (column: (typeof COLUMNS)[number], ...runs: Array<[seconds: number, cpu: number]>) =>
  ({
    column,
    runs: runs.map(([seconds, cpuSeconds]) => ({ seconds, cpuSeconds })),
    failure: undefined,
  }) satisfies Series<Cost>;

test('speeds are the reference’s time over a column’s, by medians', () => {
  const all = [series(tier0, [10, 8], [12, 8], [50, 8]), series(tiers, [2, 1]), series(qemu, [3, 2], [5, 2])];
  expect(speeds(all)).toEqual([
    { column: tier0, wall: 4 / 12, cpu: 0.25 },
    { column: tiers, wall: 2, cpu: 2 },
  ]);
  expect(costLine('work', all)).toMatch(/^work +0\.33 × +0\.25 × +2\.00 × +2\.00 × +4\.00 s +2\.00 s$/);
});

test('without the reference there are seconds, and of a failed column nothing', () => {
  const failed = { ...series(tiers, [1, 1]), failure: 'broken' };
  expect(speeds([series(tier0, [1, 1]), failed])).toEqual([]);
  expect(costLine('work', [series(tier0, [1, 0.5]), failed])).toMatch(/^work +1\.00 s +0\.50 s +—$/);
});

test('the summary holds geometric mean and minimum of each column', () => {
  const columns = [tier0, qemu];
  const all = [
    { column: tier0, wall: 0.5, cpu: 1 },
    { column: tier0, wall: 2, cpu: 4 },
  ];
  expect(summary(columns, all).map((line) => line.trim().split(/ +/))).toEqual([
    ['mean', '1.00', '×', '2.00', '×'],
    ['least', '0.50', '×', '1.00', '×'],
  ]);
  expect(head(columns)).toMatch(/^ +tier 0 +QEMU TCG$/);
});

test('columns take turns, and a failure ends one of them', async () => {
  const order: string[] = [];
  const result = await takeTurns([tier0, tiers], 2, (column) => {
    order.push(column.name);
    return column === tiers ? Promise.reject(new Error('no')) : Promise.resolve({ result: 'a' });
  });
  expect(order).toEqual(['tier0', 'tiers', 'tier0']);
  expect(result.map(({ failure }) => failure)).toEqual([undefined, 'no']);
});

test('runs that come to other results fail everybody', () => {
  const all = [
    { column: tier0, runs: [{ result: 'a' }, { result: 'a' }], failure: undefined },
    { column: qemu, runs: [{ result: 'b' }], failure: undefined },
  ];
  demandOneResult(all);
  expect(all.map(({ failure }) => failure)).toEqual([
    'results differ: a (tier 0), b (QEMU TCG)',
    'results differ: a (tier 0), b (QEMU TCG)',
  ]);
});
