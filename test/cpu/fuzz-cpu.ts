/**
 * `npm run fuzz:cpu -- --seconds N --seed S [--only REGEX] [--cases N] [--mode 32|64] [--features a,b] [--model M]
 *    [--tier 0|1|eager|interrupt]… [--programs]`
 *
 * Runs random instructions on the host's processor and on ours until the time or the number of cases is up, and
 * prints the first difference of every form. Status: 0 all agree, 1 differences, 69 cannot run here.
 * Every case runs on our processor once for each `--tier` (see engine/accel/wasm/tiers.ts; all by default).
 * `--programs` makes short programs with loops and calls in place of single instructions.
 * `--self` compares the oracle with itself, which checks that the cases are deterministic.
 */
import { parseArgs } from 'node:util';
import type { Subject } from './case.ts';
import { runDifferential } from './differential.ts';
import { reportFailure, reportTotals } from './differential-report.ts';
import { DEFAULT_FEATURES, Generator } from './generator.ts';
import { ProgramGenerator } from './generator-program.ts';
import { Oracle, oracleUnavailable } from './oracle.ts';
import { loadProcessor } from './subject.ts';

const EXIT_DIFFERENCES = 1;
const EXIT_UNAVAILABLE = 69;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string' },
      seed: { type: 'string', default: String(Date.now() & 0x7fff_ffff) },
      cases: { type: 'string' },
      only: { type: 'string' },
      mode: { type: 'string' },
      features: { type: 'string' },
      model: { type: 'string' },
      self: { type: 'boolean', default: false },
      tier: { type: 'string', multiple: true, default: ['0', 'eager', 'interrupt'] },
      programs: { type: 'boolean', default: false },
    },
  });
  const unavailable = oracleUnavailable();
  if (unavailable !== null) {
    console.error(unavailable);
    return EXIT_UNAVAILABLE;
  }
  const features: readonly string[] = values.features?.split(',') ?? DEFAULT_FEATURES;
  const instructions = new Generator({
    seed: Number(values.seed),
    features,
    ...(values.only === undefined ? {} : { only: new RegExp(values.only) }),
    ...(values.mode === '32' || values.mode === '64' ? { mode: values.mode === '32' ? 32 : 64 } : {}),
  });
  const source = values.programs ? new ProgramGenerator(Number(values.seed), features) : instructions;
  const oracle = new Oracle();
  const second = new Oracle();
  const subjects: Subject[] = values.self ? [second] : [];
  for (const tier of values.self ? [] : values.tier) {
    const processor = await loadProcessor({
      fsgsbase: features.includes('fsgsbase'),
      avx: features.includes('avx'),
      tier,
      ...(values.model === undefined ? {} : { cpuModel: values.model }),
    });
    if (processor === null) {
      console.error('there is no processor to test in this checkout');
      return EXIT_UNAVAILABLE;
    }
    subjects.push(processor);
  }

  const seconds =
    values.seconds === undefined ? (values.cases === undefined ? 60 : Infinity) : Number(values.seconds);
  const cases = values.cases === undefined ? Infinity : Number(values.cases);
  const start = performance.now();
  const elapsed = (): number => (performance.now() - start) / 1000;
  console.log(
    `seed ${values.seed}, ${values.programs ? 'programs' : `${instructions.templates.length} instruction forms`}`,
  );
  let nextReport = 5;
  const summary = await runDifferential({
    source,
    oracle,
    subjects,
    cases,
    until: () => elapsed() >= seconds,
    progress: (now) => {
      if (elapsed() < nextReport) return;
      nextReport = elapsed() + 5;
      console.log(`${Math.round(elapsed())} s: ${reportTotals(now)}`);
    },
  });
  oracle.close();
  second.close();
  for (const { first, count } of summary.failures.values()) console.log(`\n${reportFailure(first, count)}`);
  console.log(`\n${reportTotals(summary)} (${Math.round(summary.cases / elapsed())} a second)`);
  return summary.failures.size === 0 ? 0 : EXIT_DIFFERENCES;
}

process.exitCode = await main();
