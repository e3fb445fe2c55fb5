/** The benchmark's command line. */
import { parseArgs } from 'node:util';
import { COLUMNS, type Column, missing } from './columns.ts';
import { KERNELS } from './kernels.ts';
import { WORKLOADS } from './workloads/workloads.ts';

/** What is measured besides kernels and workloads. */
const OTHERS = ['boot', 'firmware', 'idle', 'disk', 'screen', 'smp', 'kick', 'kvm-exit', 'desktop'] as const;

export const USAGE = `Usage: npm run bench -- [OPTION]…
  --only NAME     just this; may be repeated:
                    kernels    ${KERNELS.join(' ')}
                    workloads  ${WORKLOADS.join(' ')}
                    others     ${OTHERS.join(' ')}
                    and the words kernels and workloads for all of a kind
  --engines LIST  just these columns, by commas: ${COLUMNS.map(({ name }) => name).join(',')}
  --runs N        runs of each guest in each column (default: 3)
  --rounds N      times a guest does its workload, or each kind of work with a disk, once started; the first
                  time and the others are told apart, since the others find translated code (default: 1)
  --scale N       percent of the time that a kernel usually runs, 2.5 s or more (default: 100)
  --limit N       seconds a run may take (default: 300)
`;

export interface Options {
  readonly runs: number;
  readonly rounds: number;
  readonly scale: number;
  readonly limit: number;
  /** Those that were asked for and can be had. */
  readonly columns: readonly Column[];
  /** One line each for those that were asked for and cannot be had. */
  readonly lacking: readonly string[];
  wants(name: string): boolean;
}

/**
 * Parses the words behind `npm run bench --`.
 *
 * @throws Error with a line for the user where they are wrong
 */
export function parseOptions(words: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...words],
    options: {
      runs: { type: 'string', default: '3' },
      rounds: { type: 'string', default: '1' },
      scale: { type: 'string', default: '100' },
      limit: { type: 'string', default: '300' },
      engines: { type: 'string', default: COLUMNS.map(({ name }) => name).join(',') },
      only: { type: 'string', multiple: true },
    },
  });
  const whole = (name: 'runs' | 'rounds' | 'scale' | 'limit'): number => {
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < 1)
      throw new Error(`--${name} must be a whole number of at least 1`);
    return value;
  };
  const asked = values.engines.split(',');
  for (const name of asked) {
    if (!COLUMNS.some((column) => column.name === name)) throw new Error(`--engines: there is no '${name}'`);
  }
  const kinds: ReadonlyArray<readonly [kind: string, names: readonly string[]]> = [
    ['kernels', KERNELS],
    ['workloads', WORKLOADS],
  ];
  const only = values.only?.flatMap((name) => [name, ...(kinds.find(([kind]) => kind === name)?.[1] ?? [])]);
  const known = new Set<string>([...kinds.flat(2), ...OTHERS]);
  for (const name of only ?? []) {
    if (!known.has(name)) throw new Error(`--only: there is no '${name}'`);
  }
  const columns = COLUMNS.filter(({ name }) => asked.includes(name));
  return {
    runs: whole('runs'),
    rounds: whole('rounds'),
    scale: whole('scale'),
    limit: whole('limit'),
    columns: columns.filter((column) => missing(column) === undefined),
    lacking: columns.flatMap((column) => {
      const reason = missing(column);
      return reason === undefined ? [] : [`no column ${column.title}: ${reason}`];
    }),
    wants: (name) => only === undefined || only.includes(name),
  };
}
