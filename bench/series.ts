/** Repeated measurements in several columns, by turns, so that a busy host slows all of them. */
import type { Column } from './columns.ts';
import { median } from './measure.ts';

/** A column's part in the measurement of one thing: what came of each run. */
export interface Series<T> {
  readonly column: Column;
  readonly runs: T[];
  failure: string | undefined;
}

/** Runs `once` in each column by turns. A failure ends a column's part. */
export async function takeTurns<T>(
  columns: readonly Column[],
  runs: number,
  once: (column: Column) => Promise<T>,
): Promise<Array<Series<T>>> {
  const series: Array<Series<T>> = columns.map((column) => ({ column, runs: [], failure: undefined }));
  for (let run = 0; run < runs; run++) {
    for (const each of series) {
      if (each.failure !== undefined) continue;
      try {
        each.runs.push(await once(each.column));
      } catch (error) {
        each.failure = error instanceof Error ? error.message : String(error);
      }
    }
  }
  return series;
}

/** Fails every series where the runs did not all come to one result. */
export function demandOneResult<T extends { readonly result: string }>(
  series: ReadonlyArray<Series<T>>,
): void {
  const results = new Map<string, string>();
  for (const { column, runs } of series) for (const { result } of runs) results.set(result, column.title);
  if (results.size <= 1) return;
  const all = [...results].map(([result, title]) => `${result} (${title})`).join(', ');
  for (const each of series) each.failure ??= `results differ: ${all}`;
}

/** The median of a figure over the runs; undefined where the series failed. */
export function middle<T>({ runs, failure }: Series<T>, figure: (run: T) => number): number | undefined {
  return failure === undefined && runs.length > 0 ? median(runs.map(figure)) : undefined;
}

/** Prints what failed; returns whether anything did. */
export function report(name: string, series: ReadonlyArray<Series<unknown>>): boolean {
  const failed = series.filter(({ failure }) => failure !== undefined);
  for (const { column, failure } of failed) console.error(`${name}: ${column.title}: ${failure}`);
  return failed.length > 0;
}
