/**
 * How fast a kernel runs in each column. The engines differ in speed by more than ten, so that a fixed amount of work
 * is over at once in one of them or takes for ever in another: each column does as much as takes it some seconds, and
 * what is compared is the time for one unit of work.
 */
import { type Column } from './columns.ts';
import { type Kernel, kernel, type KernelName } from './kernels.ts';
import { type Cost, type Run, runKernel } from './measure.ts';
import { demandOneResult, middle, type Series, takeTurns } from './series.ts';

/** What a run of a kernel is to take at least, beyond what starting and ending the machine does, in seconds. */
const ENOUGH = 2.5;

/** Work grows by powers of two up to this one, so that there are few images; the kernels' counters hold it. */
const MOST_DOUBLINGS = 8;

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
  const amounts = trial.map((each, index) => {
    const net = netCost(each, start[index]);
    if (net === undefined) return small;
    const shorter = Number.isNaN(net.cpuSeconds) ? net.seconds : Math.min(net.seconds, net.cpuSeconds);
    return kernel(name, Math.min(options.scale, 100) * doublings(shorter, enough));
  });
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
