/**
 * The TLBs in which emitted code finds translations, one behind the other in the shared memory, and which of their
 * entries are in use.
 *
 * One is the supervisor's with RFLAGS.AC clear, where SMAP keeps it from user pages: nearly all of it is global. Another
 * is never filled, for when every access must be looked at (alignment checks, data breakpoints). The others come in
 * pairs, of the supervisor with AC set and of the user. There is a pair for each of the address spaces (PCIDs) last in
 * use, so that one that is come back to finds what was cached of it.
 *
 * Each has two levels (`STLB_ENTRIES`). Where a page takes another's entry of the first, both are copied to the second,
 * which is looked into where the first has nothing, by emitted code too: then its entry is copied back. Whatever is
 * copied there is noted as in use there as well, so whatever drops entries finds it.
 *
 * Intel SDM 3A, 4.10.
 */
import { copyWords } from '../../../base/copy-words.ts';
import {
  noPage, STLB_ENTRIES, stlbPlace, TLB_BYTES, TLB_ENTRIES, TLB_ENTRY, TLB_ENTRY_BYTES, TLB_FILL, TLB_FILLS_BYTES,
  TLB_GLOBAL,
} from '../private.ts'; // prettier-ignore

/** Address spaces whose translations are kept. Linux keeps six at most, which are rarely all in turns. */
export const ADDRESS_SPACES = 4;

/** TLBs by number. Those of address space n are 2n and 2n + 1 behind the first pair. */
const SUPERVISOR = 0;
const NEVER = 1;
const FIRST_PAIR = 2;
const TLBS = FIRST_PAIR + 2 * ADDRESS_SPACES;
const ALL_TLBS_BYTES = TLBS * TLB_BYTES;
/** With what emitted code has filled of them behind them. */
export const TLBS_BYTES = ALL_TLBS_BYTES + Math.ceil(TLB_FILLS_BYTES / 4096) * 4096;

/** Words of an entry, in 32-bit units. */
export const TLB_WORD = {
  read: TLB_ENTRY.read / 4,
  write: TLB_ENTRY.write / 4,
  addend: TLB_ENTRY.addend / 4,
  flags: TLB_ENTRY.flags / 4,
  fetch: TLB_ENTRY.fetch / 4,
};
const ENTRY_WORDS = TLB_ENTRY_BYTES / 4;
const TAGS = [TLB_WORD.read, TLB_WORD.write, TLB_WORD.fetch];

const WORDS_OF_PAGE = 1024;

/** Entries of a TLB, of both levels. */
const ENTRIES = TLB_ENTRIES + STLB_ENTRIES;

/** Offset in words of the entry of a linear address, given by its low half, in any TLB. */
export const tlbIndex = (low: number): number => ((low >>> 12) & (TLB_ENTRIES - 1)) * ENTRY_WORDS;
/** The same in the second level, given by both halves. */
export const stlbIndex = (low: number, high: number): number =>
  (TLB_ENTRIES + stlbPlace(low, high)) * ENTRY_WORDS;

/** Entries of some TLBs by number, each once. */
class EntryList {
  readonly #first: number;
  readonly #listed: Uint8Array;
  readonly numbers: Int32Array;
  count = 0;

  /** @param first of the TLBs whose entries may be listed @param tlbs how many they are */
  constructor(first: number, tlbs: number) {
    this.#first = first * ENTRIES;
    this.#listed = new Uint8Array(tlbs * ENTRIES);
    this.numbers = new Int32Array(tlbs * ENTRIES);
  }

  add(number: number): void {
    if (this.#listed[number - this.#first] !== 0) return;
    this.#listed[number - this.#first] = 1;
    this.numbers[this.count++] = number;
  }

  clear(): void {
    for (let i = 0; i < this.count; i++) this.#listed[this.numbers[i]! - this.#first] = 0;
    this.count = 0;
  }
}

/** An address space with a pair of TLBs. */
interface Space {
  /** -1 where the pair has not been used. */
  pcid: number;
  /** When it was last entered, for finding the one to give up. */
  used: number;
  readonly local: EntryList;
}

export class Tlbs {
  readonly words: Int32Array;
  readonly #at: number;
  readonly #spaces: readonly Space[];
  /** Entries that are not global: of an address space's pair, and of the supervisor's, which are those of the
   * current address space. Global ones are in a list of their own; an entry may be in both. */
  readonly #supervisorLocal = new EntryList(SUPERVISOR, 1);
  readonly #global = new EntryList(0, TLBS);
  readonly #lists: readonly EntryList[];
  #current = 0;
  #uses = 0;
  /** For each page of the shared memory, the generation in which an entry last came to let it be written: only for those
   * of the present one are entries searched. It begins when no entry lets anything be written. */
  readonly #writable: Uint32Array;
  #generation = 1;

  /** @param words the shared memory @param at byte address of {@link TLBS_BYTES}, all zero */
  constructor(words: Int32Array, at: number) {
    this.words = words;
    this.#at = at;
    this.#writable = new Uint32Array(Math.ceil(words.length / WORDS_OF_PAGE));
    this.#spaces = Array.from({ length: ADDRESS_SPACES }, (_, n) => ({
      pcid: -1,
      used: 0,
      local: new EntryList(FIRST_PAIR + 2 * n, 2),
    }));
    this.#lists = [this.#supervisorLocal, this.#global, ...this.#spaces.map(({ local }) => local)];
    // Memory is zero at first, and is taken only once it is written: an entry of zeros is one of page 0, and so of no page
    // in all places but that page's.
    for (let n = 0; n < TLBS; n++)
      for (const index of [tlbIndex(0), stlbIndex(0, 0)]) this.clear((this.#tlb(n) >> 2) + index);
    this.enter(0);
  }

  #tlb(number: number): number {
    return this.#at + number * TLB_BYTES;
  }

  /** Byte addresses of the TLBs of the current address space. */
  get supervisor(): number {
    return this.#tlb(SUPERVISOR);
  }
  get never(): number {
    return this.#tlb(NEVER);
  }
  get supervisorAc(): number {
    return this.#tlb(FIRST_PAIR + 2 * this.#current);
  }
  get user(): number {
    return this.#tlb(FIRST_PAIR + 2 * this.#current + 1);
  }

  /** Byte address of `TLB_FILLS`. */
  get fills(): number {
    return this.#at + ALL_TLBS_BYTES;
  }

  /** Takes account of the entries that emitted code has filled. */
  takeFills(): void {
    const { words } = this;
    const at = this.fills >> 2;
    const count = words[at]!;
    if (count === 0) return;
    words[at] = 0;
    for (let i = 0; i < count; i++) {
      const fill = words[at + TLB_FILL / 4 + i]!;
      const entry = (fill & ~(TLB_ENTRY_BYTES - 1)) >>> 2;
      this.use(entry, (fill & 1) !== 0);
      const page = words[entry + TLB_WORD.write]!;
      // What may be written may be read as well.
      if (page === words[entry + TLB_WORD.read]!)
        this.letWrite((page + words[entry + TLB_WORD.addend]!) >>> 0);
    }
  }

  get pcid(): number {
    return this.#spaces[this.#current]!.pcid;
  }
  /** Its number below {@link ADDRESS_SPACES}. */
  get current(): number {
    return this.#current;
  }

  /** The number of an address space, -1 where nothing is kept of it. */
  find(pcid: number): number {
    return this.#spaces.findIndex((space) => space.pcid === pcid);
  }

  /** Makes an address space the current one. @returns whether what there was of it, if anything, has been kept */
  enter(pcid: number): boolean {
    this.takeFills();
    const spaces = this.#spaces;
    let next = this.find(pcid);
    const kept = next >= 0;
    if (!kept) {
      next = 0;
      for (let n = 1; n < ADDRESS_SPACES; n++) if (spaces[n]!.used < spaces[next]!.used) next = n;
      this.#drop(spaces[next]!.local, true);
      spaces[next]!.pcid = pcid;
    }
    if (next !== this.#current) this.#drop(this.#supervisorLocal, true);
    this.#current = next;
    spaces[next]!.used = ++this.#uses;
    return kept;
  }

  /** Notes that an entry of the current address space, by its word index, is in use. */
  use(at: number, global: boolean): void {
    const number = (at - (this.#at >> 2)) / ENTRY_WORDS;
    if (global) this.#global.add(number);
    else if (number < ENTRIES) this.#supervisorLocal.add(number);
    else this.#spaces[this.#current]!.local.add(number);
  }

  /** Drops what is cached of an address space, by its number, and is not global. */
  dropLocal(space: number): void {
    this.takeFills();
    this.#drop(this.#spaces[space]!.local, true);
    if (space === this.#current) this.#drop(this.#supervisorLocal, true);
  }

  /** Drops everything, of all address spaces. */
  dropAll(): void {
    this.takeFills();
    for (const list of this.#lists) this.#drop(list, false);
    this.#begin();
  }

  /** Begins a generation. One that has been before is no harm: entries are searched in vain then. */
  #begin(): void {
    this.#generation = (this.#generation + 1) >>> 0;
  }

  /** Notes that an entry is about to let a page be written. @param host byte address of the page in the shared memory */
  letWrite(host: number): void {
    this.#writable[host >>> 12] = this.#generation;
  }

  #drop(list: EntryList, keepGlobal: boolean): void {
    const { words } = this;
    for (let i = 0; i < list.count; i++) {
      const at = this.#wordOf(list.numbers[i]!);
      if (!keepGlobal || (words[at + TLB_WORD.flags]! & TLB_GLOBAL) === 0) this.clear(at);
    }
    list.clear();
  }

  #wordOf(number: number): number {
    return (this.#at >> 2) + number * ENTRY_WORDS;
  }

  /**
   * Copies the entry of another page, where it is about to be given to one, to the second level.
   *
   * @param tlb word index of the TLB @param at and of the entry
   * @param page, high halves of the page's address
   * @returns whether there was one
   */
  keep(tlb: number, at: number, page: number, high: number): boolean {
    const { words } = this;
    const isHere = (tag: number): boolean => tlb + tlbIndex(words[tag]!) === at;
    const tag = at + (isHere(at + TLB_WORD.read) ? TLB_WORD.read : TLB_WORD.fetch);
    const [low, upper] = [words[tag]!, words[tag + 1]!];
    if (!isHere(tag) || (low === page && upper === (high | 0))) return false;
    const second = tlb + stlbIndex(low, upper);
    this.use(second, (words[at + TLB_WORD.flags]! & TLB_GLOBAL) !== 0);
    this.copy(second, at, low, upper);
    return true;
  }

  /** Whether the entry at a word index is that of a page, given by the halves of its address. */
  isOf(at: number, page: number, high: number): boolean {
    const { words } = this;
    const has = (tag: number): boolean => words[at + tag] === page && words[at + tag + 1] === (high | 0);
    return has(TLB_WORD.read) || has(TLB_WORD.fetch);
  }

  /** Copies what an entry has of a page, given by the halves of its address, to another, between word indices: tags of no
   * page depend on where they are. */
  copy(to: number, from: number, page: number, high: number): void {
    const { words } = this;
    copyWords(words, to, from, ENTRY_WORDS);
    for (const tag of TAGS)
      if (words[to + tag] !== page || words[to + tag + 1] !== (high | 0)) this.#clearTag(to, tag);
  }

  /** Makes the entry at a word index one of no page. */
  clear(at: number): void {
    for (const tag of TAGS) this.#clearTag(at, tag);
  }

  #clearTag(at: number, tag: number): void {
    this.words[at + tag] = noPage(at << 2);
    this.words[at + tag + 1] = 0;
  }

  /** Drops the translations of one page, given by the halves of its address, whatever their address space. */
  dropPage(low: number, high: number): void {
    const page = low & ~0xfff;
    for (let n = 0; n < TLBS; n++) {
      for (const index of [tlbIndex(low), stlbIndex(low, high)]) {
        const at = (this.#tlb(n) >> 2) + index;
        if (this.isOf(at, page, high)) this.clear(at);
      }
    }
  }

  /** Takes the permission to write away from every cached translation. */
  dropWrites(): void {
    this.takeFills();
    for (const list of this.#lists)
      for (let i = 0; i < list.count; i++) this.#dropWrite(this.#wordOf(list.numbers[i]!));
    this.#begin();
  }

  /** Takes the permission to write a host page away from every cached translation. */
  protectHostPage(hostPage: number): void {
    this.takeFills();
    if (this.#writable[hostPage >>> 12] !== this.#generation) return;
    this.#writable[hostPage >>> 12] = 0;
    const { words } = this;
    for (const list of this.#lists) {
      for (let i = 0; i < list.count; i++) {
        const at = this.#wordOf(list.numbers[i]!);
        const low = words[at + TLB_WORD.write]!;
        if (((low + words[at + TLB_WORD.addend]!) | 0) === (hostPage | 0)) this.#dropWrite(at);
      }
    }
  }

  #dropWrite(at: number): void {
    this.#clearTag(at, TLB_WORD.write);
  }
}
