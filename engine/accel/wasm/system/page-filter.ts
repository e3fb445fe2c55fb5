/**
 * Remembers which stretches of the linear address space were seen, and may claim more: what it denies was not
 * seen. It answers whether dropping one page's translation concerns a cache that cannot be searched by page.
 */
const SLOTS = 16_384;

export class PageFilter {
  readonly #shift: number;
  readonly #seen = new Uint8Array(SLOTS);
  #empty = true;

  /** @param shift log2 of a stretch's bytes, 12 … 31 */
  constructor(shift: number) {
    this.#shift = shift;
  }

  #slot(low: number, high: number): number {
    const number = (low >>> this.#shift) ^ (high << (32 - this.#shift));
    return (number ^ (number >>> 14)) & (SLOTS - 1);
  }

  /** Notes the stretch of a linear address, given in halves. */
  add(low: number, high: number): void {
    this.#seen[this.#slot(low, high)] = 1;
    this.#empty = false;
  }

  /** False where the stretch of an address has not been noted since the last {@link clear}. */
  mayHave(low: number, high: number): boolean {
    return this.#seen[this.#slot(low, high)] !== 0;
  }

  clear(): void {
    if (this.#empty) return;
    this.#seen.fill(0);
    this.#empty = true;
  }
}
