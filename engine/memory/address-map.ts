/**
 * The guest-physical address map: which pages are RAM, which ROM, and which are left to MMIO devices.
 *
 * Ranges are defined once, in the same order in every thread, and may overlap: the one defined later wins,
 * as a chip select that is decoded first. Position, kind and presence of each lie in the shared memory and
 * change while the machine runs (PAM registers, BARs); each thread flattens them into disjoint ranges when
 * it sees that the generation has changed.
 */
import { type Arena, layout, type View } from './layout.ts';
import { PAGE_SIZE } from './machine-memory.ts';

/** Most ranges a map can hold. */
export const MAP_SLOTS = 64;

const mapLayout = layout('address-map', 1, {
  /** Raised by one before and by one after each change: odd while a change is under way. */
  generation: 'u32',
  /** First page. */
  start: ['f64', MAP_SLOTS],
  /** Pages. */
  pages: ['f64', MAP_SLOTS],
  /** Address in the shared memory of the first byte, for RAM and ROM. */
  address: ['f64', MAP_SLOTS],
  /** See {@link RangeKind}. */
  kind: ['u32', MAP_SLOTS],
  enabled: ['u32', MAP_SLOTS],
});

export const RangeKind = {
  /** Reads and writes go to memory. */
  Ram: 1,
  /** Reads go to memory, writes to the MMIO bus. */
  Rom: 2,
  /** Everything goes to the MMIO bus, whatever memory lies beneath. */
  Mmio: 3,
} as const;
export type RangeKind = (typeof RangeKind)[keyof typeof RangeKind];

/** What can change in a range while the machine runs. Addresses and sizes in bytes, multiples of 4096. */
export interface RangePlace {
  kind: RangeKind;
  /** First guest-physical address. */
  start: number;
  size: number;
  /** For RAM and ROM: where its first byte lies in the shared memory. */
  address: number;
  enabled: boolean;
}

/** A stretch of memory as the guest sees it. Addresses and sizes in bytes, multiples of 4096. */
export interface MemoryStretch {
  /** First guest-physical address. */
  readonly start: number;
  readonly size: number;
  /** Where its first byte lies in the shared memory. */
  readonly address: number;
  readonly readOnly: boolean;
}

/** One range of the map. */
export interface MappedRange {
  /** Changes what is given and leaves the rest; does nothing where that is how it is already. To be called
   * with the device lock held. */
  change(to: Partial<RangePlace>): void;
}

export class AddressMap {
  readonly #state: View<typeof mapLayout.fields>;
  readonly #generation: Uint32Array<SharedArrayBuffer>;
  readonly #defaults: RangePlace[] = [];
  readonly #changed: () => void;

  /** Disjoint ranges in order of address, as of {@link #seen}: first page, page after the last, and what
   * {@link resolve} returns for the first page. */
  #first = new Float64Array(0);
  #end = new Float64Array(0);
  #entry = new Float64Array(0);
  #count = 0;
  #last = 0;
  #seen = -1;

  /** @param changed called in the thread that changed the map, after the change: every vCPU must drop its
   *   translations */
  constructor(arena: Arena, changed: () => void) {
    const at = arena.reserve(mapLayout.size);
    this.#state = mapLayout.bind(arena.buffer, at);
    this.#generation = new Uint32Array(arena.buffer, at + mapLayout.offset.generation, 1);
    this.#changed = changed;
  }

  /** Even; another number after each change. */
  get generation(): number {
    return Atomics.load(this.#generation, 0);
  }

  /**
   * Adds a range, above all that were added before. It appears in the map with the next {@link reset}.
   *
   * @param initial where it is after a reset
   * @throws RangeError where the map is full or the range not made of whole pages
   */
  define(initial: RangePlace): MappedRange {
    const slot = this.#defaults.length;
    if (slot === MAP_SLOTS) throw new RangeError(`more than ${MAP_SLOTS} ranges in the address map`);
    requirePages(initial);
    this.#defaults.push({ ...initial });
    return {
      change: (to) => {
        const { start, pages, address, kind, enabled } = this.#state;
        const now: RangePlace = {
          kind: kind[slot] as RangeKind,
          start: start[slot]! * PAGE_SIZE,
          size: pages[slot]! * PAGE_SIZE,
          address: address[slot]!,
          enabled: enabled[slot] !== 0,
        };
        const next: RangePlace = { ...now, ...to };
        requirePages(next);
        if (sameRange(now, next)) return;
        this.#change(() => this.#store(slot, next));
      },
    };
  }

  /** Puts every range where it is at power-on. */
  reset(): void {
    this.#change(() => {
      for (let slot = 0; slot < MAP_SLOTS; slot++) {
        const initial = this.#defaults[slot];
        if (initial === undefined) this.#state.enabled[slot] = 0;
        else this.#store(slot, initial);
      }
    });
  }

  /**
   * Where a guest-physical page lies in the shared memory.
   *
   * @param page guest-physical address / 4096
   * @returns the address of the page, a multiple of 4096, plus 1 where the page is read-only; 0 where it is
   *   not memory: MMIO, or nothing
   */
  resolve(page: number): number {
    if (Atomics.load(this.#generation, 0) !== this.#seen) this.#flatten();
    let at = this.#last;
    if (at >= this.#count || page < this.#first[at]! || page >= this.#end[at]!) {
      let low = 0;
      let high = this.#count;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (this.#end[middle]! <= page) low = middle + 1;
        else high = middle;
      }
      if (low === this.#count || page < this.#first[low]!) return 0;
      this.#last = at = low;
    }
    return this.#entry[at]! + (page - this.#first[at]!) * PAGE_SIZE;
  }

  /** Every stretch of RAM, in order of address, in bytes: for loaders and firmware tables. */
  ram(): Array<{ start: number; size: number }> {
    if (this.generation !== this.#seen) this.#flatten();
    const found: Array<{ start: number; size: number }> = [];
    for (let i = 0; i < this.#count; i++) {
      if (this.#entry[i]! % PAGE_SIZE !== 0) continue;
      const start = this.#first[i]! * PAGE_SIZE;
      const size = (this.#end[i]! - this.#first[i]!) * PAGE_SIZE;
      const before = found.at(-1);
      if (before !== undefined && before.start + before.size === start) before.size += size;
      else found.push({ start, size });
    }
    return found;
  }

  /** Every stretch of RAM and ROM, disjoint and in order of address; those that were defined apart stay
   * apart. For accelerators that hand memory to the host's virtualization. */
  memory(): MemoryStretch[] {
    if (this.generation !== this.#seen) this.#flatten();
    return Array.from({ length: this.#count }, (_, i) => {
      const readOnly = this.#entry[i]! % PAGE_SIZE !== 0;
      return {
        start: this.#first[i]! * PAGE_SIZE,
        size: (this.#end[i]! - this.#first[i]!) * PAGE_SIZE,
        address: this.#entry[i]! - (readOnly ? 1 : 0),
        readOnly,
      };
    });
  }

  #change(body: () => void): void {
    Atomics.add(this.#generation, 0, 1);
    body();
    Atomics.add(this.#generation, 0, 1);
    this.#changed();
  }

  #store(slot: number, place: RangePlace): void {
    const { start, pages, address, kind, enabled } = this.#state;
    start[slot] = place.start / PAGE_SIZE;
    pages[slot] = place.size / PAGE_SIZE;
    address[slot] = place.address;
    kind[slot] = place.kind;
    enabled[slot] = place.enabled ? 1 : 0;
  }

  /** Rebuilds the disjoint ranges, again if the map changes meanwhile. */
  #flatten(): void {
    for (;;) {
      const before = Atomics.load(this.#generation, 0);
      if (before % 2 === 0) {
        this.#build();
        if (Atomics.load(this.#generation, 0) === before) {
          this.#seen = before;
          return;
        }
      }
      Atomics.pause();
    }
  }

  #build(): void {
    const { start, pages, address, kind, enabled } = this.#state;
    const slots: number[] = [];
    const edges = new Set<number>();
    for (let slot = 0; slot < MAP_SLOTS; slot++) {
      if (enabled[slot] === 0 || pages[slot] === 0) continue;
      slots.unshift(slot);
      edges.add(start[slot]!).add(start[slot]! + pages[slot]!);
    }
    const sorted = Float64Array.from(edges).sort();
    this.#first = new Float64Array(sorted.length);
    this.#end = new Float64Array(sorted.length);
    this.#entry = new Float64Array(sorted.length);
    this.#count = 0;
    this.#last = 0;
    for (let i = 0; i + 1 < sorted.length; i++) {
      const page = sorted[i]!;
      const slot = slots.find((s) => start[s]! <= page && page < start[s]! + pages[s]!);
      if (slot === undefined || kind[slot] === RangeKind.Mmio) continue;
      this.#first[this.#count] = page;
      this.#end[this.#count] = sorted[i + 1]!;
      const readOnly = kind[slot] === RangeKind.Rom ? 1 : 0;
      this.#entry[this.#count] = address[slot]! + (page - start[slot]!) * PAGE_SIZE + readOnly;
      this.#count++;
    }
  }
}

function sameRange(a: RangePlace, b: RangePlace): boolean {
  return (
    a.enabled === b.enabled &&
    a.kind === b.kind &&
    a.start === b.start &&
    a.size === b.size &&
    a.address === b.address
  );
}

function requirePages({ start, size, address }: RangePlace): void {
  for (const value of [start, size, address]) {
    if (!Number.isSafeInteger(value) || value < 0 || value % PAGE_SIZE !== 0) {
      throw new RangeError(`${value} is not made of whole pages`);
    }
  }
}
