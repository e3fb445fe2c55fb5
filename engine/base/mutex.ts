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

  /** @param address byte address of the word, a multiple of 4; zero is the free state */
  constructor(buffer: SharedArrayBuffer, address: number) {
    this.#words = new Int32Array(buffer, address, 1);
  }

  /** Takes the lock, waiting as long as it takes. Not reentrant: taking it twice in a thread deadlocks. */
  lock(): void {
    const words = this.#words;
    for (let spin = 0; spin < SPINS; spin++) {
      if (Atomics.compareExchange(words, 0, FREE, HELD) === FREE) return;
      Atomics.pause();
    }
    while (Atomics.exchange(words, 0, CONTENDED) !== FREE) Atomics.wait(words, 0, CONTENDED);
  }

  /** Takes the lock if it is free; never waits. */
  tryLock(): boolean {
    return Atomics.compareExchange(this.#words, 0, FREE, HELD) === FREE;
  }

  /** Gives the lock up; to be called by its holder only. */
  unlock(): void {
    if (Atomics.exchange(this.#words, 0, FREE) === CONTENDED) Atomics.notify(this.#words, 0, 1);
  }

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
