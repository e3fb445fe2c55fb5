import { expect, test } from 'vitest';
import { EscapeKeys } from './escape-keys.ts';

const typed = (text: string) => new TextEncoder().encode(text);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

test('what is not an escape goes to the guest', () => {
  const { bytes, commands } = new EscapeKeys().feed(typed('ls -l\r\x03\x1b[Aé'));
  expect(text(bytes)).toBe('ls -l\r\x03\x1b[Aé');
  expect(commands).toEqual([]);
});

test('Ctrl-A X quits, Ctrl-A H helps, in either case, and neither reaches the guest', () => {
  const { bytes, commands } = new EscapeKeys().feed(typed('a\x01hb\x01Hc\x01x\x01X'));
  expect(text(bytes)).toBe('abc');
  expect(commands).toEqual(['help', 'help', 'quit', 'quit']);
});

test('Ctrl-A R lets it go on', () => {
  expect(new EscapeKeys().feed(typed('\x01r')).commands).toEqual(['resume']);
});

test('Ctrl-A twice sends one, and other keys after it are dropped', () => {
  expect(text(new EscapeKeys().feed(typed('\x01\x01x\x01zy')).bytes)).toBe('\x01xy');
});

test('an escape may come in two pieces', () => {
  const keys = new EscapeKeys();
  expect(keys.feed(typed('q\x01'))).toEqual({ bytes: typed('q'), commands: [] });
  expect(keys.feed(typed('x'))).toEqual({ bytes: new Uint8Array(0), commands: ['quit'] });
});
