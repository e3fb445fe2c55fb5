/** Decoded blocks by where their bytes lie and what they were decoded as. */
import type { CodeSize, DecodeMode } from '../decode/decoder.ts';

/** Everything outside the bytes that decides what they are decoded to. */
export interface CodeMode extends DecodeMode {
  /** Identifies the mode: equal modes have one id. */
  readonly id: number;
  readonly code: CodeSize;
  readonly stack: 2 | 4 | 8;
  /** CS base (its low 32 bits, signed) and limit, which place and bound the code outside 64-bit mode. */
  readonly csBase: number;
  readonly csLimit: number;
  /** Exceptions that instructions of a class raise as the control registers stand: vector, or 0. */
  readonly x87: number;
  readonly fwait: number;
  readonly mmx: number;
  readonly sse: number;
  readonly avx: number;
  readonly ymm: number;
  /** One instruction a block. */
  readonly step: boolean;
}

/** A block, or the range of bytes that a region was made of. */
export interface Block {
  readonly record: number;
  readonly end: number;
  readonly mode: CodeMode;
  /** RIP, in halves; in 64-bit mode relative to its page. */
  readonly low: number;
  readonly high: number;
  /** Host addresses of the bytes: up to two stretches, the second on another page, or 0, 0. */
  readonly from: number;
  readonly to: number;
  readonly from2: number;
  readonly to2: number;
  /** Another block that starts at the same byte, under another mode, RIP, or second page. */
  next: Block | undefined;
  /** How often it was where the guest was found at a budget's end, and how many finds there had been of all blocks with
   * the first of these. */
  finds: number;
  since: number;
  /** Records of the direct jumps that have a link to it: a list only where there are several, since there are so many
   * blocks. */
  links: number | number[] | undefined;
}

/** Blocks of one mode that begin at the same byte, at most. */
const MOST_ALIKE = 8;

/** Entries at first: a power of two, as ever. */
const LEAST_ENTRIES = 4096;
/** An entry in words: the host address of the first byte, or 0; what the newest block there is known by without being
 * looked at, see {@link shortName}; its record; and a word that keeps entries from lying across cache lines. */
const ENTRY = 4;
const HOST = 0;
const NAME = 1;
const RECORD = 2;

/**
 * Where blocks begin, as a hash table with open addressing: of most, one entry says all that a look-up has to know. Code
 * that is jumped to for the first time in an address space is looked up here, so that what counts is how many of the
 * host's cache lines are touched.
 */
export class BlockIndex {
  #entries = new Int32Array(LEAST_ENTRIES * ENTRY);
  /** By entry: the newest block, which leads to the others that begin at its byte. */
  #newest = Array.from<Block | undefined>({ length: LEAST_ENTRIES });
  #used = 0;
  /** The block found last. */
  found: Block | undefined;

  /**
   * Looks for the block that begins at a host address, under this RIP and mode, and has it as {@link found}.
   *
   * @param low, high halves of RIP, signed
   * @param secondPage says where the page behind that of the first byte lies now, as a host address: an
   *   instruction that crosses onto it was decoded from there. It may throw
   * @returns its record, or 0
   */
  find(host: number, low: number, high: number, mode: CodeMode, secondPage: () => number): number {
    const at = this.#place(host);
    const name = shortName(host, low, high, mode);
    if (name !== 0 && this.#entries[at * ENTRY + NAME] === name) {
      this.found = this.#newest[at];
      return this.#entries[at * ENTRY + RECORD]!;
    }
    for (let block = this.#newest[at]; block; block = block.next) {
      if (!isOf(block, low, high, mode, secondPage)) continue;
      this.found = block;
      return block.record;
    }
    return 0;
  }

  /** @returns a block that is to be dropped in its place */
  add(block: Block): Block | undefined {
    if (4 * (this.#used + 1) > 3 * this.#newest.length) this.#grow();
    const { from, mode } = block;
    const at = this.#place(from);
    const older = this.#newest[at];
    if (older === undefined) this.#used++;
    block.next = older;
    this.#put(at, block);
    let alike = 0;
    for (let other = older; other; other = other.next) {
      if (other.mode === mode && ++alike >= MOST_ALIKE) return other;
    }
    return undefined;
  }

  remove(block: Block): void {
    if (this.found === block) this.found = undefined;
    const at = this.#place(block.from);
    const first = this.#newest[at];
    if (first !== block) {
      for (let other = first; other; other = other.next) if (other.next === block) other.next = block.next;
      return;
    }
    if (block.next !== undefined) this.#put(at, block.next);
    else this.#empty(at);
  }

  clear(): void {
    this.#resize(LEAST_ENTRIES);
    this.#used = 0;
    this.found = undefined;
  }

  /** The entry of a host address, or the empty one where it would be. */
  #place(host: number): number {
    const entries = this.#entries;
    const last = this.#newest.length - 1;
    // Beyond 2 GiB they are negative as words.
    const word = host | 0;
    let at = hash(word, last);
    for (;;) {
      const there = entries[at * ENTRY + HOST];
      if (there === word || there === 0) return at;
      at = (at + 1) & last;
    }
  }

  #put(at: number, block: Block): void {
    this.#newest[at] = block;
    const word = at * ENTRY;
    this.#entries[word + HOST] = block.from;
    // One that ends on a second page has to be looked at.
    this.#entries[word + NAME] =
      block.to2 === 0 ? shortName(block.from, block.low, block.high, block.mode) : 0;
    this.#entries[word + RECORD] = block.record;
  }

  /** Empties an entry; those behind it that are not where they would be at best come nearer. */
  #empty(gap: number): void {
    const entries = this.#entries;
    const last = this.#newest.length - 1;
    this.#used--;
    for (let at = (gap + 1) & last; ; at = (at + 1) & last) {
      const host = entries[at * ENTRY + HOST]!;
      if (host === 0) break;
      if (((at - hash(host, last)) & last) < ((at - gap) & last)) continue;
      entries.copyWithin(gap * ENTRY, at * ENTRY, (at + 1) * ENTRY);
      this.#newest[gap] = this.#newest[at];
      gap = at;
    }
    entries.fill(0, gap * ENTRY, (gap + 1) * ENTRY);
    this.#newest[gap] = undefined;
  }

  /** Makes it empty, with room for so many. */
  #resize(entries: number): void {
    this.#newest = Array.from<Block | undefined>({ length: entries });
    this.#entries = new Int32Array(entries * ENTRY);
  }

  #grow(): void {
    const before = this.#newest;
    this.#resize(2 * before.length);
    for (const block of before) if (block !== undefined) this.#put(this.#place(block.from), block);
  }
}

/** Where an address would be at best in a table: the top bits of its product with 2^32 over the golden ratio. */
const hash = (host: number, last: number): number => Math.imul(host, 0x9e37_79b1) >>> Math.clz32(last);

/** What a block is known by where RIP is counted from its page, as in 64-bit mode: its mode. 0 where it has to be looked
 * at. */
const shortName = (host: number, low: number, high: number, mode: CodeMode): number =>
  low === (host & 0xfff) && high === 0 ? mode.id + 1 : 0;

const isOf = (block: Block, low: number, high: number, mode: CodeMode, secondPage: () => number): boolean =>
  block.low === low &&
  block.high === high &&
  block.mode === mode &&
  (block.to2 === 0 || secondPage() === block.from2);
