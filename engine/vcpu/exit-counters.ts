/**
 * How often a vCPU left the guest, why, and how long it took to serve; always on.
 *
 * Reading a clock costs as much as serving a simple port access, so the time of those is sampled: one in
 * {@link SAMPLE} is measured and counted that many times.
 */
import { ExitReason } from '../accel/contract.ts';
import { type Arena, layout, type View } from '../memory/layout.ts';

/** One I/O exit in this many is timed; a power of two. */
export const SAMPLE = 16;

const REASONS = Object.keys(ExitReason).length;

const countersLayout = layout('exit-counters', 1, {
  exits: ['f64', REASONS],
  /** Nanoseconds outside the guest, by the reason for leaving it. */
  nanoseconds: ['f64', REASONS],
  instructions: 'f64',
  /** Nanoseconds the run loop has been running, in the guest or out of it. */
  total: 'f64',
});

/** What was counted for one or several vCPUs. Times in seconds. */
export interface ExitStatistics {
  readonly exits: ReadonlyArray<{
    readonly reason: string;
    readonly count: number;
    readonly seconds: number;
  }>;
  readonly instructions: number;
  /** Time in the guest; an estimate. */
  readonly guestSeconds: number;
  /** Time in the guest or serving its exits, HLT apart. */
  readonly awakeSeconds: number;
  /** All time, asleep or not, of the vCPU that ran longest. */
  readonly seconds: number;
}

export class ExitCounters {
  readonly #at: View<typeof countersLayout.fields>;

  constructor(arena: Arena) {
    this.#at = arena.place(countersLayout);
  }

  /** Counts an exit.
   * @returns how often this reason has come, this time included */
  count(reason: ExitReason): number {
    return ++this.#at.exits[reason];
  }

  /** Adds to the time spent serving a reason, in nanoseconds. */
  spend(reason: ExitReason, nanoseconds: number): void {
    this.#at.nanoseconds[reason] += nanoseconds;
  }

  /** Notes how far the vCPU has come: instructions, and nanoseconds since its loop started. */
  progress(instructions: number, total: number): void {
    this.#at.instructions = instructions;
    this.#at.total = total;
  }

  /** The sums over vCPUs. */
  static sum(counters: readonly ExitCounters[]): ExitStatistics {
    const views = counters.map((each) => each.#at);
    const add = (of: (view: View<typeof countersLayout.fields>) => number) =>
      views.reduce((sum, view) => sum + of(view), 0);
    const total = add((view) => view.total);
    const spent = (index: number) => add((view) => view.nanoseconds[index]);
    const sampled = spent(ExitReason.PortIo) + spent(ExitReason.Mmio);
    const exact = add((view) => view.nanoseconds.reduce((sum, each) => sum + each, 0)) - sampled;
    // A sample that was held up by the host counts many times: the estimate must not exceed what there was.
    const scale = sampled === 0 ? 1 : Math.min(1, Math.max(0, total - exact) / sampled);
    return {
      exits: Object.entries(ExitReason).map(([reason, index]) => {
        const isSampled = index === ExitReason.PortIo || index === ExitReason.Mmio;
        return {
          reason,
          count: add((view) => view.exits[index]),
          seconds: (spent(index) * (isSampled ? scale : 1)) / 1e9,
        };
      }),
      instructions: add((view) => view.instructions),
      guestSeconds: Math.max(0, total - exact - sampled * scale) / 1e9,
      awakeSeconds: Math.max(0, total - spent(ExitReason.Halt)) / 1e9,
      seconds: Math.max(0, ...views.map((view) => view.total)) / 1e9,
    };
  }
}
