/**
 * A small pseudo-random generator with a seed, for tests and fuzzing: the same seed gives the same
 * sequence on every host. Not for secrets.
 *
 * The state walks a Weyl sequence (an odd increment modulo 2^32) and each output is that state put through
 * a 32-bit mixing function, as in Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators"
 * (2014).
 */
export class Random {
  #state: number;

  /** @param seed any number; its low 32 bits count */
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** The next 32 bits, 0 … 2^32 - 1. */
  next(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return (mixed ^ (mixed >>> 16)) >>> 0;
  }

  /** A number 0 … `count` - 1; `count` is at least 1 and at most 2^32. */
  below(count: number): number {
    return Math.floor((this.next() / 0x1_0000_0000) * count);
  }

  /** The next 64 bits, 0 … 2^64 - 1. */
  next64(): bigint {
    return (BigInt(this.next()) << 32n) | BigInt(this.next());
  }

  /** True once in `count` times, on average. */
  oneIn(count: number): boolean {
    return this.below(count) === 0;
  }

  /** One of `items`, which must not be empty. */
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}
