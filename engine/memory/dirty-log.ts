/**
 * Which pages of guest RAM have been written since somebody last asked: for video memory and migration.
 *
 * Two bits a page, in the shared memory: logging is on; the page is dirty. A page that is logged and clean
 * must not be written through a translation that nobody notices: {@link DirtyLog.needsTrap}. Pages count from
 * the start of guest RAM, 4096 bytes each.
 */
import type { Arena } from './layout.ts';

export class DirtyLog {
  readonly #pages: number;
  readonly #logged: Int32Array<SharedArrayBuffer>;
  readonly #dirty: Int32Array<SharedArrayBuffer>;
  readonly #flush: () => void;
  readonly #pull: () => void;

  /**
   * @param pages pages of guest RAM
   * @param flush makes every vCPU drop its translations
   * @param pull marks what the accelerator has noticed by itself and not marked yet
   */
  constructor(arena: Arena, pages: number, flush: () => void, pull: () => void = () => {}) {
    const words = Math.ceil(pages / 32);
    this.#pages = pages;
    this.#logged = new Int32Array(arena.buffer, arena.reserve(words * 4), words);
    this.#dirty = new Int32Array(arena.buffer, arena.reserve(words * 4), words);
    this.#flush = flush;
    this.#pull = pull;
  }

  /** A bit for each page that is logged. */
  get logged(): Int32Array {
    return this.#logged;
  }

  /** Starts logging for `count` pages, all of them clean. */
  enable(first: number, count: number): void {
    // What was written before is not wanted any more: it must not turn up later.
    this.#pull();
    this.#eachWord(first, count, (word, mask) => {
      Atomics.and(this.#dirty, word, ~mask);
      Atomics.or(this.#logged, word, mask);
    });
    this.#flush();
  }

  /** Ends logging for `count` pages. */
  disable(first: number, count: number): void {
    this.#eachWord(first, count, (word, mask) => {
      Atomics.and(this.#logged, word, ~mask);
      Atomics.and(this.#dirty, word, ~mask);
    });
  }

  /** Ends all logging. */
  reset(): void {
    this.disable(0, this.#pages);
  }

  /** True where logging is on for the page. */
  isLogged(page: number): boolean {
    return ((this.#logged[page >>> 5]! >>> (page & 31)) & 1) !== 0;
  }

  /** True where logging is on for any of `count` pages. */
  anyLogged(first: number, count: number): boolean {
    let any = false;
    this.#eachWord(first, count, (word, mask) => {
      any ||= (this.#logged[word]! & mask) !== 0;
    });
    return any;
  }

  /** True where a write to the page must be noticed: it is logged and still clean. */
  needsTrap(page: number): boolean {
    const word = page >>> 5;
    return (((this.#logged[word]! & ~this.#dirty[word]!) >>> (page & 31)) & 1) !== 0;
  }

  /** Notes that the page is about to be written. Harmless where it is not logged. */
  mark(page: number): void {
    if (this.needsTrap(page)) Atomics.or(this.#dirty, page >>> 5, 1 << (page & 31));
  }

  /**
   * The pages among `count` from `first` on that were written since they were last collected, in order; they
   * are clean afterwards. A vCPU may write through an old translation until it has dropped it, so contents
   * that must be the last (the end of a migration) are collected with the vCPUs stopped.
   */
  collect(first: number, count: number): number[] {
    this.#pull();
    const found: number[] = [];
    this.#eachWord(first, count, (word, mask) => {
      let bits = Atomics.and(this.#dirty, word, ~mask) & mask;
      while (bits !== 0) {
        const bit = 31 - Math.clz32(bits & -bits);
        found.push(word * 32 + bit);
        bits &= bits - 1;
      }
    });
    if (found.length > 0) this.#flush();
    return found;
  }

  /** Calls `body` with each word that covers some of the pages, and the bits of those pages. */
  #eachWord(first: number, count: number, body: (word: number, mask: number) => void): void {
    const end = Math.min(first + count, this.#pages);
    for (let page = Math.max(first, 0); page < end;) {
      const bit = page & 31;
      const bits = Math.min(32 - bit, end - page);
      body(page >>> 5, bits === 32 ? -1 : ((1 << bits) - 1) << bit);
      page += bits;
    }
  }
}
