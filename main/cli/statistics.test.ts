import { expect, test } from 'vitest';
import { statisticsTable } from './statistics.ts';

test('one aligned table: names to the left, numbers to the right, exits that did not happen left out', () => {
  const lines = statisticsTable({
    exits: [
      { reason: 'Halt', count: 12, seconds: 3.25 },
      { reason: 'Mmio', count: 0, seconds: 0 },
    ],
    accesses: [
      { kind: 'port', address: 0x3f8, count: 40, seconds: 0.5 },
      { kind: 'other', address: 0, count: 3, seconds: 0 },
    ],
    instructions: 3_000_000,
    guestSeconds: 1.5,
    awakeSeconds: 2,
    seconds: 5.25,
    accelerator: { blocks: 1234, 'hit rate': 0.5 },
    boot: [
      { event: 'Reset', seconds: 0 },
      { event: 'PostCode', seconds: 0.25, code: 5 },
      { event: 'LongMode', seconds: 1.5 },
    ],
  });
  expect(lines).toEqual([
    '                                   count  seconds',
    'instructions                   3,000,000',
    'instructions per second awake  1,500,000',
    'running                                     5.250',
    'awake                                       2.000',
    'in the guest                                1.500',
    'exit Halt                             12    3.250',
    'port 0x3f8                            40    0.500',
    'elsewhere                              3    0.000',
    'blocks                             1,234',
    'hit rate                           0.500',
    'at reset vector                             0.000',
    'at POST code 05                             0.250',
    'at long mode                                1.500',
  ]);
});
