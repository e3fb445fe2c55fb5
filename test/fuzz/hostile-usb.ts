/**
 * What a driver that means harm does with the USB controller: rings that lead in circles or nowhere, contexts that are
 * none, commands in any order, requests of any kind. Most of what a driver has to do first is done right, so that this
 * gets as far as a device that is configured and polled.
 */
import type { Random } from '../../engine/base/random.ts';
import type { Tablet } from '../../engine/device/input/tablet.ts';
import { Group, MOST_SLOTS, Op, Runtime, UsbCommand } from '../../engine/device/usb/registers.ts';
import { TRB_BYTES, TrbControl, TrbType } from '../../engine/device/usb/trb.ts';
import type { XhciController } from '../../engine/device/usb/xhci.ts';
import type { PhysicalMemory } from '../../engine/memory/physical-memory.ts';
import { edge32 } from './guest-code.ts';

/** TRBs that are put on a ring, before a link back to its beginning. */
const RING_TRBS = 24;

/** Input contexts are this far apart. */
const INPUT_BYTES = 0x800;

/** Offsets in the interrupter's register set. */
const Interrupter = { Management: 0x00, TableSize: 0x08, Table: 0x10, Dequeue: 0x18 } as const;

/** What is on the board for it. */
export interface UsbParts {
  readonly usb: XhciController;
  readonly tablet: Tablet;
  readonly physical: PhysicalMemory;
}

export class HostileUsbDriver {
  readonly #parts: UsbParts;
  readonly #place: (random: Random) => number;

  readonly #ramBytes: number;

  /** @param place an address that is in memory, mostly */
  constructor(parts: UsbParts, ramBytes: number, place: (random: Random) => number) {
    this.#parts = parts;
    this.#ramBytes = ramBytes;
    this.#place = place;
  }

  run(random: Random): void {
    const { usb, tablet } = this.#parts;
    if (!random.oneIn(16)) usb.configWrite(4, 2, 6);
    const rings = this.#start(random);
    this.#write(Group.Operational + Op.Ports, 1 << 4);
    if (!random.oneIn(4)) {
      this.#write(Group.Doorbells, 0);
      for (const dci of [1, 3]) this.#write(Group.Doorbells + 4, dci);
    }
    for (let i = 8 + random.below(16); i > 0; i--) {
      switch (random.below(8)) {
        case 0:
        case 1:
          this.#write(Group.Doorbells, random.oneIn(16) ? edge32(random) : 0);
          break;
        case 2:
        case 3: {
          const slot = random.oneIn(8) ? 1 + random.below(MOST_SLOTS + 4) : 1;
          this.#write(Group.Doorbells + 4 * slot, random.oneIn(8) ? edge32(random) : random.pick([1, 3]));
          break;
        }
        case 4:
          for (let n = random.below(20); n > 0; n--)
            tablet.point(
              random.below(0x8000),
              random.below(0x8000),
              random.below(300) - 150,
              random.below(8),
            );
          break;
        case 5:
          this.#write(
            Group.Operational + Op.Ports,
            random.oneIn(2) ? edge32(random) : 1 << (16 + random.below(7)),
          );
          break;
        case 6:
          // Room is made on the event ring, or so it is said.
          this.#write(Group.Runtime + Runtime.Interrupter + Interrupter.Dequeue, rings.events + TRB_BYTES * random.below(32) + 8); // prettier-ignore
          break;
        default:
          this.#disturb(random);
      }
    }
    for (let offset = 0; offset < 0x2040; offset += random.pick([4, 0x20, 0x100])) {
      const value = usb.registers.mmioRead(offset, 4, 0);
      if (!Number.isInteger(value) || value < 0 || value >= 2 ** 32)
        throw new Error(`register ${offset} is ${value}`);
    }
  }

  #write(offset: number, value: number): void {
    this.#parts.usb.registers.mmioWrite(offset, 4, value >>> 0, 0);
  }

  #words(at: number, ...words: readonly number[]): void {
    this.#parts.physical.write(at, new Uint8Array(new Uint32Array(words).buffer));
  }

  /** Registers that change everything, or any. */
  #disturb(random: Random): void {
    const op = random.pick([
      Op.Command,
      Op.Status,
      Op.CommandRing,
      Op.CommandRing + 4,
      Op.ContextArray,
      Op.Configure,
    ]);
    if (random.oneIn(4)) this.#write(4 * random.below(0x900), edge32(random));
    else if (random.oneIn(2)) this.#write(Group.Operational + op, edge32(random));
    else this.#write(Group.Operational + Op.CommandRing, random.pick([2, 4, 6]));
  }

  /** Rings and contexts in memory, and the controller started with them. */
  #start(random: Random): { readonly events: number } {
    const [array, commands, segments, events, input, context, control, interrupt] = Array.from(
      { length: 8 },
      () => (random.oneIn(32) ? this.#place(random) : 64 * random.below(this.#ramBytes / 64)),
    );
    this.#write(Group.Operational + Op.Command, random.oneIn(8) ? 0 : UsbCommand.Reset);
    this.#write(Group.Operational + Op.Configure, random.oneIn(8) ? edge32(random) : MOST_SLOTS);
    for (let slot = 1; slot <= MOST_SLOTS; slot++) this.#words(array + 8 * slot, context, 0);
    this.#words(segments, events, 0, random.oneIn(16) ? edge32(random) : 16 + random.below(32), 0);
    this.#words(segments + 16, this.#place(random), 0, 16, 0);
    // One for Address Device, and one for Configure Endpoint.
    this.#input(random, input, 0b0011, control, interrupt);
    this.#input(random, input + INPUT_BYTES, 0b1001, control, interrupt);
    this.#fill(random, commands, random.pick([3, 4, 5, 8, RING_TRBS]), (i) =>
      this.#command(random, i, input, control),
    );
    this.#fill(random, control, random.pick([3, 6, RING_TRBS]), (i) => this.#stage(random, i));
    this.#fill(random, interrupt, RING_TRBS, () => [
      this.#place(random), 0, random.oneIn(8) ? edge32(random) : random.pick([6, 6, 8, 64, 2]),
      (random.oneIn(12) ? random.below(64) : TrbType.Normal) << 10 | random.pick([0x24, 0x20, 0x10, 0x200]),
    ]); // prettier-ignore
    const pair = (offset: number, low: number) => {
      this.#write(offset, low);
      this.#write(offset + 4, random.oneIn(24) ? edge32(random) : 0);
    };
    pair(Group.Operational + Op.ContextArray, array);
    pair(Group.Operational + Op.CommandRing, commands + 1);
    const set = Group.Runtime + Runtime.Interrupter;
    this.#write(set + Interrupter.TableSize, random.oneIn(12) ? random.below(20) : 1 + random.below(2));
    pair(set + Interrupter.Dequeue, events);
    pair(set + Interrupter.Table, segments);
    this.#write(set + Interrupter.Management, random.below(4));
    this.#write(Group.Operational + Op.Command, UsbCommand.Run | UsbCommand.InterruptEnable | random.pick([0, UsbCommand.EnableWrap])); // prettier-ignore
    return { events };
  }

  /** TRBs, handed over, and a link back that may or may not be right. */
  #fill(
    random: Random,
    ring: number,
    count: number,
    make: (index: number) => readonly [number, number, number, number],
  ): void {
    for (let i = 0; i < RING_TRBS; i++) {
      const [low, high, status, control] = make(i);
      const cycle = i >= count || random.oneIn(64) ? 0 : TrbControl.Cycle;
      this.#words(ring + TRB_BYTES * i, low, high, status, (control & ~TrbControl.Cycle) | cycle);
    }
    const toggle = random.oneIn(2) ? TrbControl.ToggleCycle : 0;
    const target = random.oneIn(8) ? this.#place(random) : ring;
    this.#words(ring + TRB_BYTES * RING_TRBS, target, 0, 0, (TrbType.Link << 10) | toggle | 1);
  }

  /** In the order in which a driver gives them, and then any. */
  #command(
    random: Random,
    index: number,
    input: number,
    ring: number,
  ): readonly [number, number, number, number] {
    const usual = [TrbType.EnableSlot, TrbType.AddressDevice, TrbType.ConfigureEndpoint];
    const any = 9 + random.below(15);
    const type = random.oneIn(16) ? random.below(64) : (usual[index] ?? any);
    const slot = random.oneIn(16) ? random.below(256) : 1;
    const dci = random.oneIn(4) ? random.below(32) : random.pick([1, 3]);
    const flags = random.oneIn(8) ? 1 << 9 : 0;
    const aboutEndpoint = type >= TrbType.ResetEndpoint && type <= TrbType.SetDequeuePointer;
    const context = type === TrbType.ConfigureEndpoint ? input + INPUT_BYTES : input;
    const low = aboutEndpoint && random.oneIn(2) ? ring + 1 : random.oneIn(16) ? edge32(random) : context;
    const control = (slot << 24) | (aboutEndpoint ? dci << 16 : 0) | (type << 10) | flags;
    return [low, random.oneIn(24) ? edge32(random) : 0, 0, control];
  }

  /** Setup, data and status of a request, mostly. */
  #stage(random: Random, index: number): readonly [number, number, number, number] {
    const chain = random.oneIn(12) ? TrbControl.Chain : 0;
    const completion = random.oneIn(2) ? TrbControl.InterruptOnCompletion : 0;
    if (random.oneIn(12))
      return [edge32(random), 0, edge32(random), (random.below(64) << 10) | (random.next() & 0x3ff)];
    // The first request has no data.
    switch (index < 2 ? 2 * index : (index - 2) % 3) {
      case 0: {
        const configure = index === 0;
        const type = configure
          ? 0
          : random.pick([0x80, 0x81, 0x82, 0xa1, 0x21, 0x00, 0x01, 0x02, random.below(256)]);
        const request = configure ? 9 : random.below(random.oneIn(8) ? 256 : 13);
        const value = configure ? 1 : random.oneIn(2) ? random.below(0x1_0000) : random.pick([0x100, 0x200, 0x300, 0x2200, 0, 1]); // prettier-ignore
        const length = configure ? 0 : random.oneIn(8) ? 0xffff : random.below(64);
        const about = random.oneIn(4) ? random.below(0x1_0000) : random.pick([0, 0x81]);
        return [type | (request << 8) | (value << 16), about | (length << 16), 8, (TrbType.Setup << 10) | TrbControl.ImmediateData | completion]; // prettier-ignore
      }
      case 1: {
        const length = random.oneIn(8) ? 0x1_ffff : random.below(300);
        return [
          this.#place(random),
          0,
          length,
          (TrbType.Data << 10) | TrbControl.DirectionIn | chain | completion,
        ];
      }
      default:
        return [0, 0, 0, (TrbType.Status << 10) | completion | chain];
    }
  }

  /** An input context for a device on port 1, with the default endpoint and endpoint 1 IN. */
  #input(random: Random, input: number, add: number, control: number, interrupt: number): void {
    const odd = (usual: number) => (random.oneIn(24) ? edge32(random) : usual);
    this.#words(input, odd(0), odd(add));
    this.#words(input + 32, odd((3 << 27) | (1 << 20)), odd(1 << 16), 0, 0);
    this.#words(input + 64, 0, odd((64 << 16) | (4 << 3)), odd(control | 1), odd(0));
    this.#words(input + 128, 0, odd((8 << 16) | (7 << 3)), odd(interrupt | 1), odd(0));
  }
}
