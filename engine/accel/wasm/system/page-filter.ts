/**
 * Remembers which stretches of the linear address space were seen, and may claim more: what it denies was not
 * seen. It answers whether dropping one page's translation concerns a cache that cannot be searched by page.
 *
 * A bit for each of some stretches, by their number folded once; emitted code may note stretches as well
 * (`noteInFilter` in `interpreter/code-place.ts`), which {@link PageFilter.clear} leaves noted unless it is told.
 */
const SLOTS = 16_384;
export const PAGE_FILTER_BYTES = SLOTS / 8;
export const PAGE_FILTER_FOLD = 14;

export class PageFilter {
  readonly #shift: number;
  readonly #seen: Uint8Array;
  /** The same bytes. Clearing shared memory takes as long for a byte as for eight. */
  readonly #quads: BigUint64Array;
  #empty = true;

  /**
   * @param shift log2 of a stretch's bytes, 12 … 31
   * @param buffer where to keep what was seen
   * @param at byte offset there of {@link PAGE_FILTER_BYTES}, all zero; a multiple of 8
   */
  constructor(shift: number, buffer: ArrayBufferLike = new ArrayBuffer(PAGE_FILTER_BYTES), at = 0) {
    this.#shift = shift;
    this.#seen = new Uint8Array(buffer, at, PAGE_FILTER_BYTES);
    this.#quads = new BigUint64Array(buffer, at, PAGE_FILTER_BYTES / 8);
  }

  #slot(low: number, high: number): number {
    const number = (low >>> this.#shift) ^ (high << (32 - this.#shift));
    return (number ^ (number >>> PAGE_FILTER_FOLD)) & (SLOTS - 1);
  }

  /** Notes the stretch of a linear address, given in halves. */
  add(low: number, high: number): void {
    const slot = this.#slot(low, high);
    this.#seen[slot >>> 3]! |= 1 << (slot & 7);
    this.#empty = false;
  }

  /** False where the stretch of an address has not been noted since the last {@link clear}. */
  mayHave(low: number, high: number): boolean {
    const slot = this.#slot(low, high);
    return ((this.#seen[slot >>> 3]! >>> (slot & 7)) & 1) !== 0;
  }

  /** @param always emitted code may have noted stretches */
  clear(always = false): void {
    if (this.#empty && !always) return;
    this.#quads.fill(0n);
    this.#empty = true;
  }
}
