/**
 * `npm run fuzz:cpu`
 *
 * Runs random instructions on the host's processor and on ours until the time or the number of cases is up, and
 * prints the first difference of every form as it is found. Status: 0 all agree, 1 differences, 69 cannot run here.
 */
import { commandLine, oneOf, refuse, wholeNumber } from '../../scripts/command-line.ts';
import type { Subject } from './case.ts';
import { runDifferential } from './differential.ts';
import { reportFailure, reportTotals } from './differential-report.ts';
import { DEFAULT_FEATURES, Generator } from './generator.ts';
import { ProgramGenerator } from './generator-program.ts';
import { Oracle, oracleUnavailable } from './oracle.ts';
import { loadProcessor } from './subject.ts';

const EXIT_DIFFERENCES = 1;
const EXIT_UNAVAILABLE = 69;

const TIERS = ['0', '1', 'eager', 'interrupt'] as const;
const MODES = ['32', '64'] as const;

const USAGE = `npm run fuzz:cpu -- [OPTION]…
  --seconds N      for so long (default: 60, without end where --cases is given)
  --cases N        so many cases
  --seed S         makes the same cases again (default: from the clock)
  --skip N         makes the first N of them without running them
  --only REGEX     just the instruction forms that match
  --mode 32|64     just this mode
  --features A,B…  instructions of these features too (default: ${DEFAULT_FEATURES.join(',')})
  --model NAME     our processor's CPU model
  --tier NAME      how ours runs each case: ${TIERS.join(', ')}; may be repeated (default: all but 1)
  --programs       short programs with loops and calls in place of single instructions
  --self           compares the host's processor with itself: whether cases are deterministic`;

/** Reads a regular expression of the command line. */
function pattern(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch {
    return refuse(`--only takes a regular expression, not '${text}'`);
  }
}

async function main(): Promise<number> {
  const values = commandLine(USAGE, {
    seconds: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() & 0x7fff_ffff) },
    cases: { type: 'string' },
    skip: { type: 'string', default: '0' },
    only: { type: 'string' },
    mode: { type: 'string' },
    features: { type: 'string' },
    model: { type: 'string' },
    self: { type: 'boolean', default: false },
    tier: { type: 'string', multiple: true, default: ['0', 'eager', 'interrupt'] },
    programs: { type: 'boolean', default: false },
  });
  const seed = wholeNumber('seed', values.seed);
  const cases = values.cases === undefined ? Infinity : wholeNumber('cases', values.cases, 1);
  const usual = values.cases === undefined ? 60 : Infinity;
  const seconds = values.seconds === undefined ? usual : wholeNumber('seconds', values.seconds, 1);
  const skip = wholeNumber('skip', values.skip, 0);
  const mode = values.mode === undefined ? undefined : oneOf('mode', values.mode, MODES);
  const tiers = values.tier.map((name) => oneOf('tier', name, TIERS));
  const only = values.only === undefined ? undefined : pattern(values.only);
  const unavailable = oracleUnavailable();
  if (unavailable !== null) {
    console.error(unavailable);
    return EXIT_UNAVAILABLE;
  }
  const features: readonly string[] = values.features?.split(',') ?? DEFAULT_FEATURES;
  const instructions = new Generator({
    seed,
    features,
    ...(only === undefined ? {} : { only }),
    ...(mode === undefined ? {} : { mode: mode === '32' ? 32 : 64 }),
  });
  const source = values.programs ? new ProgramGenerator(seed, features) : instructions;
  const oracle = new Oracle();
  const second = new Oracle();
  const subjects: Subject[] = values.self ? [second] : [];
  for (const tier of values.self ? [] : tiers) {
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

  const start = performance.now();
  const elapsed = (): number => (performance.now() - start) / 1000;
  console.log(
    `seed ${seed}, ${values.programs ? 'programs' : `${instructions.templates.length} instruction forms`}`,
  );
  source.batch(skip);
  let nextReport = 5;
  let printed = 0;
  const summary = await runDifferential({
    source,
    oracle,
    subjects,
    cases,
    until: () => elapsed() >= seconds,
    progress: (now) => {
      const failures = [...now.failures.values()].slice(printed);
      for (const { first, count } of failures) console.log(`\n${reportFailure(first, count)}\n`);
      printed += failures.length;
      if (elapsed() < nextReport) return;
      nextReport = elapsed() + 5;
      console.log(`${Math.round(elapsed())} s: ${reportTotals(now)}`);
    },
  });
  oracle.close();
  second.close();
  console.log(`\n${reportTotals(summary)} (${Math.round(summary.cases / elapsed())} a second)`);
  return summary.failures.size === 0 ? 0 : EXIT_DIFFERENCES;
}

process.exitCode = await main();
