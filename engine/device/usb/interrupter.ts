/**
 * The interrupter: its event ring, where the controller tells the driver what has happened, and whether that makes an
 * interrupt.
 *
 * Interrupts are not moderated: what devices here report is people's doing, and the driver turns further interrupts
 * off itself while it handles one (event handler busy).
 *
 * xHCI 1.2, 4.9.4 "Event Ring Management", 4.17 "Interrupters", 5.5.2 "Interrupter Register Set", 6.5 "Event Ring
 * Segment Table".
 */
import { type Arena, layout, type View } from '../../memory/layout.ts';
import type { DmaMemory } from '../dma.ts';
import { MOST_EVENT_SEGMENTS_LOG } from './registers.ts';
import {
  Completion,
  readWords,
  RingError,
  TRB_BYTES,
  TrbControl,
  TrbType,
  type TrbWords,
  writeTrb,
} from './trb.ts';

/** Registers, by offset in the set. */
const Register = {
  Management: 0x00,
  Moderation: 0x04,
  TableSize: 0x08,
  Table: 0x10,
  Dequeue: 0x18,
} as const;

/** IMAN (5.5.2.1). */
const Management = { Pending: 1, Enable: 2 } as const;

/** Low word of ERDP (5.5.2.3.3): event handler busy, and the bits that are no address. */
const HANDLER_BUSY = 1 << 3;
const DEQUEUE_LOW_BITS = 0xf;

/** IMODI after a reset: 1 ms (5.5.2.2). */
const MODERATION = 4000;

/** TRBs in a segment of the event ring (6.5). */
const SEGMENT = { least: 16, most: 4096 } as const;

const interrupterLayout = layout('xhci-interrupter', 1, {
  /** Low and high words. */
  table: ['u32', 2],
  dequeue: ['u32', 2],
  management: 'u32',
  moderation: 'u32',
  tableSize: 'u32',
  /** Where the next event goes: its segment and place there, and the producer's cycle state. */
  segment: 'u32',
  index: 'u32',
  cycle: 'u8',
  /** The driver has been told that the ring is full, and has not made room since. */
  full: 'u8',
  /** There are events that are worth an interrupt, and no interrupt has been made of them. */
  owed: 'u8',
});

/** A place on the event ring. */
interface Position {
  readonly segment: number;
  readonly index: number;
  readonly cycle: number;
}

export interface InterrupterParts {
  readonly memory: DmaMemory;
  /** There is a new interrupt. */
  readonly interrupts: () => void;
  /** Pending or enabled have changed. */
  readonly changed: () => void;
}

export class Interrupter {
  readonly #at: View<typeof interrupterLayout.fields>;
  readonly #parts: InterrupterParts;

  constructor(arena: Arena, parts: InterrupterParts) {
    this.#at = arena.place(interrupterLayout);
    this.#parts = parts;
  }

  reset(): void {
    const at = this.#at;
    at.dequeue.fill(0);
    at.table.fill(0);
    at.management = 0;
    at.moderation = MODERATION;
    at.tableSize = 0;
    this.#restart();
  }

  /** 4.9.4: to the beginning of the ring. */
  #restart(): void {
    const at = this.#at;
    at.segment = 0;
    at.index = 0;
    at.cycle = 1;
    at.full = 0;
    at.owed = 0;
  }

  /** Whether the pin is to be up, or a message due. */
  get asserted(): boolean {
    return this.#at.management === (Management.Pending | Management.Enable);
  }

  /** A message was sent in place of the pin, which takes the pending bit along (5.5.2.1). */
  messageSent(): void {
    this.#at.management &= ~Management.Pending;
  }

  /** @param offset a multiple of 4 in the register set */
  read(offset: number): number {
    const at = this.#at;
    switch (offset) {
      case Register.Management:
        return at.management;
      case Register.Moderation:
        return at.moderation;
      case Register.TableSize:
        return at.tableSize;
      case Register.Table:
      case Register.Table + 4:
        return at.table[(offset - Register.Table) >> 2];
      case Register.Dequeue:
      case Register.Dequeue + 4:
        return at.dequeue[(offset - Register.Dequeue) >> 2];
      default:
        return 0;
    }
  }

  /** @returns whether there may be room on the ring now that was not there before
   * @throws RingError where the ring is none */
  write(offset: number, value: number): boolean {
    const at = this.#at;
    switch (offset) {
      case Register.Management:
        // Pending is cleared by a one.
        at.management = (at.management & ~value & Management.Pending) | (value & Management.Enable);
        this.#parts.changed();
        return false;
      case Register.Moderation:
        at.moderation = value & 0xffff;
        return false;
      case Register.TableSize:
        at.tableSize = value & 0xffff;
        return false;
      case Register.Table:
        at.table[0] = (value & ~0x3f) >>> 0;
        this.#restart();
        return false;
      case Register.Table + 4:
        at.table[1] = value;
        this.#restart();
        return false;
      case Register.Dequeue: {
        const busy = at.dequeue[0] & HANDLER_BUSY & ~value;
        at.dequeue[0] = ((value & ~HANDLER_BUSY) | busy) >>> 0;
        return this.#dequeued();
      }
      case Register.Dequeue + 4:
        at.dequeue[1] = value;
        return this.#dequeued();
      default:
        return false;
    }
  }

  #dequeued(): boolean {
    const at = this.#at;
    const wasFull = at.full !== 0;
    at.full = 0;
    if (at.owed !== 0) {
      if (this.#address(this.#position()) === this.#dequeue) at.owed = 0;
      else this.#interrupt();
    }
    return wasFull;
  }

  /**
   * Whether so many events fit. Where they do not, the driver is told that by one more, once (4.9.4), and whatever
   * would have made them waits until it has made room.
   *
   * @throws RingError where the ring is none
   */
  room(events: number): boolean {
    const at = this.#at;
    if (at.full !== 0) return false;
    // One place is left for the event that says so.
    const free = this.#free();
    if (free > events) return true;
    at.full = 1;
    if (free > 0) {
      this.#put({
        low: 0,
        high: 0,
        status: Completion.EventRingFull << 24,
        control: TrbType.HostControllerEvent << 10,
      });
      this.#owe();
    }
    return false;
  }

  /**
   * Puts an event on the ring, for which there is room, and makes an interrupt of it.
   *
   * @param event its cycle bit is set here; bit 9 (BEI) of `flags`, the TRB that it is about, holds the interrupt back
   * @throws RingError where the ring is none
   */
  post(event: TrbWords, flags = 0): void {
    this.#put(event);
    if ((flags & TrbControl.BlockEventInterrupt) === 0) this.#owe();
  }

  #owe(): void {
    this.#at.owed = 1;
    if ((this.#at.dequeue[0] & HANDLER_BUSY) === 0) this.#interrupt();
  }

  #interrupt(): void {
    const at = this.#at;
    if ((at.dequeue[0] & HANDLER_BUSY) !== 0) return;
    at.owed = 0;
    at.dequeue[0] |= HANDLER_BUSY;
    at.management |= Management.Pending;
    this.#parts.interrupts();
  }

  get #dequeue(): number {
    const [low, high] = this.#at.dequeue;
    return high * 2 ** 32 + low - (low & DEQUEUE_LOW_BITS);
  }

  #position(): Position {
    const { segment, index, cycle } = this.#at;
    return { segment, index, cycle };
  }

  /** Events that can be put on the ring: one place of it is always empty. Infinity where the driver says that it is
   * at a place that is none. */
  #free(): number {
    const { segment, index, tableSize } = this.#at;
    const dequeue = this.#dequeue;
    let distance = -index;
    // The first segment is met again at the end, for what comes before this place.
    for (let i = 0; i <= tableSize; i++) {
      const { base, trbs } = this.#segment(i === 0 ? segment : (segment + i) % tableSize);
      const place = (dequeue - base) / TRB_BYTES;
      const ahead = (i > 0 || place > index) && (i < tableSize || place <= index);
      if (place >= 0 && place < trbs && ahead) return distance + place - 1;
      distance += trbs;
    }
    return Infinity;
  }

  #put(event: TrbWords): void {
    const at = this.#at;
    const position = this.#position();
    const control = ((event.control & ~TrbControl.Cycle) | position.cycle) >>> 0;
    writeTrb(this.#parts.memory, this.#address(position), { ...event, control });
    const next = this.#after(position);
    at.segment = next.segment;
    at.index = next.index;
    at.cycle = next.cycle;
  }

  #address({ segment, index }: Position): number {
    return this.#segment(segment).base + TRB_BYTES * index;
  }

  #after({ segment, index, cycle }: Position): Position {
    if (index + 1 < this.#segment(segment).trbs) return { segment, index: index + 1, cycle };
    return segment + 1 < this.#at.tableSize
      ? { segment: segment + 1, index: 0, cycle }
      : { segment: 0, index: 0, cycle: cycle ^ 1 };
  }

  /** An entry of the segment table (6.5). */
  #segment(number: number): { readonly base: number; readonly trbs: number } {
    const { table, tableSize } = this.#at;
    if (tableSize > 1 << MOST_EVENT_SEGMENTS_LOG || number >= tableSize)
      throw new RingError('an event ring without segments');
    const [low, high, size] = readWords(this.#parts.memory, table[1] * 2 ** 32 + table[0] + 16 * number, 3);
    const trbs = size & 0xffff;
    if (trbs < SEGMENT.least || trbs > SEGMENT.most) throw new RingError('an impossible event ring segment');
    return { base: high * 2 ** 32 + low - (low % 64), trbs };
  }
}
