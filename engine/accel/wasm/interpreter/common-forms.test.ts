import { expect, test } from 'vitest';
import { rows } from '../decode/tables.ts';
import { COMMON_NAMES, isCommon } from './common-forms.ts';
import { buildForms, FIXED_HANDLERS } from './forms.ts';

const { forms, common } = buildForms(rows);

test('common forms have the first handlers, and no others have', () => {
  expect(forms.map(({ handler }) => handler)).toEqual(forms.map((_, n) => FIXED_HANDLERS + n));
  expect(forms.map(isCommon)).toEqual(forms.map((_, n) => n < common));
});

test('every instruction that is said to be common has a common form', () => {
  const names = new Set(forms.slice(0, common).map(({ name }) => name));
  expect(COMMON_NAMES.filter((name) => !names.has(name))).toEqual([]);
});

test('common forms are so few that their handler is compiled while a guest starts', () => {
  expect(common).toBeGreaterThan(100);
  expect(common).toBeLessThan(600);
});
