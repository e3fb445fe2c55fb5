/**
 * `npm run bench`: how fast guests run, in Guesthouse and, where it is installed, in QEMU's TCG on the same
 * machine at the same time. Each figure is a median of several runs, less the median of an empty guest. The runs
 * of both engines take turns, so that a busy host slows both.
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { sample } from '../main/cli/sample.ts';
import { CACHE } from '../test/guest/assemble.ts';
import { type Engine, guesthouse, qemu } from '../test/guest/engines.ts';
import { type Kernel, kernels } from './kernels.ts';
import { kvmExitMissing, measureKvmExit } from './kvm-exit.ts';
import { bootLinux, median, runKernel } from './measure.ts';

const USAGE = `Usage: npm run bench -- [OPTION]…
  --runs N       runs of each guest in each engine (default: 3)
  --scale N      percent of the usual work (default: 100)
  --only NAME    just this guest (integer stream chase branch call float string boot kvm-exit desktop); may be repeated
  --limit N      seconds a run may take (default: 300)
`;

const PROMPT = 'guesthouse:/# ';

interface Options {
  readonly runs: number;
  readonly scale: number;
  readonly limit: number;
  wants(name: string): boolean;
}

/** An engine's part in the benchmark of one guest: what came of each run. */
interface Series {
  readonly engine: Engine;
  readonly seconds: number[];
  failure: string | undefined;
}

function parseOptions(): Options {
  const { values } = parseArgs({
    options: {
      runs: { type: 'string', default: '3' },
      scale: { type: 'string', default: '100' },
      limit: { type: 'string', default: '300' },
      only: { type: 'string', multiple: true },
    },
  });
  const whole = (name: 'runs' | 'scale' | 'limit'): number => {
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < 1)
      throw new Error(`--${name} must be a whole number of at least 1`);
    return value;
  };
  return {
    runs: whole('runs'),
    scale: whole('scale'),
    limit: whole('limit'),
    wants: (name) => values.only === undefined || values.only.includes(name),
  };
}

/** Runs `once` in each engine by turns. A failure ends an engine's part. */
async function takeTurns(
  engines: readonly Engine[],
  runs: number,
  once: (engine: Engine) => Promise<number>,
): Promise<Series[]> {
  const series: Series[] = engines.map((engine) => ({ engine, seconds: [], failure: undefined }));
  for (let run = 0; run < runs; run++) {
    for (const each of series) {
      if (each.failure !== undefined) continue;
      try {
        each.seconds.push(await once(each.engine));
      } catch (error) {
        each.failure = error instanceof Error ? error.message : String(error);
      }
    }
  }
  return series;
}

/** Runs a kernel in every engine, and sees to it that all of them compute the same. */
async function measureKernel(
  engines: readonly Engine[],
  kernel: Kernel,
  options: Options,
): Promise<Series[]> {
  const results = new Map<string, string>();
  const series = await takeTurns(engines, options.runs, async (engine) => {
    const { seconds, result } = await runKernel(engine, kernel, options.limit);
    results.set(result, engine.name);
    return seconds;
  });
  if (results.size > 1) {
    const all = [...results].map(([result, name]) => `${result} (${name})`).join(', ');
    for (const each of series) each.failure ??= `results differ: ${all}`;
  }
  return series;
}

/** A table's line: the guest, a figure for each engine, and Guesthouse's share of the other's speed. */
function line(name: string, figures: readonly string[], ratio: number | undefined): string {
  const share = ratio === undefined ? '' : `${ratio.toFixed(2)} ×`.padStart(12);
  return name.padEnd(10) + figures.map((figure) => figure.padStart(20)).join('') + share;
}

/** Work per second, in millions of instructions or in MiB. */
function speed({ unit, work }: Kernel, seconds: number): string {
  return unit === 'bytes'
    ? `${(work / 2 ** 20 / seconds).toFixed(1)} MiB/s`
    : `${(work / 1e6 / seconds).toFixed(1)} MIPS`;
}

/** Prints what failed; returns whether anything did. */
function report(name: string, series: readonly Series[]): boolean {
  const failed = series.filter(({ failure }) => failure !== undefined);
  for (const { engine, failure } of failed) console.error(`${name}: ${engine.name}: ${failure}`);
  return failed.length > 0;
}

async function main(): Promise<boolean> {
  const options = parseOptions();
  let failed = await benchGuests(options);
  if (options.wants('kvm-exit')) benchKvmExit(options.runs);
  if (options.wants('desktop')) failed = !benchDesktop() || failed;
  return failed;
}

/** Guests in all engines.
 * @returns whether any failed */
async function benchGuests(options: Options): Promise<boolean> {
  const { empty, measured } = kernels(options.scale);
  const wanted = measured.filter(({ name }) => options.wants(name));
  if (wanted.length === 0 && !options.wants('boot')) return false;
  const lacking = qemu.missing();
  const engines = lacking === undefined ? [guesthouse, qemu] : [guesthouse];
  if (lacking !== undefined) console.log(`${lacking}: nothing to compare with`);
  console.log(`median of ${options.runs}; millions of guest instructions a second, or memory moved\n`);
  const titles = engines.map(({ name }) => name);
  console.log(line('', titles, undefined) + (engines.length > 1 ? 'ratio'.padStart(12) : ''));

  let failed = false;
  const idle = await measureKernel(engines, empty, options);
  failed = report(empty.name, idle) || failed;
  const idleSeconds = idle.map(({ seconds }) => (seconds.length === 0 ? 0 : median(seconds)));
  for (const kernel of wanted) {
    const series = await measureKernel(engines, kernel, options);
    failed = report(kernel.name, series) || failed;
    const seconds = series.map((each, index) =>
      each.failure === undefined ? median(each.seconds) - idleSeconds[index] : NaN,
    );
    const figures = seconds.map((each) => (each > 0 ? speed(kernel, each) : '—'));
    // Speeds, so the other's time over ours.
    const ratio =
      seconds.length > 1 && seconds.every((each) => each > 0) ? seconds[1] / seconds[0] : undefined;
    console.log(line(kernel.name, figures, ratio));
  }

  console.log(line('start', idle.map(startTime), startRatio(idle)));
  if (options.wants('boot')) {
    const files = await sample(path.join(CACHE, 'sample'));
    const boot = await takeTurns(engines, options.runs, (engine) =>
      bootLinux(engine, files, PROMPT, options.limit),
    );
    failed = report('boot', boot) || failed;
    console.log(line('boot', boot.map(startTime), startRatio(boot)));
  }
  return failed;
}

/** How quick the interface is. A program of its own, since part of it runs in a browser.
 * @returns whether it could be measured and lost nothing */
function benchDesktop(): boolean {
  const build = spawnSync('npm', ['run', '--silent', 'build'], { stdio: ['ignore', 'ignore', 'inherit'] });
  if (build.status !== 0) return false;
  const program = path.join(import.meta.dirname, '../test/interface/bench.ts');
  return spawnSync(process.execPath, [program], { stdio: 'inherit' }).status === 0;
}

/** A port write's round trip under KVM, beside that of a minimal C program. */
function benchKvmExit(runs: number): void {
  const lacking = kvmExitMissing();
  if (lacking !== undefined) {
    console.log(`kvm-exit: not measured: ${lacking}`);
    return;
  }
  const { ours, minimal } = measureKvmExit(runs);
  const microseconds = (time: number): string => `${(time / 1000).toFixed(2)} µs`;
  const times = `${microseconds(ours)}, a minimal C program ${microseconds(minimal)}`;
  console.log(`kvm-exit  round trip of a port write: ${times}: ${(ours / minimal).toFixed(2)} × its time`);
}

function startTime({ seconds, failure }: Series): string {
  return failure === undefined ? `${median(seconds).toFixed(2)} s` : '—';
}

/** How many times as fast as the other engine. */
function startRatio(series: readonly Series[]): number | undefined {
  if (series.length < 2 || series.some(({ failure }) => failure !== undefined)) return undefined;
  const [ours, other] = series.map(({ seconds }) => median(seconds));
  return other / ours;
}

try {
  process.exitCode = (await main()) ? 1 : 0;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  console.error(USAGE);
  process.exitCode = 64;
}
