/**
 * Where code was found lately, by where its bytes lie, for emitted code (`interpreter/code-place.ts`): what is jumped to for
 * the first time in an address space, or since translations have changed, need not be asked of TypeScript where it has been
 * run before. See CODE_PLACE for the layout.
 */
import { copyWords } from '../../base/copy-words.ts';
import type { Block } from './interpreter/block-index.ts';
import { tagOfMode } from './jump-cache.ts';
import {
  CODE_PLACE, CODE_PLACE_BYTES, CODE_PLACES_BYTES, firstPlaces, PLACE_HANDLER_SHIFT, PLACE_LINE_BYTES, secondPlaces,
} from './private.ts'; // prettier-ignore
import type { InstalledRegion } from './region/installed-region.ts';

const { host: HOST, mode: MODE, record: RECORD, region: REGION } = CODE_PLACE;

export class CodeByPlace {
  readonly #words: Int32Array;
  readonly #at: number;
  /** All of it. Clearing shared memory takes as long for a word as for two. */
  readonly #quads: BigUint64Array;
  #empty = true;
  /** Byte offset in a line of the entry that had to give way last, of any line. */
  #turn = 0;

  /** @param memory the shared memory @param at byte address of {@link CODE_PLACES_BYTES}, all zero */
  constructor(memory: ArrayBufferLike, at: number) {
    this.#words = new Int32Array(memory);
    this.#at = at;
    this.#quads = new BigUint64Array(memory, at, CODE_PLACES_BYTES / 8);
  }

  /** Notes a block of 64-bit code in its first line; where that is full, one of the others there goes to its own second.
   * @param region what has taken its place */
  put(block: Block, region: InstalledRegion | undefined): void {
    const { from, mode, record } = block;
    // What ends on another page depends on where that lies.
    if (block.to2 !== 0 || mode.code !== 64) return;
    const words = this.#words;
    const tag = tagOfMode(mode.id);
    const at = this.#room(firstPlaces(from), from, tag);
    const other = words[at + HOST / 4]!;
    if (other !== 0 && (other !== from || words[at + MODE / 4] !== tag)) {
      const to = this.#room(secondPlaces(other), other, words[at + MODE / 4]!);
      copyWords(words, to, at, CODE_PLACE_BYTES / 4);
    }
    this.#empty = false;
    words[at + HOST / 4] = from;
    words[at + MODE / 4] = tag;
    words[at + RECORD / 4] = record;
    words[at + REGION / 4] =
      region === undefined || region.ranges.length === 1
        ? 0
        : region.id | (region.direct << PLACE_HANDLER_SHIFT);
  }

  /** Index in words of the entry for code at a host address in a line: its own, or an empty one, or one of others in turn. */
  #room(line: number, host: number, tag: number): number {
    const words = this.#words;
    const first = (this.#at + line) >> 2;
    const end = first + PLACE_LINE_BYTES / 4;
    let room = -1;
    for (let at = first; at < end; at += CODE_PLACE_BYTES / 4) {
      if (words[at + HOST / 4] === host && words[at + MODE / 4] === tag) return at;
      if (room < 0 && words[at + HOST / 4] === 0) room = at;
    }
    if (room >= 0) return room;
    this.#turn = (this.#turn + CODE_PLACE_BYTES) & (PLACE_LINE_BYTES - 1);
    return first + this.#turn / 4;
  }

  /** Forgets a block, which may be in both lines: a region is about to take its place. */
  forget({ from, record }: Block): void {
    for (const line of [firstPlaces(from), secondPlaces(from)]) {
      const first = (this.#at + line) >> 2;
      for (let at = first; at < first + PLACE_LINE_BYTES / 4; at += CODE_PLACE_BYTES / 4)
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
