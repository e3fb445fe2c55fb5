import { expect, test } from 'vitest';
import { keyCode, keyNames, keyOfKeysym, keysOfCharacter } from '../../api/keys.ts';
import { inSet1, scanCodes } from './scancode.ts';
import { SET3_CODES, set3Code } from './scancode-set3.ts';

test('every key arrives as its code in set 1, and as the same with bit 7 when it is released', () => {
  for (const name of keyNames()) {
    const code = keyCode(name) ?? 0;
    if (name === 'KEY_PAUSE' || name === 'KEY_SYSRQ') continue;
    const prefix = code >= 0x80 ? [0xe0] : [];
    expect([name, inSet1(scanCodes(code, true))]).toEqual([name, [...prefix, code & 0x7f]]);
    expect([name, inSet1(scanCodes(code, false))]).toEqual([name, [...prefix, code | 0x80]]);
  }
});

test('Print and Pause have sequences of their own', () => {
  const print = keyCode('sysrq') ?? 0;
  expect(inSet1(scanCodes(print, true))).toEqual([0xe0, 0x2a, 0xe0, 0x37]);
  expect(inSet1(scanCodes(print, false))).toEqual([0xe0, 0xb7, 0xe0, 0xaa]);
  expect(inSet1(scanCodes(keyCode('KEY_PAUSE') ?? 0, true))).toEqual([0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5]);
  expect(scanCodes(keyCode('pause') ?? 0, false)).toEqual([]);
  expect(scanCodes(0, true)).toEqual([]);
});

test('every key has a code of its own in set 3, but those for the power, which have none', () => {
  const keys = keyNames().filter((name) => !['KEY_POWER', 'KEY_SLEEP'].includes(name));
  const codes = keys.map((name) => set3Code(keyCode(name) ?? 0));
  expect(codes.every((code) => code > 0 && code < SET3_CODES)).toBe(true);
  expect(new Set(codes).size).toBe(new Set(keys.map(keyCode)).size);
  expect([0, 0x54, 0xde, 0xff].map(set3Code)).toEqual([0, 0, 0, 0]);
});

test('keysyms and characters are on the keys of an American keyboard', () => {
  expect([keyOfKeysym(0x61), keyOfKeysym(0x41), keyOfKeysym(0x21), keyOfKeysym(0xff0d)]).toEqual([
    0x1e, 0x1e, 2, 0x1c,
  ]);
  expect([keyOfKeysym(0xffc9), keyOfKeysym(0xffb5), keyOfKeysym(0x1234)]).toEqual([0x58, 0x4c, undefined]);
  expect(keysOfCharacter('|')).toEqual({ code: 0x2b, shift: true });
  expect(keysOfCharacter('\n')).toEqual({ code: 0x1c, shift: false });
  expect(keysOfCharacter('ß')).toBe(undefined);
});
