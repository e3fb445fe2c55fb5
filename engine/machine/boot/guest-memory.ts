/**
 * Guest memory as a boot loader sees it, and the book-keeping of what it has put where.
 */

/** Types of the system address map (ACPI 6.5, table 15.5). */
export const E820 = { Usable: 1, Reserved: 2, AcpiReclaimable: 3, AcpiNvs: 4, Unusable: 5 } as const;

/** A range of the system address map. Bytes. */
export interface E820Entry {
  readonly base: number;
  readonly length: number;
  /** {@link E820}. */
  readonly type: number;
}

export interface GuestMemory {
  /** Bytes of RAM from address 0 up to the hole below 4 GiB. */
  readonly size: number;
  /** The system address map that the kernel is told, in order of address. */
  readonly e820: readonly E820Entry[];
  /** Writes guest-physical memory; the range is RAM. */
  write(address: number, bytes: Uint8Array): void;
  read(address: number, length: number): Uint8Array;
}

/** A range of addresses, `end` exclusive. */
interface Range {
  readonly start: number;
  readonly end: number;
}

const PAGE = 4096;

/** What of the usable memory below the hole is still free. */
export class Placement {
  #free: Range[];

  constructor(memory: GuestMemory) {
    const usable = memory.e820
      .filter((entry) => entry.type === E820.Usable)
      .map(({ base, length }) => ({ start: base, end: Math.min(base + length, memory.size) }))
      .sort((a, b) => a.start - b.start);
    // Neighbours are joined, so that a range across their border counts as free.
    this.#free = [];
    for (const range of usable) {
      const last = this.#free.at(-1);
      if (range.end <= range.start) continue;
      if (last !== undefined && range.start <= last.end) {
        this.#free[this.#free.length - 1] = { start: last.start, end: Math.max(last.end, range.end) };
      } else {
        this.#free.push(range);
      }
    }
  }

  /** Whether all of `length` bytes from `start` on are free. */
  isFree(start: number, length: number): boolean {
    return this.#free.some((range) => range.start <= start && start + length <= range.end);
  }

  /** Marks a range as taken, whether or not it was free. */
  take(start: number, length: number): void {
    if (length === 0) return;
    const end = start + length;
    this.#free = this.#free.flatMap((range) =>
      [
        { start: range.start, end: Math.min(range.end, start) },
        { start: Math.max(range.start, end), end: range.end },
      ].filter((rest) => rest.start < rest.end),
    );
  }

  /** Takes the lowest free place at or above `from`, and returns its address; undefined where there is none.
   * @param align a power of two */
  lowest(length: number, align: number, from: number): number | undefined {
    for (const range of this.#free) {
      const start = Math.ceil(Math.max(range.start, from) / align) * align;
      if (start + length > range.end) continue;
      this.take(start, length);
      return start;
    }
    return undefined;
  }

  /** Takes the highest free place whose end is at or below `below`. */
  highest(length: number, align: number, below: number): number | undefined {
    for (const range of this.#free.toReversed()) {
      const start = Math.floor((Math.min(range.end, below) - length) / align) * align;
      if (start < range.start) continue;
      this.take(start, length);
      return start;
    }
    return undefined;
  }
}

/** Zeroes guest memory, a piece at a time. */
export function zero(memory: GuestMemory, address: number, length: number): void {
  const piece = new Uint8Array(Math.min(length, 256 * PAGE));
  for (let at = 0; at < length; at += piece.length) {
    memory.write(address + at, piece.subarray(0, Math.min(piece.length, length - at)));
  }
}
