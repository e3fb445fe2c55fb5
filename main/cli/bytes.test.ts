import { expect, test } from 'vitest';
import { formatBytes, parseBytes } from './bytes.ts';

test.each([
  ['0', 0],
  ['65536', 65536],
  ['64K', 65536],
  ['64k', 65536],
  ['1.5G', 1.5 * 2 ** 30],
  ['20GiB', 20 * 2 ** 30],
  ['2T', 2 ** 41],
])('%s is a number of bytes', (text, bytes) => {
  expect(parseBytes('SIZE', text)).toBe(bytes);
});

test.each(['', 'G', '1X', '-1', '1.2', '1e3', '99999P', ' 1'])("'%s' is none", (text) => {
  expect(() => parseBytes('SIZE', text)).toThrow('SIZE must be a number of bytes');
});

test.each([
  [0, '0 bytes'],
  [1023, '1023 bytes'],
  [65536, '64 KiB'],
  [1.5 * 2 ** 30, '1.50 GiB'],
  [2 ** 40, '1 TiB'],
])('%d is said in its largest unit', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});
