import { expect, test } from 'vitest';
import { isInterface, isPermitted, mayOpen } from './policy.ts';

const STRANGERS = [
  'https://example.org/',
  'file:///etc/passwd',
  'app://guesthouse.example/',
  'app://guesthouse',
  'app:guesthouse/',
  'javascript:alert(1)',
  'data:text/html,x',
];

test('pages stay on the interface', () => {
  expect(isInterface('app://guesthouse/machine/a?tab=details')).toBe(true);
  expect([...STRANGERS, '', 'about:blank'].filter(isInterface)).toEqual([]);
});

test('windows are the interface’s, or empty until it fills them', () => {
  expect(['app://guesthouse/', 'about:blank', ''].every(mayOpen)).toBe(true);
  expect([...STRANGERS, 'about:srcdoc'].filter(mayOpen)).toEqual([]);
});

test('the clipboard is all that is permitted', () => {
  const asked = [
    'clipboard-read',
    'clipboard-sanitized-write',
    'media',
    'geolocation',
    'openExternal',
    'usb',
  ];
  expect(asked.filter(isPermitted)).toEqual(['clipboard-read', 'clipboard-sanitized-write']);
});
