/** Replaces a file whole: whoever reads it, and whatever happens, finds the old text or the new one. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { GuesthouseError } from '../../engine/base/errors.ts';

let sequence = 0;

/**
 * Writes a file, for this user only. It is on the disk when this returns.
 *
 * @throws GuesthouseError `resources` where it can't be written; the old text is then still there
 */
export function writeAtomically(file: string, text: string): void {
  const temporary = `${file}.${process.pid}.${sequence++}.new`;
  try {
    const descriptor = openSync(temporary, 'wx', 0o600);
    try {
      const bytes = Buffer.from(text);
      for (let at = 0; at < bytes.length;) at += writeSync(descriptor, bytes, at);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, file);
    syncDirectory(path.dirname(file));
  } catch (error) {
    rmSync(temporary, { force: true });
    const reason = error instanceof Error ? error.message : String(error);
    throw new GuesthouseError('resources', `cannot write ${file}: ${reason}`, undefined, { cause: error });
  }
}

/** Makes a rename last. Windows has no such call for folders, and needs none. */
function syncDirectory(directory: string): void {
  if (process.platform === 'win32') return;
  const descriptor = openSync(directory, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
