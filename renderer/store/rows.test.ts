import { expect, test } from 'vitest';
import { fakeMachine } from '../fake/machine.ts';
import { arrange, type Arrangement, groupKey, matches } from './rows.ts';

const plain: Arrangement = {
  query: '',
  sortBy: 'name',
  descending: false,
  folded: new Set(),
  ungrouped: 'none',
  measure: () => 0,
};
const keys = (machines: Parameters<typeof arrange>[0], change: Partial<Arrangement> = {}) =>
  arrange(machines, { ...plain, ...change }).map(({ key }) => key);

test('without groups there are no headings, and numbers sort as numbers', () => {
  expect(keys([fakeMachine('vm10'), fakeMachine('vm9'), fakeMachine('VM1')])).toEqual(['VM1', 'vm9', 'vm10']);
});

test('groups have headings, those without come last', () => {
  const machines = [fakeMachine('a'), fakeMachine('b', { group: 'web' }), fakeMachine('c', { group: 'db' })];
  expect(keys(machines)).toEqual([groupKey('db'), 'c', groupKey('web'), 'b', groupKey(''), 'a']);
});

test('a folded group hides its machines, but not from a search', () => {
  const machines = [fakeMachine('x', { group: 'web' }), fakeMachine('y', { group: 'web' })];
  const folded = new Set([groupKey('web')]);
  expect(keys(machines, { folded })).toEqual([groupKey('web')]);
  expect(keys(machines, { folded, query: 'y' })).toEqual([groupKey('web'), 'y']);
});

test('a search looks into names, tags and groups for all words', () => {
  const machine = fakeMachine('build-1', { group: 'Infra', tags: ['nightly', 'arm'] });
  for (const query of ['', 'BUILD', 'infra nightly', ' arm '])
    expect(matches(machine, query), query).toBe(true);
  for (const query of ['x', 'build daily', 'infraarm']) expect(matches(machine, query), query).toBe(false);
});

test('a measured column sorts by measure, then name, either way', () => {
  const machines = [fakeMachine('a'), fakeMachine('b'), fakeMachine('c')];
  const measure = ({ id }: { id: string }) => (id === 'b' ? 5 : 1);
  expect(keys(machines, { sortBy: 'cpu', measure })).toEqual(['a', 'c', 'b']);
  expect(keys(machines, { sortBy: 'cpu', measure, descending: true })).toEqual(['b', 'a', 'c']);
});
