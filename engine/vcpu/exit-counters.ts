/**
 * How often a vCPU left the guest, why, and how long it took to serve; always on. Port and memory accesses are
 * also told apart by address, as far as there is room: of a guest that touches more addresses than that, those that it
 * touches seldom are counted as one.
 *
 * Reading a clock costs as much as serving a simple port access, so the time of those is sampled: one in
 * {@link SAMPLE} is measured and counted that many times.
 */
import { ExitReason } from '../accel/contract.ts';
import { type Arena, layout, type View } from '../memory/layout.ts';

/** One I/O exit in this many is timed; a power of two. */
export const SAMPLE = 16;

const REASONS = Object.keys(ExitReason).length;

/** Addresses told apart; a power of two. */
const ADDRESSES = 256;

/** Places that an address may have. */
const PROBES = 8;

/** Where all other addresses are counted. */
const REST = ADDRESSES;

const countersLayout = layout('exit-counters', 3, {
  exits: ['f64', REASONS],
  /** Nanoseconds outside the guest, by the reason for leaving it. */
  nanoseconds: ['f64', REASONS],
  instructions: 'f64',
  /** Nanoseconds the run loop has been running, in the guest or out of it. */
  total: 'f64',
  /** Twice the port or address, plus 1 for a port and 2 for memory; 0 where the place is free. */
  accessKey: ['f64', ADDRESSES + 1],
  accesses: ['f64', ADDRESSES + 1],
  /** Who has least of it makes room: the accesses, and those of the addresses that had the place before. */
  accessRank: ['f64', ADDRESSES],
  accessNanoseconds: ['f64', ADDRESSES + 1],
});

/** Bytes of the machine area that the counters of one vCPU take. */
export const EXIT_COUNTERS_BYTES = countersLayout.size;

/** What was counted for one address. */
export interface AccessStatistics {
  /** `other` for all those that there was no room to tell apart. */
  readonly kind: 'port' | 'memory' | 'other';
  /** Port number or guest-physical address; 0 for `other`. */
  readonly address: number;
  readonly count: number;
  /** An estimate from samples. */
  readonly seconds: number;
}

/** What was counted for one or several vCPUs. Times in seconds. */
export interface ExitStatistics {
  readonly exits: ReadonlyArray<{
    readonly reason: string;
    readonly count: number;
    readonly seconds: number;
  }>;
  /** Port and memory accesses by address, the most frequent first. */
  readonly accesses: readonly AccessStatistics[];
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

  /** Counts an access at a port or a guest-physical address.
   * @returns its place, for {@link spendAccess} */
  countAccess(reason: typeof ExitReason.PortIo | typeof ExitReason.Mmio, address: number): number {
    const { accessKey, accesses, accessRank, accessNanoseconds } = this.#at;
    const key = 2 * address + (reason === ExitReason.Mmio ? 2 : 1);
    // Registers lie 4 or 16 bytes apart, ports next to each other.
    let place = (key ^ (key >>> 5)) & (ADDRESSES - 1);
    let least = place;
    for (let probe = 0; probe < PROBES; probe++, place = (place + 1) & (ADDRESSES - 1)) {
      if (accessKey[place] === 0) accessKey[place] = key;
      if (accessKey[place] === key) {
        accesses[place]++;
        accessRank[place]++;
        return place;
      }
      if (accessRank[place] < accessRank[least]) least = place;
    }
    accesses[REST] += accesses[least];
    accessNanoseconds[REST] += accessNanoseconds[least];
    accessKey[least] = key;
    accesses[least] = 1;
    accessNanoseconds[least] = 0;
    // With the rank of those before, it need not come as often as they all before it stays.
    accessRank[least]++;
    return least;
  }

  /** Adds to the time spent serving the accesses of a place, in nanoseconds. */
  spendAccess(place: number, nanoseconds: number): void {
    this.#at.accessNanoseconds[place] += nanoseconds;
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
      accesses: sumAccesses(views, scale),
      instructions: add((view) => view.instructions),
      guestSeconds: Math.max(0, total - exact - sampled * scale) / 1e9,
      awakeSeconds: Math.max(0, total - spent(ExitReason.Halt)) / 1e9,
      seconds: Math.max(0, ...views.map((view) => view.total)) / 1e9,
    };
  }
}

/** The accesses of all vCPUs by address, the most frequent first.
 * @param scale what the sampled times are corrected by */
function sumAccesses(
  views: ReadonlyArray<View<typeof countersLayout.fields>>,
  scale: number,
): AccessStatistics[] {
  const found = new Map<number, { count: number; nanoseconds: number }>();
  for (const { accessKey, accesses, accessNanoseconds } of views) {
    for (const [place, count] of accesses.entries()) {
      if (count === 0) continue;
      const sum = found.get(accessKey[place]) ?? { count: 0, nanoseconds: 0 };
      sum.count += count;
      sum.nanoseconds += accessNanoseconds[place];
      found.set(accessKey[place], sum);
    }
  }
  return [...found]
    .map(([key, { count, nanoseconds }]): AccessStatistics => ({
      kind: key === 0 ? 'other' : key % 2 === 0 ? 'memory' : 'port',
      address: key === 0 ? 0 : Math.floor((key - 1) / 2),
      count,
      seconds: (nanoseconds * scale) / 1e9,
    }))
    .sort((a, b) => b.count - a.count || a.address - b.address);
}
