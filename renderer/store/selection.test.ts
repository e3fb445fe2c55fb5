import { expect, test } from 'vitest';
import { EMPTY, extend, moveTo, restrict, selectAll, selectOnly, toggle } from './selection.ts';

const order = ['a', 'b', 'c', 'd', 'e'];
const list = ({ ids }: { ids: ReadonlySet<string> }) => [...ids].sort().join('');

test('a range goes from the anchor in both directions', () => {
  const down = extend(selectOnly('b'), 'd', order);
  expect(list(down)).toBe('bcd');
  const up = extend(down, 'a', order);
  expect(list(up)).toBe('ab');
  expect(up.anchor).toBe('b');
  expect(up.active).toBe('a');
});

test('a range without an anchor, or with one that is not shown, is one row', () => {
  expect(list(extend(EMPTY, 'c', order))).toBe('c');
  expect(list(extend(selectOnly('z'), 'c', order))).toBe('c');
});

test('rows are added and taken away one by one', () => {
  const two = toggle(selectOnly('a'), 'c');
  expect(list(two)).toBe('ac');
  const one = toggle(two, 'a');
  expect(list(one)).toBe('c');
  expect(one.anchor).toBe('a');
});

test('moving the keyboard leaves the selection', () => {
  const moved = moveTo(selectOnly('a'), 'b');
  expect(list(moved)).toBe('a');
  expect(moved.active).toBe('b');
});

test('all are all that are shown', () => {
  expect(list(selectAll(EMPTY, order))).toBe('abcde');
  expect(list(selectAll(EMPTY, []))).toBe('');
});

test('where rows go, the next one becomes active', () => {
  const left = restrict(selectOnly('c'), order, ['a', 'b', 'd']);
  expect(list(left)).toBe('');
  expect(left.active).toBe('d');
  expect(restrict(selectOnly('e'), order, ['a', 'b']).active).toBe('b');
  expect(restrict(selectOnly('e'), order, []).active).toBeUndefined();
});
