/** What emitted code walks the page tables with (`interpreter/page-walk.ts`), kept true here. */
import type { DirtyLog } from '../../../memory/dirty-log.ts';
import type { Coherence } from '../../../vcpu/coherence.ts';
import { pageWalkLayout, RAM_WINDOWS } from '../private.ts';
import { PAGE_FILTER_BYTES, PageFilter } from './page-filter.ts';
import { HUGE_PAGE_SHIFT, LARGE_PAGE_SHIFT, PTE } from './paging-bits.ts';
import type { PhysicalMap } from './physical-map.ts';

const TERMS_BYTES = Math.ceil(pageWalkLayout.size / 8) * 8;
export const WALK_TERMS_BYTES = TERMS_BYTES + 2 * PAGE_FILTER_BYTES;

const PAGE = 4096;
/** Below there is more than RAM, and more than one view of it. */
const FIRST_PAGE = 0x100;

export interface WalkTermsParts {
  readonly memory: WebAssembly.Memory;
  /** Byte address of {@link WALK_TERMS_BYTES}, all zero, and of `TLB_FILLS`. */
  readonly at: number;
  readonly fills: number;
  readonly addressMap: PhysicalMap;
  readonly dirtyLog: DirtyLog;
  readonly ramBase: number;
  readonly coherence: Coherence;
}

export class WalkTerms {
  readonly address: number;
  /** Large pages that are cached in pieces of 4 KiB: any of these may be meant by an INVLPG in the large page, which then
   * drops everything. */
  readonly largePages: PageFilter;
  readonly hugePages: PageFilter;
  readonly #parts: WalkTermsParts;
  readonly #terms: ReturnType<typeof pageWalkLayout.bind>;
  #generation = -1;
  #apicPage = -1;

  constructor(parts: WalkTermsParts) {
    const { memory, at, fills, dirtyLog, ramBase, coherence } = parts;
    const buffer = memory.buffer as SharedArrayBuffer;
    this.#parts = parts;
    this.address = at;
    const filters = at + TERMS_BYTES;
    this.largePages = new PageFilter(LARGE_PAGE_SHIFT, buffer, filters);
    this.hugePages = new PageFilter(HUGE_PAGE_SHIFT, buffer, filters + PAGE_FILTER_BYTES);
    const { codeOwners } = coherence;
    const { logged } = dirtyLog;
    const terms = (this.#terms = pageWalkLayout.bind(buffer, at));
    // Where there are several vCPUs, writing to a page has to be agreed upon.
    terms.writes = !coherence.shared && codeOwners.buffer === buffer && logged.buffer === buffer ? 1 : 0;
    terms.code = codeOwners.byteOffset;
    terms.logged = logged.byteOffset;
    terms.firstLogged = ramBase / PAGE;
    terms.largePages = filters;
    terms.hugePages = filters + PAGE_FILTER_BYTES;
    terms.fills = fills;
  }

  /** All translations are dropped. */
  drop(): void {
    this.largePages.clear(true);
    this.hugePages.clear(true);
    this.#findRam();
  }

  /**
   * @param apicPage guest-physical page of the local APIC's registers, or -1
   * @param wide CR4.LA57
   * @param global CR4.PGE
   */
  refresh(apicPage: number, wide: boolean, global: boolean): void {
    this.#terms.wide = wide ? 1 : 0;
    this.#terms.global = global ? PTE.G : 0;
    if (apicPage === this.#apicPage && this.#generation >= 0) return;
    this.#apicPage = apicPage;
    this.#generation = -1;
    this.#findRam();
  }

  /** Shows the largest stretches of RAM; what emitted code does not find there it asks for. */
  #findRam(): void {
    const { addressMap } = this.#parts;
    const { generation } = addressMap;
    if (generation === this.#generation) return;
    this.#generation = generation;
    const ram = addressMap
      .memory()
      .filter(({ readOnly }) => !readOnly)
      .map(({ start, size, address }) => {
        const first = Math.max(start / PAGE, FIRST_PAGE);
        return { first, end: (start + size) / PAGE, address: address + first * PAGE - start };
      })
      .filter(({ first, end }) => first < end && !(first <= this.#apicPage && this.#apicPage < end))
      .toSorted((a, b) => b.end - b.first - (a.end - a.first));
    for (let n = 0; n < RAM_WINDOWS; n++) {
      const { first, end, address } = ram[n] ?? { first: 0, end: 0, address: 0 };
      [first, end - first, address].forEach((value, i) => (this.#terms.windows[3 * n + i] = value));
    }
  }
}
