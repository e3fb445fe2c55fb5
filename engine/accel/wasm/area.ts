/** A vCPU's part of the machine area: its TLBs, jump cache, tables of regions, and decoded code. */
import { CODE_PLACES_BYTES, JUMP_CACHE_BYTES, JUMP_TARGETS_BYTES, REGION_TAG_BYTES } from './private.ts';
import { REGION_IDS } from './region/exports.ts';
import { PAGE_FILTER_BYTES } from './system/page-filter.ts';
import { ADDRESS_SPACES, TLBS_BYTES } from './system/tlb.ts';
import { WALK_TERMS_BYTES } from './system/walk-terms.ts';

/** The region tags of an address space. */
export const REGION_TAGS_BYTES = REGION_TAG_BYTES * REGION_IDS;
const REGIONS_BYTES = REGION_TAGS_BYTES * ADDRESS_SPACES;
/** Of each address space, and of all. */
const PAGE_FILTERS_BYTES = PAGE_FILTER_BYTES * (ADDRESS_SPACES + 1);
/** Decoded code of a machine: each vCPU has a part, within limits. */
const ARENAS_BYTES = 256 << 20;
const MOST_ARENA_BYTES = 96 << 20;

const arenaBytes = (vcpus: number): number => Math.min(MOST_ARENA_BYTES, Math.floor(ARENAS_BYTES / vcpus));

/** Machine-area bytes of each of so many vCPUs. */
export const areaBytes = (vcpus: number): number =>
  TLBS_BYTES +
  JUMP_CACHE_BYTES +
  JUMP_TARGETS_BYTES +
  CODE_PLACES_BYTES +
  PAGE_FILTERS_BYTES +
  WALK_TERMS_BYTES +
  REGIONS_BYTES +
  arenaBytes(vcpus);

/** Byte addresses of what lies in an area, and the size of the decoded code's. */
export interface Area {
  readonly mmu: number;
  readonly jumpCache: number;
  readonly jumpTargets: number;
  readonly codePlaces: number;
  /** {@link PAGE_FILTER_BYTES} for each address space, then for all. */
  readonly pageFilters: number;
  readonly walkTerms: number;
  /** {@link REGION_TAGS_BYTES} for each address space. */
  readonly regionTags: number;
  readonly arena: number;
  readonly arenaBytes: number;
}

/** @param at byte address of {@link areaBytes} of one of so many vCPUs */
export function areaAt(at: number, vcpus: number): Area {
  const jumpCache = at + TLBS_BYTES;
  const jumpTargets = jumpCache + JUMP_CACHE_BYTES;
  const codePlaces = jumpTargets + JUMP_TARGETS_BYTES;
  const pageFilters = codePlaces + CODE_PLACES_BYTES;
  const walkTerms = pageFilters + PAGE_FILTERS_BYTES;
  const regionTags = walkTerms + WALK_TERMS_BYTES;
  const arena = regionTags + REGIONS_BYTES;
  return {
    mmu: at, jumpCache, jumpTargets, codePlaces, pageFilters, walkTerms, regionTags, arena, arenaBytes: arenaBytes(vcpus),
  }; // prettier-ignore
}
