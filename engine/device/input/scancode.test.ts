import { expect, test } from 'vitest';
import { keyCode, keyNames, keyOfKeysym, keysOfCharacter } from '../../api/keys.ts';
import { BREAK, scanCodes, toSet1 } from './scancode.ts';

/** What the controller's translation makes of a sequence. */
function translated(codes: readonly number[]): number[] {
  const bytes: number[] = [];
  let released = false;
  for (const code of codes) {
    if (code !== BREAK) bytes.push(toSet1(code, released));
    released = code === BREAK;
  }
  return bytes;
}

test('every key arrives as its code in set 1, and as the same with bit 7 when it is released', () => {
  for (const name of keyNames()) {
    const code = keyCode(name) ?? 0;
    if (name === 'KEY_PAUSE' || name === 'KEY_SYSRQ') continue;
    const prefix = code >= 0x80 ? [0xe0] : [];
    expect([name, translated(scanCodes(code, true))]).toEqual([name, [...prefix, code & 0x7f]]);
    expect([name, translated(scanCodes(code, false))]).toEqual([name, [...prefix, code | 0x80]]);
  }
});

test('Print and Pause have sequences of their own', () => {
  const print = keyCode('sysrq') ?? 0;
  expect(translated(scanCodes(print, true))).toEqual([0xe0, 0x2a, 0xe0, 0x37]);
  expect(translated(scanCodes(print, false))).toEqual([0xe0, 0xb7, 0xe0, 0xaa]);
  expect(translated(scanCodes(keyCode('KEY_PAUSE') ?? 0, true))).toEqual([
    0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5,
  ]);
  expect(scanCodes(keyCode('pause') ?? 0, false)).toEqual([]);
  expect(scanCodes(0, true)).toEqual([]);
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
