/**
 * What a disk image is to a device: a run of bytes of a fixed size, whatever its format.
 *
 * All calls are synchronous, to be made by a thread that may wait for the host. What the host's file system
 * refuses is thrown as Node throws it (`code` ENOSPC, EIO, …); what a damaged image makes impossible is a
 * {@link GuesthouseError} with the code `file`. Either way the image is as consistent as before.
 */
import type { Buffers } from './buffers.ts';

export type ImageFormat = 'raw' | 'qcow2';

/** When a write is on the host's disk: with the next flush, or before it ends. */
export type CacheMode = 'writeback' | 'writethrough';

export interface DiskImage {
  readonly format: ImageFormat;
  /** Bytes that a guest sees; a multiple of 512. */
  readonly size: number;
  readonly writable: boolean;
  /** Every file the image is made of: its own, then its backing files'. */
  readonly files: readonly string[];
  /** Fills the buffers with what is at `at`. The range lies within the image. */
  readv(at: number, into: Buffers): void;
  /** Writes the buffers at `at`. The range lies within the image, which is writable. */
  writev(at: number, from: Buffers): void;
  /** Makes a range read as zeros.
   * @param unmap whether its space may be given back */
  writeZeroes(at: number, length: number, unmap: boolean): void;
  /** Gives space back where that can be done cheaply; what a range reads as afterwards is not defined, but it
   * is nothing that another image or the host holds. */
  discard(at: number, length: number): void;
  /** Returns when all that was written before is on the host's disk. */
  flush(): void;
  /** Changes the size. What is added reads as zeros; what is cut off is gone.
   * @throws GuesthouseError `unsupported` where the format can't */
  resize(bytes: number): void;
  /** Writes what is still to be written, and closes the files. Throws as {@link flush}, and is closed then
   * all the same. */
  close(): void;
}

/** Bytes of a sector, in which sizes are counted. */
export const SECTOR = 512;

/** The largest image, in bytes: what sector numbers of 48 bits and exact numbers can say, rounded down. */
export const MOST_BYTES = 2 ** 52;
