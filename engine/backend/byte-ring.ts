/**
 * A ring of bytes in the shared memory: one producer, one consumer, in any two threads, without locks.
 *
 * Both sides count bytes modulo 2^32 and never reset the counts, so `written - read` is what the ring holds
 * even across the wrap, and the capacity, a power of two, divides the modulus. Only the producer stores
 * `written`, only the consumer stores `read`; each stores after it has touched the bytes, and Atomics
 * orders the two. The counts lie 64 bytes apart, so the threads do not fight over a cache line.
 *
 * "One producer" may be several threads that take turns under a lock, as vCPUs do at a serial port.
 */
import { type Arena, layout, type View } from '../memory/layout.ts';

const headerLayout = layout('byte-ring', 1, {
  /** Bytes ever written, modulo 2^32; element 0, the rest is distance. */
  written: ['i32', 16],
  /** Bytes ever read, modulo 2^32; element 0. */
  read: ['i32', 16],
  /** Element 0: 1 once the producer has closed the stream. */
  closed: ['i32', 4],
});

export class ByteRing {
  readonly capacity: number;
  readonly #header: View<typeof headerLayout.fields>;
  readonly #data: Uint8Array<SharedArrayBuffer>;
  readonly #mask: number;

  /**
   * Reserves the ring in `arena`; the same call in another thread attaches to the same ring.
   *
   * @param capacity bytes, a power of two
   * @throws RangeError for another capacity, or where the arena is full
   */
  constructor(arena: Arena, capacity: number) {
    if (capacity < 1 || capacity > 2 ** 30 || (capacity & (capacity - 1)) !== 0) {
      throw new RangeError(`a ring of ${capacity} bytes: not a power of two up to 2^30`);
    }
    this.capacity = capacity;
    this.#header = arena.place(headerLayout);
    this.#data = new Uint8Array(arena.buffer, arena.reserve(capacity), capacity);
    this.#mask = capacity - 1;
  }

  /** Empties and reopens the ring. Only while nobody else uses it. */
  reset(): void {
    Atomics.store(this.#header.written, 0, 0);
    Atomics.store(this.#header.read, 0, 0);
    Atomics.store(this.#header.closed, 0, 0);
  }

  /** Bytes that can be read now. */
  get readable(): number {
    return (Atomics.load(this.#header.written, 0) - Atomics.load(this.#header.read, 0)) >>> 0;
  }

  /** Bytes that can be written now. */
  get writable(): number {
    return this.capacity - this.readable;
  }

  get closed(): boolean {
    return Atomics.load(this.#header.closed, 0) !== 0;
  }

  /** Producer: appends a byte, or as many of some bytes as there is room for, and wakes the consumer.
   * @returns how many were taken, from the first */
  write(bytes: number | Uint8Array): number {
    const written = this.#header.written[0];
    const room = this.writable;
    if (typeof bytes === 'number') {
      if (room === 0) return 0;
      this.#data[written & this.#mask] = bytes;
      this.#publish(this.#header.written, written + 1);
      return 1;
    }
    const count = Math.min(room, bytes.length);
    if (count === 0) return 0;
    const at = written & this.#mask;
    const first = Math.min(count, this.capacity - at);
    this.#data.set(bytes.subarray(0, first), at);
    this.#data.set(bytes.subarray(first, count), 0);
    this.#publish(this.#header.written, written + count);
    return count;
  }

  /** Consumer: moves bytes to the start of `into` and wakes the producer.
   * @returns how many, 0 where there are none */
  read(into: Uint8Array): number {
    const count = this.peek(into);
    if (count > 0) this.discard(count);
    return count;
  }

  /** Consumer: as {@link read}, but the bytes stay in the ring. */
  peek(into: Uint8Array): number {
    const count = Math.min(this.readable, into.length);
    if (count === 0) return 0;
    const at = this.#header.read[0] & this.#mask;
    const first = Math.min(count, this.capacity - at);
    into.set(this.#data.subarray(at, at + first), 0);
    into.set(this.#data.subarray(0, count - first), first);
    return count;
  }

  /** Consumer: drops up to `count` bytes, as after {@link peek}. */
  discard(count: number): void {
    const dropped = Math.min(count, this.readable);
    this.#publish(this.#header.read, this.#header.read[0] + dropped);
  }

  /** Producer: ends the stream. What is in the ring can still be read. */
  close(): void {
    Atomics.store(this.#header.closed, 0, 1);
    Atomics.notify(this.#header.written, 0);
  }

  /**
   * Consumer, in a thread that may block: waits until there is something to read or the stream is closed.
   *
   * @param timeout milliseconds
   * @returns whether there is something to read
   */
  waitReadable(timeout = Infinity): boolean {
    return (
      this.#wait(this.#header.written, timeout, () => this.readable > 0 || this.closed) && this.readable > 0
    );
  }

  /** Producer, in a thread that may block: waits for room. Returns whether there is any. */
  waitWritable(timeout = Infinity): boolean {
    return this.#wait(this.#header.read, timeout, () => this.writable > 0);
  }

  /** As {@link waitReadable}, for a thread that must not block. */
  async waitReadableAsync(timeout = Infinity): Promise<boolean> {
    await this.#waitAsync(this.#header.written, timeout, () => this.readable > 0 || this.closed);
    return this.readable > 0;
  }

  /** As {@link waitWritable}, for a thread that must not block. */
  waitWritableAsync(timeout = Infinity): Promise<boolean> {
    return this.#waitAsync(this.#header.read, timeout, () => this.writable > 0);
  }

  #publish(count: Int32Array, value: number): void {
    Atomics.store(count, 0, value | 0);
    Atomics.notify(count, 0);
  }

  /** Waits on the other side's count. It is loaded before the condition is looked at, so a change between
   * the two ends the wait at once. */
  #wait(count: Int32Array, timeout: number, done: () => boolean): boolean {
    const end = performance.now() + timeout;
    for (;;) {
      const seen = Atomics.load(count, 0);
      if (done()) return true;
      const left = end - performance.now();
      if (left <= 0) return false;
      Atomics.wait(count, 0, seen, left);
    }
  }

  async #waitAsync(
    count: Int32Array<SharedArrayBuffer>,
    timeout: number,
    done: () => boolean,
  ): Promise<boolean> {
    const end = performance.now() + timeout;
    for (;;) {
      const seen = Atomics.load(count, 0);
      if (done()) return true;
      const left = end - performance.now();
      if (left <= 0) return false;
      const wait = Atomics.waitAsync(count, 0, seen, left);
      if (wait.async) await wait.value;
    }
  }
}
