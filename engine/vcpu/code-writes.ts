/**
 * A log of writes to pages with decoded code, for the vCPUs that have decoded it: a ring that each reads at its own
 * pace. A vCPU that sleeps does not read, so some of it may be overwritten before it does. For that case it is also
 * kept when each page was written last: who has lost entries takes those pages for written as a whole, and no others.
 */
import { Mutex } from '../base/mutex.ts';
import type { Arena } from '../memory/layout.ts';

/** Writes remembered; a power of two. */
export const ENTRIES = 16_384;

/** Bytes of the machine area for a memory of so many pages. */
export const codeWritesBytes = (pages: number): number => ENTRIES * 8 + pages * 4 + 256;

/** The words of the log's head: how many writes were ever logged, in two halves. */
const Head = { Low: 0, High: 1 } as const;

export class CodeWrites {
  readonly #mutex: Mutex;
  readonly #head: Uint32Array<SharedArrayBuffer>;
  /** Address in the shared memory, and length, of each. */
  readonly #entries: Uint32Array<SharedArrayBuffer>;
  /** Of each page: the {@link turn} of the last write to it, plus 1; 0 where there was none. */
  readonly #lastTurn: Uint32Array<SharedArrayBuffer>;

  /** @param pages of the whole shared memory, 4096 bytes each */
  constructor(arena: Arena, pages: number) {
    const at = arena.reserve(64, 64);
    this.#mutex = new Mutex(arena.buffer, at);
    this.#head = new Uint32Array(arena.buffer, at + 4, 2);
    this.#entries = new Uint32Array(arena.buffer, arena.reserve(ENTRIES * 8), ENTRIES * 2);
    this.#lastTurn = new Uint32Array(arena.buffer, arena.reserve(pages * 4), pages);
  }

  /** Logs that `bytes` within a page, at an address of the shared memory, have been written. */
  append(address: number, bytes: number): void {
    this.#mutex.lock();
    const head = this.#written();
    const at = (head % ENTRIES) * 2;
    this.#entries[at] = address;
    this.#entries[at + 1] = bytes;
    this.#lastTurn[Math.floor(address / 4096)] = turn(head) + 1;
    this.#head[Head.Low] = head + 1;
    this.#head[Head.High] = Math.floor((head + 1) / 2 ** 32);
    this.#mutex.unlock();
  }

  /** How many were ever logged. The lock is held. */
  #written(): number {
    return this.#head[Head.High] * 2 ** 32 + this.#head[Head.Low];
  }

  /** Where a reader stands that wants to know of nothing before. */
  position(): number {
    return this.#mutex.with(() => this.#written());
  }

  /**
   * Reads on.
   *
   * @param from the reader's position
   * @param each told of every write since, in order; once of the same several times in a row. Where entries are lost:
   *   of those of `pages` that may have been written since, as wholes
   * @param pages numbers of the pages that the reader has code of
   * @returns the new position
   */
  read(from: number, each: (address: number, bytes: number) => void, pages: () => Iterable<number>): number {
    this.#mutex.lock();
    const head = this.#written();
    const found = head - from > ENTRIES ? undefined : this.#copy(from, head - from);
    this.#mutex.unlock();
    if (found === undefined) {
      for (const page of pages()) {
        // Written after this, it is read of the next time.
        if (this.#lastTurn[page] > turn(from)) each(page * 4096, 4096);
      }
      return head;
    }
    for (let i = 0; i < found.length; i += 2) {
      // Whoever writes in a loop writes the same again and again.
      if (found[i] !== found[i - 2] || found[i + 1] !== found[i - 1]) each(found[i], found[i + 1]);
    }
    return head;
  }

  #copy(from: number, count: number): Uint32Array {
    const found = new Uint32Array(count * 2);
    for (let i = 0; i < count; i++) {
      const at = ((from + i) % ENTRIES) * 2;
      found[2 * i] = this.#entries[at];
      found[2 * i + 1] = this.#entries[at + 1];
    }
    return found;
  }
}

/** The turn of the ring in which a write is logged: a clock that does not wrap around within a machine's life. */
const turn = (position: number): number => Math.floor(position / ENTRIES);
