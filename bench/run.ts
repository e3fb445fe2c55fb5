/**
 * `npm run bench`: how fast guests run, in Guesthouse with and without its second tier and, where it is
 * installed, in QEMU's TCG, on the same machine at the same time. Each figure is a median of several runs; runs
 * of all columns take turns, so that a busy host slows all of them. Where processor time is given beside the
 * clock's, it is what a busy host distorts least.
 */
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { sample } from '../main/cli/sample.ts';
import { firstSentence } from '../main/cli/words.ts';
import { refuse } from '../scripts/command-line.ts';
import { CACHE } from '../test/guest/assemble.ts';
import { type Column, NOT_MEASURED } from './columns.ts';
import { measureKernel, runEverywhere } from './kernel-speed.ts';
import { EMPTY, kernel, type KernelName, KERNELS, UNITS } from './kernels.ts';
import { diskWork, measureDisk } from './disk.ts';
import { measureFirmware } from './firmware.ts';
import { kvmExitMissing, measureKvmExit } from './kvm-exit.ts';
import { bootLinux, type Cost, idleLinux, type Linux } from './measure.ts';
import { type Options, parseOptions, USAGE } from './options.ts';
import { demandOneResult, middle, report, type Series, takeTurns } from './series.ts';
import { measureScreen, SCREEN } from './screen.ts';
import { type KickLatency, measureKick, measureKickFloor } from './kick.ts';
import { measureSmp, middle as middleRatio, type SmpFigures } from './smp.ts';
import { costLine, head, line, ratioLine, type Speed, speeds, summary } from './table.ts';
import { workloadTree } from './workloads/tree.ts';
import { runInGuest, runOnHost, type Workload, WORKLOADS } from './workloads/workloads.ts';

const PROMPT = 'guesthouse:/# ';

/** An idle guest is left alone for a while, then watched, in seconds. */
const SETTLE = 3;
const WATCH = 10;

async function main(options: Options): Promise<boolean> {
  for (const text of options.lacking) console.log(text);
  const guests = options.columns.filter(({ engine }) => engine !== 'native');
  let failed = false;
  if (KERNELS.some(options.wants)) failed = (await benchKernels(guests, options)) || failed;
  if (WORKLOADS.some(options.wants)) failed = (await benchWorkloads(options)) || failed;
  if (options.wants('boot')) failed = (await benchBoot(guests, options)) || failed;
  if (options.wants('firmware')) failed = (await benchFirmware(guests, options)) || failed;
  if (options.wants('idle')) failed = (await benchIdle(guests, options)) || failed;
  if (options.wants('disk')) failed = (await benchDisk(guests, options)) || failed;
  if (options.wants('screen')) await benchScreen(options);
  if (options.wants('smp')) await benchSmp(options);
  if (options.wants('kick')) await benchKick();
  if (options.wants('kvm-exit')) benchKvmExit(options.runs);
  if (options.wants('desktop')) failed = !benchDesktop() || failed;
  return failed;
}

/** Small kernels without an operating system: speeds, and how many times QEMU's they are. */
async function benchKernels(columns: readonly Column[], options: Options): Promise<boolean> {
  console.log(
    `\nkernels: median of ${options.runs}; millions of guest instructions a second, or memory moved, and times` +
      ' as fast as QEMU TCG; each by clock and by processor time',
  );
  console.log(head(columns));
  const start = await runEverywhere(columns, kernel(EMPTY, 100), options);
  let failed = report(EMPTY, start);
  const all: Speed[] = [];
  for (const name of KERNELS) {
    if (!options.wants(name)) continue;
    const { units, runs } = await measureKernel(columns, name, start, options);
    failed = report(name, runs) || failed;
    const found = speeds(units);
    console.log(line(name, units.map((each) => speedOf(name, each)))); // prettier-ignore
    console.log(ratioLine(columns, found));
    all.push(...found);
  }
  for (const each of all.length > 0 ? summary(columns, all) : []) console.log(each);
  console.log(costLine('start', start, []));
  return failed;
}

/** Work per second by clock and by processor time, in millions of instructions or in MiB. */
function speedOf(name: KernelName, unit: Series<Cost>): string {
  const [scale, label, digits] = UNITS[name] === 'bytes' ? [2 ** 20, 'MiB/s', 0] : [1e6, 'MIPS', 1];
  const rate = (figure: (run: Cost) => number): string => {
    const seconds = middle(unit, figure);
    return seconds === undefined || Number.isNaN(seconds) ? '—' : (1 / seconds / scale).toFixed(digits);
  };
  return `${rate((run) => run.seconds)} ${rate((run) => run.cpuSeconds).padStart(6)} ${label}`;
}

/** Programs in a guest Linux. */
async function benchWorkloads({ columns, runs, rounds, limit, wants }: Options): Promise<boolean> {
  const tree = await workloadTree(path.join(CACHE, 'workloads'));
  const { kernel } = await sampleGuest();
  console.log(`\nworkloads: median of ${runs}; times as fast as QEMU TCG, by clock and by processor time`);
  console.log(NOT_MEASURED);
  console.log(head(columns));
  const all: Speed[] = [];
  const allAgain: Speed[] = [];
  let failed = false;
  const once = async ({ engine }: Column, workload: Workload) => {
    const job = { workload, rounds, limit };
    return engine === 'native' ? runOnHost(tree, job) : runInGuest(engine, kernel, tree, job);
  };
  for (const workload of WORKLOADS) {
    if (!wants(workload)) continue;
    const series = await takeTurns(columns, runs, (column) => once(column, workload));
    demandOneResult(series);
    failed = report(workload, series) || failed;
    console.log(costLine(workload, series));
    const again = series.map((each) => ({ ...each, runs: each.runs.flatMap((run) => run.again) }));
    if (rounds > 1) {
      console.log(costLine('  again', again));
      allAgain.push(...speeds(again));
    }
    for (const { column, failure, runs: done } of series) {
      // A guest's clock that does not keep up with the host's would make a slow guest look fast.
      const off = done.map(({ allSeconds, guestSeconds }) => guestSeconds - allSeconds).filter(isOff);
      if (failure === undefined && column.engine !== 'native' && off.length > 0) {
        const seconds = off.map((each) => each.toFixed(2)).join(', ');
        console.log(`  ${workload}: ${column.title}: the guest's clock is off by ${seconds} s`);
      }
    }
    all.push(...speeds(series));
  }
  for (const each of all.length > 0 ? summary(columns, all) : []) console.log(each);
  if (allAgain.length > 0) {
    console.log('again:');
    for (const each of summary(columns, allAgain)) console.log(each);
  }
  return failed;
}

const isOff = (seconds: number): boolean => Math.abs(seconds) > 0.5;

async function sampleGuest(): Promise<Linux> {
  return { ...(await sample(path.join(CACHE, 'sample'))), prompt: PROMPT };
}

/** From the start of the process to the shell's prompt. */
async function benchBoot(columns: readonly Column[], { runs, limit }: Options): Promise<boolean> {
  const linux = await sampleGuest();
  console.log(`\nboot to a shell, one vCPU: median of ${runs}; clock and processor time`);
  console.log(head(columns));
  const series = await takeTurns(columns, runs, async ({ engine }) => {
    if (engine === 'native') throw new Error('a boot needs a machine');
    return bootLinux(engine, linux, limit);
  });
  console.log(costLine('boot', series));
  return report('boot', series);
}

/** From SeaBIOS's first words after reset to the first sector of a disk. */
async function benchFirmware(columns: readonly Column[], { runs, limit }: Options): Promise<boolean> {
  console.log(`\nfirmware, from reset to the first sector of an IDE disk: median of ${runs}`);
  console.log(head(columns));
  const series = await takeTurns(columns, runs, async ({ engine }) => {
    if (engine === 'native') throw new Error('firmware needs a machine');
    return measureFirmware(engine, limit);
  });
  console.log(costLine('firmware', series));
  return report('firmware', series);
}

/** What a guest at its prompt takes of one processor of the host. */
async function benchIdle(columns: readonly Column[], { runs, limit }: Options): Promise<boolean> {
  const linux = await sampleGuest();
  console.log(`\nidle at the prompt: median of ${runs} times ${WATCH} s; share of a processor`);
  console.log(head(columns));
  const series = await takeTurns(columns, runs, async ({ engine }) => {
    if (engine === 'native') throw new Error('a boot needs a machine');
    return idleLinux(engine, linux, { settle: SETTLE, seconds: WATCH, limit });
  });
  const shares = series.map((each) => middle(each, (run) => (100 * run.cpuSeconds) / run.seconds));
  console.log(line('idle', shares.map((share) => (share === undefined ? '—' : `${share.toFixed(2)} %`)))); // prettier-ignore
  return report('idle', series);
}

/** A virtio disk, past the page cache: large blocks, and small ones at random places, 16 at a time. */
async function benchDisk(columns: readonly Column[], { runs, rounds, limit }: Options): Promise<boolean> {
  const linux = await sampleGuest();
  console.log(`\nvirtio disk: median of ${runs}; throughput by clock, and times as fast as QEMU TCG`);
  console.log(head(columns));
  const series = await takeTurns(columns, runs, async ({ engine }) => {
    if (engine === 'native') throw new Error('a disk of this kind needs a machine');
    return measureDisk(engine, linux, { rounds, limit });
  });
  for (const [name, { amount, unit }] of diskWork()) {
    const row = (title: string, from: number, to?: number): void => {
      const some = (all: readonly Cost[] = []): readonly Cost[] => all.slice(from, to);
      const costs = series.map((each) => ({
        ...each,
        runs: each.runs.flatMap((run) => some(run.get(name))),
      }));
      const rates = costs.map((each) => middle(each, ({ seconds }) => amount / seconds));
      console.log(line(title, rates.map((rate) => (rate === undefined ? '—' : `${rate.toFixed(0)} ${unit}`)))); // prettier-ignore
      console.log(ratioLine(columns, speeds(costs)));
    };
    row(name, 0, 1);
    if (rounds > 1) row('  again', 1);
  }
  return report('disk', series);
}

/** Two vCPUs beside one: boot, two copies of a workload, a parallel job. */
async function benchSmp({ runs, limit }: Options): Promise<void> {
  const linux = await sampleGuest();
  console.log(`\ntwo vCPUs: median of ${runs}; clock and processor time`);
  const figures: SmpFigures[] = [];
  for (let run = 0; run < runs; run++) figures.push(await measureSmp(linux, limit));
  const row = (name: string, of: keyof SmpFigures): void => {
    const { seconds, cpuSeconds } = middleRatio(figures.map((each) => each[of]));
    const shown = (ratio: number): string => ratio.toFixed(2).padStart(6);
    console.log(`${name.padEnd(46)}${shown(seconds)} × the time${shown(cpuSeconds)} × the processor time`);
  };
  row('boot, beside one vCPU', 'boot');
  row('two copies of a workload, beside one copy', 'copies');
  row('a job on both, beside a machine of one vCPU', 'job');
  row('a job on both, beside one half after the other', 'halves');
}

/** A guest that draws all of its screen, and one that waits for keys, as a viewer sees them. */
async function benchScreen({ limit }: Options): Promise<void> {
  const { updates, drawn, latencies } = await measureScreen(limit);
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (part: number) => `${sorted[Math.floor(part * (sorted.length - 1))].toFixed(1)} ms`;
  console.log(`\nscreen of ${SCREEN.width}×${SCREEN.height}, as a viewer has it (Tight)`);
  console.log(
    `full updates ${updates.toFixed(1)} a second; the guest draws it ${drawn.toFixed(1)} times a second`,
  );
  console.log(`key to changed pixel  median ${at(0.5)}, 95 of 100 within ${at(0.95)}, worst ${at(1)}`);
}

/** How soon vCPUs that work without end stand still, beside as many threads of a C program. */
async function benchKick(): Promise<void> {
  console.log('\nfrom a request to all standing still');
  const show = (what: string, { middle, worst }: KickLatency) =>
    console.log(`${what.padEnd(12)}median ${middle.toFixed(2)} ms, worst ${worst.toFixed(2)} ms`);
  for (const vcpus of [1, 2, 2 * availableParallelism()]) {
    const floor = measureKickFloor(vcpus);
    show(`${vcpus} vCPUs`, await measureKick(vcpus));
    if (floor !== undefined) show(`${vcpus} threads`, floor);
  }
  console.log('(threads: a C program whose threads only look at a flag, on the same host: its scheduler)');
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
    console.log(`\nkvm-exit: not measured: ${lacking}`);
    return;
  }
  const { ours, minimal } = measureKvmExit(runs);
  const microseconds = (time: number): string => `${(time / 1000).toFixed(2)} µs`;
  const times = `${microseconds(ours)}, a minimal C program ${microseconds(minimal)}`;
  console.log(`\nkvm-exit  round trip of a port write: ${times}: ${(ours / minimal).toFixed(2)} × its time`);
}

function optionsOf(words: readonly string[]): Options {
  if (words.includes('--help') || words.includes('-h')) {
    process.stdout.write(USAGE);
    process.exit(0);
  }
  try {
    return parseOptions(words);
  } catch (error) {
    return refuse(firstSentence(error));
  }
}

try {
  process.exitCode = (await main(optionsOf(process.argv.slice(2)))) ? 1 : 0;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
