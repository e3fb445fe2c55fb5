/** A vCPU's part of the machine area: its TLBs, jump cache, tables of regions, and decoded code. */
import { JUMP_CACHE_BYTES, JUMP_TARGETS_BYTES, REGION_TAG_BYTES } from './private.ts';
import { REGION_IDS } from './region/exports.ts';
import { ADDRESS_SPACES, TLBS_BYTES } from './system/tlb.ts';

/** The region tags of an address space. */
export const REGION_TAGS_BYTES = REGION_TAG_BYTES * REGION_IDS;
const REGIONS_BYTES = REGION_TAGS_BYTES * ADDRESS_SPACES;
/** Decoded code of a machine: each vCPU has a part, within limits. */
const ARENAS_BYTES = 256 << 20;
const MOST_ARENA_BYTES = 96 << 20;

const arenaBytes = (vcpus: number): number => Math.min(MOST_ARENA_BYTES, Math.floor(ARENAS_BYTES / vcpus));

/** Machine-area bytes of each of so many vCPUs. */
export const areaBytes = (vcpus: number): number =>
  TLBS_BYTES + JUMP_CACHE_BYTES + JUMP_TARGETS_BYTES + REGIONS_BYTES + arenaBytes(vcpus);

/** Byte addresses of what lies in an area, and the size of the decoded code's. */
export interface Area {
  readonly mmu: number;
  readonly jumpCache: number;
  readonly jumpTargets: number;
  /** {@link REGION_TAGS_BYTES} for each address space. */
  readonly regionTags: number;
  readonly arena: number;
  readonly arenaBytes: number;
}

/** @param at byte address of {@link areaBytes} of one of so many vCPUs */
export function areaAt(at: number, vcpus: number): Area {
  const jumpCache = at + TLBS_BYTES;
  const jumpTargets = jumpCache + JUMP_CACHE_BYTES;
  const regionTags = jumpTargets + JUMP_TARGETS_BYTES;
  const arena = regionTags + REGIONS_BYTES;
  return { mmu: at, jumpCache, jumpTargets, regionTags, arena, arenaBytes: arenaBytes(vcpus) };
}
