import { existsSync, readFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import type { Case, Result, Subject } from './case.ts';
import { reportFailure, reportTotals } from './differential-report.ts';
import { runDifferential, type Summary } from './differential.ts';
import { DEFAULT_FEATURES, Generator } from './generator.ts';
import { ProgramGenerator } from './generator-program.ts';
import { Oracle, oracleUnavailable } from './oracle.ts';
import { loadProcessor } from './subject.ts';

const unavailable = oracleUnavailable();
if (unavailable !== null) console.warn(`skipped: ${unavailable}`);
const native = test.skipIf(unavailable !== null);
const oracle = new Oracle();
const second = new Oracle();
afterAll(() => {
  oracle.close();
  second.close();
});

function failures(summary: Summary): string {
  return [...summary.failures.values()].map(({ first, count }) => reportFailure(first, count)).join('\n\n');
}

native('the oracle agrees with itself: no case depends on chance', { timeout: 60_000 }, async () => {
  const summary = await runDifferential({
    source: new Generator({ seed: 11 }),
    oracle,
    subjects: [second],
    cases: 40_000,
  });
  expect(failures(summary)).toBe('');
  expect(summary.lost).toBeLessThan(10);
});

native('a wrong subject is found, and the case made smaller', { timeout: 60_000 }, async () => {
  // A processor whose ADC forgets the carry.
  const broken: Subject = {
    async run(batch: readonly Case[]): Promise<Result[]> {
      return second.run(
        batch.map((of) => {
          const state = of.state.clone();
          if (of.name.startsWith('adc')) state.rflags &= ~1n;
          return { ...of, state };
        }),
      );
    },
  };
  const source = new Generator({ seed: 5, only: /^(adc|add) E/, mode: 64 });
  const summary = await runDifferential({ source, oracle, subjects: [broken], cases: 500 });
  expect([...summary.failures.keys()].every((form) => form.startsWith('adc'))).toBe(true);
  const found = summary.failures.get('adc Ev,Gv');
  expect(found).toBeDefined();
  if (found === undefined) return;
  expect(found.first.of.state.rflags & 1n).toBe(1n);
  expect(reportFailure(found.first, found.count)).toContain('adc');
  expect(reportTotals(summary)).toContain('differences in');
});

native('our processor agrees with the host', { timeout: 300_000 }, async (context) => {
  const processor = await loadProcessor();
  if (processor === null) return context.skip('no processor of ours in this checkout');
  const source = new Generator({ seed: 20_260_101 });
  const summary = await runDifferential({ source, oracle, subjects: [processor], cases: 200_000 });
  expect(failures(summary)).toBe('');
});

native(
  'our processor agrees with the host in every tier, also over whole programs',
  { timeout: 300_000 },
  async (context) => {
    const processors = await Promise.all(['0', 'eager', 'interrupt'].map((tier) => loadProcessor({ tier })));
    const subjects = processors.filter((each) => each !== null);
    if (subjects.length < processors.length) return context.skip('no processor of ours in this checkout');
    const programs = new ProgramGenerator(20_261_121, DEFAULT_FEATURES);
    const instructions = new Generator({ seed: 20_261_122, mode: 64 });
    for (const [source, cases] of [
      [programs, 1000],
      [instructions, 3000],
    ] as const) {
      const summary = await runDifferential({ source, oracle, subjects, cases });
      expect(failures(summary)).toBe('');
    }
  },
);

const hasAvx2 = /^flags\s*:.*\bavx2\b.*\bvaes\b/m.test(
  existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'latin1') : '',
);

test.skipIf(unavailable !== null || !hasAvx2)(
  'our processor agrees with the host on AVX and AVX2, interpreted and compiled',
  { timeout: 300_000 },
  async (context) => {
    const processors = await Promise.all(['0', 'eager'].map((tier) => loadProcessor({ tier, avx: true })));
    const subjects = processors.filter((each) => each !== null);
    if (subjects.length < processors.length) return context.skip('no processor of ours in this checkout');
    const features = ['avx', 'avx2', 'aes', 'pclmulqdq'];
    const source = new Generator({ seed: 20_261_123, features, only: /^v/ });
    const summary = await runDifferential({ source, oracle, subjects, cases: 3000 });
    expect(failures(summary)).toBe('');
  },
);
