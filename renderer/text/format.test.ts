import { expect, test } from 'vitest';
import { FORMATS } from './format.ts';

test('a line stands by itself, with the names in it as they are', () => {
  const { sentence } = FORMATS;
  expect(sentence('the machine is running')).toBe('The machine is running');
  expect(sentence('no space left')).toBe('No space left');
  for (const line of ['vda: cannot write x.qcow2', '/dev/kvm cannot be opened', 'qcow2 has', '']) {
    expect(sentence(line)).toBe(line);
  }
});

test('bytes are in the unit that leaves up to four digits', () => {
  const { bytes } = FORMATS;
  expect([0, 1023, 1024, 1.5 * 2 ** 20, 212.4 * 2 ** 20, 3 * 2 ** 50].map(bytes)).toEqual([
    '0 B',
    '1023 B',
    '1 KiB',
    '1.5 MiB',
    '212 MiB',
    '3072 TiB',
  ]);
});

test('how long something goes on is in two units', () => {
  const { duration } = FORMATS;
  expect([-1, 59.9, 61, 7500, 90_000].map(duration)).toEqual([
    '0 s',
    '59 s',
    '1 min 1 s',
    '2 h 5 min',
    '1 d 1 h',
  ]);
});
