/**
 * Where the devices of a bus are: ranges that lie in the shared memory, since a guest may move them (BARs,
 * the ACPI block), with the devices behind them known to each thread by the order of registration.
 */
import { type Arena, layout, type View } from './layout.ts';

/** Most ranges of a bus. */
export const BUS_SLOTS = 128;

const busLayout = layout('bus-ranges', 1, {
  /** Raised by one before and by one after each change: odd while a change is under way. */
  generation: 'u32',
  start: ['f64', BUS_SLOTS],
  size: ['f64', BUS_SLOTS],
  enabled: ['u32', BUS_SLOTS],
});

/** Where a device is; addresses and sizes in bytes. */
export interface BusPlace {
  start: number;
  size: number;
  enabled: boolean;
}

/** A device's registration. */
export interface BusRange {
  /** Changes what is given and leaves the rest. To be called with the device lock held. */
  change(to: Partial<BusPlace>): void;
}

export class BusRanges<D> {
  readonly #state: View<typeof busLayout.fields>;
  readonly #generation: Uint32Array<SharedArrayBuffer>;
  readonly #defaults: BusPlace[] = [];
  readonly #devices: D[] = [];

  constructor(arena: Arena) {
    const at = arena.reserve(busLayout.size);
    this.#state = busLayout.bind(arena.buffer, at);
    this.#generation = new Uint32Array(arena.buffer, at + busLayout.offset.generation, 1);
  }

  /** Another number after each change; odd while one is under way. */
  get generation(): number {
    return Atomics.load(this.#generation, 0);
  }

  /** Adds a device, decoded before all that were added earlier. It appears with the next {@link reset}.
   * @throws RangeError where the bus is full */
  register(device: D, initial: BusPlace): BusRange {
    const slot = this.#devices.length;
    if (slot === BUS_SLOTS) throw new RangeError(`more than ${BUS_SLOTS} ranges on a bus`);
    this.#devices.push(device);
    this.#defaults.push({ ...initial });
    return {
      change: (to) => {
        const next: BusPlace = { ...this.place(slot), ...to };
        this.#change(() => this.#store(slot, next));
      },
    };
  }

  /** Puts every device where it is at power-on. */
  reset(): void {
    this.#change(() => {
      for (const [slot, initial] of this.#defaults.entries()) this.#store(slot, initial);
    });
  }

  get count(): number {
    return this.#devices.length;
  }

  device(slot: number): D {
    return this.#devices[slot]!;
  }

  place(slot: number): BusPlace {
    const { start, size, enabled } = this.#state;
    return { start: start[slot]!, size: size[slot]!, enabled: enabled[slot] !== 0 };
  }

  #change(body: () => void): void {
    Atomics.add(this.#generation, 0, 1);
    body();
    Atomics.add(this.#generation, 0, 1);
  }

  #store(slot: number, place: BusPlace): void {
    const { start, size, enabled } = this.#state;
    start[slot] = place.start;
    size[slot] = place.size;
    enabled[slot] = place.enabled ? 1 : 0;
  }
}
