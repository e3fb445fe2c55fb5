/**
 * Paging: linear to physical addresses, and what of them is put into the TLBs, in which emitted code finds it. Linear
 * addresses come as two halves, since BigInt is too slow for a page walk.
 *
 * Intel SDM 3A, chapter 4.
 */
import { highHalf, lowHalf, ofHalves } from '../../../base/halves.ts';
import { Flag, type VcpuState } from '../../../vcpu/state.ts';
import { type Coherence, Writing } from '../../../vcpu/coherence.ts';
import type { PhysicalMap } from './physical-map.ts';
import type { DirtyLog } from '../../../memory/dirty-log.ts';
import { P, S, TLB_GLOBAL, noPage } from '../private.ts';
import { GuestFault, Vector } from './cpu.ts';
import { checksAlignment } from './operands.ts';
import { PHYSICAL_BITS, PTE } from './paging-bits.ts';
import { Cr0, cr0 as cr0Of, Cr4, cr4 as cr4Of, Efer, efer as eferOf } from './registers.ts';
import { stlbIndex, TLB_WORD as E, tlbIndex, Tlbs } from './tlb.ts';
import { WalkTerms } from './walk-terms.ts';

export const Access = { Read: 0, Write: 1, Fetch: 2 } as const;
export type Access = (typeof Access)[keyof typeof Access];

/** IA32_APIC_BASE: enabled, and not in x2APIC mode, in which there are no registers in memory (SDM 3A, 11.4.4). */
const APIC_ENABLE = 0x800;
const APIC_MODE = 0xc00;

const NX_HIGH = 0x8000_0000 | 0;
/** Bits 51 … PHYSICAL_BITS of an entry, in its high half. */
const RESERVED_HIGH = (0xfffff << (PHYSICAL_BITS - 32)) & 0xfffff;

/** Told before a page that holds decoded code is written. */
export interface CodeWatch {
  /** True where some of `bytes` at a host address have been decoded. */
  overlaps(host: number, bytes: number): boolean;
  /** `bytes` at a host address are about to be written. */
  written(host: number, bytes: number): void;
}

export interface MmuParts {
  readonly memory: WebAssembly.Memory;
  readonly state: VcpuState;
  readonly stateAddress: number;
  /** Byte addresses of TLBS_BYTES and WALK_TERMS_BYTES. */
  readonly area: number;
  readonly walkTerms: number;
  readonly addressMap: PhysicalMap;
  readonly dirtyLog: DirtyLog;
  /** Byte address of guest RAM, for the dirty log's page numbers. */
  readonly ramBase: number;
  readonly code: CodeWatch;
  readonly coherence: Coherence;
}

export class Mmu {
  readonly words: Int32Array;
  readonly #parts: MmuParts;
  readonly #state: VcpuState;
  readonly #private: number;
  #cr0 = 0;
  #cr4 = 0;
  #efer = 0;
  #cr3 = 0;
  #levels = 0;
  #a20Mask = ~0;
  /** Guest-physical page of the local APIC's registers, which are in front of memory; -1 where it has none. */
  #apicPage = -1;
  /** False while nothing may be put into the TLB in use. */
  #fill = true;
  readonly #terms: WalkTerms;
  readonly #tlbs: Tlbs;

  // Results of a walk.
  /** Guest-physical page number. */
  page = 0;
  /** After a translation for writing: how the page may be written to. */
  writing: Writing = Writing.Free;
  #writable = false;
  #global = false;

  constructor(parts: MmuParts) {
    this.#parts = parts;
    this.#state = parts.state;
    this.words = new Int32Array(parts.memory.buffer);
    this.#private = parts.stateAddress >> 2;
    this.#tlbs = new Tlbs(this.words, parts.area);
    this.#terms = new WalkTerms({ ...parts, at: parts.walkTerms, fills: this.#tlbs.fills });
  }

  /**
   * Takes over what translation depends on: to be called whenever control registers, EFER, CPL, RFLAGS.AC or
   * the debug registers may have changed.
   * @param watching data breakpoints are set
   */
  refresh(watching: boolean): void {
    const { state: s } = this.#parts;
    const [cr0, cr4, efer] = [cr0Of(s), cr4Of(s), eferOf(s)];
    const a20Mask = s.a20 === 0 ? ~0x100 : ~0;
    const apicPage = this.#findApicPage();
    const cr0Bits = Cr0.PG | Cr0.WP;
    const cr4Bits = Cr4.PAE | Cr4.PSE | Cr4.SMEP | Cr4.SMAP | Cr4.LA57 | Cr4.PGE;
    if (
      ((cr0 ^ this.#cr0) & cr0Bits) !== 0 ||
      ((cr4 ^ this.#cr4) & cr4Bits) !== 0 ||
      ((efer ^ this.#efer) & (Efer.NXE | Efer.LMA)) !== 0 ||
      a20Mask !== this.#a20Mask ||
      apicPage !== this.#apicPage
    ) {
      this.flush();
    }
    this.#cr0 = cr0;
    this.#cr4 = cr4;
    this.#efer = efer;
    this.#a20Mask = a20Mask;
    this.#apicPage = apicPage;
    const cr3Value = s.cr3;
    const cr3 = (highHalf(cr3Value) & 0xf_ffff) * 2 ** 32 + (lowHalf(cr3Value) >>> 0);
    this.#cr3 = cr3;
    this.#levels =
      (cr0 & Cr0.PG) === 0
        ? 0
        : (cr4 & Cr4.PAE) === 0
          ? 2
          : (efer & Efer.LMA) === 0
            ? 3
            : (cr4 & Cr4.LA57) !== 0
              ? 5
              : 4;
    const words = this.words;
    const smap = (cr4 & Cr4.SMAP) !== 0;
    const { supervisorAc, supervisor, user, never } = this.#tlbs;
    words[this.#private + (P.tlbSupervisorAc >> 2)] = watching ? never : supervisorAc;
    words[this.#private + (P.tlbSupervisor >> 2)] = watching ? never : smap ? supervisor : supervisorAc;
    words[this.#private + (P.tlbUser >> 2)] = watching ? never : user;
    this.#fill = !watching && !checksAlignment(s);
    words[this.#private + (P.tlb >> 2)] = this.#fill ? this.#select(s.cpl === 3) : never;
    const walks = this.#fill && this.#levels >= 4 && this.#nx() && a20Mask === ~0;
    words[this.#private + (P.pageWalk >> 2)] = walks ? this.#terms.address : 0;
    if (walks) this.#terms.refresh(apicPage, this.#levels === 5, (cr4 & Cr4.PGE) !== 0);
  }

  #findApicPage(): number {
    const at = this.#private + (S.apicBase >> 2);
    const low = this.words[at]!;
    if ((low & APIC_MODE) !== APIC_ENABLE) return -1;
    return (this.words[at + 1]! & ((1 << (PHYSICAL_BITS - 32)) - 1)) * 0x10_0000 + (low >>> 12);
  }

  /** Byte address of the TLB an access goes through. At CPL 3 a supervisor access is implicit, and RFLAGS.AC
   * does not help it past SMAP (SDM 3A, 4.6.1). */
  #select(user: boolean): number {
    if (user) return this.#tlbs.user;
    return this.#smapBlocks() ? this.#tlbs.supervisor : this.#tlbs.supervisorAc;
  }

  #smapBlocks(): boolean {
    const s = this.#state;
    return (this.#cr4 & Cr4.SMAP) !== 0 && (s.cpl === 3 || (s.flagsSys & Flag.AC) === 0);
  }

  /** The number of the current address space, below ADDRESS_SPACES. */
  get space(): number {
    return this.#tlbs.current;
  }
  /** And its PCID. */
  get pcid(): number {
    return this.#tlbs.pcid;
  }

  /** The PCID that the state's control registers name (SDM 3A, 4.10.1). */
  loadedPcid(): number {
    const at = this.#private;
    return (this.words[at + (S.cr4 >> 2)]! & Cr4.PCIDE) === 0 ? 0 : this.words[at + (S.cr3 >> 2)]! & 0xfff;
  }

  /** The number of the address space with a PCID, -1 where nothing is kept of it. */
  spaceOf(pcid: number): number {
    return this.#tlbs.find(pcid);
  }

  /** Makes the address space with a PCID the current one, after CR3 has been loaded (SDM 3A, 4.10.1).
   * @param keep what has been cached of it before is still true
   * @returns whether anything may have been kept */
  enterSpace(pcid: number, keep: boolean): boolean {
    const kept = this.#tlbs.enter(pcid) && keep;
    if (!kept) this.flushSpace(this.#tlbs.current);
    return kept;
  }

  /** Drops what is cached of an address space, by its number, bar what is global. */
  flushSpace(space: number): void {
    if ((this.#cr4 & Cr4.PGE) === 0) this.flush();
    else this.#tlbs.dropLocal(space);
  }

  /** Drops all cached translations, of all address spaces. */
  flush(): void {
    this.#tlbs.dropAll();
    this.#terms.drop();
    this.#parts.coherence.gate.advance(this.#state.index);
  }

  /** Takes the permission to write away from every cached translation. */
  dropWrites(): void {
    this.#tlbs.dropWrites();
    this.#parts.coherence.gate.advance(this.#state.index);
  }

  /** Drops the translation of one page (INVLPG). @returns false where everything had to be dropped */
  invalidate(low: number, high: number): boolean {
    const { largePages, hugePages } = this.#terms;
    if (largePages.mayHave(low, high) || hugePages.mayHave(low, high)) {
      this.flush();
      return false;
    }
    this.#tlbs.dropPage(low, high);
    return true;
  }

  /** Takes the permission to write a host page away from every cached translation. */
  protectHostPage(hostPage: number): void {
    this.#tlbs.protectHostPage(hostPage);
  }

  /**
   * The host address of one byte for an access that stays within its page.
   *
   * @returns the byte address in the shared memory, unsigned, or -1 where the page is not memory, or is ROM
   *   and to be written; `page` is then the guest-physical page
   * @throws GuestFault #PF
   */
  translate(low: number, high: number, access: Access, user: boolean): number {
    const words = this.words;
    const page = low & ~0xfff;
    const tlb = this.#select(user) >> 2;
    const at = tlb + tlbIndex(low);
    const second = tlb + stlbIndex(low, high);
    if (this.#fill) {
      const tag = access === Access.Read ? E.read : access === Access.Write ? E.write : E.fetch;
      let hit = words[at + tag] === page && words[at + tag + 1] === (high | 0);
      if (!hit && words[second + tag] === page && words[second + tag + 1] === (high | 0)) {
        this.#tlbs.copy(at, second, page, high);
        hit = true;
      }
      if (hit) {
        this.#global = (words[at + E.flags]! & TLB_GLOBAL) !== 0;
        this.writing = Writing.Free;
        return (low + words[at + E.addend]!) >>> 0;
      }
    }
    this.#tlbs.takeFills();
    this.walk(low, high, access, user);
    if (this.page === this.#apicPage) return -1;
    const found = this.#parts.addressMap.resolve(this.page);
    const host = found & ~0xfff;
    if (found === 0) return -1;
    if (access === Access.Write) {
      if ((found & 1) !== 0) return -1;
      this.#parts.dirtyLog.mark((host - this.#parts.ramBase) >>> 12);
      this.writing = this.#parts.coherence.admit(this.#state.index, host >>> 12);
    }
    if (this.#fill) {
      const shared = this.#tlbs.keep(tlb, at, page, high);
      this.#cache(at, page, high, host, access, (found & 1) !== 0);
      // What the second level has of the page may be from before its tables were changed.
      if (shared || this.#tlbs.isOf(second, page, high)) {
        this.#tlbs.use(second, this.#global);
        this.#tlbs.copy(second, at, page, high);
      }
    }
    return ((host >>> 0) + (low & 0xfff)) >>> 0;
  }

  #cache(at: number, page: number, high: number, host: number, access: Access, readOnly: boolean): void {
    const words = this.words;
    const addend = (host - page) | 0;
    // Tags of another page, or of this page elsewhere, do not go with this addend.
    let same = words[at + E.addend] === addend;
    const none = noPage(at << 2);
    for (const tag of [E.read, E.fetch]) {
      const tagLow = words[at + tag]!;
      if (tagLow !== none && (tagLow !== page || words[at + tag + 1] !== (high | 0))) same = false;
    }
    if (!same) this.#tlbs.clear(at);
    this.#tlbs.use(at, this.#global);
    words[at + E.addend] = addend;
    words[at + E.flags] = this.#global ? TLB_GLOBAL : 0;
    const set = (tag: number) => {
      words[at + tag] = page;
      words[at + tag + 1] = high | 0;
    };
    if (access === Access.Fetch) {
      set(E.fetch);
      return;
    }
    set(E.read);
    if (access !== Access.Write || readOnly || !this.#writable) return;
    const ramPage = (host - this.#parts.ramBase) >>> 12;
    if (this.writing !== Writing.Free || this.#parts.dirtyLog.needsTrap(ramPage)) return;
    this.#tlbs.letWrite(host);
    set(E.write);
  }

  #fault(low: number, high: number, code: number, access: Access, user: boolean): never {
    const fetchBit =
      access === Access.Fetch && ((this.#cr4 & Cr4.SMEP) !== 0 || (this.#nx() && this.#levels >= 3)) ? 16 : 0;
    this.#state.cr2 = ofHalves(low, high);
    throw new GuestFault(Vector.PF, code | (access === Access.Write ? 2 : 0) | (user ? 4 : 0) | fetchBit);
  }

  #nx(): boolean {
    return (this.#efer & Efer.NXE) !== 0;
  }

  /**
   * Walks the page tables, checks rights, sets accessed and dirty bits, and leaves the page in `page`.
   * @throws GuestFault #PF with CR2 set
   */
  walk(low: number, high: number, access: Access, user: boolean): void {
    this.#writable = true;
    this.#global = false;
    if (this.#levels === 0) {
      this.page = ((low >>> 12) & this.#a20Mask) >>> 0;
      return;
    }
    // An entry that another vCPU changes under the walk is read again, with all above it.
    while (!(this.#levels === 2 ? this.#walk32(low, access, user) : this.#walk64(low, high, access, user)));
  }

  /** Word index of a page-table entry at a physical address, or -1 where there is no memory. */
  #entry(page: number, offset: number): number {
    const masked = this.#a20Mask === ~0 ? page : page - (page & 0x100);
    const found = this.#parts.addressMap.resolve(masked);
    return found === 0 ? -1 : ((found & ~0xfff) >>> 2) + (offset >>> 2);
  }

  /** 32-bit paging (SDM 3A, 4.3). @returns false where an entry has changed meanwhile */
  #walk32(low: number, access: Access, user: boolean): boolean {
    const words = this.words;
    const directory = this.#entry(this.#cr3 >>> 12, (low >>> 20) & 0xffc);
    const pde = directory < 0 ? 0 : words[directory]!;
    if ((pde & PTE.P) === 0) this.#fault(low, 0, 0, access, user);
    let flags = pde;
    if ((pde & PTE.PS) !== 0 && (this.#cr4 & Cr4.PSE) !== 0) {
      // PSE-36: bits 20-13 are physical address bits 39-32; bit 21 is reserved.
      if ((pde & 0x20_0000) !== 0) this.#fault(low, 0, 9, access, user);
      this.#check(low, 0, flags, 0, access, user);
      if (!this.#mark(directory, pde, access)) return false;
      this.#finish(
        ((pde >>> 13) & 0xff) * 0x10_0000 + (pde >>> 22) * 0x400 + ((low >>> 12) & 0x3ff),
        pde,
        access,
      );
      this.#terms.hugePages.add(low, 0);
      return true;
    }
    const table = this.#entry(pde >>> 12, (low >>> 10) & 0xffc);
    const pte = table < 0 ? 0 : words[table]!;
    if ((pte & PTE.P) === 0) {
      if (!this.#mark(directory, pde, Access.Read)) return false;
      this.#fault(low, 0, 0, access, user);
    }
    flags &= pte;
    this.#check(low, 0, flags, 0, access, user);
    if (!this.#mark(directory, pde, Access.Read) || !this.#mark(table, pte, access)) return false;
    this.#finish(pte >>> 12, pte, access);
    return true;
  }

  /** PAE, 4-level and 5-level paging (SDM 3A, 4.4 and 4.5). @returns as {@link #walk32} */
  #walk64(low: number, high: number, access: Access, user: boolean): boolean {
    const words = this.words;
    const nxReserved = this.#nx() ? 0 : NX_HIGH;
    let page = Math.floor(this.#cr3 / 4096);
    let flags = PTE.W | PTE.U;
    let nx = 0;
    let level = this.#levels;
    if (level === 3) {
      // The four PDPTEs were checked when CR3 was loaded; they carry no rights.
      const at = this.#entry(page, (this.#cr3 & 0xfe0) + ((low >>> 30) << 3));
      const lo = at < 0 ? 0 : words[at]!;
      if ((lo & PTE.P) === 0) this.#fault(low, high, 0, access, user);
      page = (words[at + 1]! & 0xfffff) * 0x10_0000 + (lo >>> 12);
      level = 2;
    }
    for (; ; level--) {
      const at = this.#entry(page, tableIndex(low, high, level) << 3);
      const lo = at < 0 ? 0 : words[at]!;
      const hi = at < 0 ? 0 : words[at + 1]!;
      if ((lo & PTE.P) === 0) this.#fault(low, high, 0, access, user);
      // The halves are read one by one; a store of both by another vCPU may have come between.
      if (Atomics.load(words, at) !== lo) return false;
      const large = level > 1 && (lo & PTE.PS) !== 0;
      const pae = this.#levels === 3;
      let reserved = hi & (RESERVED_HIGH | nxReserved);
      if (pae) reserved |= hi & 0x7ff0_0000;
      if (level >= 4 || (level === 3 && !large)) reserved |= level >= 4 ? lo & PTE.PS : 0;
      // The address bits below a large page's size, bar PAT (bit 12), are reserved.
      if (large) reserved |= lo & (level === 2 ? 0x001f_e000 : 0x3fff_e000);
      if (reserved !== 0) this.#fault(low, high, 9, access, user);
      flags &= lo;
      nx |= hi & NX_HIGH;
      const frame = (hi & 0xfffff) * 0x10_0000 + (lo >>> 12);
      if (level === 1 || large) {
        this.#check(low, high, flags, nx, access, user);
        if (!this.#mark(at, lo, access)) return false;
        if (!large) this.#finish(frame, lo, access);
        else {
          const pages = level === 2 ? 0x200 : 0x4_0000;
          this.#finish(Math.floor(frame / pages) * pages + ((low >>> 12) & (pages - 1)), lo, access);
          (level === 2 ? this.#terms.largePages : this.#terms.hugePages).add(low, high);
        }
        return true;
      }
      if ((lo & PTE.A) === 0 && !this.#mark(at, lo, Access.Read)) return false;
      page = frame;
    }
  }

  /** Rights (SDM 3A, 4.6.1). `flags` is the conjunction of all entries'. */
  #check(low: number, high: number, flags: number, nx: number, access: Access, user: boolean): void {
    const userPage = (flags & PTE.U) !== 0;
    let allowed = true;
    if (user) {
      allowed = userPage && (access !== Access.Write || (flags & PTE.W) !== 0);
    } else if (access === Access.Fetch) {
      allowed = !(userPage && (this.#cr4 & Cr4.SMEP) !== 0);
    } else {
      if (userPage && this.#smapBlocks()) allowed = false;
      if (access === Access.Write && (flags & PTE.W) === 0 && (this.#cr0 & Cr0.WP) !== 0) allowed = false;
    }
    if (access === Access.Fetch && nx !== 0) allowed = false;
    if (!allowed) this.#fault(low, high, 1, access, user);
  }

  /** Sets the accessed bit, and for a write the dirty bit, of the entry at a word index.
   * @returns false where the entry is no longer what was read; it is left as it is then */
  #mark(at: number, entry: number, access: Access): boolean {
    const bits = access === Access.Write ? PTE.A | PTE.D : PTE.A;
    if ((entry & bits) === bits) return true;
    const host = (at * 4) >>> 0;
    const { code, coherence, dirtyLog, ramBase } = this.#parts;
    let done = false;
    const store = () => {
      done = Atomics.compareExchange(this.words, at, entry, entry | bits) === entry;
    };
    // Page tables in a page that has been executed are code as well.
    if (coherence.admit(this.#state.index, host >>> 12) === Writing.Watched) {
      coherence.locked(host >>> 12, store);
    } else store();
    code.written(host, 4);
    coherence.written(this.#state.index, host, 4);
    dirtyLog.mark((host - ramBase) >>> 12);
    return done;
  }

  #finish(page: number, entry: number, access: Access): void {
    this.page = this.#a20Mask === ~0 ? page : page - (page & 0x100);
    this.#global = (entry & PTE.G) !== 0 && (this.#cr4 & Cr4.PGE) !== 0;
    this.#writable = access === Access.Write;
  }

  /** Whether the page last translated survives a CR3 load. */
  get global(): boolean {
    return this.#global;
  }
}

/** Index into the table of a level (1 page table … 5 PML5). */
function tableIndex(low: number, high: number, level: number): number {
  switch (level) {
    case 1:
      return (low >>> 12) & 511;
    case 2:
      return (low >>> 21) & 511;
    case 3:
      return ((low >>> 30) | (high << 2)) & 511;
    case 4:
      return (high >>> 7) & 511;
    default:
      return (high >>> 16) & 511;
  }
}
