/**
 * A lock on a file that the operating system gives back when its holder ends, however it ends: flock(2), for
 * which Node has no call.
 */
import { closeSync, openSync } from 'node:fs';
import koffi from 'koffi';

/** flock(2). */
const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;

/**
 * Locks the file behind a descriptor, without waiting. The lock is held until the descriptor is closed.
 *
 * @param mode `shared` by any number, or `exclusive` by one
 * @returns false where another process, or another descriptor of this one, holds what contradicts it; true on
 *   Windows, which has no such locks
 */
export function lockDescriptor(descriptor: number, mode: 'shared' | 'exclusive'): boolean {
  if (process.platform === 'win32') return true;
  const library = koffi.load(process.platform === 'darwin' ? 'libSystem.B.dylib' : 'libc.so.6');
  const flock = library.func('int flock(int fd, int operation)');
  const status: unknown = flock(descriptor, (mode === 'shared' ? LOCK_SH : LOCK_EX) | LOCK_NB);
  return status === 0;
}

/**
 * Opens a file and locks it.
 *
 * @param flags as of fs.open
 * @returns gives it back; undefined where somebody else holds it. What opening throws is passed on
 */
export function lockFile(
  file: string,
  flags: string,
  mode: 'shared' | 'exclusive',
): (() => void) | undefined {
  const descriptor = openSync(file, flags, 0o600);
  if (lockDescriptor(descriptor, mode)) return () => closeSync(descriptor);
  closeSync(descriptor);
  return undefined;
}
