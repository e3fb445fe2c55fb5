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
  /** How often it was where a look at the running guest found it. */
  samples: number;
  /** Records of the direct jumps that have a link to it: a list only where there are several, since there are so many
   * blocks. */
  links: number | number[] | undefined;
}

/** Entries for blocks found lately: a power of two. */
const RECENT = 8192;

/** Blocks of one mode that begin at the same byte, at most. */
const MOST_ALIKE = 8;

export class BlockIndex {
  /** By the host address of the first byte: the newest, which leads to the others. */
  readonly #first = new Map<number, Block>();
  /** Blocks found lately, by a few bits of host address and RIP. */
  readonly #recent = Array.from<Block | undefined>({ length: RECENT });

  /**
   * The block that begins at a host address, under this RIP and mode.
   *
   * @param low, high halves of RIP, signed
   * @param secondPage says where the page behind that of the first byte lies now, as a host address: an
   *   instruction that crosses onto it was decoded from there. It may throw
   */
  find(host: number, low: number, high: number, mode: CodeMode, secondPage: () => number): Block | undefined {
    const at = slot(host, low, high);
    let block = this.#recent[at];
    if (block !== undefined && block.from === host && isOf(block, low, high, mode, secondPage)) return block;
    for (block = this.#first.get(host); block; block = block.next) {
      if (!isOf(block, low, high, mode, secondPage)) continue;
      this.#recent[at] = block;
      return block;
    }
    return undefined;
  }

  /** @returns a block that is to be dropped in its place */
  add(block: Block): Block | undefined {
    const { from, mode } = block;
    const older = this.#first.get(from);
    block.next = older;
    this.#first.set(from, block);
    this.#recent[slot(from, block.low, block.high)] = block;
    let alike = 0;
    for (let other = older; other; other = other.next) {
      if (other.mode === mode && ++alike >= MOST_ALIKE) return other;
    }
    return undefined;
  }

  remove(block: Block): void {
    const { from } = block;
    const at = slot(from, block.low, block.high);
    if (this.#recent[at] === block) this.#recent[at] = undefined;
    const first = this.#first.get(from);
    if (first === block) {
      if (block.next) this.#first.set(from, block.next);
      else this.#first.delete(from);
      return;
    }
    for (let other = first; other; other = other.next) if (other.next === block) other.next = block.next;
  }

  clear(): void {
    this.#first.clear();
    this.#recent.fill(undefined);
  }
}

const slot = (host: number, low: number, high: number): number =>
  (host ^ (low >>> 12) ^ (high << 3)) & (RECENT - 1);

const isOf = (block: Block, low: number, high: number, mode: CodeMode, secondPage: () => number): boolean =>
  block.low === low &&
  block.high === high &&
  block.mode === mode &&
  (block.to2 === 0 || secondPage() === block.from2);
