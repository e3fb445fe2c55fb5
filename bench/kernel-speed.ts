/**
 * How fast a kernel runs in each column. The engines differ in speed by more than ten, so that a fixed amount of work
 * is over at once in one of them or takes for ever in another: each column does as much as takes it some seconds, and
 * what is compared is the time for one unit of work.
 */
import type { Column } from './columns.ts';
import { type Kernel, kernel, type KernelName } from './kernels.ts';
import { type Cost, type Run, runKernel } from './measure.ts';
import { demandOneResult, middle, type Series, takeTurns } from './series.ts';

/** What a run of a kernel is to take at least, beyond what starting and ending the machine does, in seconds. */
const ENOUGH = 2.5;

/** Work grows by powers of two up to this one, so that there are few images; the kernels' counters hold it. */
const MOST_DOUBLINGS = 8;

/** A trial says something where it took this part of the time that is wanted. */
const TELLING = 8;

/** No time is told apart from the machine's start that is shorter than this, in seconds. */
const LEAST = 0.05;

export interface KernelSpeed {
  /** One cost for each column that could be measured: what a unit of work takes. */
  readonly units: ReadonlyArray<Series<Cost>>;
  /** What was run, with failures. */
  readonly runs: ReadonlyArray<Series<Run>>;
}

export interface KernelOptions {
  /** Runs in each column. */
  readonly runs: number;
  /** Percent of the usual time. */
  readonly scale: number;
  /** Seconds that a run may take. */
  readonly limit: number;
}

/** One run in a column. */
const once = ({ engine }: Column, of: Kernel, limit: number): Promise<Run> => {
  if (engine === 'native') throw new Error('a kernel needs a machine');
  return runKernel(engine, of, limit);
};

/** Runs the same work in every column, and sees to it that all compute the same. */
export async function runEverywhere(
  columns: readonly Column[],
  of: Kernel,
  { runs, limit }: KernelOptions,
): Promise<Array<Series<Run>>> {
  const series = await takeTurns(columns, runs, (column) => once(column, of, limit));
  demandOneResult(series);
  return series;
}

/**
 * Measures a kernel: a short run in each column, which all must come to the same result, says how much each does in
 * the runs that count.
 *
 * @param start what the kernel that does nothing takes, by column
 */
export async function measureKernel(
  columns: readonly Column[],
  name: KernelName,
  start: ReadonlyArray<Series<Run>>,
  options: KernelOptions,
): Promise<KernelSpeed> {
  const small = kernel(name, Math.min(options.scale, 100));
  const trial = await runEverywhere(columns, small, { ...options, runs: 1 });
  const enough = (ENOUGH * options.scale) / 100;
  const amounts: Kernel[] = [];
  for (const [index, each] of trial.entries()) {
    const amount = { name, percent: Math.min(options.scale, 100), enough, limit: options.limit };
    amounts.push(each.failure === undefined ? await enoughWork(each, start[index], amount) : small);
  }
  const runs = await takeTurns(columns, options.runs, (column) => {
    const index = columns.indexOf(column);
    const { failure } = trial[index];
    if (failure !== undefined) throw new Error(failure);
    return once(column, amounts[index], options.limit);
  });
  for (const amount of new Set(amounts)) {
    demandOneResult(runs.filter((_, index) => amounts[index].work === amount.work));
  }
  const units = runs.map((each, index): Series<Cost> => {
    const net = netCost(each, start[index]);
    const { work } = amounts[index];
    const unit =
      net === undefined ? [] : [{ seconds: net.seconds / work, cpuSeconds: net.cpuSeconds / work }];
    return { column: each.column, runs: unit, failure: each.failure };
  });
  return { units, runs };
}

interface Amount {
  readonly name: KernelName;
  /** What the trial did, in percent of the usual work. */
  readonly percent: number;
  /** Seconds that the work is to take. */
  readonly enough: number;
  readonly limit: number;
}

/** The work that takes a column long enough, from a trial of it. One that drowned in what the machine's start takes now
 * and then says nothing, and is done again with more. */
async function enoughWork(
  trial: Series<Run>,
  start: Series<Run>,
  { name, percent, enough, limit }: Amount,
): Promise<Kernel> {
  const most = 2 ** MOST_DOUBLINGS;
  let times = 1;
  for (let done = trial; ;) {
    const net = netCost(done, start);
    const seconds = net === undefined ? 0 : Number.isNaN(net.cpuSeconds) ? net.seconds : net.cpuSeconds;
    if (seconds * TELLING >= enough || times === most || done.failure !== undefined) {
      return kernel(name, percent * Math.min(times * doublings(seconds, enough), most));
    }
    times = Math.min(times * TELLING, most);
    const more = kernel(name, percent * times);
    [done] = await takeTurns([trial.column], 1, (column) => once(column, more, limit));
  }
}

/** By how much to multiply work that has taken `seconds` for it to take `enough`: a power of two. */
export function doublings(seconds: number, enough: number): number {
  const times = Math.ceil(Math.log2(enough / Math.max(seconds, LEAST)));
  return 2 ** Math.min(Math.max(times, 0), MOST_DOUBLINGS);
}

/** What the runs took beyond the machine's start and end; undefined where that is not known or too little to tell. */
function netCost(runs: Series<Run>, start: Series<Run>): Cost | undefined {
  const net = (figure: (run: Cost) => number): number | undefined => {
    const [all, none] = [middle(runs, figure), middle(start, figure)];
    return all === undefined || none === undefined ? undefined : all - none;
  };
  const seconds = net((run) => run.seconds);
  const cpuSeconds = net((run) => run.cpuSeconds);
  if (seconds === undefined || cpuSeconds === undefined || seconds <= 0 || cpuSeconds <= 0) return undefined;
  return { seconds, cpuSeconds };
}
