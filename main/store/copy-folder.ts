/** Copies folders with large files in them: a piece at a time, so that others get their turn meanwhile. */
import {
  constants,
  type Dirent,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
} from 'node:fs';
import { copyFile, open } from 'node:fs/promises';
import path from 'node:path';

/** Bytes copied at a time. */
const PIECE = 4 * 2 ** 20;

const ZEROS = Buffer.alloc(PIECE);

/** How files are copied. */
export interface CopyOptions {
  /** Paths, below the folder, that are left out. */
  readonly without: readonly string[];
  /** Told how much has been copied, 0 to 1, each time that a hundredth more has. */
  readonly progress: (share: number) => void;
  /** Ends the copying, after the piece that is being copied. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Copies what is in a folder to another that is made for it. Where the file system can have two files share what they
 * hold, they do; else blocks of zeros take no space in the copy. Links are copied as such.
 *
 * @throws Error where a file can't be read or written, or the reason of `signal`; what has been copied stays
 */
export async function copyFolder(
  from: string,
  to: string,
  { without, progress, signal }: CopyOptions,
): Promise<void> {
  const entries = readdirSync(from, { recursive: true, withFileTypes: true })
    .map((entry) => ({ entry, name: path.relative(from, path.join(entry.parentPath, entry.name)) }))
    .filter(({ name }) => !without.includes(name));
  const sizeOf = (entry: Dirent, name: string): number =>
    entry.isFile() ? lstatSync(path.join(from, name)).size : 0;
  const total = entries.reduce((sum, { entry, name }) => sum + sizeOf(entry, name), 0);
  let copied = 0;
  let told = 0;
  const add = (bytes: number): void => {
    signal?.throwIfAborted();
    copied += bytes;
    const hundredths = total === 0 ? 0 : Math.floor((100 * copied) / total);
    if (hundredths > told) progress((told = hundredths) / 100);
  };

  mkdirSync(to);
  for (const { entry, name } of entries) {
    const [source, target] = [path.join(from, name), path.join(to, name)];
    if (entry.isDirectory()) mkdirSync(target);
    else if (entry.isSymbolicLink()) symlinkSync(readlinkSync(source), target);
    else if (entry.isFile()) await copyOne(source, target, add);
  }
}

async function copyOne(source: string, target: string, add: (bytes: number) => void): Promise<void> {
  const { size } = lstatSync(source);
  try {
    await copyFile(source, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);
  } catch {
    // Most file systems cannot, each with an error of its own.
    await copyPieces(source, target, add);
    return;
  }
  add(size);
}

async function copyPieces(source: string, target: string, add: (bytes: number) => void): Promise<void> {
  await using input = await open(source, 'r');
  const { mode, size } = await input.stat();
  await using output = await open(target, 'wx', mode & 0o777);
  const buffer = Buffer.allocUnsafe(Math.min(PIECE, Math.max(size, 1)));
  let at = 0;
  for (;;) {
    const { bytesRead } = await input.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) break;
    const piece = buffer.subarray(0, bytesRead);
    if (!piece.equals(ZEROS.subarray(0, bytesRead))) {
      for (let done = 0; done < bytesRead;) {
        const { bytesWritten } = await output.write(piece, done, bytesRead - done, at + done);
        done += bytesWritten;
      }
    }
    at += bytesRead;
    add(bytesRead);
  }
  // What was left out at the end is there all the same.
  await output.truncate(at);
  await output.datasync();
}
