/**
 * Remembers which stretches of the linear address space were seen, and may claim more: what it denies was not
 * seen. It answers whether dropping one page's translation concerns a cache that cannot be searched by page.
 *
 * A byte for each of some stretches, by their number folded once; emitted code may note stretches as well
 * (`interpreter/code-place.ts`), which {@link PageFilter.clear} may then leave noted.
 */
export const PAGE_FILTER_BYTES = 16_384;
export const PAGE_FILTER_FOLD = 14;

export class PageFilter {
  readonly #shift: number;
  readonly #seen: Uint8Array;
  #empty = true;

  /**
   * @param shift log2 of a stretch's bytes, 12 … 31
   * @param seen {@link PAGE_FILTER_BYTES}, all zero
   */
  constructor(shift: number, seen: Uint8Array = new Uint8Array(PAGE_FILTER_BYTES)) {
    this.#shift = shift;
    this.#seen = seen;
  }

  #slot(low: number, high: number): number {
    const number = (low >>> this.#shift) ^ (high << (32 - this.#shift));
    return (number ^ (number >>> PAGE_FILTER_FOLD)) & (PAGE_FILTER_BYTES - 1);
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
