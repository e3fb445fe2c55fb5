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
  readonly id: number;
  readonly module: WebAssembly.Module | undefined;
}

/** The answer to several requests, and what it took; regions known already cost nothing. */
export interface TranslationBatch {
  readonly translations: readonly Translation[];
  readonly bytes: number;
  readonly milliseconds: number;
}

interface Known {
  readonly id: number;
  module: WebAssembly.Module | undefined;
}

export class Translator {
  readonly #tier0: Tier0;
  readonly #known = new Map<string, Known>();
  readonly #links: Links = { count: 0 };

  constructor(tier0: Tier0) {
    this.#tier0 = tier0;
  }

  translate(requests: readonly TranslationRequest[]): TranslationBatch {
    const started = performance.now();
    const fresh: Array<NumberedSource & { known: Known }> = [];
    const answers = requests.map(({ request, source }) => {
      const key = keyOf(source);
      let known = this.#known.get(key);
      if (known === undefined) {
        known = { id: this.#known.size, module: undefined };
        this.#known.set(key, known);
        if (known.id < REGION_IDS) fresh.push({ source, id: known.id, known });
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
      translations: answers.map(({ request, known }) => ({ request, id: known.id, module: known.module })),
      bytes: length,
      milliseconds: performance.now() - started,
    };
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
function keyOf({ records, entry, links, spread, global }: RegionSource): string {
  const hash = createHash('sha256').update(records).update(new Uint8Array(links.buffer));
  return `${hash.digest('base64')} ${entry} ${spread} ${global}`;
}
