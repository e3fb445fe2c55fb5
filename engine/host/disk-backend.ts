/**
 * A disk of a running machine, in its I/O thread: an image, and what is to be done when the host fails.
 */
import type { DiskConfig } from '../api/config.ts';
import type { DiskImage } from '../backend/image/disk-image.ts';
import { GuesthouseError, reasonOf } from '../base/errors.ts';
import { type Buffers, lengthOf } from '../backend/image/buffers.ts';
import type { BlockBackend } from '../device/storage/block.ts';
import type { BlockCounters, BlockRequest } from '../device/storage/block-counters.ts';
import type { IoSlot, IoSlots } from '../device/storage/io-slots.ts';

/** A failure of the host. */
export interface DiskFailure {
  /** One line. */
  readonly message: string;
  /** The machine is to be paused, and the request to be tried again when it goes on. */
  readonly held: boolean;
  readonly full: boolean;
}

export interface DiskBackendParts {
  readonly config: DiskConfig;
  readonly counters: BlockCounters;
  readonly slot: IoSlot;
  readonly slots: IoSlots;
  /** Told of each failure, before the request is held or the guest is told. */
  readonly failed: (failure: DiskFailure) => void;
  /** Told of each read that the host has carried out. */
  readonly wasRead: () => void;
}

/** How often a held request looks whether it was called off, in milliseconds. */
const HELD_LOOK = 50;

export class DiskBackend implements BlockBackend {
  readonly #parts: DiskBackendParts;
  #image: DiskImage | undefined;
  /** The image's, for people. */
  #file: string | undefined;

  /** @param image undefined for a drive without a disc */
  constructor(image: DiskImage | undefined, parts: DiskBackendParts) {
    this.#image = image;
    this.#file = parts.config.file;
    this.#parts = parts;
  }

  read(at: number, into: Buffers): boolean {
    const done = this.#try('read', lengthOf(into), (image) => image.readv(at, into));
    if (done) this.#parts.wasRead();
    return done;
  }

  write(at: number, from: Buffers): boolean {
    return this.#try('write', lengthOf(from), (image) => {
      image.writev(at, from);
      this.#through(image);
    });
  }

  flush(): boolean {
    return this.#try('flush', 0, (image) => image.flush());
  }

  discard(at: number, length: number): boolean {
    return this.#try('write', 0, (image) => {
      image.discard(at, length);
      this.#through(image);
    });
  }

  writeZeroes(at: number, length: number, unmap: boolean): boolean {
    return this.#try('write', 0, (image) => {
      image.writeZeroes(at, length, unmap);
      this.#through(image);
    });
  }

  /** Puts another image in place of this one, which is closed. */
  change(image: DiskImage | undefined, file?: string): void {
    const before = this.#image;
    this.#image = image;
    this.#file = file;
    before?.close();
  }

  /** Writes what is still to be written. @throws what the host says */
  close(): void {
    this.change(undefined);
  }

  #through(image: DiskImage): void {
    if (this.#parts.config.cache === 'writethrough') image.flush();
  }

  #try(kind: BlockRequest, bytes: number, body: (image: DiskImage) => void): boolean {
    const { slots, counters } = this.#parts;
    for (;;) {
      if (this.#image === undefined) return false;
      const resumed = slots.resumed;
      const begun = performance.now();
      try {
        body(this.#image);
        counters.add(kind, bytes, performance.now() - begun);
        return true;
      } catch (error) {
        counters.fail();
        const held = this.#isHeld(kind, error);
        this.#parts.failed({ message: this.#describe(kind, error), held, full: isFull(error) });
        if (!held || !this.#hold(resumed)) return false;
      }
    }
  }

  /** Waits until the machine goes on. Memory is not touched meanwhile.
   * @returns false where the request was called off */
  #hold(resumed: number): boolean {
    const { slot, slots } = this.#parts;
    slot.end();
    while (slots.resumed === resumed && slot.wanted && !slots.stopping) {
      slots.waitResumed(resumed, HELD_LOOK);
    }
    slot.again();
    return slot.wanted && !slots.stopping;
  }

  #isHeld(kind: BlockRequest, error: unknown): boolean {
    const { readError, writeError } = this.#parts.config;
    if (kind === 'read') return readError === 'stop';
    return writeError === 'stop' || (writeError === 'enospc' && isFull(error));
  }

  #describe(kind: BlockRequest, error: unknown): string {
    if (error instanceof GuesthouseError) return error.line;
    return `cannot ${kind === 'read' ? 'read' : 'write'} ${this.#file ?? 'a disc'}: ${reasonOf(error)}`;
  }
}

/** The host's disk is full, or the user's part of it. */
function isFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
}
