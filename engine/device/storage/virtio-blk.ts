/**
 * The virtio block device.
 *
 * Virtual I/O Device (VIRTIO) Version 1.2, 5.2 "Block Device".
 */
import { type Arena, layout, type View } from '../../memory/layout.ts';
import type { Segment } from '../../memory/physical-memory.ts';
import type { Device } from '../device.ts';
import type { BlockBackend, BlockDevice } from './block.ts';
import type { DmaMemory } from '../dma.ts';
import type { IoSlot } from './io-slots.ts';
import { Moderation } from './moderation.ts';
import { VirtioPci, type VirtioWires } from '../virtio/virtio-pci.ts';
import { type Chain, RingError, type UsedChain, Virtqueue } from '../virtio/virtqueue.ts';

const BLOCK_DEVICE = 2;
const MASS_STORAGE = 0x01_00_00;
const SECTOR = 512;
const QUEUE_SIZE = 256;

/** Segments of a request at most, as the driver is told: a queue's length without header and status. */
const MOST_SEGMENTS = QUEUE_SIZE - 2;

/** Bytes of a request at most: more than any driver sends. */
const MOST_BYTES = 64 * 2 ** 20;

/** Sectors of a discard or of zeros at most, and ranges of one request. */
const MOST_RANGE_SECTORS = 2 ** 22;
const MOST_RANGES = 16;

/** Requests that are given back together at most, and milliseconds after which those that are done are: each time
 * costs the guest an interrupt, and those it has to wait for keep it from its work. */
const MOST_BATCH = 32;
const LONGEST_BATCH = 0.2;

/** Feature bits (5.2.3). */
const BlkFeature = {
  SegMax: 2,
  ReadOnly: 5,
  BlockSize: 6,
  Flush: 9,
  Topology: 10,
  MultiQueue: 12,
  Discard: 13,
  WriteZeroes: 14,
} as const;

/** Request types and status values (5.2.6). */
const RequestType = { In: 0, Out: 1, Flush: 4, GetId: 8, Discard: 11, WriteZeroes: 13 } as const;
const RequestStatus = { Ok: 0, IoError: 1, Unsupported: 2 } as const;

const HEADER = 16;
const ID_BYTES = 20;
const RANGE = 16;
const UNMAP = 1;

const CONFIG_BYTES = 60;

const blkLayout = layout('virtio-blk', 1, {
  /** Bytes of the disk. */
  bytes: 'f64',
});

export interface VirtioBlkOptions extends VirtioWires {
  readonly name: string;
  readonly bytes: number;
  readonly writable: boolean;
  /** Up to 20 characters of ASCII. */
  readonly serial: string;
  readonly queues: number;
  readonly memory: DmaMemory;
  readonly slot: IoSlot;
  /** The I/O thread's time in milliseconds, for tests; else `performance.now()`. */
  readonly now?: () => number;
}

export class VirtioBlk implements Device, BlockDevice {
  readonly name: string;
  readonly slot: IoSlot;
  readonly fn: VirtioPci;
  readonly #at: View<typeof blkLayout.fields>;
  readonly #options: VirtioBlkOptions;
  readonly #config = new Uint8Array(CONFIG_BYTES);
  /** The I/O thread's: what the driver is not told of yet, and for each queue how much was given back when it last was. */
  readonly #held = new Moderation();
  readonly #told: Uint16Array;
  readonly #now: () => number;
  /** How often work had been called off when that was so. */
  #turn = 0;

  constructor(arena: Arena, options: VirtioBlkOptions) {
    const { name, queues, writable, slot } = options;
    this.name = `${name}-disk`;
    this.slot = slot;
    this.#options = options;
    this.#at = arena.place(blkLayout);
    const features: number[] = [
      BlkFeature.SegMax,
      BlkFeature.BlockSize,
      BlkFeature.Flush,
      BlkFeature.Topology,
    ];
    features.push(BlkFeature.MultiQueue);
    if (writable) features.push(BlkFeature.Discard, BlkFeature.WriteZeroes);
    else features.push(BlkFeature.ReadOnly);
    this.fn = new VirtioPci(
      arena,
      {
        name,
        type: BLOCK_DEVICE,
        classCode: MASS_STORAGE,
        features,
        queues,
        queueSize: QUEUE_SIZE,
        configBytes: CONFIG_BYTES,
        configByte: (offset) => this.#configByte(offset),
        notified: () => slot.ring(),
        callOff: () => slot.callOff(),
      },
      options,
    );
    this.#told = new Uint16Array(queues);
    this.#now = options.now ?? (() => performance.now());
    this.#describe(queues);
  }

  /** What is in it from the start. Once, before the machine first runs. */
  install(): void {
    this.#at.bytes = this.#options.bytes;
  }

  /** Nothing but what the transport resets: the disk's size is the image's. */
  reset(): void {}

  /** The disk has another size. With the device lock held. */
  resize(bytes: number): void {
    this.#at.bytes = bytes;
    this.fn.configChanged();
  }

  get #sectors(): number {
    return Math.floor(this.#at.bytes / SECTOR);
  }

  /** The configuration (5.2.4), but for the capacity. */
  #describe(queues: number): void {
    const view = new DataView(this.#config.buffer);
    view.setUint32(12, MOST_SEGMENTS, true);
    view.setUint32(20, SECTOR, true);
    // Blocks of 4 KiB are the host's: 2^3 sectors.
    view.setUint8(24, 3);
    view.setUint16(26, 8, true);
    view.setUint32(28, 0, true);
    view.setUint16(34, queues, true);
    view.setUint32(36, MOST_RANGE_SECTORS, true);
    view.setUint32(40, MOST_RANGES, true);
    view.setUint32(44, 8, true);
    view.setUint32(48, MOST_RANGE_SECTORS, true);
    view.setUint32(52, MOST_RANGES, true);
    view.setUint8(56, 1);
  }

  #configByte(offset: number): number {
    return offset < 8 ? Math.floor(this.#sectors / 2 ** (8 * offset)) % 256 : this.#config[offset];
  }

  get due(): number {
    return this.#held.due;
  }

  serve(backends: readonly BlockBackend[], locked: <T>(body: () => T) => T): boolean {
    const [backend] = backends;
    if (backend === undefined) return false;
    let any = false;
    for (let queue = 0; queue < this.#options.queues; queue++) {
      while (this.#serveBatch(queue, backend, locked)) any = true;
    }
    if (!this.#held.over(this.#now(), this.slot.idle)) return any;
    this.slot.hold(false);
    locked(() => {
      for (let queue = 0; queue < this.#options.queues; queue++) this.#tell(queue);
    });
    // The driver is to say again when there is more; some may have come before it could know that.
    return true;
  }

  /** Interrupts where chains were given back that the driver wants to hear of and has not. With the device lock. */
  #tell(queue: number): void {
    const { fn } = this;
    const place = fn.queue(queue);
    if (place === undefined) return;
    const ring = new Virtqueue(this.#options.memory, place);
    const used = fn.counts.used[queue];
    if (ring.wantsInterrupt(this.#told[queue], used)) fn.interruptQueue(queue);
    this.#told[queue] = used;
  }

  /** Carries out the next requests of a queue, and gives them back together. @returns false where there is none */
  #serveBatch(queue: number, backend: BlockBackend, locked: <T>(body: () => T) => T): boolean {
    const { fn, slot } = this;
    const begun = locked(() => {
      const place = fn.queue(queue);
      if (place === undefined) return undefined;
      const turn = slot.begin();
      // After a reset the driver is owed nothing of what was before.
      if (turn !== this.#turn) this.#told.fill(0);
      this.#turn = turn;
      return { place, next: fn.counts.taken[queue], turn };
    });
    if (begun === undefined) return false;
    const { place, next, turn } = begun;
    const ring = new Virtqueue(this.#options.memory, place);
    const done: UsedChain[] = [];
    const end = performance.now() + LONGEST_BATCH;
    let broken = false;
    try {
      do {
        const at = (next + done.length) & 0xffff;
        // Whoever has done something looks again, when it is known whether anything is held back.
        if (!this.#isWaiting(ring, at, place.size, done.length === 0)) break;
        done.push(this.#request(ring.chain(at), backend));
      } while (done.length < MOST_BATCH && slot.current(turn) && performance.now() < end);
    } catch (error) {
      if (!(error instanceof RingError)) throw error;
      broken = true;
    } finally {
      slot.end();
    }
    if (done.length === 0 && !broken) return false;
    locked(() => {
      if (!slot.current(turn)) return;
      const { taken, used } = fn.counts;
      ring.use(used[queue], done);
      taken[queue] = next + done.length;
      used[queue] += done.length;
      // The slot says so first, so that no vCPU halts unnoticed in between.
      slot.hold(true);
      if (this.#held.done(this.#now(), slot.idle)) this.#tell(queue);
      if (!this.#held.holding) slot.hold(false);
      if (broken) fn.fail();
    });
    return !broken;
  }

  /** Whether there is a chain. Where there is none, and `ask`, the driver is asked to say when there is.
   * @throws RingError where the driver's index is beyond what the queue holds */
  #isWaiting(ring: Virtqueue, next: number, size: number, ask: boolean): boolean {
    if (ring.availableIndex === next) {
      // What is held back has this thread look again soon.
      if (!ask || this.#held.holding) return false;
      ring.askForNotification(next);
      // It may have come just before the driver could see that.
      if (ring.availableIndex === next) return false;
    }
    if (((ring.availableIndex - next) & 0xffff) > size) throw new RingError('an index beyond the queue');
    return true;
  }

  /** Carries a request out, and writes its status.
   * @throws RingError where it has no header or no room for a status */
  #request({ head, readable, writable }: Chain, backend: BlockBackend): UsedChain {
    const { memory } = this.#options;
    const status = writable.findLast(({ length }) => length > 0);
    if (lengthOf(readable) < HEADER || status === undefined)
      throw new RingError('a request without header or status');
    const header = new DataView(this.#gather(sliceOf(readable, 0, HEADER)).buffer);
    const out = sliceOf(readable, HEADER, Infinity);
    // The last byte there is room for is the status (5.2.6).
    const into = writable.slice(0, writable.lastIndexOf(status));
    const last = status.length - 1;
    if (last > 0) into.push({ address: status.address, length: last });
    const type = header.getUint32(0, true);
    const sector = header.getBigUint64(8, true);
    const [outcome, written] = this.#carryOut(type, sector, out, into, backend);
    memory.write(status.address + last, Uint8Array.of(outcome));
    return { head, written: written + 1 };
  }

  /** @returns status, and how many bytes were written to memory */
  #carryOut(
    type: number,
    sector: bigint,
    out: readonly Segment[],
    into: readonly Segment[],
    backend: BlockBackend,
  ): [status: number, written: number] {
    const { serial, writable, memory } = this.#options;
    const outcome = (ok: boolean): [number, number] => [ok ? RequestStatus.Ok : RequestStatus.IoError, 0];
    switch (type) {
      case RequestType.In: {
        const length = lengthOf(into);
        if (!this.#inDisk(sector, length)) return outcome(false);
        const pieces = memory.pieces(into, 'write');
        const ok = backend.read(Number(sector) * SECTOR, pieces);
        memory.wrote(into, pieces);
        return [ok ? RequestStatus.Ok : RequestStatus.IoError, length];
      }
      case RequestType.Out: {
        if (!writable || !this.#inDisk(sector, lengthOf(out))) return outcome(false);
        const ok = backend.write(Number(sector) * SECTOR, memory.pieces(out, 'read'));
        // A driver that knows no flush takes a write that has ended for one that is on the disk (5.2.6.2).
        return outcome(ok && (this.fn.hasFeature(BlkFeature.Flush) || backend.flush()));
      }
      case RequestType.Flush:
        return outcome(backend.flush());
      case RequestType.GetId: {
        const id = new Uint8Array(ID_BYTES);
        id.set(new TextEncoder().encode(serial).subarray(0, ID_BYTES));
        const part = id.subarray(0, lengthOf(into));
        this.#scatter(into, part);
        return [RequestStatus.Ok, part.length];
      }
      case RequestType.Discard:
      case RequestType.WriteZeroes:
        if (!writable) return outcome(false);
        return [this.#ranges(type, out, backend), 0];
      default:
        return [RequestStatus.Unsupported, 0];
    }
  }

  #inDisk(sector: bigint, bytes: number): boolean {
    if (bytes % SECTOR !== 0 || bytes > MOST_BYTES) return false;
    return sector + BigInt(bytes / SECTOR) <= BigInt(this.#sectors);
  }

  /** 5.2.6: ranges of a sector (64 bits), a number of sectors and flags (32 bits each). */
  #ranges(type: number, out: readonly Segment[], backend: BlockBackend): number {
    const length = lengthOf(out);
    if (length === 0 || length % RANGE !== 0 || length > MOST_RANGES * RANGE) return RequestStatus.IoError;
    const view = new DataView(this.#gather(out).buffer);
    for (let at = 0; at < length; at += RANGE) {
      const sector = view.getBigUint64(at, true);
      const sectors = view.getUint32(at + 8, true);
      const flags = view.getUint32(at + 12, true);
      const known = type === RequestType.Discard ? 0 : UNMAP;
      if ((flags & ~known) !== 0) return RequestStatus.Unsupported;
      if (sectors > MOST_RANGE_SECTORS || sector + BigInt(sectors) > BigInt(this.#sectors)) {
        return RequestStatus.IoError;
      }
      const [from, bytes] = [Number(sector) * SECTOR, sectors * SECTOR];
      const ok =
        type === RequestType.Discard
          ? backend.discard(from, bytes)
          : backend.writeZeroes(from, bytes, (flags & UNMAP) !== 0);
      if (!ok) return RequestStatus.IoError;
    }
    return RequestStatus.Ok;
  }

  #gather(segments: readonly Segment[]): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(lengthOf(segments));
    let to = 0;
    for (const { address, length } of segments) {
      bytes.set(this.#options.memory.read(address, length), to);
      to += length;
    }
    return bytes;
  }

  #scatter(segments: readonly Segment[], bytes: Uint8Array): void {
    let from = 0;
    for (const { address, length } of segments) {
      this.#options.memory.write(address, bytes.subarray(from, from + length));
      from += length;
      if (from >= bytes.length) return;
    }
  }
}

function lengthOf(segments: readonly Segment[]): number {
  let sum = 0;
  for (const { length } of segments) sum += length;
  return sum;
}

/** The part of `length` bytes from `from` on. */
function sliceOf(segments: readonly Segment[], from: number, length: number): Segment[] {
  const parts: Segment[] = [];
  let [skip, left] = [from, length];
  for (const segment of segments) {
    const start = Math.min(skip, segment.length);
    const bytes = Math.min(segment.length - start, left);
    skip -= start;
    left -= bytes;
    if (bytes === 0) continue;
    if (bytes === segment.length) parts.push(segment);
    else parts.push({ address: segment.address + start, length: bytes });
  }
  return parts;
}
