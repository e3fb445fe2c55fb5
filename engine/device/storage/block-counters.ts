/**
 * What a disk has moved, counted by its I/O thread and read by whoever asks: requests that the host has carried out,
 * their bytes, and the time the host took for them, as virsh's domblkstat has them.
 */
import { type Arena, layout, type View } from '../../memory/layout.ts';

/** Kinds of requests. What is discarded or zeroed counts as written, without bytes moved. */
export const BLOCK_REQUESTS = ['read', 'write', 'flush'] as const;
export type BlockRequest = (typeof BLOCK_REQUESTS)[number];

const countersLayout = layout('block-counters', 1, {
  /** Each by {@link BLOCK_REQUESTS}. */
  requests: ['f64', BLOCK_REQUESTS.length],
  bytes: ['f64', BLOCK_REQUESTS.length],
  nanoseconds: ['f64', BLOCK_REQUESTS.length],
  /** Requests that the host has failed, of any kind; those that were held as often as they were tried. */
  errors: 'f64',
});

/** Requests of a kind, since the machine was started. */
export interface RequestCounts {
  readonly requests: number;
  readonly bytes: number;
  readonly seconds: number;
}

export class BlockCounters {
  readonly #at: View<typeof countersLayout.fields>;

  constructor(arena: Arena) {
    this.#at = arena.place(countersLayout);
  }

  /** Counts a request that the host has carried out. In the I/O thread. @param milliseconds that it took */
  add(kind: BlockRequest, bytes: number, milliseconds: number): void {
    const i = BLOCK_REQUESTS.indexOf(kind);
    this.#at.requests[i]++;
    this.#at.bytes[i] += bytes;
    this.#at.nanoseconds[i] += milliseconds * 1e6;
  }

  /** Counts a request that the host has failed. In the I/O thread. */
  fail(): void {
    this.#at.errors++;
  }

  get errors(): number {
    return this.#at.errors;
  }

  of(kind: BlockRequest): RequestCounts {
    const i = BLOCK_REQUESTS.indexOf(kind);
    const { requests, bytes, nanoseconds } = this.#at;
    return { requests: requests[i], bytes: bytes[i], seconds: nanoseconds[i] / 1e9 };
  }
}
