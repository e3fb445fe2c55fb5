/** The benchmark's tables: a line for each guest, and in each column its speed beside QEMU's. */
import { type Column, REFERENCE } from './columns.ts';
import { type Cost, geometricMean } from './measure.ts';
import { middle, type Series } from './series.ts';

const NAME = 10;
const CELL = 20;

/** The columns' titles. */
export function head(columns: readonly Column[]): string {
  return ''.padEnd(NAME) + columns.map(({ title }) => title.padStart(CELL)).join('');
}

export function line(name: string, cells: readonly string[]): string {
  return name.padEnd(NAME) + cells.map((cell) => cell.padStart(CELL)).join('');
}

/** How many times as fast as the reference each column is: by the host's clock, and by processor time. */
export interface Speed {
  readonly column: Column;
  readonly wall: number;
  readonly cpu: number;
}

/** The speeds of those series that have figures, where the reference has too. */
export function speeds(series: ReadonlyArray<Series<Cost>>): Speed[] {
  const reference = series.find(({ column }) => column.name === REFERENCE);
  if (reference === undefined) return [];
  const wall = middle(reference, (run) => run.seconds);
  const cpu = middle(reference, (run) => run.cpuSeconds);
  if (wall === undefined || cpu === undefined) return [];
  return series.flatMap((each) => {
    const seconds = middle(each, (run) => run.seconds);
    const cpuSeconds = middle(each, (run) => run.cpuSeconds);
    // A tick of the processor's clock is 10 ms: less than that was not measured.
    if (each === reference || seconds === undefined || cpuSeconds === undefined || cpuSeconds === 0)
      return [];
    return [{ column: each.column, wall: wall / seconds, cpu: cpu / cpuSeconds }];
  });
}

/** NaN is what the host has no figures for. */
const ratio = (value: number): string => (Number.isNaN(value) ? '—' : value.toFixed(value < 10 ? 2 : 1));

const both = ({ wall, cpu }: Omit<Speed, 'column'>): string => `${ratio(wall)} × ${ratio(cpu).padStart(5)} ×`;

/** A line of ratios alone. */
export function ratioLine(columns: readonly Column[], found: readonly Speed[]): string {
  const cells = columns.map((column) => {
    const speed = found.find((each) => each.column === column);
    return speed === undefined ? '' : both(speed);
  });
  return line('', cells);
}

/** A line of ratios; the reference's cell, and all where it is missing, hold seconds: clock, processor.
 * @param found the ratios; none for a line of seconds alone */
export function costLine(
  name: string,
  series: ReadonlyArray<Series<Cost>>,
  found: readonly Speed[] = speeds(series),
): string {
  const cells = series.map((each) => {
    const speed = found.find(({ column }) => column === each.column);
    if (speed !== undefined) return both(speed);
    const seconds = middle(each, (run) => run.seconds);
    const cpuSeconds = middle(each, (run) => run.cpuSeconds);
    if (seconds === undefined || cpuSeconds === undefined) return '—';
    return `${seconds.toFixed(2)} s ${cpuSeconds.toFixed(2).padStart(5)} s`;
  });
  return line(name, cells);
}

/** The geometric means of all speeds, and the least of them by processor time. */
export function summary(columns: readonly Column[], all: readonly Speed[]): string[] {
  const cells = (of: (speeds: readonly Speed[]) => string) =>
    columns.map((column) => {
      const own = all.filter((speed) => speed.column === column);
      return own.length === 0 ? '' : of(own);
    });
  const mean = cells((own) => {
    const wall = geometricMean(own.map((speed) => speed.wall));
    const cpu = geometricMean(own.map((speed) => speed.cpu));
    return both({ wall, cpu });
  });
  const least = cells((own) => {
    const wall = Math.min(...own.map((speed) => speed.wall));
    const cpu = Math.min(...own.map((speed) => speed.cpu));
    return both({ wall, cpu });
  });
  return [line('mean', mean), line('least', least)];
}
