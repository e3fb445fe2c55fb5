import { expect, test } from 'vitest';
import { isInterface, isPermitted, mayOpen, maySave } from './policy.ts';

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

test('the clipboard and the whole screen are all that is permitted', () => {
  const asked = [
    'clipboard-read',
    'clipboard-sanitized-write',
    'fullscreen',
    'keyboardLock',
    'automatic-fullscreen',
    'media',
    'geolocation',
    'openExternal',
    'usb',
  ];
  expect(asked.filter(isPermitted)).toEqual(asked.slice(0, 4));
});

test('what the interface made can be saved, and nothing else', () => {
  expect(maySave('blob:app://guesthouse/1f0c2c7e')).toBe(true);
  const others = [
    'app://guesthouse/index.html',
    'blob:https://example.org/1f0c2c7e',
    'blob:app://other/1f0c',
  ];
  expect([...STRANGERS, ...others].filter(maySave)).toEqual([]);
});
