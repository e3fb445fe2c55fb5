/**
 * Wide accesses to devices whose registers are bytes: the bus runs one byte cycle per register, lowest
 * first, as ISA does for an 8-bit device.
 */
import type { AccessSize } from './device.ts';

/** Reads `size` byte registers from `offset`, little-endian, as an unsigned number. */
export function readBytes(offset: number, size: AccessSize, read: (offset: number) => number): number {
  let value = 0;
  for (let i = 0; i < size; i++) value |= (read(offset + i) & 0xff) << (8 * i);
  return value >>> 0;
}

/** Writes `size` byte registers from `offset`, the low byte of `value` first. */
export function writeBytes(
  offset: number,
  size: AccessSize,
  value: number,
  write: (offset: number, byte: number) => void,
): void {
  for (let i = 0; i < size; i++) write(offset + i, (value >>> (8 * i)) & 0xff);
}

/** What an access of `size` bytes reads where nothing answers: all ones. */
export function allOnes(size: AccessSize): number {
  return size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff;
}
