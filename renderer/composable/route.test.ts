import { expect, test } from 'vitest';
import { machineAddress, routeOf, withoutToken } from './route.ts';

test.each(['/', '/machine/', '/machine/../x', '/machine/a/b', '/other'])('%s shows the list', (path) => {
  expect(routeOf(path)).toEqual({ view: 'list' });
});

test('a machine has an address, and the address leads to it', () => {
  expect(routeOf(machineAddress('ab-1_c'))).toEqual({ view: 'machine', id: 'ab-1_c' });
  expect(new URL(machineAddress('x', 'details'), 'http://host').search).toBe('?tab=details');
});

test('a token does not stay in the address, and the rest does', () => {
  expect(withoutToken('http://host/?token=abc')).toBe('http://host/');
  expect(withoutToken('http://host/machine/a?tab=details&token=abc#storage')).toBe(
    'http://host/machine/a?tab=details#storage',
  );
  expect(withoutToken('http://host/?fake=3')).toBe('http://host/?fake=3');
});
