/**
 * A log of writes to pages with decoded code, for the vCPUs that have decoded it: a ring that each reads at
 * its own pace. Who has fallen behind by more than the ring holds must take everything for written.
 */
import { Mutex } from '../base/mutex.ts';
import { type Arena } from '../memory/layout.ts';

/** Writes remembered; a power of two. Who has lost some drops all its code, which costs far more than the room: with
 * 1024, Linux on two vCPUs lost some four times in booting and a few hundred processes. */
export const ENTRIES = 16_384;

/** Bytes of the machine area. */
export const CODE_WRITES_BYTES = ENTRIES * 8 + 128;

export class CodeWrites {
  readonly #mutex: Mutex;
  /** How many were ever logged, modulo 2^32. */
  readonly #head: Uint32Array<SharedArrayBuffer>;
  /** Address in the shared memory, and length, of each. */
  readonly #entries: Uint32Array<SharedArrayBuffer>;

  constructor(arena: Arena) {
    const at = arena.reserve(64, 64);
    this.#mutex = new Mutex(arena.buffer, at);
    this.#head = new Uint32Array(arena.buffer, at + 4, 1);
    this.#entries = new Uint32Array(arena.buffer, arena.reserve(ENTRIES * 8), ENTRIES * 2);
  }

  /** Logs that `bytes` at an address of the shared memory have been written. */
  append(address: number, bytes: number): void {
    this.#mutex.lock();
    const head = this.#head[0];
    const at = (head % ENTRIES) * 2;
    this.#entries[at] = address;
    this.#entries[at + 1] = bytes;
    this.#head[0] = head + 1;
    this.#mutex.unlock();
  }

  /** Where a reader stands that wants to know of nothing before. */
  position(): number {
    return Atomics.load(this.#head, 0);
  }

  /**
   * Reads on.
   *
   * @param from the reader's position
   * @param each told of every write since, in order; once of the same several times in a row
   * @returns the new position, or -1 where some are lost; {@link position} is then where to go on, asked for
   *   before everything is taken for written
   */
  read(from: number, each: (address: number, bytes: number) => void): number {
    this.#mutex.lock();
    const head = this.#head[0];
    const count = (head - from) >>> 0;
    const found = count > ENTRIES ? undefined : this.#copy(from, count);
    this.#mutex.unlock();
    if (found === undefined) return -1;
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
