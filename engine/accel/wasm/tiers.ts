/**
 * How the processor runs code, by the environment variable GUESTHOUSE_TIER: for tests of the tiers against
 * each other, and for measuring them.
 */
export interface Tiers {
  /** Hot code is translated into regions. */
  readonly regions: boolean;
  /** Whatever is entered is translated at once, however small, and the vCPU waits for it. */
  readonly eager: boolean;
  /** Instructions between two looks at events and timers: while tier 0 runs, and at most. */
  readonly budget: number;
  readonly mostBudget: number;
  /** Regions of a vCPU at most; then the oldest are dropped, and what is hot comes back. */
  readonly mostRegions: number;
}

/** Some tenths of a millisecond, in tier 0 and in tier 1. */
const BUDGET = 20_000;
const MOST_BUDGET = 160_000;

/** With two handlers each, and tier 0's, they are fewer than the places of code can name (`PLACE_HANDLER_SHIFT`). */
export const MOST_REGIONS = 24_576;

const MODES: Readonly<Record<string, Tiers>> = {
  /** Tier 0 alone. */
  '0': { regions: false, eager: false, budget: BUDGET, mostBudget: BUDGET, mostRegions: MOST_REGIONS },
  /** As users have it. */
  '1': { regions: true, eager: false, budget: BUDGET, mostBudget: MOST_BUDGET, mostRegions: MOST_REGIONS },
  /** With room for one region. */
  few: { regions: true, eager: false, budget: BUDGET, mostBudget: MOST_BUDGET, mostRegions: 1 },
  /** Everything on first sight. */
  eager: { regions: true, eager: true, budget: BUDGET, mostBudget: BUDGET, mostRegions: MOST_REGIONS },
  /** The same, out of the guest wherever an interrupt could be taken, and with room for so few regions that it is often
   * made. */
  interrupt: { regions: true, eager: true, budget: 24, mostBudget: 24, mostRegions: 48 },
};

/** The tiers of a value of GUESTHOUSE_TIER; unset or unknown means the usual. */
export const tiersOf = (value: string | undefined): Tiers => MODES[value ?? '1'] ?? MODES['1']!;
