/**
 * Little-endian bytes, put together from pieces.
 */

/** The pieces one after the other. */
export function concat(...parts: ReadonlyArray<Uint8Array | readonly number[]>): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** `value` modulo 2^(8 `count`) in `count` bytes, low byte first. */
export function le(value: number | bigint, count: number): Uint8Array {
  const bytes = new Uint8Array(count);
  let rest = BigInt.asUintN(8 * count, BigInt(value));
  for (let i = 0; i < count; i++) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

/** One byte. */
export const u8 = (value: number): Uint8Array => le(value, 1);
/** Two bytes, little-endian. */
export const u16 = (value: number): Uint8Array => le(value, 2);
/** Four bytes, little-endian. */
export const u32 = (value: number): Uint8Array => le(value, 4);
/** Eight bytes, little-endian. */
export const u64 = (value: number | bigint): Uint8Array => le(value, 8);

/** The characters of an ASCII string. */
export function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0) & 0x7f);
}
