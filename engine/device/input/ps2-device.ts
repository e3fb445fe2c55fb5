/**
 * What is plugged into a PS/2 port, and the queue of bytes such a device keeps for the host.
 */
import { type Arena, layout, type View } from '../../memory/layout.ts';
import type { Device } from '../device.ts';

/** A keyboard or a mouse, as the controller sees it. */
export interface Ps2Device extends Device {
  /** A byte from the host. */
  receive(byte: number): void;
  /** Takes the next byte for the host, -1 where there is none. */
  take(): number;
  /** Told once, by the controller: call `ready` whenever {@link take} may have something new. */
  connect(ready: () => void): void;
}

/** Bytes an IBM keyboard holds; enough for five mouse packets. */
const DEPTH = 16;

const queueLayout = layout('ps2-queue', 1, {
  bytes: ['u8', DEPTH],
  head: 'u8',
  count: 'u8',
  /** The byte sent last, for the resend command. */
  last: 'u8',
});

/** Bytes that wait for the host, first in, first out. */
export class Ps2Queue {
  readonly #at: View<typeof queueLayout.fields>;

  constructor(arena: Arena) {
    this.#at = arena.place(queueLayout);
  }

  /** Drops what waits. */
  clear(): void {
    this.#at.head = 0;
    this.#at.count = 0;
  }

  /** How many more bytes fit. */
  get room(): number {
    return DEPTH - this.#at.count;
  }

  get last(): number {
    return this.#at.last;
  }

  /** Appends bytes, as many as fit. */
  put(...bytes: readonly number[]): void {
    const at = this.#at;
    for (const byte of bytes) {
      if (at.count === DEPTH) return;
      at.bytes[(at.head + at.count) % DEPTH] = byte;
      at.count += 1;
    }
  }

  /** Takes the first byte, -1 where there is none. */
  take(): number {
    const at = this.#at;
    if (at.count === 0) return -1;
    const byte = at.bytes[at.head];
    at.head = (at.head + 1) % DEPTH;
    at.count -= 1;
    at.last = byte;
    return byte;
  }
}
