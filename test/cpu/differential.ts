/**
 * Runs generated cases on the oracle and on a subject, and collects where they differ: one failure for each
 * instruction form, made smaller as long as it stays a failure.
 */
import { LOST, type Case, type Patch, type Result, type Subject } from './case.ts';
import { CpuState } from './case.ts';
import { compareResults, type Difference } from './differential-compare.ts';

export interface Failure {
  readonly of: Case;
  readonly oracle: Result;
  readonly subject: Result;
  readonly differences: readonly Difference[];
}

export interface FormFailures {
  /** How many cases of the form differed. */
  count: number;
  /** The first of them, made smaller. */
  readonly first: Failure;
}

export interface Summary {
  cases: number;
  /** Cases whose result the oracle could not give. */
  lost: number;
  readonly forms: Set<string>;
  readonly failures: Map<string, FormFailures>;
}

/** Anything that makes cases; the generator, or a recorded list. */
export interface CaseSource {
  batch(count: number): Case[];
}

const BATCH = 1024;

/** Runs cases on the oracle and on each subject; of each case, the first subject that differs, or the last. */
async function runAll(
  oracle: Subject,
  subjects: readonly Subject[],
  batch: readonly Case[],
): Promise<Array<Failure & { readonly by: Subject }>> {
  const pending = oracle.run(batch);
  const actual: Array<{ by: Subject; results: Result[] }> = [];
  for (const by of subjects) actual.push({ by, results: await by.run(batch) });
  const expected = await pending;
  return batch.map((of, i) => {
    const runs = actual.map(({ by, results }) => ({
      of,
      by,
      oracle: expected[i],
      subject: results[i],
      differences: expected[i].vector === LOST ? [] : compareResults(of, expected[i], results[i]),
    }));
    return runs.find(({ differences }) => differences.length > 0) ?? runs[runs.length - 1];
  });
}

/**
 * Runs `cases` cases, or until `until` says so.
 *
 * @param subjects at least one; each runs every case
 * @param progress called after each batch
 * @param shrinking whether the first failure of each form is made smaller
 */
export async function runDifferential(options: {
  readonly source: CaseSource;
  readonly oracle: Subject;
  readonly subjects: readonly Subject[];
  readonly cases: number;
  readonly until?: (summary: Summary) => boolean;
  readonly progress?: (summary: Summary) => void;
  readonly shrinking?: boolean;
}): Promise<Summary> {
  const { source, oracle, subjects } = options;
  const summary: Summary = { cases: 0, lost: 0, forms: new Set(), failures: new Map() };
  while (summary.cases < options.cases && options.until?.(summary) !== true) {
    const batch = source.batch(Math.min(BATCH, options.cases - summary.cases));
    for (const run of await runAll(oracle, subjects, batch)) {
      summary.cases++;
      summary.forms.add(run.of.name);
      if (run.oracle.vector === LOST) summary.lost++;
      if (run.differences.length === 0) continue;
      const known = summary.failures.get(run.of.name);
      if (known !== undefined) known.count++;
      else {
        const first = options.shrinking === false ? run : await shrink(oracle, run);
        summary.failures.set(run.of.name, { count: 1, first });
      }
    }
    options.progress?.(summary);
  }
  return summary;
}

const LEGACY_PREFIX = new Set([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3]);

/** Cases that are simpler than `of` in one respect each. */
function simpler(of: Case): Case[] {
  const found: Case[] = [];
  const initial = CpuState.initial(of.mode);
  const withState = (change: (state: CpuState) => void): void => {
    const state = of.state.clone();
    change(state);
    if (Buffer.compare(state.bytes, of.state.bytes) !== 0) found.push({ ...of, state });
  };
  if (of.code.length > 1 && LEGACY_PREFIX.has(of.code[0])) found.push({ ...of, code: of.code.slice(1) });
  withState((state) => state.bytes.set(initial.bytes.subarray(192), 192)); // the whole of x87, SSE and AVX
  withState((state) => (state.rflags = initial.rflags));
  withState((state) => (state.mxcsr = initial.mxcsr));
  withState((state) => (state.fcw = initial.fcw));
  for (let i = 0; i < 16; i++) {
    if (i !== 4) withState((state) => state.setGpr(i, 0n));
    withState((state) => state.xmm(i).fill(0));
    if (i < 8) withState((state) => state.st(i).fill(0));
  }
  of.memory.forEach((_, i) => found.push({ ...of, memory: of.memory.filter((_, j) => j !== i) }));
  return found;
}

/** Simplifies a failure step by step while the first field that differs stays the same. */
async function shrink(oracle: Subject, failure: Failure & { readonly by: Subject }): Promise<Failure> {
  let best = failure;
  for (let round = 0; round < 60; round++) {
    const candidates = simpler(best.of);
    if (candidates.length === 0) break;
    const runs = await runAll(oracle, [failure.by], candidates);
    const field = failure.differences[0].field;
    const next = runs.find((run) => run.differences[0]?.field === field);
    if (next === undefined) break;
    best = next;
  }
  return best;
}

/** Patches in the order of their address, for reports. */
export function sortedPatches(patches: readonly Patch[]): Patch[] {
  return [...patches].sort((a, b) => a.address - b.address);
}
