/**
 * A virtio input device that points at places, as a graphics tablet does, with a mouse's buttons and wheel: what the
 * guest's pointer follows without having to be grabbed.
 *
 * What has happened since the driver last had buffers is kept as where the pointer is now, so nothing is queued without
 * bound, and no button's release is ever lost.
 *
 * Virtual I/O Device (VIRTIO) Version 1.2, 5.8 "Input Device"; types and codes of events are those of Linux's
 * input-event-codes.h, which the specification refers to.
 */
import { type Arena, layout, type View } from '../../memory/layout.ts';
import type { Device } from '../device.ts';
import type { DmaMemory } from '../dma.ts';
import { TABLET_MOST, type Tablet, within } from './tablet.ts';
import { VirtioPci, type VirtioWires } from '../virtio/virtio-pci.ts';
import { RingError, Virtqueue } from '../virtio/virtqueue.ts';

const INPUT_DEVICE = 18;
/** Input device controller, other (PCI Code and ID Assignment Specification, 1.10). */
const CLASS = 0x09_80_00;

const Queue = { Events: 0, Status: 1 } as const;
const QUEUE_SIZE = 64;

/** What the configuration shows, as the driver selects it (5.8.4). */
const Select = {
  None: 0x00,
  Name: 0x01,
  Serial: 0x02,
  Identity: 0x03,
  Properties: 0x10,
  Events: 0x11,
  Axis: 0x12,
} as const;

/** Offsets in the configuration: what is selected, then how many bytes of what is shown there are, and they. */
const Config = { Select: 0, Subselect: 1, Size: 2, Shown: 8 } as const;
const MOST_SHOWN = 128;

const EventType = { Synchronize: 0, Key: 1, Relative: 2, Absolute: 3 } as const;
const Key = { Left: 0x110, Right: 0x111, Middle: 0x112 } as const;
const Axis = { X: 0, Y: 1, Wheel: 8 } as const;

/** Buttons in the order of the bits that {@link Tablet.point} takes. */
const BUTTONS = [Key.Left, Key.Right, Key.Middle] as const;

const EVENT_BYTES = 8;

/** Notches of the wheel that are remembered at most. */
const MOST_NOTCHES = 100;

const tabletLayout = layout('virtio-tablet', 1, {
  /** Now, and as the driver was last told. */
  x: 'i32',
  y: 'i32',
  reportedX: 'i32',
  reportedY: 'i32',
  /** Away from the user, not reported yet. */
  wheel: 'i32',
  buttons: 'u8',
  reportedButtons: 'u8',
  select: 'u8',
  subselect: 'u8',
});

interface InputEvent {
  readonly type: number;
  readonly code: number;
  readonly value: number;
}

export class VirtioTablet implements Device, Tablet {
  readonly name = 'virtio-tablet-state';
  readonly fn: VirtioPci;
  readonly #at: View<typeof tabletLayout.fields>;
  readonly #memory: DmaMemory;

  constructor(arena: Arena, memory: DmaMemory, wires: VirtioWires) {
    this.#memory = memory;
    this.#at = arena.place(tabletLayout);
    this.fn = new VirtioPci(
      arena,
      {
        name: 'virtio-tablet',
        type: INPUT_DEVICE,
        classCode: CLASS,
        features: [],
        queues: 2,
        queueSize: QUEUE_SIZE,
        configBytes: Config.Shown + MOST_SHOWN,
        configByte: (offset) => this.#configByte(offset),
        configWrite: (offset, byte) => {
          if (offset === Config.Select) this.#at.select = byte;
          else if (offset === Config.Subselect) this.#at.subselect = byte;
        },
        notified: (queue) => {
          if (queue === Queue.Events) this.#report();
          else this.#takeStatus();
        },
        callOff: () => this.#forget(),
      },
      wires,
    );
  }

  reset(): void {
    const at = this.#at;
    at.x = 0;
    at.y = 0;
    at.buttons = 0;
    at.select = Select.None;
    at.subselect = 0;
    this.#forget();
  }

  get ready(): boolean {
    return this.fn.queue(Queue.Events) !== undefined;
  }

  point(x: number, y: number, notches: number, buttons: number): void {
    const at = this.#at;
    at.x = within(x, 0, TABLET_MOST);
    at.y = within(y, 0, TABLET_MOST);
    at.wheel = within(at.wheel + notches, -MOST_NOTCHES, MOST_NOTCHES);
    // A press that was not told yet is told before its release.
    if (at.buttons !== (buttons & 7) && at.buttons !== at.reportedButtons) this.#report();
    at.buttons = buttons & 7;
    this.#report();
  }

  /** The driver knows nothing (any more). */
  #forget(): void {
    const at = this.#at;
    at.reportedX = 0;
    at.reportedY = 0;
    at.reportedButtons = 0;
    at.wheel = 0;
  }

  /** What the driver has not been told. */
  #news(): InputEvent[] {
    const { x, y, reportedX, reportedY, wheel, buttons, reportedButtons } = this.#at;
    const events: InputEvent[] = [];
    if (x !== reportedX) events.push({ type: EventType.Absolute, code: Axis.X, value: x });
    if (y !== reportedY) events.push({ type: EventType.Absolute, code: Axis.Y, value: y });
    if (wheel !== 0) events.push({ type: EventType.Relative, code: Axis.Wheel, value: wheel });
    for (const [bit, code] of BUTTONS.entries()) {
      const held = (buttons >> bit) & 1;
      if (held !== ((reportedButtons >> bit) & 1)) events.push({ type: EventType.Key, code, value: held });
    }
    if (events.length > 0) events.push({ type: EventType.Synchronize, code: 0, value: 0 });
    return events;
  }

  /** Tells the driver what is new, where it has room for all of that. */
  #report(): void {
    const at = this.#at;
    const events = this.#news();
    if (events.length === 0) return;
    this.#withQueue(Queue.Events, (ring, count) => {
      if (count < events.length) return 0;
      const wanted = events.filter((event, i) => this.#put(ring, i, event));
      if (wanted.length > 0) this.fn.interruptQueue(Queue.Events);
      at.reportedX = at.x;
      at.reportedY = at.y;
      at.reportedButtons = at.buttons;
      at.wheel = 0;
      return events.length;
    });
  }

  /** Writes an event into the buffer that is so many behind the first.
   * @returns whether the driver wants an interrupt for it
   * @throws RingError where that is no buffer for an event */
  #put(ring: Virtqueue, index: number, { type, code, value }: InputEvent): boolean {
    const { counts } = this.fn;
    const { head, writable } = ring.chain((counts.taken[Queue.Events] + index) & 0xffff);
    const [room] = writable;
    if (room === undefined || room.length < EVENT_BYTES)
      throw new RingError('a buffer too small for an event');
    const bytes = new Uint8Array(EVENT_BYTES);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, type, true);
    view.setUint16(2, code, true);
    view.setInt32(4, value, true);
    this.#memory.write(room.address, bytes);
    return ring.use((counts.used[Queue.Events] + index) & 0xffff, [{ head, written: EVENT_BYTES }]);
  }

  /** The driver sets lights, of which there are none: its buffers are given back. */
  #takeStatus(): void {
    this.#withQueue(Queue.Status, (ring, count) => {
      const { counts } = this.fn;
      for (let i = 0; i < count; i++) {
        const { head } = ring.chain((counts.taken[Queue.Status] + i) & 0xffff);
        const used = (counts.used[Queue.Status] + i) & 0xffff;
        if (ring.use(used, [{ head, written: 0 }])) this.fn.interruptQueue(Queue.Status);
      }
      return count;
    });
  }

  /** @param body told how many buffers there are; says how many it has used */
  #withQueue(queue: number, body: (ring: Virtqueue, count: number) => number): void {
    const { fn } = this;
    const place = fn.queue(queue);
    if (place === undefined) return;
    const ring = new Virtqueue(this.#memory, place);
    const { taken, used } = fn.counts;
    try {
      // More may come just before the driver can see that the device wants to know of it.
      for (let seen = -1; ring.availableIndex !== seen;) {
        seen = ring.availableIndex;
        const count = (seen - taken[queue]) & 0xffff;
        if (count > place.size) throw new RingError('an index beyond the queue');
        const done = body(ring, count);
        taken[queue] += done;
        used[queue] += done;
        ring.askForNotification(seen);
        if (done > 0) break;
      }
    } catch (error) {
      if (!(error instanceof RingError)) throw error;
      fn.fail();
    }
  }

  #configByte(offset: number): number {
    const { select, subselect } = this.#at;
    if (offset === Config.Select) return select;
    if (offset === Config.Subselect) return subselect;
    const shown = describe(select, subselect);
    if (offset === Config.Size) return shown.length;
    return shown[offset - Config.Shown] ?? 0;
  }
}

const NOTHING: readonly number[] = [];

/** What the configuration shows of the device (5.8.2). @returns up to 128 bytes; none for what it has not */
function describe(select: number, subselect: number): readonly number[] {
  switch (select) {
    case Select.Name:
      return [...new TextEncoder().encode('Guesthouse Tablet')];
    case Select.Identity:
      // Bus (BUS_VIRTUAL), vendor, product and version, 16 bits each.
      return words16(0x06, 0x1af4, 0x0003, 0x0001);
    case Select.Events:
      if (subselect === EventType.Key) return bitmap(BUTTONS);
      if (subselect === EventType.Relative) return bitmap([Axis.Wheel]);
      return subselect === EventType.Absolute ? bitmap([Axis.X, Axis.Y]) : NOTHING;
    case Select.Axis:
      // Least, most, fuzz, flat, resolution, 32 bits each.
      return subselect <= Axis.Y ? words16(0, 0, TABLET_MOST, 0, 0, 0, 0, 0, 0, 0) : NOTHING;
    default:
      return NOTHING;
  }
}

function words16(...words: readonly number[]): number[] {
  return words.flatMap((word) => [word & 0xff, word >> 8]);
}

function bitmap(bits: readonly number[]): number[] {
  const bytes = Array.from({ length: (Math.max(...bits) >> 3) + 1 }, () => 0);
  for (const bit of bits) bytes[bit >> 3] |= 1 << (bit & 7);
  return bytes;
}
