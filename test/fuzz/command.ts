/** The command line of the fuzzers. */
import { parseArgs } from 'node:util';
import { fuzz } from './watchdog.ts';

/** Reads a whole number of an option.
 * @throws Error where it is none */
function whole(name: string, text: string): number {
  if (!/^\d+$/.test(text)) throw new Error(`--${name} takes a whole number, not '${text}'`);
  return Number(text);
}

/** Runs the fuzzer of a thread's module as the options say, prints what it found, and sets the exit status. */
export async function runFuzzer(script: URL): Promise<void> {
  const { values } = parseArgs({
    options: { seconds: { type: 'string' }, seed: { type: 'string' }, cases: { type: 'string' } },
  });
  const seed = values.seed === undefined ? Date.now() % 2 ** 32 : whole('seed', values.seed);
  const cases = values.cases === undefined ? Infinity : whole('cases', values.cases);
  const limit = values.cases === undefined ? 60 : Infinity;
  const seconds = values.seconds === undefined ? limit : whole('seconds', values.seconds);
  console.log(`seed ${seed}`);
  const { findings, summary } = await fuzz(script, { seed, cases, seconds });
  for (const finding of findings) console.log(`\n${finding}`);
  console.log(`\n${summary}; ${findings.length} found`);
  process.exitCode = findings.length === 0 ? 0 : 1;
}
