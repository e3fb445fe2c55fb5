/**
 * What a guest has written to its console, as far back as is kept, and those who read it.
 *
 * Readers come and go and read at their own speed from a position they choose. The guest may run ahead of
 * them as far as the history reaches; then its output waits. A reader that stands still for too long is no
 * longer waited for, and finds a gap.
 */
import type { Sink } from './output.ts';

/** Bytes kept. */
export const HISTORY_BYTES = 2 ** 21;

/** How long output waits for a reader that does not move, in milliseconds. */
const PATIENCE = 5000;

/** Reads from the history, from one position on. */
export interface HistoryReader {
  /** Of the next byte. */
  readonly position: number;
  /** Resolves with up to `most` bytes that follow, moving on where some were dropped; undefined at the end of
   * the output, or when the reader is closed. One call at a time. */
  read(most: number): Promise<{ position: number; bytes: Uint8Array } | undefined>;
  close(): void;
}

interface Cursor {
  position: number;
  /** When it last moved or had nothing to read; by performance.now(). */
  moved: number;
  closed: boolean;
}

export class ConsoleHistory implements Sink {
  readonly #ring: Uint8Array;
  readonly #patience: number;
  readonly #cursors = new Set<Cursor>();
  readonly #waiting = new Set<() => void>();
  /** Bytes ever written. */
  #end = 0;
  #closed = false;

  /**
   * @param capacity bytes kept
   * @param patience milliseconds
   */
  constructor(capacity = HISTORY_BYTES, patience = PATIENCE) {
    this.#ring = new Uint8Array(capacity);
    this.#patience = patience;
  }

  /** Position after the last byte: how many were written. */
  get end(): number {
    return this.#end;
  }

  /** Position of the first byte that is kept. */
  get start(): number {
    return Math.max(0, this.#end - this.#ring.length);
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + this.#ring.length);
      await this.#waitForReaders(part.length);
      this.#append(part);
      at += part.length;
    }
  }

  close(): void {
    this.#closed = true;
    this.#wake();
  }

  /** Starts to read at `from`, or at the first byte kept. */
  reader(from: number): HistoryReader {
    const position = Math.min(Math.max(from, this.start), this.#end);
    const cursor: Cursor = { position, moved: performance.now(), closed: false };
    this.#cursors.add(cursor);
    return {
      get position() {
        return cursor.position;
      },
      read: (most) => this.#read(cursor, most),
      close: () => {
        cursor.closed = true;
        this.#cursors.delete(cursor);
        this.#wake();
      },
    };
  }

  async #read(cursor: Cursor, most: number): Promise<{ position: number; bytes: Uint8Array } | undefined> {
    while (cursor.position >= this.#end && !this.#closed && !cursor.closed) {
      cursor.moved = performance.now();
      await this.#change(Infinity);
    }
    if (cursor.closed || cursor.position >= this.#end) return undefined;
    const position = Math.max(cursor.position, this.start);
    const bytes = this.#copy(position, Math.min(most, this.#end - position));
    cursor.position = position + bytes.length;
    cursor.moved = performance.now();
    this.#wake();
    return { position, bytes };
  }

  #copy(position: number, count: number): Uint8Array {
    const capacity = this.#ring.length;
    const bytes = new Uint8Array(count);
    const at = position % capacity;
    const first = Math.min(count, capacity - at);
    bytes.set(this.#ring.subarray(at, at + first));
    bytes.set(this.#ring.subarray(0, count - first), first);
    return bytes;
  }

  #append(bytes: Uint8Array): void {
    const capacity = this.#ring.length;
    const at = this.#end % capacity;
    const first = Math.min(bytes.length, capacity - at);
    this.#ring.set(bytes.subarray(0, first), at);
    this.#ring.set(bytes.subarray(first), 0);
    this.#end += bytes.length;
    this.#wake();
  }

  /** Waits until `count` more bytes overwrite nothing that a reader still waits for. */
  async #waitForReaders(count: number): Promise<void> {
    for (;;) {
      const needed = this.#end + count - this.#ring.length;
      const now = performance.now();
      const patience = [...this.#cursors]
        .filter(({ position }) => position < needed)
        .map(({ moved }) => moved + this.#patience - now)
        .filter((left) => left > 0);
      if (patience.length === 0) return;
      await this.#change(Math.min(...patience));
    }
  }

  /** Resolves when something has changed, or after `milliseconds`. */
  #change(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = milliseconds === Infinity ? undefined : setTimeout(() => done(), milliseconds);
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      this.#waiting.add(done);
    });
  }

  #wake(): void {
    for (const done of this.#waiting) done();
  }
}
