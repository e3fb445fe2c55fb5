/**
 * The locals that a region's instructions need for themselves. They are reused, so that a region has few: whoever compiles
 * it has work to do for each, wherever ways meet. What flags follow from is needed as long as these are put off.
 */
import type { Code, Temporaries } from '../emit/code.ts';
import type { FlagSource } from '../semantics/flag-source.ts';
import type { RegionFlags } from './region-flags.ts';

/** Those of one node. */
export class RegionTemporaries {
  readonly #c: Code;
  readonly #flags: RegionFlags;
  /** Sources that belong to a node before. */
  readonly #inherited: ReadonlySet<FlagSource>;
  readonly #held = new Map<FlagSource, Temporaries>();

  constructor(c: Code, flags: RegionFlags) {
    this.#c = c;
    this.#flags = flags;
    this.#inherited = new Set(flags.sources);
  }

  /** Emits an instruction. */
  within(emit: () => void): void {
    const own = this.#c.temporaries(emit);
    const sources = new Set(this.#flags.sources);
    const fresh = [...sources].filter((source) => !this.#inherited.has(source) && !this.#held.has(source));
    if (fresh.length === 0) this.#c.reuse(own);
    for (const source of fresh) this.#held.set(source, own);
    this.#keep(sources);
  }

  /** The node has ended, and all that inherits its flags. */
  end(): void {
    this.#keep(new Set());
  }

  #keep(sources: ReadonlySet<FlagSource>): void {
    const gone = new Set<Temporaries>();
    for (const [source, temporaries] of this.#held) {
      if (sources.has(source)) continue;
      this.#held.delete(source);
      gone.add(temporaries);
    }
    const still = new Set(this.#held.values());
    for (const temporaries of gone) if (!still.has(temporaries)) this.#c.reuse(temporaries);
  }
}
