/** The command line of the fuzzers. */
import { commandLine, wholeNumber } from '../../scripts/command-line.ts';
import { fuzz } from './watchdog.ts';

/** Runs the fuzzer of a thread's module as the options say, prints what it found, and sets the exit status.
 * @param name of its script in package.json */
export async function runFuzzer(name: string, script: URL): Promise<void> {
  const usage = `npm run ${name} -- [OPTION]…
  --seconds N  for so long (default: 60, without end where --cases is given)
  --cases N    so many cases
  --seed S     the first case's seed; each next one's is greater by one (default: from the clock)`;
  const values = commandLine(usage, {
    seconds: { type: 'string' },
    seed: { type: 'string' },
    cases: { type: 'string' },
  });
  const seed = values.seed === undefined ? Date.now() % 2 ** 32 : wholeNumber('seed', values.seed);
  const cases = values.cases === undefined ? Infinity : wholeNumber('cases', values.cases);
  const limit = values.cases === undefined ? 60 : Infinity;
  const seconds = values.seconds === undefined ? limit : wholeNumber('seconds', values.seconds);
  console.log(`seed ${seed}`);
  const { findings, summary } = await fuzz(script, { seed, cases, seconds });
  for (const finding of findings) console.log(`\n${finding}`);
  console.log(`\n${summary}; ${findings.length} found`);
  process.exitCode = findings.length === 0 ? 0 : 1;
}
