/**
 * What is remembered of translations, by address space (PCID): the TLBs, where the jump cache leads, and which regions'
 * pages are known to lie as they did. All three are dropped together.
 *
 * Intel SDM 3A, 4.10.
 */
import { highHalf, lowHalf } from '../../base/halves.ts';
import { type Area, REGION_TAGS_BYTES } from './area.ts';
import type { JumpCache } from './jump-cache.ts';
import { type privateLayout, REGION_TAG_BYTES } from './private.ts';
import type { Mmu } from './system/mmu.ts';
import { ADDRESS_SPACES } from './system/tlb.ts';

export interface AddressSpaceParts {
  /** The shared memory. */
  readonly bytes: Uint8Array;
  readonly area: Area;
  readonly ownState: ReturnType<typeof privateLayout.bind>;
  readonly mmu: Mmu;
  readonly jumps: JumpCache;
}

export class AddressSpaces {
  readonly #parts: AddressSpaceParts;

  constructor(parts: AddressSpaceParts) {
    this.#parts = parts;
  }

  /** Drops translations: all, or those of the current address space whose pages are not global. */
  flush(global: boolean): void {
    const { mmu, jumps } = this.#parts;
    if (!global) {
      this.#flushLocal(mmu.space);
      return;
    }
    mmu.flush();
    jumps.translationsChanged();
  }

  #flushLocal(space: number): void {
    this.#parts.mmu.flushSpace(space);
    this.#parts.jumps.localChanged(space);
  }

  /** Drops translations of pages that are not global, of the address space of a PCID or of all. */
  flushLocal(pcid?: number): void {
    if (pcid === undefined) for (let space = 0; space < ADDRESS_SPACES; space++) this.#flushLocal(space);
    else {
      const space = this.#parts.mmu.spaceOf(pcid);
      if (space >= 0) this.#flushLocal(space);
    }
  }

  /** Drops the translation of one page, in the current address space or that of a PCID. */
  invalidatePage(linear: bigint, pcid?: number): void {
    const { mmu, jumps } = this.#parts;
    const low = lowHalf(linear);
    const high = highHalf(linear);
    const precise = mmu.invalidate(low, high);
    const space = pcid === undefined ? mmu.space : mmu.spaceOf(pcid);
    if (!precise) jumps.translationsChanged();
    else if (space >= 0) jumps.invalidatePage(low, high, space);
  }

  /** Makes the address space of a PCID the current one. @param keep what has been cached of it is still true */
  enter(pcid: number, keep: boolean): void {
    const { mmu, jumps } = this.#parts;
    const kept = mmu.enterSpace(pcid, keep);
    jumps.enterSpace(mmu.space);
    if (!kept) jumps.localChanged(mmu.space);
    this.show();
  }

  /** Shows emitted code the region tags of the current address space. */
  show(): void {
    this.#parts.ownState.regionTags = this.#tags(this.#parts.mmu.space);
  }

  /** Takes over what the vCPU's state says that translation depends on.
   * @param watching data breakpoints are set */
  refresh(watching: boolean): void {
    const { mmu } = this.#parts;
    mmu.refresh(watching);
    const pcid = mmu.loadedPcid();
    if (pcid === mmu.pcid) return;
    // Not by an instruction that loads CR3.
    this.enter(pcid, false);
    mmu.refresh(watching);
  }

  /** Byte address of the region tags of an address space. */
  #tags(space: number): number {
    return this.#parts.area.regionTags + space * REGION_TAGS_BYTES;
  }

  /** A region's number is about to be another's. */
  forgetTagsOf(id: number): void {
    for (let space = 0; space < ADDRESS_SPACES; space++) {
      const at = this.#tags(space) + id * REGION_TAG_BYTES;
      this.#parts.bytes.fill(0, at, at + REGION_TAG_BYTES);
    }
  }

  /** Tags of the jump cache are about to be used again. @param regions above the numbers of all there are */
  forgetRegionTags(regions: number): void {
    for (let space = 0; space < ADDRESS_SPACES; space++) {
      const at = this.#tags(space);
      this.#parts.bytes.fill(0, at, at + regions * REGION_TAG_BYTES);
    }
  }
}
