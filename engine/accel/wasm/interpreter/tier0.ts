/**
 * Tier 0 as those have it who run guest code with it, without what it is built from: the module's names, and what comes
 * with it.
 */
import type { Signature } from '../emit/module.ts';
import { rows } from '../decode/tables.ts';
import { complexNumber } from '../semantics/registry.ts';
import type { Runtime } from '../semantics/runtime.ts';
import { buildForms, type FormTable } from './forms.ts';

/** Names under which the module imports what TypeScript supplies. */
export const IMPORTS = 'guesthouse';
/** And those under which it exports its tables, and modules that run beside it import them. */
export const HANDLERS = 'handlers';
export const HELPERS = 'helpers';
/** Functions that it exports for these modules: what a region has many calls of, its ways out above all. */
export const EXPORTED = ['interpret', 'leaveRegion', 'lookupFrom', 'look'] as const;

/** What the import `complex` returns. */
export const ComplexResult = {
  /** Go on with the next record. */
  Next: 0,
  /** Leave; the instruction has not been done. */
  Leave: 1,
  /** Leave; it has been done and `rip` is set. */
  LeaveBehind: 2,
} as const;

/** What runs guest code, as far as other threads can have it: V8 compiles each function once for all of them. */
export interface CompiledTier0 {
  /** Compiled when first asked for. */
  readonly module: WebAssembly.Module;
  /** How many handlers it has, in the table that it exports as {@link HANDLERS}. */
  readonly handlers: number;
  /** Instructions done in TypeScript, by the numbers that the module has for them. */
  readonly complex: readonly string[];
}

/** What a vCPU runs guest code with. */
export interface RunnableTier0 extends CompiledTier0 {
  readonly forms: FormTable;
}

/** With what modules need that are made to run beside it. */
export interface Tier0 extends RunnableTier0 {
  /** The runtime functions as other modules reach them, through the table exported as {@link HELPERS}, which has so
   * many, with the signatures these modules must begin with. */
  readonly helpers: number;
  readonly runtime: Runtime;
  readonly types: readonly Signature[];
}

/** Tier 0 as another thread has built it, for a thread that has built none. */
export function adoptTier0({ module, handlers, complex }: CompiledTier0): RunnableTier0 {
  for (const [number, name] of complex.entries()) {
    if (complexNumber(name) !== number) throw new Error(`instruction ${name} has another number here`);
  }
  return { module, handlers, complex, forms: buildForms(rows) };
}
