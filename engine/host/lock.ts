/**
 * One owner: a lock that the operating system gives back when its holder ends, however it ends.
 *
 * On Unix it is flock(2) on a file of its own, since Node has no call for it; on Windows the machine's named
 * pipe is such a lock already, because only one process can open its first instance.
 */
import { closeSync, openSync } from 'node:fs';
import koffi from 'koffi';
import { GuesthouseError } from '../base/errors.ts';
import { reasonOf } from './output.ts';

/** flock(2): exclusive, and not waiting. */
const LOCK_EX = 2;
const LOCK_NB = 4;

/**
 * Takes the lock; the process holds it until it ends or gives it back.
 *
 * @param file made where missing, for this user only; its contents mean nothing
 * @returns gives it back; undefined where another process holds it
 * @throws GuesthouseError `resources` where the file can't be made
 */
export function takeLock(file: string): (() => void) | undefined {
  if (process.platform === 'win32') return () => {};
  let descriptor: number;
  try {
    descriptor = openSync(file, 'a', 0o600);
  } catch (error) {
    throw new GuesthouseError('resources', `cannot make ${file}: ${reasonOf(error)}`, undefined, {
      cause: error,
    });
  }
  if (flock(descriptor, LOCK_EX | LOCK_NB) !== 0) {
    closeSync(descriptor);
    return undefined;
  }
  return () => closeSync(descriptor);
}

function flock(descriptor: number, operation: number): number {
  const library = koffi.load(process.platform === 'darwin' ? 'libSystem.B.dylib' : 'libc.so.6');
  const status: unknown = library.func('int flock(int fd, int operation)')(descriptor, operation);
  return Number(status);
}
