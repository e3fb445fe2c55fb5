/**
 * Work on disk images without a machine: what `guesthouse image` and the storage page do. Whatever an image
 * belongs to, it is locked meanwhile: not while a machine uses it.
 */
import { renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { copyImage } from '../backend/image/convert.ts';
import { type DiskImage, type ImageFormat, MOST_BYTES, SECTOR } from '../backend/image/disk-image.ts';
import { OpenFile, syncDirectory } from '../backend/image/host-file.ts';
import { checkQcow2, describeImage, ImageLocks, openImage, resolveBacking } from '../backend/image/open.ts';
import type { CheckReport } from '../backend/image/qcow2/check.ts';
import { createQcow2 } from '../backend/image/qcow2/create.ts';
import { Compatible } from '../backend/image/qcow2/header.ts';
import { GuesthouseError, reasonOf } from '../base/errors.ts';

export type { CheckReport } from '../backend/image/qcow2/check.ts';
export type { ImageFormat } from '../backend/image/disk-image.ts';

/** What a new image is to be. */
export interface CreateOptions {
  readonly format: ImageFormat;
  /** Bytes, a multiple of 512; the backing file's where absent. */
  readonly size?: number | undefined;
  readonly backing?: { readonly file: string; readonly format?: ImageFormat | undefined } | undefined;
  /** Bytes. */
  readonly clusterBytes?: number | undefined;
  readonly lazyRefcounts?: boolean;
  /** 2 or 3; 3 where absent. */
  readonly version?: 2 | 3 | undefined;
}

/**
 * Makes an image.
 *
 * @throws GuesthouseError `config` for options that contradict each other, `file` where the file exists
 *   already or can't be written
 */
export function createImage(file: string, options: CreateOptions): void {
  const { format, backing } = options;
  if (format === 'raw' && backing !== undefined) {
    throw new GuesthouseError('config', 'a raw image has no backing file', 'make it qcow2');
  }
  const behind = backing === undefined ? undefined : describeBacking(file, backing.file, backing.format);
  const size = options.size ?? behind?.size;
  if (size === undefined) throw new GuesthouseError('config', 'the image needs a size, or a backing file');
  requireSize(size);
  makeFile(file, (made) => {
    if (format === 'raw') {
      made.truncate(size);
      return;
    }
    createQcow2(made, {
      size,
      lazyRefcounts: options.lazyRefcounts ?? false,
      backingFile: backing?.file,
      backingFormat: behind?.format,
      ...(options.clusterBytes === undefined ? {} : { clusterBytes: options.clusterBytes }),
      ...(options.version === undefined ? {} : { version: options.version }),
    });
  });
}

function describeBacking(file: string, backing: string, format: ImageFormat | undefined) {
  return describeImage(resolveBacking(file, backing), format);
}

function requireSize(size: number): void {
  if (!Number.isInteger(size) || size < 0 || size % SECTOR !== 0 || size > MOST_BYTES) {
    throw new GuesthouseError(
      'config',
      `an image of ${size} bytes is not possible`,
      'a multiple of 512, up to 4 PiB',
    );
  }
}

/** Makes a file beside and renames it when it is whole: what has its name is never half an image. */
function makeFile(file: string, write: (made: OpenFile) => void): void {
  const wrong = (error: unknown) =>
    new GuesthouseError('file', `cannot make ${file}: ${reasonOf(error)}`, undefined, { cause: error });
  if (statSync(file, { throwIfNoEntry: false }) !== undefined) {
    throw new GuesthouseError('file', `${file} exists already`, 'give another name, or delete it first');
  }
  const beside = `${file}.new-${process.pid}`;
  let made: OpenFile;
  try {
    made = new OpenFile(beside, 'create');
  } catch (error) {
    throw wrong(error);
  }
  try {
    write(made);
    made.sync();
    made.close();
    renameSync(beside, file);
    syncDirectory(path.dirname(file));
  } catch (error) {
    made.close();
    rmSync(beside, { force: true });
    throw error instanceof GuesthouseError ? error : wrong(error);
  }
}

/** Deletes an image that nobody has open.
 * @throws GuesthouseError `state` where somebody has, `file` where it can't be deleted */
export function deleteImage(file: string): void {
  const locks = new ImageLocks();
  try {
    locks.take(file, true);
    rmSync(file);
  } catch (error) {
    throw known(file, error);
  } finally {
    locks.release();
  }
}

/** What an image is. Sizes in bytes. */
export interface ImageInfo {
  readonly file: string;
  readonly format: ImageFormat;
  /** What a guest sees. */
  readonly size: number;
  /** What it takes on the host's disk. */
  readonly allocated: number;
  readonly clusterBytes: number | null;
  readonly version: 2 | 3 | null;
  readonly lazyRefcounts: boolean;
  readonly compression: 'zlib' | 'zstd' | null;
  readonly backingFile: string | null;
  readonly backingFormat: string | null;
  readonly snapshots: ReadonlyArray<{
    readonly id: string;
    readonly name: string;
    readonly size: number;
    /** Milliseconds since 1970. */
    readonly taken: number;
  }>;
}

/** Looks at an image, in use or not. @throws GuesthouseError as it can't be read */
export function imageInfo(file: string, format?: ImageFormat): ImageInfo {
  const { qcow2, snapshots, ...found } = describeImage(file, format);
  return {
    file,
    format: found.format,
    size: found.size,
    // Blocks of stat(2) are of 512 bytes, whatever the file system's are.
    allocated: statSync(file).blocks * 512,
    clusterBytes: qcow2 === undefined ? null : 2 ** qcow2.clusterBits,
    version: qcow2?.version ?? null,
    lazyRefcounts: ((qcow2?.compatible ?? 0) & Compatible.LazyRefcounts) !== 0,
    compression: qcow2?.compression ?? null,
    backingFile: qcow2?.backingFile ?? null,
    backingFormat: qcow2?.backingFormat ?? null,
    snapshots: snapshots.map(({ id, name, size, taken }) => ({ id, name, size, taken })),
  };
}

/**
 * Changes an image's size.
 *
 * @param size bytes; may be less for a raw image only, where `shrink` says that what is cut off is not wanted
 */
export function resizeImage(
  file: string,
  size: number,
  options: { format?: ImageFormat | undefined; shrink?: boolean },
): void {
  requireSize(size);
  withImage(file, { format: options.format, writable: true }, (image) => {
    if (size < image.size && options.shrink !== true) {
      throw new GuesthouseError(
        'config',
        `${file} would become smaller and lose data`,
        'give --shrink if that is meant',
      );
    }
    if (size !== image.size) image.resize(size);
  });
}

export interface ConvertOptions {
  readonly from: string;
  readonly fromFormat?: ImageFormat | undefined;
  readonly snapshot?: string | undefined;
  readonly to: string;
  readonly toFormat: ImageFormat;
  readonly clusterBytes?: number | undefined;
  /** Told of bytes done, of all. */
  readonly progress?: (done: number, all: number) => void;
}

/** Copies what an image holds, with its backing files, into a new one. */
export function convertImage({
  from,
  fromFormat,
  snapshot,
  to,
  toFormat,
  clusterBytes,
  progress,
}: ConvertOptions): void {
  withImage(from, { format: fromFormat, writable: false, snapshot }, (source) => {
    createImage(to, { format: toFormat, size: source.size, clusterBytes });
    try {
      withImage(to, { format: toFormat, writable: true }, (target) => {
        copyImage(source, target, (done) => progress?.(done, source.size));
      });
    } catch (error) {
      rmSync(to, { force: true });
      throw error;
    }
  });
}

/**
 * Checks an image's metadata.
 *
 * @param repair whether counts are made right
 * @returns undefined for a raw image, which has nothing to check
 */
export function checkImageFile(
  file: string,
  options: { format?: ImageFormat | undefined; repair?: boolean },
): CheckReport | undefined {
  const format = options.format ?? describeImage(file).format;
  if (format === 'raw') return undefined;
  const locks = new ImageLocks();
  try {
    return checkQcow2(file, options.repair === true, locks);
  } catch (error) {
    throw known(file, error);
  } finally {
    locks.release();
  }
}

/** Opens an image, locked, for as long as `body` runs. */
function withImage(
  file: string,
  options: { format?: ImageFormat | undefined; writable: boolean; snapshot?: string | undefined },
  body: (image: DiskImage) => void,
): void {
  const locks = new ImageLocks();
  try {
    const image = openImage(file, { ...options, locks });
    try {
      body(image);
    } catch (error) {
      // Closing may fail of the same; the first error says more.
      try {
        image.close();
      } catch {}
      throw error;
    }
    image.close();
  } catch (error) {
    throw known(file, error);
  } finally {
    locks.release();
  }
}

/** What the host's file system says, as an error of ours. */
function known(file: string, error: unknown): unknown {
  if (error instanceof GuesthouseError || !(error instanceof Error) || !('code' in error)) return error;
  const full = error.code === 'ENOSPC' || error.code === 'EDQUOT';
  return new GuesthouseError(full ? 'resources' : 'file', `${file}: ${reasonOf(error)}`, undefined, {
    cause: error,
  });
}
