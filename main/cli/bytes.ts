/** Numbers of bytes as people write them. */
import { usage } from './words.ts';

const UNITS = ['', 'K', 'M', 'G', 'T', 'P'] as const;

/**
 * Reads a number of bytes: `65536`, `64K`, `1.5G`; units are powers of 1024.
 *
 * @param what named in the error
 * @throws GuesthouseError `usage`
 */
export function parseBytes(what: string, text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)([KMGTP]?)(?:i?B)?$/i.exec(text) ?? [];
  const power = UNITS.findIndex((each) => each === unit?.toUpperCase());
  const bytes = Number(number) * 1024 ** power;
  if (number !== undefined && Number.isSafeInteger(bytes)) return bytes;
  throw usage(`${what} must be a number of bytes like 512M or 20G, not '${text}'`);
}

/** A number of bytes, in the largest unit in which it is at least one: `20 GiB`, `1.5 MiB`. */
export function formatBytes(bytes: number): string {
  let power = 0;
  while (power < UNITS.length - 1 && bytes >= 1024 ** (power + 1)) power++;
  const value = bytes / 1024 ** power;
  const text = Number.isInteger(value) ? String(value) : value.toFixed(value < 10 ? 2 : 1);
  return power === 0 ? `${text} bytes` : `${text} ${UNITS[power]}iB`;
}
