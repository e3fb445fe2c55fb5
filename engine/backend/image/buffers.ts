/**
 * Lists of buffers as one run of bytes: what a guest's scatter/gather lists become.
 */

import { Runs } from '../../memory/runs.ts';

/** Buffers that follow each other, as for preadv(2), which may lie in shared memory; or runs of a machine's memory. */
export type Buffers = readonly Uint8Array[] | Runs;

/** The bytes themselves, where they are to be looked at. */
export function viewsOf(buffers: Buffers): readonly Uint8Array[] {
  return buffers instanceof Runs ? buffers.views() : buffers;
}

/** Bytes in all. */
export function lengthOf(buffers: Buffers): number {
  if (buffers instanceof Runs) return buffers.bytes;
  let sum = 0;
  for (const buffer of buffers) sum += buffer.length;
  return sum;
}

/** The part of `length` bytes from `from` on, without copying. What lies beyond the end is left out. */
export function sliceOf(buffers: Buffers, from: number, length: number): Buffers {
  if (buffers instanceof Runs) return buffers.slice(from, length);
  const parts: Uint8Array[] = [];
  let skip = from;
  let left = length;
  for (const buffer of buffers) {
    if (left <= 0) break;
    if (skip >= buffer.length) {
      skip -= buffer.length;
      continue;
    }
    const part = buffer.subarray(skip, skip + left);
    parts.push(part);
    left -= part.length;
    skip = 0;
  }
  return parts;
}

/** Sets every byte to zero. */
export function clear(buffers: Buffers): void {
  for (const buffer of viewsOf(buffers)) buffer.fill(0);
}

/** Copies `source` to the front of `buffers`, which have room for it. */
export function scatter(buffers: Buffers, source: Uint8Array): void {
  let at = 0;
  for (const buffer of viewsOf(buffers)) {
    if (at >= source.length) return;
    buffer.set(source.subarray(at, at + buffer.length));
    at += buffer.length;
  }
}

/** Whether every byte is zero. */
export function isZero(bytes: Uint8Array): boolean {
  // Words first where the alignment allows: data that is looked at is mostly not zero near its start.
  if (bytes.byteOffset % 4 === 0 && bytes.length % 4 === 0) {
    return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4).every((word) => word === 0);
  }
  return bytes.every((byte) => byte === 0);
}
