/**
 * Files that a machine is loaded from, whenever it is powered on. They are kept open rather than in memory: so what is
 * read is the same file however its folder changes meanwhile, and what the guest has a copy of is not held twice.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { GuesthouseError, reasonOf } from '../base/errors.ts';

/** Largest file taken, in bytes: nothing larger fits into a guest. */
const MOST_BYTES = 4 * 2 ** 30;

/** One of them, which every thread of the process can be handed. */
export interface BootFile {
  readonly descriptor: number;
  readonly bytes: number;
  /** What it is, and its path: for messages. */
  readonly name: string;
}

/**
 * Opens a file to be read later.
 *
 * @param what it is, for messages
 * @throws GuesthouseError `file` where it is missing, unreadable, empty or too large
 */
export function openBootFile(what: string, path: string): BootFile {
  const name = `${what} ${path}`;
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (error) {
    throw wrong(name, reasonOf(error), error);
  }
  const { bytes, problem } = sizeOf(descriptor);
  if (problem === undefined) return { descriptor, bytes, name };
  closeSync(descriptor);
  throw wrong(name, problem);
}

function sizeOf(descriptor: number): { bytes: number; problem?: string } {
  const status = fstatSync(descriptor);
  const bytes = status.size;
  if (!status.isFile()) return { bytes, problem: 'not a regular file' };
  if (bytes === 0) return { bytes, problem: 'it is empty' };
  return bytes > MOST_BYTES ? { bytes, problem: 'it is larger than any guest' } : { bytes };
}

/**
 * Reads a file whole.
 *
 * @returns its bytes, in memory that threads can share
 * @throws GuesthouseError `file` where it cannot be read, or has become shorter
 */
export function readBootFile({ descriptor, bytes: length, name }: BootFile): Uint8Array {
  const bytes = new Uint8Array(new SharedArrayBuffer(length));
  for (let at = 0; at < length;) {
    let count: number;
    try {
      count = readSync(descriptor, bytes, at, length - at, at);
    } catch (error) {
      throw wrong(name, reasonOf(error), error);
    }
    if (count === 0) throw wrong(name, 'it has become shorter');
    at += count;
  }
  return bytes;
}

export function closeBootFile({ descriptor }: BootFile): void {
  closeSync(descriptor);
}

const wrong = (name: string, reason: string, cause?: unknown): GuesthouseError =>
  new GuesthouseError('file', `cannot read ${name}: ${reason}`, undefined, { cause });
