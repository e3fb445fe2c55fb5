/**
 * A file of the host as disk images use it: bytes at offsets, read and written whole.
 */
import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readvSync,
  writevSync,
} from 'node:fs';
import { Runs } from '../../memory/runs.ts';
import { type Buffers, clear, lengthOf, sliceOf, viewsOf } from './buffers.ts';
import { punchHole } from './punch-hole.ts';
import { MOST_AT_ONCE, transferRuns } from './vectored-io.ts';

/** Offsets and lengths in bytes. What fails throws what Node's file system calls throw (`code` is the errno's
 * name). */
export interface HostFile {
  /** Bytes from the start to the end of the file. */
  size(): number;
  /** Fills the buffers with what is at `at`; zeros beyond the end. */
  readv(at: number, into: Buffers): void;
  /** Writes all of the buffers at `at`, making the file longer where it has to. */
  writev(at: number, from: Buffers): void;
  /** Cuts the file, or makes it longer by zeros that take no space. */
  truncate(bytes: number): void;
  /** Resolves to what is written being on the disk, and its size. */
  sync(): void;
  /** Gives space back to the host's file system, where that can be done: the bytes read as zeros then, or
   * are left as they are. */
  punchHole(at: number, length: number): void;
  close(): void;
}

/** A file by a descriptor of its own. */
export class OpenFile implements HostFile {
  readonly #descriptor: number;
  #open = true;

  /**
   * Opens a file that is there, or makes an empty one.
   *
   * @param access `create` makes it anew for reading and writing and fails (EEXIST) where it exists
   */
  constructor(path: string, access: 'read' | 'write' | 'create') {
    const flags = {
      read: constants.O_RDONLY,
      write: constants.O_RDWR,
      create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
    }[access];
    this.#descriptor = openSync(path, flags, 0o644);
  }

  size(): number {
    return fstatSync(this.#descriptor).size;
  }

  readv(at: number, into: Buffers): void {
    const length = lengthOf(into);
    for (let done = 0; done < length;) {
      const rest = done === 0 ? into : sliceOf(into, done, length - done);
      const count = this.#transfer('preadv', at + done, rest);
      if (count === 0) {
        clear(rest);
        return;
      }
      done += count;
    }
  }

  writev(at: number, from: Buffers): void {
    const length = lengthOf(from);
    for (let done = 0; done < length;) {
      const rest = done === 0 ? from : sliceOf(from, done, length - done);
      done += this.#transfer('pwritev', at + done, rest);
    }
  }

  /** Moves bytes by one call. @returns how many */
  #transfer(kind: 'preadv' | 'pwritev', at: number, buffers: Buffers): number {
    if (buffers instanceof Runs) {
      const moved = transferRuns(kind, this.#descriptor, at, buffers);
      if (moved !== undefined) return moved;
    }
    const some = viewsOf(buffers).slice(0, MOST_AT_ONCE);
    return (kind === 'preadv' ? readvSync : writevSync)(this.#descriptor, some, at);
  }

  truncate(bytes: number): void {
    ftruncateSync(this.#descriptor, bytes);
  }

  sync(): void {
    // fdatasync(2) leaves out the times; a new size is data enough for it.
    fdatasyncSync(this.#descriptor);
  }

  punchHole(at: number, length: number): void {
    punchHole(this.#descriptor, at, length);
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.#descriptor);
  }
}

/** Makes the entry of a file that was made or renamed in `directory` last. */
export function syncDirectory(directory: string): void {
  if (process.platform === 'win32') return;
  const descriptor = openSync(directory, constants.O_RDONLY);
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
