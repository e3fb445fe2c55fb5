/** Opening images: which format, which files, and that nobody else writes them. */
import { statSync } from 'node:fs';
import path from 'node:path';
import { GuesthouseError, reasonOf } from '../../base/errors.ts';
import { lockFile } from '../file-lock.ts';
import { DETECT_BYTES, detectFormat, guardGuess } from './detect.ts';
import type { DiskImage, ImageFormat } from './disk-image.ts';
import { type HostFile, OpenFile } from './host-file.ts';
import { checkImage, type CheckReport, recount } from './qcow2/check.ts';
import { Incompatible, parseHeader, type Qcow2Header } from './qcow2/header.ts';
import type { Qcow2Context } from './qcow2/metadata-file.ts';
import { Qcow2Image } from './qcow2/qcow2-image.ts';
import { readSnapshots, type Snapshot } from './qcow2/snapshots.ts';
import { RawImage } from './raw.ts';

/** Images behind each other at most. */
const MOST_BACKING_FILES = 64;

/** The largest cluster: no header is longer. */
const MOST_HEADER_BYTES = 2 * 2 ** 20;

/**
 * Locks on image files: one writer, or any number of readers, in all processes that ask for them. They hold
 * until they are released or the process ends.
 */
export class ImageLocks {
  readonly #held: Array<() => void> = [];

  /** @throws GuesthouseError `state` where somebody holds a lock that contradicts it */
  take(file: string, writable: boolean): void {
    const release = lockFile(file, 'r', writable ? 'exclusive' : 'shared');
    if (release === undefined) {
      throw new GuesthouseError(
        'state',
        `${file} is in use`,
        writable ? 'a running machine or another command has it open' : 'a running machine writes it',
      );
    }
    this.#held.push(release);
  }

  release(): void {
    for (const release of this.#held.splice(0)) release();
  }
}

export interface OpenOptions {
  /** Guessed where absent. */
  readonly format?: ImageFormat | undefined;
  readonly writable: boolean;
  /** Takes the locks of all files; without, somebody else has seen to it. */
  readonly locks?: ImageLocks | undefined;
  /** Name or id of an internal snapshot to read instead of the disk as it is now. */
  readonly snapshot?: string | undefined;
}

/**
 * Opens an image with its backing files. Where a writer has left it without its counts, they are counted anew.
 *
 * @param file its path
 * @throws GuesthouseError `file` where it can't be opened or is damaged, `unsupported` for formats and features
 *   that are not known here, `state` where it is in use
 */
export function openImage(file: string, options: OpenOptions): DiskImage {
  return openBehind(file, options, 0);
}

function openBehind(file: string, options: OpenOptions, depth: number): DiskImage {
  if (depth > MOST_BACKING_FILES) {
    throw new GuesthouseError(
      'file',
      `${file} has more than ${MOST_BACKING_FILES} backing files`,
      'is it its own?',
    );
  }
  const opened = openFile(file, options);
  try {
    const guessed = options.format === undefined;
    const format = options.format ?? detectFormat(startOf(opened, DETECT_BYTES), file);
    if (format === 'raw') {
      if (options.snapshot !== undefined) throw noSnapshot(file, options.snapshot);
      return new RawImage(opened, file, options.writable, guessed ? guardGuess(file) : undefined);
    }
    return openQcow2(opened, file, options, depth);
  } catch (error) {
    opened.close();
    throw error;
  }
}

function openQcow2(opened: HostFile, file: string, options: OpenOptions, depth: number): DiskImage {
  let { header, context } = readHeader(opened, file);
  if (options.writable && (header.incompatible & Incompatible.Corrupt) !== 0) {
    throw new GuesthouseError(
      'file',
      `${file} is marked as damaged`,
      `guesthouse image check --repair ${file}`,
    );
  }
  if (options.writable && (header.incompatible & Incompatible.Dirty) !== 0) {
    recount(context, header);
    ({ header, context } = readHeader(opened, file));
  }
  const snapshot = findSnapshot(context, header, options.snapshot);
  const backing = openBacking(file, header, options, depth);
  try {
    return new Qcow2Image({
      file: opened,
      path: file,
      header,
      writable: options.writable,
      backing,
      snapshot,
    });
  } catch (error) {
    backing?.close();
    throw error;
  }
}

function openBacking(
  file: string,
  { backingFile, backingFormat }: Qcow2Header,
  { locks }: OpenOptions,
  depth: number,
): DiskImage | undefined {
  if (backingFile === undefined) return undefined;
  if (backingFormat !== undefined && backingFormat !== 'raw' && backingFormat !== 'qcow2') {
    throw new GuesthouseError('unsupported', `the backing file of ${file} is of format '${backingFormat}'`);
  }
  const behind = resolveBacking(file, backingFile);
  return openBehind(behind, { format: backingFormat, writable: false, locks }, depth + 1);
}

/** The path of a backing file, by what is in the header of the image before it. */
export function resolveBacking(file: string, backingFile: string): string {
  const name = backingFile.replace(/^file:/, '');
  if (/^(json:|[a-z][a-z0-9+.-]*:)/i.test(name) && !/^[a-z]:[\\/]/i.test(name)) {
    throw new GuesthouseError(
      'unsupported',
      `the backing file of ${file} is '${backingFile}', which is not a file`,
    );
  }
  return path.resolve(path.dirname(file), name);
}

function findSnapshot(
  context: Qcow2Context,
  header: Qcow2Header,
  name: string | undefined,
): Snapshot | undefined {
  if (name === undefined) return undefined;
  const all = readSnapshots(context, header);
  const found = all.find((each) => each.name === name) ?? all.find((each) => each.id === name);
  if (found === undefined) throw noSnapshot(context.path, name);
  return found;
}

function noSnapshot(file: string, name: string): GuesthouseError {
  return new GuesthouseError('file', `${file} has no snapshot '${name}'`, 'guesthouse image info lists them');
}

function openFile(file: string, { writable, locks }: OpenOptions): HostFile {
  try {
    if (!statSync(file).isFile()) throw new GuesthouseError('file', `${file} is not a regular file`);
    locks?.take(file, writable);
    return new OpenFile(file, writable ? 'write' : 'read');
  } catch (error) {
    if (error instanceof GuesthouseError) throw error;
    const hint = writable && isPermission(error) ? 'open it read-only, or change its permissions' : undefined;
    throw new GuesthouseError('file', `cannot open ${file}: ${reasonOf(error)}`, hint, { cause: error });
  }
}

function isPermission(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EACCES' || error.code === 'EROFS');
}

function startOf(file: HostFile, bytes: number): Uint8Array {
  const start = new Uint8Array(Math.min(bytes, file.size()));
  file.readv(0, [start]);
  return start;
}

function readHeader(file: HostFile, path: string): { header: Qcow2Header; context: Qcow2Context } {
  const header = parseHeader(startOf(file, MOST_HEADER_BYTES), path);
  const { clusterBits } = header;
  return { header, context: { file, path, clusterBits, clusterBytes: 2 ** clusterBits } };
}

/** What can be said of an image without opening what is behind it. */
export interface ImageDescription {
  readonly format: ImageFormat;
  readonly size: number;
  /** Absent for raw images. */
  readonly qcow2?: Qcow2Header;
  readonly snapshots: readonly Snapshot[];
}

/** Looks at an image.
 * @throws GuesthouseError as {@link openImage} */
export function describeImage(file: string, format?: ImageFormat): ImageDescription {
  const opened = openFile(file, { writable: false });
  try {
    const found = format ?? detectFormat(startOf(opened, DETECT_BYTES), file);
    if (found === 'raw') return { format: found, size: opened.size(), snapshots: [] };
    const { header, context } = readHeader(opened, file);
    return { format: found, size: header.size, qcow2: header, snapshots: readSnapshots(context, header) };
  } finally {
    opened.close();
  }
}

/**
 * Checks a qcow2 image, whose format is known.
 *
 * @param repair whether its counts are made right: what cannot be is left as it is
 * @returns what was found, before anything was changed
 * @throws GuesthouseError as {@link openImage}
 */
export function checkQcow2(file: string, repair: boolean, locks: ImageLocks): CheckReport {
  const opened = openFile(file, { writable: repair, locks });
  try {
    const { header, context } = readHeader(opened, file);
    const report = checkImage(context, header);
    const marked = (header.incompatible & (Incompatible.Dirty | Incompatible.Corrupt)) !== 0;
    if (repair && report.broken === 0 && (report.leaks + report.miscounted > 0 || marked))
      recount(context, header);
    return report;
  } finally {
    opened.close();
  }
}
