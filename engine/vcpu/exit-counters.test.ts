import { expect, test } from 'vitest';
import { ExitReason } from '../accel/contract.ts';
import { Arena } from '../memory/layout.ts';
import { EXIT_COUNTERS_BYTES, ExitCounters } from './exit-counters.ts';

const make = (): ExitCounters =>
  new ExitCounters(new Arena(new SharedArrayBuffer(EXIT_COUNTERS_BYTES), 0, EXIT_COUNTERS_BYTES));

test('accesses are counted by port and by address, over vCPUs, the most frequent first', () => {
  const [one, other] = [make(), make()];
  for (let i = 0; i < 3; i++) one.countAccess(ExitReason.PortIo, 0x60);
  for (let i = 0; i < 5; i++) other.countAccess(ExitReason.Mmio, 0x60);
  other.countAccess(ExitReason.PortIo, 0x60);
  other.countAccess(ExitReason.Mmio, 2 ** 40);
  const { accesses } = ExitCounters.sum([one, other]);
  expect(accesses.map(({ kind, address, count }) => [kind, address, count])).toEqual([
    ['memory', 0x60, 5],
    ['port', 0x60, 4],
    ['memory', 2 ** 40, 1],
  ]);
});

test('a guest that touches more addresses than there is room for loses none of the count', () => {
  const counters = make();
  for (let i = 0; i < 10_000; i++) counters.countAccess(ExitReason.Mmio, 0xa0000 + i);
  const { accesses } = ExitCounters.sum([counters]);
  expect(accesses[0]?.kind).toBe('other');
  expect(accesses.reduce((sum, { count }) => sum + count, 0)).toBe(10_000);
});

test('who comes often is told apart, also when it comes after all the others, and by turns', () => {
  const counters = make();
  for (let i = 0; i < 10_000; i++) counters.countAccess(ExitReason.Mmio, 0xa0000 + i);
  const ports = [0x1f0, 0x1f1, 0x3f8, 0x3fd];
  for (let i = 0; i < 1000; i++) for (const port of ports) counters.countAccess(ExitReason.PortIo, port);
  const { accesses } = ExitCounters.sum([counters]);
  expect(accesses.reduce((sum, { count }) => sum + count, 0)).toBe(14_000);
  for (const port of ports) {
    const found = accesses.find(({ kind, address }) => kind === 'port' && address === port);
    expect(found?.count).toBeGreaterThan(900);
  }
});

test('time is kept for each place, and never exceeds what there was', () => {
  const counters = make();
  const place = counters.countAccess(ExitReason.PortIo, 0x3f8);
  counters.count(ExitReason.PortIo);
  counters.spend(ExitReason.PortIo, 8e9);
  counters.spendAccess(place, 8e9);
  counters.progress(0, 2e9);
  const { accesses, exits } = ExitCounters.sum([counters]);
  expect(accesses[0]?.seconds).toBe(2);
  expect(exits[ExitReason.PortIo]?.seconds).toBe(2);
});
