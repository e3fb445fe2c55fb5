import { expect, test } from 'vitest';
import { parseOptions } from './options.ts';

test('everything is wanted where nothing is named', () => {
  const options = parseOptions([]);
  expect(options.runs).toBe(3);
  expect(options.columns.map(({ name }) => name)).toContain('tiers');
  for (const name of ['integer', 'sha256', 'boot', 'idle']) expect(options.wants(name)).toBe(true);
});

test('only what is named is wanted, kinds by one word', () => {
  const one = parseOptions(['--only', 'python', '--runs', '1']);
  expect(one.runs).toBe(1);
  expect(one.wants('python')).toBe(true);
  expect(one.wants('sha256')).toBe(false);
  expect(one.wants('boot')).toBe(false);
  const kind = parseOptions(['--only', 'workloads', '--only', 'idle']);
  expect(kind.wants('sha256')).toBe(true);
  expect(kind.wants('idle')).toBe(true);
  expect(kind.wants('integer')).toBe(false);
});

test('columns come in the order of the table', () => {
  const { columns } = parseOptions(['--engines', 'tiers,tier0']);
  expect(columns.map(({ name }) => name)).toEqual(['tier0', 'tiers']);
});

test.each([
  [['--only', 'nothing'], "there is no 'nothing'"],
  [['--engines', 'tier0,v86'], "there is no 'v86'"],
  [['--runs', '0'], '--runs must be a whole number'],
  [['--limit', '1.5'], '--limit must be a whole number'],
  [['--unknown'], 'unknown'],
])('%j is refused', (words, message) => {
  expect(() => parseOptions(words)).toThrow(message);
});
