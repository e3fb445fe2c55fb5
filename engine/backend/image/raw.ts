/** A raw image: the file is the disk. Also ISO images, which are opened read-only. */
import { GuesthouseError } from '../../base/errors.ts';
import { type Buffers, lengthOf, viewsOf } from './buffers.ts';
import { type DiskImage, SECTOR } from './disk-image.ts';
import type { HostFile } from './host-file.ts';

/** Zeros are written from here. */
const ZEROS = new Uint8Array(0x1_0000);

export class RawImage implements DiskImage {
  readonly format = 'raw';
  readonly writable: boolean;
  readonly files: readonly string[];
  readonly #file: HostFile;
  /** Looked at before a write to the first sector. */
  readonly #guard: ((sector: Uint8Array) => void) | undefined;
  #size: number;

  /**
   * @param path for {@link files}
   * @param guard called with what the first sector is about to become; throws where it must not
   */
  constructor(file: HostFile, path: string, writable: boolean, guard?: (sector: Uint8Array) => void) {
    this.#file = file;
    this.#guard = guard;
    this.writable = writable;
    this.files = [path];
    // A last sector that is not whole reads as zeros from the file's end on.
    this.#size = Math.ceil(file.size() / SECTOR) * SECTOR;
  }

  get size(): number {
    return this.#size;
  }

  readv(at: number, into: Buffers): void {
    this.#file.readv(at, into);
  }

  writev(at: number, from: Buffers): void {
    if (at < SECTOR && this.#guard !== undefined) this.#guardFirstSector(this.#guard, at, from);
    this.#file.writev(at, from);
  }

  writeZeroes(at: number, length: number, unmap: boolean): void {
    if (unmap) this.#file.punchHole(at, length);
    // A hole reads as zeros, but whether one could be made is not said: what is there is looked at.
    const found = new Uint8Array(Math.min(length, ZEROS.length));
    for (let done = 0; done < length;) {
      const part = found.subarray(0, Math.min(found.length, length - done));
      this.#file.readv(at + done, [part]);
      const zeros = ZEROS.subarray(0, part.length);
      if (Buffer.compare(part, zeros) !== 0) this.#file.writev(at + done, [zeros]);
      done += part.length;
    }
  }

  discard(at: number, length: number): void {
    this.#file.punchHole(at, length);
  }

  flush(): void {
    if (this.writable) this.#file.sync();
  }

  resize(bytes: number): void {
    if (!this.writable) throw new GuesthouseError('state', `${this.files[0]} is open for reading only`);
    this.#file.truncate(bytes);
    this.#size = bytes;
  }

  close(): void {
    try {
      this.flush();
    } finally {
      this.#file.close();
    }
  }

  #guardFirstSector(guard: (sector: Uint8Array) => void, at: number, from: Buffers): void {
    const sector = new Uint8Array(SECTOR);
    this.#file.readv(0, [sector]);
    let to = at;
    for (const buffer of viewsOf(from)) {
      if (to >= SECTOR) break;
      sector.set(buffer.subarray(0, SECTOR - to), to);
      to += buffer.length;
    }
    if (lengthOf(from) > 0) guard(sector);
  }
}
