/** Regions that have taken the place of tier 0's records. */
import type { RegionRange } from './collect.ts';

/** A region in place of the first record of a block. */
export interface InstalledRegion {
  readonly record: number;
  /** The handler whose place it took, its own, and the one for whoever has seen that its pages are mapped as they
   * were, which is the same where it has one page. */
  readonly original: number;
  readonly handler: number;
  readonly direct: number;
  /** Its number in the machine. */
  readonly id: number;
  /** The code it was made of, by page. */
  readonly ranges: readonly RegionRange[];
  /** All its pages are global. */
  readonly global: boolean;
  readonly instructions: number;
  /** The place among the sizes of regions of the one that was last asked for. */
  size: number;
}

/** Why a region is gone: its code was written, is mapped elsewhere now, everything was dropped, others were to have room,
 * or a larger one is in its place. */
export type RegionDropped = 'written' | 'remapped' | 'flushed' | 'crowded' | 'grown';
