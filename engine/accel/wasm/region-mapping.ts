/** Whether the pages of regions are mapped as they were when the regions were made. */
import type { CodeCache } from './interpreter/code-cache.ts';
import { type privateLayout, REGION_TAG, REGION_TAG_BYTES } from './private.ts';
import type { InstalledRegion } from './region/installed-region.ts';

export interface RegionMappingParts {
  readonly memory: WebAssembly.Memory;
  readonly code: CodeCache;
  readonly ownState: ReturnType<typeof privateLayout.bind>;
  /** Where a page of code (the RIP of its first byte) lies now; undefined where it is not mapped. */
  readonly place: (rip: bigint) => CodePage | undefined;
}

/** A page of code: its host address, and whether the mapping survives a CR3 load. */
export interface CodePage {
  readonly host: number;
  readonly global: boolean;
}

export class RegionMapping {
  readonly #parts: RegionMappingParts;
  readonly #words: Int32Array;
  readonly #quads: BigUint64Array;

  constructor(parts: RegionMappingParts) {
    this.#parts = parts;
    this.#words = new Int32Array(parts.memory.buffer);
    this.#quads = new BigUint64Array(parts.memory.buffer);
  }

  /**
   * Called by a region that was entered at its page for the first time since translations changed: sees that its pages
   * are mapped as they were, and notes it; else drops it.
   *
   * @param id the region's number
   */
  revalidate(record: number, id: number): boolean {
    const { code, ownState } = this.#parts;
    const region = code.regionAt(record);
    const { codePage, tagGlobal, tagLocal } = ownState;
    if (region === undefined || !this.isAsBefore(region, codePage)) return false;
    const seen = ownState.regionTags + REGION_TAG_BYTES * id;
    this.#quads[(seen + REGION_TAG.codePage) >> 3] = codePage;
    this.#words[(seen + REGION_TAG.tag) >> 2] = region.global ? tagGlobal : tagLocal;
    return true;
  }

  /** Whether the pages of a region are mapped as they were, from the page it is entered at on; else it is dropped. */
  isAsBefore(region: InstalledRegion, codePage: bigint): boolean {
    const same = region.ranges.every(({ page, host }) => {
      const place = this.#parts.place(BigInt.asUintN(64, codePage + page));
      return place?.host === host && (place.global || !region.global);
    });
    if (!same) this.#parts.code.dropRegion(region, 'remapped');
    return same;
  }
}
