/**
 * Runs of bytes in the memory of a machine, one behind the other: what a guest's list of pieces becomes, which for a large
 * request has hundreds. They are numbers, without an object for each.
 */
export class Runs {
  /** The memory they lie in. */
  readonly buffer: SharedArrayBuffer;
  /** Of each run, in turns, its first byte and its bytes. */
  readonly #numbers: number[] = [];
  #bytes = 0;

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
  }

  /** How many there are. */
  get count(): number {
    return this.#numbers.length / 2;
  }

  /** Bytes of all. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Where in the memory the first byte of a run lies. */
  start(run: number): number {
    return this.#numbers[2 * run]!;
  }

  /** Bytes of a run; never none. */
  length(run: number): number {
    return this.#numbers[2 * run + 1]!;
  }

  /** Adds bytes behind the others, to the last run where they follow that. */
  add(start: number, length: number): void {
    if (length === 0) return;
    const numbers = this.#numbers;
    const last = numbers.length - 2;
    if (last >= 0 && start === numbers[last]! + numbers[last + 1]!) numbers[last + 1]! += length;
    else numbers.push(start, length);
    this.#bytes += length;
  }

  /** The part of `length` bytes from `from` on. What lies beyond the end is left out. */
  slice(from: number, length: number): Runs {
    const part = new Runs(this.buffer);
    let [skip, left] = [from, length];
    for (let run = 0; run < this.count && left > 0; run++) {
      const skipped = Math.min(skip, this.length(run));
      const bytes = Math.min(this.length(run) - skipped, left);
      part.add(this.start(run) + skipped, bytes);
      skip -= skipped;
      left -= bytes;
    }
    return part;
  }

  /** The bytes themselves. */
  views(): Uint8Array[] {
    return Array.from(
      { length: this.count },
      (_, run) => new Uint8Array(this.buffer, this.start(run), this.length(run)),
    );
  }
}
