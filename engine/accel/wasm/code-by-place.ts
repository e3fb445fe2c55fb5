/**
 * Where code was found lately, by where its bytes lie, for emitted code (`interpreter/code-place.ts`): what is jumped to for
 * the first time in an address space, or since translations have changed, need not be asked of TypeScript where it has been
 * run before. See CODE_PLACE for the layout.
 */
import { copyWords } from '../../base/copy-words.ts';
import type { Block } from './interpreter/block-index.ts';
import { tagOfMode } from './jump-cache.ts';
import {
  CODE_PLACE, CODE_PLACE_BYTES, CODE_PLACES_BYTES, firstPlace, PLACE_HANDLER_SHIFT, secondPlace,
} from './private.ts'; // prettier-ignore
import type { InstalledRegion } from './region/installed-region.ts';

const { host: HOST, mode: MODE, record: RECORD, region: REGION } = CODE_PLACE;

export class CodeByPlace {
  readonly #words: Int32Array;
  readonly #at: number;
  /** All of it. Clearing shared memory takes as long for a word as for two. */
  readonly #quads: BigUint64Array;
  #empty = true;

  /** @param memory the shared memory @param at byte address of {@link CODE_PLACES_BYTES}, all zero */
  constructor(memory: ArrayBufferLike, at: number) {
    this.#words = new Int32Array(memory);
    this.#at = at;
    this.#quads = new BigUint64Array(memory, at, CODE_PLACES_BYTES / 8);
  }

  /** Notes a block of 64-bit code in its first place; what else is there goes to its second.
   * @param region what has taken its place */
  put(block: Block, region: InstalledRegion | undefined): void {
    const { from, mode, record } = block;
    // What ends on another page depends on where that lies.
    if (block.to2 !== 0 || mode.code !== 64) return;
    const words = this.#words;
    const at = (this.#at + firstPlace(from)) >> 2;
    const other = words[at + HOST / 4]!;
    if (other !== 0 && words[at + RECORD / 4] !== record) {
      copyWords(words, (this.#at + secondPlace(other)) >> 2, at, CODE_PLACE_BYTES / 4);
    }
    this.#empty = false;
    words[at + HOST / 4] = from;
    words[at + MODE / 4] = tagOfMode(mode.id);
    words[at + RECORD / 4] = record;
    words[at + REGION / 4] =
      region === undefined || region.ranges.length === 1
        ? 0
        : region.id | (region.direct << PLACE_HANDLER_SHIFT);
  }

  /** Forgets a block, which may be in both places: a region is about to take its place. */
  forget({ from, record }: Block): void {
    for (const place of [firstPlace(from), secondPlace(from)]) {
      const at = (this.#at + place) >> 2;
      if (this.#words[at + RECORD / 4] === record) this.#words[at + HOST / 4] = 0;
    }
  }

  /** Forgets all. */
  clear(): void {
    if (this.#empty) return;
    this.#quads.fill(0n);
    this.#empty = true;
  }
}
