/**
 * Scan code set 2 to set 1, as the controller translates it: a table for the code bytes, and the break
 * prefix F0 turned into bit 7 of the byte that follows.
 *
 * IBM Personal System/2 Hardware Interface Technical Reference, "Keyboard and auxiliary device controller".
 */

import { PAUSE, PRINT } from '../../api/keys.ts';

/** Set 1 code of each set 2 code 0 … 7F. */
const SET1 = Uint8Array.of(
  0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
  0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
  0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
  0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
  0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
  0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
  0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
  0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
); // prettier-ignore

/** The break prefix of set 2. */
export const BREAK = 0xf0;

/** The set 1 byte of a set 2 byte other than {@link BREAK}; `released` where the prefix came before it. */
export function toSet1(byte: number, released: boolean): number {
  const code = byte < 0x80 ? SET1[byte] : byte === 0x83 ? 0x41 : byte === 0x84 ? 0x54 : byte;
  return released ? code | 0x80 : code;
}

const SET2 = new Uint8Array(0x80);
for (const code of [0x83, ...Array(0x80).keys()].toReversed()) {
  const set1 = code < 0x80 ? SET1[code] : toSet1(code, false);
  if (set1 < 0x80) SET2[set1] = code;
}

const E0 = 0xe0;

/** Print, pressed and released, and Pause, which has no release, in set 2. */
const PRINT_KEYS = { down: [E0, 0x12, E0, 0x7c], up: [E0, BREAK, 0x7c, E0, BREAK, 0x12] } as const;
const PAUSE_DOWN = [0xe1, 0x14, 0x77, 0xe1, BREAK, 0x14, BREAK, 0x77] as const;

/**
 * What a keyboard sends in set 2 for a key.
 *
 * @param key its code in set 1, plus 0x80 for a key with the prefix E0 (`engine/api/keys.ts`)
 * @returns empty for a code that no key has
 */
export function scanCodes(key: number, down: boolean): readonly number[] {
  if (key === PRINT) return down ? PRINT_KEYS.down : PRINT_KEYS.up;
  if (key === PAUSE) return down ? PAUSE_DOWN : [];
  const code = SET2[key & 0x7f];
  if (code === 0) return [];
  return [...(key >= 0x80 ? [E0] : []), ...(down ? [] : [BREAK]), code];
}

/** What a keyboard sends in set 2 for a key that is held: of Print the key without the shift before it.
 * @returns empty for Pause, which does not repeat */
export function repeatCodes(key: number): readonly number[] {
  return key === PAUSE ? [] : scanCodes(key, true).slice(-2);
}

/** A sequence in set 2 as a keyboard sends it in set 1. */
export function inSet1(codes: readonly number[]): readonly number[] {
  const bytes: number[] = [];
  let released = false;
  for (const code of codes) {
    if (code !== BREAK) bytes.push(toSet1(code, released));
    released = code === BREAK;
  }
  return bytes;
}
