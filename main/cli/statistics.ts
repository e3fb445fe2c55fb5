/** What `--stats` prints: one aligned table. */
import type { MachineStatistics } from '../../engine/host/machine.ts';
import { bootRows } from './boot-events.ts';

/** Addresses that are listed, the most frequent first. */
const MOST_ACCESSES = 8;

/** @returns lines without line feeds: a name, a count, and a time where there is one */
export function statisticsTable(statistics: MachineStatistics): string[] {
  const { exits, accesses, instructions, guestSeconds, awakeSeconds, seconds, accelerator, boot } =
    statistics;
  const rate = awakeSeconds > 0 ? instructions / awakeSeconds : 0;
  const rows: Array<[name: string, count: string, time: string]> = [
    ['', 'count', 'seconds'],
    ['instructions', whole(instructions), ''],
    ['instructions per second awake', whole(rate), ''],
    ['running', '', time(seconds)],
    ['awake', '', time(awakeSeconds)],
    ['in the guest', '', time(guestSeconds)],
    ...exits
      .filter(({ count }) => count > 0)
      .map(({ reason, count, seconds: spent }): [string, string, string] => [
        `exit ${reason}`,
        whole(count),
        time(spent),
      ]),
    ...accesses
      .slice(0, MOST_ACCESSES)
      .map(({ kind, address, count, seconds: spent }): [string, string, string] => [
        kind === 'other' ? 'elsewhere' : `${kind} 0x${address.toString(16)}`,
        whole(count),
        time(spent),
      ]),
    ...Object.entries(accelerator).map(([name, count]): [string, string, string] => [
      name,
      figure(count),
      '',
    ]),
    ...bootRows(boot).map(([name, when]): [string, string, string] => [`at ${name}`, '', when]),
  ];
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map(([name, count, spent]) =>
    `${name.padEnd(widths[0])}  ${count.padStart(widths[1])}  ${spent.padStart(widths[2])}`.trimEnd(),
  );
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function figure(value: number): string {
  return Number.isInteger(value) ? whole(value) : value.toFixed(3);
}

function time(seconds: number): string {
  return seconds.toFixed(3);
}
