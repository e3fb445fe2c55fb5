/**
 * What vCPUs that keep translations of their own have to agree on: who has decoded code of which page, who
 * may write to a page without anybody noticing, and pages that hold the operands of 16-byte atomics.
 *
 * Stores of translated code go straight to memory where the vCPU's TLB lets them. So a page whose writes
 * somebody must notice is kept out of every TLB as far as writing goes: before a vCPU decodes code of a page,
 * it says so here, and has everybody who may hold such a translation drop it. From then on writes to the page
 * come here: they are made under the page's lock and told to those who have its code.
 *
 * Whether a page is in somebody's TLB is kept as a mark: the vCPU that last took it in, and that vCPU's
 * epoch, which advances whenever it drops all translations for writing. A page with the mark of a past epoch,
 * as most have, costs nobody anything. Pages count from the start of the shared memory, 4096 bytes each.
 */
import { Mutex } from '../base/mutex.ts';
import { Arena } from '../memory/layout.ts';
import { CodeWrites, codeWritesBytes } from './code-writes.ts';
import { gateBytes, GuestGate } from './guest-gate.ts';
import { VcpuEvent } from './state.ts';

/** How a vCPU may write to a page. */
export const Writing = {
  /** Straight, now and from now on. */
  Free: 0,
  /** Straight, but only now: the page has code that this vCPU alone has decoded. */
  Once: 1,
  /** By {@link Coherence.locked}. */
  Watched: 2,
} as const;
export type Writing = (typeof Writing)[keyof typeof Writing];

/** The mark of a page that several vCPUs have taken in. */
const MANY = 0xff;

/** Locks for watched pages; a page's number says which is its own. */
const LOCKS = 64;

/**
 * A page's word for 16-byte atomics: how many more watched writes it stays special for, if no further atomic
 * comes (about as many as cost what it takes to make it special again); whether everybody who could write to
 * it unnoticed has been expelled; and how often it has become an ordinary page again.
 */
const Pair = { Patience: 0x3ff, Settled: 0x400, Special: 0x7ff, Turn: ~0x7ff } as const;

/** Posts events without waking who sleeps: they matter only to those who run. */
export interface Poster {
  post(vcpu: number, events: number): void;
}

/** Bytes of the machine area for a machine with so many pages in its memory. */
export const coherenceBytes = (pages: number, vcpus: number): number =>
  pages * 16 + LOCKS * 64 + codeWritesBytes(pages) + gateBytes(vcpus) + 256;

export class Coherence {
  readonly gate: GuestGate;
  readonly codeWrites: CodeWrites;
  readonly #vcpus: number;
  readonly #poster: Poster;
  /** Two words a page: a bit for each vCPU that has decoded code of it. */
  readonly #code: Int32Array<SharedArrayBuffer>;
  /** The page's mark: vCPU + 1 in the low byte (or 0, or {@link MANY}), its epoch above. */
  readonly #writer: Int32Array<SharedArrayBuffer>;
  /** See {@link Pair}. Changed under the page's lock. */
  readonly #pair: Int32Array<SharedArrayBuffer>;
  readonly #locks: readonly Mutex[];

  /** @param pages of the whole shared memory */
  constructor(arena: Arena, pages: number, vcpus: number, poster: Poster) {
    const { buffer } = arena;
    const words = (count: number) => new Int32Array(buffer, arena.reserve(count * 4, 64), count);
    this.#vcpus = vcpus;
    this.#poster = poster;
    this.gate = new GuestGate(arena, vcpus);
    this.codeWrites = new CodeWrites(arena, pages);
    const locks = arena.reserve(LOCKS * 64, 64);
    this.#locks = Array.from({ length: LOCKS }, (_, i) => new Mutex(buffer, locks + 64 * i));
    this.#writer = words(pages);
    this.#pair = words(pages);
    this.#code = words(2 * pages);
  }

  /** For a vCPU that shares its memory with nobody. */
  static alone(pages: number): Coherence {
    const bytes = coherenceBytes(pages, 1);
    return new Coherence(new Arena(new SharedArrayBuffer(bytes), 0, bytes), pages, 1, { post: () => {} });
  }

  /** Two words for each page of the memory: a bit for each vCPU that has decoded code of it. */
  get codeOwners(): Int32Array {
    return this.#code;
  }

  /** Whether others share the memory. */
  get shared(): boolean {
    return this.#vcpus > 1;
  }

  /**
   * How a vCPU may write to a page. Where that is straight, others who need to know will ask this vCPU to
   * drop its translations, and wait until it has, so the write must be made before its next look at requests.
   */
  admit(vcpu: number, page: number): Writing {
    if (this.#vcpus === 1) return this.#code[2 * page] === 0 ? Writing.Free : Writing.Once;
    if (this.#isWatched(vcpu, page)) return Writing.Watched;
    this.#mark(vcpu, page);
    // Whoever came before the mark was seen is seen now.
    if (this.#isWatched(vcpu, page)) return Writing.Watched;
    return this.#codeOf(page, 0) === 0 && this.#codeOf(page, 1) === 0 ? Writing.Free : Writing.Once;
  }

  #codeOf(page: number, half: 0 | 1): number {
    return Atomics.load(this.#code, 2 * page + half);
  }

  /** Others have code of the page, or it holds operands of 16-byte atomics. */
  #isWatched(vcpu: number, page: number): boolean {
    if ((Atomics.load(this.#pair, page) & Pair.Special) !== 0) return true;
    const own = 1 << (vcpu & 31);
    const low = this.#codeOf(page, 0) & (vcpu < 32 ? ~own : -1);
    return (low | (this.#codeOf(page, 1) & (vcpu < 32 ? -1 : ~own))) !== 0;
  }

  #mark(vcpu: number, page: number): void {
    const marks = this.#writer;
    const mine = (vcpu + 1) | (this.gate.epoch(vcpu) << 8);
    let mark = Atomics.load(marks, page);
    while (mark !== mine && (mark & 0xff) !== MANY) {
      const free = mark === 0 || (mark & 0xff) === vcpu + 1 || !this.#isCurrent(mark);
      const before = Atomics.compareExchange(marks, page, mark, free ? mine : MANY);
      if (before === mark) return;
      mark = before;
    }
  }

  #isCurrent(mark: number): boolean {
    return this.gate.epoch((mark & 0xff) - 1) === mark >>> 8;
  }

  /**
   * Says that a vCPU is about to decode code of a page, having dropped its own translations for writing to
   * it, and sees to it that no other vCPU writes to the page unnoticed. Waits for those who might: the
   * caller's requests are to be looked at afterwards.
   */
  addCode(vcpu: number, page: number): void {
    Atomics.or(this.#code, 2 * page + (vcpu >> 5), 1 << (vcpu & 31));
    const mark = this.#expelWriters(vcpu, page);
    // The vCPU's bit has kept everybody else out since it was set.
    this.#unmark(page, mark);
  }

  /** Says that a vCPU has no code of a page any more. A page stays watched while its lock is held. */
  removeCode(vcpu: number, page: number): void {
    this.#lock(page);
    Atomics.and(this.#code, 2 * page + (vcpu >> 5), ~(1 << (vcpu & 31)));
    this.#unlock(page);
  }

  /**
   * Takes the lock of a page for a 16-byte atomic on it: while it is held nobody else writes to the page. Waits
   * as {@link addCode} does.
   *
   * @param dropOwn drops the vCPU's own translations for writing to the page
   */
  lockPair(vcpu: number, page: number, dropOwn: () => void): void {
    const words = this.#pair;
    for (;;) {
      this.#lock(page);
      const word = words[page];
      if ((word & Pair.Settled) !== 0) {
        words[page] = word | Pair.Patience;
        return;
      }
      Atomics.store(words, page, word | Pair.Patience);
      this.#unlock(page);
      dropOwn();
      const mark = this.#expelWriters(vcpu, page);
      this.#lock(page);
      // Another vCPU's atomic may have settled the page meanwhile, and patience with it may have ended: then it has
      // been an ordinary page, which let others in, who are in the mark.
      if (((words[page] ^ word) & Pair.Turn) === 0) {
        words[page] |= Pair.Settled;
        this.#unmark(page, mark);
      }
      this.#unlock(page);
    }
  }

  /**
   * Has those who may write to a page unnoticed drop their translations, and waits until they have. Who comes when
   * the page is watched already is kept out by that.
   *
   * @returns the mark they were found by
   */
  #expelWriters(vcpu: number, page: number): number {
    const mark = Atomics.load(this.#writer, page);
    const writer = (mark & 0xff) - 1;
    if (mark === 0 || writer === vcpu) return mark;
    const many = (mark & 0xff) === MANY;
    if (!many && !this.#isCurrent(mark)) return mark;
    const { gate } = this;
    gate.leave(vcpu);
    if (many) {
      for (let other = 0; other < this.#vcpus; other++) if (other !== vcpu) this.#expel(other);
    } else {
      this.#expel(writer);
    }
    gate.enter(vcpu);
    return mark;
  }

  /** Takes a mark away whose vCPUs have been expelled. Only where the page has been watched all the time since: {@link
   * MANY} does not say who has come in when. */
  #unmark(page: number, mark: number): void {
    if ((mark & 0xff) === MANY) Atomics.compareExchange(this.#writer, page, mark, 0);
  }

  #expel(vcpu: number): void {
    const { gate } = this;
    const epoch = gate.epoch(vcpu);
    this.#poster.post(vcpu, VcpuEvent.DropWrites);
    gate.waitFor(vcpu, () => gate.epoch(vcpu) !== epoch);
  }

  /** Takes the lock of a page that is watched. @returns false where it is not, or no longer */
  lockWatched(vcpu: number, page: number): boolean {
    this.#lock(page);
    if (this.#isWatched(vcpu, page)) return true;
    this.#unlock(page);
    return false;
  }

  /** Gives up the lock of a page, after a write. */
  unlock(page: number): void {
    const word = this.#pair[page];
    // While somebody is still being expelled the page must not become an ordinary one: that would let others in.
    if ((word & Pair.Settled) !== 0) {
      const last = (word & Pair.Patience) === 1;
      this.#pair[page] = last ? (word & Pair.Turn) + Pair.Special + 1 : word - 1;
    }
    this.#unlock(page);
  }

  /** Makes a write to a watched page. @param store does it */
  locked(page: number, store: () => void): void {
    this.#lock(page);
    store();
    this.unlock(page);
  }

  #lock(page: number): void {
    this.#locks[page % LOCKS].lock();
  }

  #unlock(page: number): void {
    this.#locks[page % LOCKS].unlock();
  }

  /**
   * Tells every vCPU but one of a write within a page, where they have its code.
   *
   * @param vcpu who has written and knows, or -1 for a device
   * @param address of the first byte in the shared memory
   */
  written(vcpu: number, address: number, bytes: number): void {
    const page = Math.floor(address / 4096);
    // A full barrier: the bytes are there before anybody is looked for who may just be decoding them.
    Atomics.or(this.#code, 2 * page, 0);
    // Mostly nobody has, and a device may have written hundreds.
    if ((this.#code[2 * page]! | this.#code[2 * page + 1]!) === 0) return;
    const readers: number[] = [];
    for (const half of [0, 1] as const) {
      for (let bits = this.#codeOf(page, half); bits !== 0; bits &= bits - 1) {
        const other = 32 * half + 31 - Math.clz32(bits & -bits);
        if (other !== vcpu) readers.push(other);
      }
    }
    if (readers.length === 0) return;
    this.codeWrites.append(address, bytes);
    for (const reader of readers) this.#poster.post(reader, VcpuEvent.CodeWritten);
  }

  /** Becomes the only vCPU in the guest; see {@link GuestGate.beAlone}. */
  beAlone(vcpu: number): void {
    this.gate.beAlone(vcpu, (other) => this.#poster.post(other, VcpuEvent.StandStill));
  }
}
