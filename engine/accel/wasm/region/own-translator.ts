/**
 * Translating without a thread for it: for a vCPU that is to wait for all translations, one whose machine's thread has
 * ended, and tests. It takes all that modules are made of, which a vCPU's thread does without otherwise.
 */
import { buildTier0 } from '../interpreter/handlers.ts';
import type { Tier0 } from '../interpreter/tier0.ts';
import { Translator } from './translator.ts';

/** Takes the place of the translator's thread. */
export interface OwnTranslator {
  readonly tier0: Tier0;
  readonly translator: Translator;
}

let shared: Tier0 | undefined;

/** Tier 0 of this thread, built on first use. */
export const tier0 = (): Tier0 => (shared ??= buildTier0());

/** One for a vCPU of this thread. */
export const ownTranslator = (): OwnTranslator => ({ tier0: tier0(), translator: new Translator(tier0()) });
