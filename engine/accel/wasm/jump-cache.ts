/**
 * The jump cache: where computed jumps, calls and returns of emitted code find what is at a linear address without
 * asking TypeScript.
 *
 * An entry is valid while its tag is one of the two in use: of pages that survive a CR3 load, and of the rest. A tag
 * holds a generation, whether it is the tag of a record, the mode's number, whether the user may run what is there or the
 * supervisor, and which of the two generations it means, so that dropping entries, and changing the mode or the
 * privilege, is writing two words. Each address space has a generation of its own, and finds its entries valid again when
 * it is come back to. See JUMP_ENTRY for the layout.
 */
import { copyWords } from '../../base/copy-words.ts';
import { highHalf, lowHalf } from '../../base/halves.ts';
import {
  firstJump, JUMP_ENTRY, JUMP_ENTRY_BYTES, OTHER_JUMPS, type privateLayout, RETURN_SITES_AT, TAG_MODE, TAG_RECORD, TAG_USER,
} from './private.ts'; // prettier-ignore
import type { Area } from './area.ts';
import { PAGE_FILTER_BYTES, PageFilter } from './system/page-filter.ts';
import { ADDRESS_SPACES } from './system/tlb.ts';

/** Code modes known at a time, and generations of entries: together a tag of 32 bits. */
export const MODES = 4096;
const TAG_SHIFT = 15;
export const GENERATIONS = 1 << (32 - TAG_SHIFT);

/** The entries of a line in their order: bits in which indices of words differ from the first's. */
const LINE = [0, ...OTHER_JUMPS].map((bits) => bits >> 2);

/** The number of a mode, below {@link MODES}, as a tag has it. */
export const tagOfMode = (id: number): number => (id << 2) & TAG_MODE;

/** What an entry leads to. */
export interface JumpTarget {
  readonly record: number;
  /** The handler of the region there that may be entered without further checks, or 0. */
  readonly region: number;
  /** It survives a CR3 load. */
  readonly global: boolean;
}

export interface JumpCacheParts {
  /** The shared memory. */
  readonly memory: ArrayBufferLike;
  /** Where the tags in use are kept for emitted code. */
  readonly ownState: ReturnType<typeof privateLayout.bind>;
  /** Byte addresses of {@link JUMP_CACHE_BYTES}, and of a filter for each address space and one for all. */
  readonly area: Pick<Area, 'jumpCache' | 'pageFilters'>;
  /** Called where tags are used again that have been in use before: whoever has noted one elsewhere is to forget it. */
  readonly begunAnew: () => void;
}

export class JumpCache {
  readonly #words: Int32Array;
  readonly #private: ReturnType<typeof privateLayout.bind>;
  readonly #at: number;
  #mode = 0;
  /** The address space in use, by its number, and the generation of each. */
  #space = 0;
  readonly #local = new Uint32Array(ADDRESS_SPACES);
  #global = 0;
  /** The generation begun last. */
  #generation = 0;
  /** Pages that code has been looked up on since their entries were last dropped: of each address space, and of all. */
  readonly #localPages: readonly PageFilter[];
  readonly #globalPages: PageFilter;
  readonly #pageFilters: number;
  readonly #begunAnew: () => void;

  constructor({ memory, ownState, area, begunAnew }: JumpCacheParts) {
    this.#words = new Int32Array(memory);
    this.#private = ownState;
    this.#at = area.jumpCache;
    this.#pageFilters = area.pageFilters;
    this.#begunAnew = begunAnew;
    const filter = (n: number) => new PageFilter(12, memory, this.#pageFilters + n * PAGE_FILTER_BYTES);
    this.#localPages = Array.from({ length: ADDRESS_SPACES }, (_, space) => filter(space));
    this.#globalPages = filter(ADDRESS_SPACES);
    this.dropAll();
  }

  /** Notes what is at a linear address, given by its halves, where it is looked for first; what else is there goes to the
   * next place in that line, what is there to the one after that, and so on. */
  put(low: number, high: number, { record, region, global }: JumpTarget): void {
    const words = this.#words;
    const at = (this.#at + firstJump(low)) >> 2;
    if (words[at] !== low || words[at + 1] !== high) {
      const places = LINE.map((bits) => at ^ bits);
      const free = places.findIndex((place) => !this.#isValid(place));
      for (let n = free < 0 ? places.length - 1 : free; n > 0; n--)
        copyWords(words, places[n]!, places[n - 1]!, JUMP_ENTRY_BYTES / 4);
    }
    words[at + JUMP_ENTRY.linear / 4] = low;
    words[at + JUMP_ENTRY.linear / 4 + 1] = high;
    words[at + JUMP_ENTRY.where / 4] = region === 0 ? record : region;
    const tag = global ? this.#private.tagGlobal : this.#private.tagLocal;
    words[at + JUMP_ENTRY.tag / 4] = region === 0 ? tag | TAG_RECORD : tag;
  }

  /** The record at a linear address, given by its halves, or 0. @param recordOf the record of a region by its handler, or 0 */
  recordAt(low: number, high: number, recordOf: (region: number) => number): number {
    const at = this.#entry(low, high);
    if (at < 0) return 0;
    const where = this.#words[at + JUMP_ENTRY.where / 4]! >>> 0;
    return this.#isRecord(at) ? where : recordOf(where);
  }

  /** Drops the entries of a linear address: it may have several. */
  forget(linear: bigint): void {
    const [low, high] = [lowHalf(linear), highHalf(linear)];
    for (let at = this.#entry(low, high); at >= 0; at = this.#entry(low, high))
      this.#words[at + JUMP_ENTRY.tag / 4] = 0;
  }

  /** Drops all entries and links that lead to regions, by their handlers. All are looked at: what has been dropped must be
   * found anew at some hundred times the cost. */
  forgetRegions(handlers: readonly number[]): void {
    if (handlers.length === 0) return;
    // They mostly lie close together, and what does not is told from them without another look at memory.
    const first = Math.min(...handlers);
    const gone = new Uint8Array(Math.max(...handlers) - first + 1);
    for (const handler of handlers) gone[handler - first] = 1;
    const words = this.#words;
    const end = (this.#at + RETURN_SITES_AT) >> 2;
    for (let at = this.#at >> 2; at < end; at += JUMP_ENTRY_BYTES / 4) {
      const handler = words[at + JUMP_ENTRY.where / 4]! - first;
      if (handler >= 0 && handler < gone.length && gone[handler] === 1 && !this.#isRecord(at))
        words[at + JUMP_ENTRY.tag / 4] = 0;
    }
  }

  /** Notes that code is looked up on the page of a linear address: entries may depend on where it lies.
   * @param global the page survives a CR3 load */
  usePage(low: number, high: number, global: boolean): void {
    (global ? this.#globalPages : this.#localPages[this.#space]!).add(low, high);
  }

  /** The page of a linear address is mapped elsewhere, in an address space. Entries of a page cannot be told apart
   * cheaply, so all go if code has been looked up there. */
  invalidatePage(low: number, high: number, space: number): void {
    if (this.#globalPages.mayHave(low, high)) this.translationsChanged();
    else if (this.#localPages[space]!.mayHave(low, high)) this.localChanged(space);
  }

  /** From now on code is run in an address space, by its number below ADDRESS_SPACES. */
  enterSpace(space: number): void {
    this.#space = space;
    this.#setTags();
  }

  /** After translations of an address space have changed: makes its entries invalid, bar those of global pages. */
  localChanged(space: number): void {
    this.#localPages[space]!.clear();
    this.#local[space] = this.#next();
    this.#setTags();
  }

  /** After translations have changed: makes every entry invalid, and no page is known to be code. */
  translationsChanged(): void {
    this.#globalPages.clear();
    for (const pages of this.#localPages) pages.clear();
    this.dropAll();
  }

  /** Makes every entry invalid. */
  dropAll(): void {
    for (let space = 0; space < ADDRESS_SPACES; space++) this.#local[space] = this.#next();
    this.#global = this.#next();
    this.#setTags();
  }

  /** A generation that no entry has. */
  #next(): number {
    this.#generation++;
    if (this.#generation >= GENERATIONS) {
      this.#words.fill(0, this.#at >> 2, (this.#at + RETURN_SITES_AT) >> 2);
      // Those of other address spaces, which are in use, have no entries any more.
      for (let space = 0; space < ADDRESS_SPACES; space++) this.#local[space] = space + 1;
      this.#global = ADDRESS_SPACES + 1;
      this.#generation = ADDRESS_SPACES + 2;
      this.#begunAnew();
    }
    return this.#generation;
  }

  /** From now on code is run in a mode, by its number below {@link MODES}. Also to be called when the vCPU's own state
   * has been cleared. */
  enterMode(mode: number): void {
    this.#mode = mode;
    this.#setTags();
  }

  /** From now on it is run with the user's rights, or the supervisor's. */
  enterPrivilege(user: boolean): void {
    if (user !== this.#user) this.#setTags(user);
  }

  /** As the tags have it: emitted code changes them by itself (semantics/syscall.ts). */
  get #user(): boolean {
    return (this.#private.tagLocal & TAG_USER) !== 0;
  }

  #setTags(user = this.#user): void {
    const mode = tagOfMode(this.#mode) | (user ? TAG_USER : 0);
    this.#private.tagLocal = (this.#local[this.#space]! << TAG_SHIFT) | mode;
    this.#private.tagGlobal = (this.#global << TAG_SHIFT) | mode | 1;
    this.#private.localPages = this.#pageFilters + this.#space * PAGE_FILTER_BYTES;
    this.#private.globalPages = this.#pageFilters + ADDRESS_SPACES * PAGE_FILTER_BYTES;
  }

  /** Whether the entry at an index of words is anyone's. */
  #isValid(at: number): boolean {
    const tag = (this.#words[at + JUMP_ENTRY.tag / 4]! & ~TAG_RECORD) >>> 0;
    return tag === this.#private.tagLocal || tag === this.#private.tagGlobal;
  }

  /** Whether the entry at an index of words leads to a record, not to a region. */
  #isRecord(at: number): boolean {
    return (this.#words[at + JUMP_ENTRY.tag / 4]! & TAG_RECORD) !== 0;
  }

  /** Index in words of the entry of a linear address, given by its halves; -1 where there is none. */
  #entry(low: number, high: number): number {
    const words = this.#words;
    const first = (this.#at + firstJump(low)) >> 2;
    for (const bits of LINE) {
      const at = first ^ bits;
      if (words[at] === low && words[at + 1] === high && this.#isValid(at)) return at;
    }
    return -1;
  }
}
