/**
 * A split virtqueue as its device walks it: chains of descriptors that the driver has made available, and used ones
 * given back. Whatever the driver has written into its rings, walking them ends and stays within guest memory.
 *
 * Virtual I/O Device (VIRTIO) Version 1.2, 2.7 "Split Virtqueues".
 */
import type { Segment } from '../../memory/physical-memory.ts';
import type { DmaMemory } from '../dma.ts';

/** Descriptor flags (2.7.5). */
const DescriptorFlag = { Next: 1, Write: 2, Indirect: 4 } as const;

const DESCRIPTOR = 16;
/** Flags and index before a ring's entries. */
const RING_HEADER = 4;
const USED_ENTRY = 8;

/** The driver does not want to be interrupted (2.7.6). */
const AVAIL_NO_INTERRUPT = 1;

/** Where the driver has put a queue; all addresses guest-physical. */
export interface QueuePlace {
  /** Entries: a power of two. */
  readonly size: number;
  readonly descriptors: number;
  readonly available: number;
  readonly used: number;
  /** VIRTIO_F_EVENT_IDX was negotiated. */
  readonly eventIndex: boolean;
  /** VIRTIO_F_INDIRECT_DESC was. */
  readonly indirect: boolean;
}

/** A chain of descriptors. */
export interface Chain {
  /** Index of its first descriptor, by which it is given back. */
  readonly head: number;
  /** What the device may read, then what it may write. */
  readonly readable: readonly Segment[];
  readonly writable: readonly Segment[];
}

/** A chain that is given back. */
export interface UsedChain {
  readonly head: number;
  /** Bytes written to its writable part, from its beginning on. */
  readonly written: number;
}

/** The driver has broken the rules in a way that there is no going on from. */
export class RingError extends Error {}

/** Walks a queue. The two counters are the device's own, kept by whoever owns the queue. */
export class Virtqueue {
  readonly #memory: DmaMemory;
  readonly #place: QueuePlace;

  constructor(memory: DmaMemory, place: QueuePlace) {
    this.#memory = memory;
    this.#place = place;
  }

  /** The driver's index: how many chains were ever made available, modulo 65536. */
  get availableIndex(): number {
    return this.#u16(this.#place.available + 2);
  }

  /** Where the driver wants to hear of used chains next: with event indices alone. */
  #usedEvent(): number {
    return this.#u16(this.#place.available + RING_HEADER + 2 * this.#place.size);
  }

  /** Says from which available chain on the device wants to be notified. */
  askForNotification(next: number): void {
    const { used, size, eventIndex } = this.#place;
    if (eventIndex) this.#setU16(used + RING_HEADER + USED_ENTRY * size, next);
  }

  /**
   * The chain made available at `next`, a count modulo 65536.
   *
   * @throws RingError where it is no chain: it loops, leaves the table, is longer than the queue, or has what may
   *   be read behind what may be written
   */
  chain(next: number): Chain {
    const { size, available, descriptors } = this.#place;
    const head = this.#u16(available + RING_HEADER + 2 * (next % size));
    if (head >= size) throw new RingError(`descriptor ${head} of ${size}`);
    const readable: Segment[] = [];
    const writable: Segment[] = [];
    let table: DataView | undefined;
    let entries = size;
    let index = head;
    // No chain has more descriptors than the queue (2.7.5.3.1), so that one which loops is found out.
    for (let count = 0; ; count++) {
      if (count >= Math.max(size, entries)) throw new RingError('a chain that is too long, or loops');
      const view = table ?? viewOf(this.#memory.read(descriptors + index * DESCRIPTOR, DESCRIPTOR));
      const at = table === undefined ? 0 : index * DESCRIPTOR;
      const flags = view.getUint16(at + 12, true);
      const address = addressOf(view, at);
      const length = view.getUint32(at + 8, true);
      if ((flags & DescriptorFlag.Indirect) !== 0) {
        if (
          !this.#place.indirect ||
          table !== undefined ||
          (flags & DescriptorFlag.Next) !== 0 ||
          length % DESCRIPTOR !== 0
        ) {
          throw new RingError('an indirect descriptor out of place');
        }
        entries = length / DESCRIPTOR;
        if (entries === 0 || entries > MOST_INDIRECT) throw new RingError(`an indirect table of ${entries}`);
        // As a whole: a large request has hundreds of descriptors.
        table = viewOf(this.#memory.read(address, length));
        index = 0;
        count = -1;
        continue;
      }
      if ((flags & DescriptorFlag.Write) !== 0) append(writable, address, length);
      else if (writable.length > 0) throw new RingError('readable descriptors behind writable ones');
      else append(readable, address, length);
      if ((flags & DescriptorFlag.Next) === 0) break;
      index = view.getUint16(at + 14, true);
      if (index >= entries) throw new RingError(`descriptor ${index} of ${entries}`);
    }
    return { head, readable, writable };
  }

  /**
   * Gives chains back, all of which the driver sees at once.
   *
   * @param usedIndex how many were given back before, modulo 65536
   * @returns whether the driver wants an interrupt for these
   */
  use(usedIndex: number, chains: readonly UsedChain[]): boolean {
    const { used, size } = this.#place;
    const entry = new Uint8Array(USED_ENTRY);
    const view = viewOf(entry);
    for (const [i, { head, written }] of chains.entries()) {
      view.setUint32(0, head, true);
      view.setUint32(4, written, true);
      this.#memory.write(used + RING_HEADER + USED_ENTRY * ((usedIndex + i) % size), entry);
    }
    // The entries are there before the index says so: other vCPUs look without a lock.
    fence();
    this.#setU16(used + 2, (usedIndex + chains.length) & 0xffff);
    return this.wantsInterrupt(usedIndex, usedIndex + chains.length);
  }

  /**
   * Whether the driver wants an interrupt for what it has been given back since it was last told.
   *
   * @param told how many were given back then, modulo 65536
   * @param usedIndex how many are now
   */
  wantsInterrupt(told: number, usedIndex: number): boolean {
    const { available, eventIndex } = this.#place;
    const count = (usedIndex - told) & 0xffff;
    // What was given back before is seen by the driver before what it wants is looked at.
    fence();
    // 2.7.7.2: whether the index has gone past what the driver waits for.
    if (eventIndex) return ((this.#usedEvent() - told) & 0xffff) < count;
    return count > 0 && (this.#u16(available) & AVAIL_NO_INTERRUPT) === 0;
  }

  #u16(address: number): number {
    return viewOf(this.#memory.read(address, 2)).getUint16(0, true);
  }

  #setU16(address: number, value: number): void {
    this.#memory.write(address, Uint8Array.of(value & 0xff, value >> 8));
  }
}

/** Descriptors of an indirect table at most: more than any driver's segments. */
const MOST_INDIRECT = 4096;

/** Addresses beyond what numbers hold exactly lead nowhere, as these do. */
const NOWHERE = 2 ** 52;

function addressOf(view: DataView, at: number): number {
  const address = view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
  return Math.min(address, NOWHERE);
}

/** Adds a piece of memory, to the last one where it follows that. */
function append(segments: Segment[], address: number, length: number): void {
  const last = segments.at(-1);
  if (last !== undefined && last.address + last.length === address) {
    segments[segments.length - 1] = { address: last.address, length: last.length + length };
  } else segments.push({ address, length });
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

const fenceWord = new Int32Array(new SharedArrayBuffer(4));

/** Orders what was written before with what is read and written after: an atomic operation is sequentially
 * consistent with all others, and no compiler moves accesses of shared memory across it. */
function fence(): void {
  Atomics.add(fenceWord, 0, 1);
}
