/**
 * One owner of a machine: a lock on a file of its own. On Windows the machine's named pipe is such a lock
 * already, because only one process can open its first instance.
 */
import { lockFile } from '../backend/file-lock.ts';
import { GuesthouseError, reasonOf } from '../base/errors.ts';

/**
 * Takes the lock; the process holds it until it ends or gives it back.
 *
 * @param file made where missing, for this user only; its contents mean nothing
 * @returns gives it back; undefined where another process holds it
 * @throws GuesthouseError `resources` where the file can't be made
 */
export function takeLock(file: string): (() => void) | undefined {
  if (process.platform === 'win32') return () => {};
  try {
    return lockFile(file, 'a', 'exclusive');
  } catch (error) {
    throw new GuesthouseError('resources', `cannot make ${file}: ${reasonOf(error)}`, undefined, {
      cause: error,
    });
  }
}
