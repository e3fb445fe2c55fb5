/**
 * The locals that a region's instructions need for themselves. They are reused, so that a region has few: whoever compiles
 * it has work to do for each, wherever ways meet. What flags follow from is needed as long as these are put off.
 */
import type { Code, Temporaries } from '../emit/code.ts';
import type { FlagSource } from '../semantics/flag-source.ts';
import type { RegionFlags } from './region-flags.ts';

/** Locals that are needed as long as a source is. */
interface Held {
  readonly source: FlagSource;
  readonly temporaries: Temporaries;
}

/** Those of one node. */
export class RegionTemporaries {
  readonly #c: Code;
  readonly #flags: RegionFlags;
  /** Sources that belong to a node before. */
  readonly #inherited: readonly FlagSource[];
  /** A few at most: flags are put off from few instructions at a time. */
  #held: Held[] = [];

  constructor(c: Code, flags: RegionFlags) {
    this.#c = c;
    this.#flags = flags;
    this.#inherited = flags.sources;
  }

  /** Emits an instruction. */
  within(emit: () => void): void {
    const temporaries = this.#c.temporaries(emit);
    const sources = this.#flags.sources;
    const before = this.#held;
    const held = before.filter(({ source }) => sources.includes(source));
    for (const source of sources) {
      if (!this.#inherited.includes(source) && !before.some((other) => other.source === source))
        held.push({ source, temporaries });
    }
    this.#hold(held);
    if (!held.some((other) => other.temporaries === temporaries)) this.#c.reuse(temporaries);
  }

  /** The node has ended, and all that inherits its flags. */
  end(): void {
    this.#hold([]);
  }

  /** Lets go of what is held no more. */
  #hold(held: Held[]): void {
    const before = this.#held;
    this.#held = held;
    for (const [i, { temporaries }] of before.entries()) {
      const same = (other: Held): boolean => other.temporaries === temporaries;
      if (!held.some(same) && before.findIndex(same) === i) this.#c.reuse(temporaries);
    }
  }
}
