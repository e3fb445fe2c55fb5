/**
 * Translates regions for all vCPUs of a machine. What one has asked for, others that find the same code get
 * without another translation.
 */
import { createHash } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import type { Tier0 } from '../interpreter/tier0.ts';
import '../v8-flags.ts';
import { REGION_IDS } from './exports.ts';
import type { RegionSource } from './source.ts';
import { translateRegions, type Links, type NumberedSource } from './translate.ts';

/** What a vCPU asks for; `request` is its own number for it. */
export interface TranslationRequest {
  readonly request: number;
  readonly source: RegionSource;
}

/** What it asks for again, by number, having come to that code again and again since. */
export interface HurryRequest {
  readonly hurry: number;
}

/** What a vCPU's thread sends. */
export type TranslatorMessage = TranslationRequest | HurryRequest;

/** What it gets: the region as an export of a module, or nothing where it cannot be translated. */
export interface Translation {
  readonly request: number;
  /** Its number in the machine, below {@link REGION_IDS}; regions that are long forgotten may have had it. */
  readonly id: number;
  /** Its number among all that were ever made. */
  readonly made: number;
  readonly module: WebAssembly.Module | undefined;
}

/** The answer to several requests, and what it took; regions known already cost nothing. */
export interface TranslationBatch {
  readonly translations: readonly Translation[];
  readonly bytes: number;
  readonly milliseconds: number;
}

interface Known {
  readonly made: number;
  module: WebAssembly.Module | undefined;
}

/** Translations that are kept, for vCPUs that ask for them again. There are twice as many numbers, so that those that are kept
 * have different ones, and those of a batch. */
const MOST_KNOWN = REGION_IDS / 2;

export class Translator {
  readonly #tier0: Tier0;
  readonly #known = new Map<string, Known>();
  readonly #most: number;
  #made = 0;
  readonly #links: Links = { count: 0 };

  /** @param most translations that are kept */
  constructor(tier0: Tier0, most = MOST_KNOWN) {
    this.#tier0 = tier0;
    this.#most = most;
  }

  translate(requests: readonly TranslationRequest[]): TranslationBatch {
    const started = performance.now();
    const fresh: Array<NumberedSource & { known: Known }> = [];
    const answers = requests.map(({ request, source }) => {
      const key = keyOf(source);
      let known = this.#known.get(key);
      if (known === undefined) {
        known = { made: this.#made++, module: undefined };
        this.#keep(key, known);
        fresh.push({ source, id: this.#idOf(known), known });
      }
      return { request, known };
    });
    let length = 0;
    if (fresh.length > 0) {
      const { bytes, refused } = translateRegions(this.#tier0, fresh, this.#links);
      ({ length } = bytes);
      const module = compileNow(bytes);
      for (const { id, known } of fresh) if (!refused.has(id)) known.module = module;
    }
    return {
      translations: answers.map(({ request, known }) => ({ request, id: this.#idOf(known), ...known })),
      bytes: length,
      milliseconds: performance.now() - started,
    };
  }

  #idOf({ made }: Known): number {
    return made % (2 * this.#most);
  }

  #keep(key: string, known: Known): void {
    for (const oldest of this.#known.keys()) {
      if (this.#known.size < this.#most) break;
      this.#known.delete(oldest);
    }
    this.#known.set(key, known);
  }
}

/** Compiles here. Left to itself, V8 does it when a region is first run, and lets the vCPU wait for that. */
function compileNow(bytes: Uint8Array<ArrayBuffer>): WebAssembly.Module {
  setFlagsFromString('--no-wasm-lazy-compilation');
  try {
    return new WebAssembly.Module(bytes);
  } finally {
    setFlagsFromString('--wasm-lazy-compilation');
  }
}

/** Equal for equal code at equal addresses. */
function keyOf({ records, entry, links, spread, global, windows }: RegionSource): string {
  const hash = createHash('sha256').update(records).update(new Uint8Array(links.buffer));
  return `${hash.digest('base64')} ${entry} ${spread} ${global} ${windows}`;
}
