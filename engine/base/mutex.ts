/**
 * A mutual-exclusion lock over one 32-bit word of shared memory, for any number of threads.
 *
 * The word has three states, after U. Drepper, "Futexes Are Tricky" (2011), mutex 2: free, held, and held
 * with someone waiting. Only the last makes the holder pay for a wake-up.
 */

const FREE = 0;
const HELD = 1;
const CONTENDED = 2;

/** Tries before sleeping. The device lock is held for about a microsecond, less than a sleep and wake-up. */
const SPINS = 200;

export class Mutex {
  readonly #words: Int32Array<SharedArrayBuffer>;
  /** By this thread. */
  #held = false;
  /** To be done when this thread has given it up. */
  #after: Array<() => void> = [];

  /** @param address byte address of the word, a multiple of 4; zero is the free state */
  constructor(buffer: SharedArrayBuffer, address: number) {
    this.#words = new Int32Array(buffer, address, 1);
  }

  /** Takes the lock, waiting as long as it takes. Not reentrant: taking it twice in a thread deadlocks. */
  lock(): void {
    const words = this.#words;
    for (let spin = 0; spin < SPINS; spin++) {
      if (Atomics.compareExchange(words, 0, FREE, HELD) === FREE) {
        this.#held = true;
        return;
      }
      Atomics.pause();
    }
    while (Atomics.exchange(words, 0, CONTENDED) !== FREE) Atomics.wait(words, 0, CONTENDED);
    this.#held = true;
  }

  /** Takes the lock if it is free; never waits. */
  tryLock(): boolean {
    if (Atomics.compareExchange(this.#words, 0, FREE, HELD) !== FREE) return false;
    this.#held = true;
    return true;
  }

  /** Gives the lock up; to be called by its holder only. */
  unlock(): void {
    this.#held = false;
    if (Atomics.exchange(this.#words, 0, FREE) === CONTENDED) Atomics.notify(this.#words, 0, 1);
    if (this.#after.length === 0) return;
    const after = this.#after;
    this.#after = [];
    for (const body of after) body();
  }

  /** Runs `body` when this thread has given the lock up: now, where it does not hold it. For waking a thread that takes
   * the lock first of all, and would stop at it. `body` must not throw. */
  readonly afterwards = (body: () => void): void => {
    if (this.#held) this.#after.push(body);
    else body();
  };

  /** Runs `body` with the lock held, and gives it up however `body` ends. */
  readonly with = <T>(body: () => T): T => {
    this.lock();
    try {
      return body();
    } finally {
      this.unlock();
    }
  };
}
