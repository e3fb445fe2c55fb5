/**
 * When a vCPU's requests are translated: several at once, since each module costs memory of its own, more than a region,
 * and so some time after they came; but what the vCPU keeps coming to meanwhile, at once.
 */
import type { TranslationRequest } from './translator.ts';

/** How long requests are gathered for one module, in milliseconds. */
export const GATHERING = 50;
/** Regions in a module at most: a vCPU is not to wait long for the first of many. */
export const MOST_AT_ONCE = 16;

export class TranslationQueue {
  readonly #translate: (requests: readonly TranslationRequest[]) => void;
  readonly #requests: TranslationRequest[] = [];
  /** There will be a {@link TranslationQueue.#flush}. */
  #gathering = false;

  /** @param translate translates some into one module, and sends it */
  constructor(translate: (requests: readonly TranslationRequest[]) => void) {
    this.#translate = translate;
  }

  add(request: TranslationRequest): void {
    this.#requests.push(request);
    this.#gather(GATHERING);
  }

  /** The vCPU is found again and again at what it has asked for by this number. */
  hurry(request: number): void {
    const at = this.#requests.findIndex((other) => other.request === request);
    // It may be on its way.
    if (at < 0) return;
    this.#translate(this.#requests.splice(at, 1));
  }

  #gather(milliseconds: number): void {
    if (this.#gathering) return;
    this.#gathering = true;
    setTimeout(() => this.#flush(), milliseconds);
  }

  #flush(): void {
    this.#gathering = false;
    if (this.#requests.length === 0) return;
    this.#translate(this.#requests.splice(0, MOST_AT_ONCE));
    // Before the next, so that what is in a hurry by now comes first.
    if (this.#requests.length > 0) this.#gather(0);
  }
}
