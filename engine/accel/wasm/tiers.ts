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
}

/** Some tenths of a millisecond, in tier 0 and in tier 1. */
const BUDGET = 20_000;
const MOST_BUDGET = 160_000;

const MODES: Readonly<Record<string, Tiers>> = {
  /** Tier 0 alone. */
  '0': { regions: false, eager: false, budget: BUDGET, mostBudget: BUDGET },
  /** As users have it. */
  '1': { regions: true, eager: false, budget: BUDGET, mostBudget: MOST_BUDGET },
  /** Everything on first sight. */
  eager: { regions: true, eager: true, budget: BUDGET, mostBudget: BUDGET },
  /** The same, and out of the guest wherever an interrupt could be taken. */
  interrupt: { regions: true, eager: true, budget: 24, mostBudget: 24 },
};

/** The tiers of a value of GUESTHOUSE_TIER; unset or unknown means the usual. */
export const tiersOf = (value: string | undefined): Tiers => MODES[value ?? '1'] ?? MODES['1']!;
