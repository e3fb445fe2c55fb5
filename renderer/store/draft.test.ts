import { expect, test } from 'vitest';
import { checkDocument } from '../../main/contract/index.ts';
import { differences, type Draft, draftOf, issuesOf, merged, mergeIssues, same, targetsOf } from './draft.ts';

function draft(change: Record<string, unknown> = {}): ReturnType<typeof draftOf> {
  const checked = checkDocument({ name: 'vm', sample: true, ...change });
  if (!checked.ok) throw new Error(checked.issues[0].message);
  return draftOf(checked.document);
}

test('a draft of a document is valid and shares nothing with another', () => {
  expect(issuesOf(draft())).toEqual([]);
  const one = draft();
  if (Array.isArray(one.tags)) one.tags.push('x');
  expect(differences(one, draft())).toEqual(['tags']);
});

test('differences are found by value, whatever the order', () => {
  expect(differences(draft({ memory: 600 }), draft({ vcpus: 2 })).sort()).toEqual(['memory', 'vcpus']);
  expect(same({ a: 1, b: [{ c: null }] }, { b: [{ c: null }], a: 1 })).toBe(true);
  expect(same([1], { 0: 1 })).toBe(false);
  expect(same(NaN, NaN)).toBe(true);
  expect(same(null, {})).toBe(false);
});

test('issues name their field, and come once', () => {
  const issues = issuesOf({ ...draft(), memory: 0 });
  expect(issues.map(({ path }) => path)).toEqual([['memory']]);
  expect(mergeIssues(issues, issues)).toEqual(issues);
});

test('changes of both sides go together where they are of different fields', () => {
  const base = draft({ cpu: 'x86-64-v2' });
  const changed: Draft = { ...base, memory: 600 };
  const { cpu: _, ...mine } = changed;
  const theirs = { ...base, vcpus: 2, accel: 'wasm' };
  expect(merged(base, mine, theirs)).toEqual({ ...mine, vcpus: 2, accel: 'wasm' });
  expect(merged(base, mine, { ...theirs, memory: 700 })).toBeUndefined();
});

test('disks of a draft are named as far as they are known', () => {
  expect(targetsOf([{ device: 'disk', file: '' }, { device: 'cdrom' }])).toEqual(['vda', 'hdc']);
  expect(targetsOf([{ device: 'disk', bus: 'tape' }])).toEqual([]);
});
