/**
 * The port bus: 65536 byte-wide ports, decoded to devices.
 *
 * Ports that no device decodes read as all ones. An access that more than one device decodes is split, as
 * the host bridge does with one that is wider than the device (SDM volume 1, 19.3, "I/O address space").
 * Everything here is called with the device lock held.
 */
import type { AccessSize, PortDevice } from '../device/device.ts';
import { type BusRange, BusRanges } from './bus-ranges.ts';
import type { Arena } from './layout.ts';

const PORTS = 0x10000;

export class PortBus {
  readonly #ranges: BusRanges<PortDevice>;
  /** Slot + 1 of the device at each port, 0 where there is none; as of {@link #seen}. */
  readonly #decode = new Uint8Array(PORTS);
  readonly #base: number[] = [];
  #seen = -1;

  constructor(arena: Arena) {
    this.#ranges = new BusRanges(arena);
  }

  /** Adds a device at `count` ports from `start` on, in front of those added before. */
  register(device: PortDevice, start: number, count: number, enabled = true): BusRange {
    return this.#ranges.register(device, { start, size: count, enabled });
  }

  /** Puts every device where it is at power-on. */
  reset(): void {
    this.#ranges.reset();
  }

  /** Reads `size` bytes at `port`, unsigned. Ports count modulo 65536. */
  read(port: number, size: AccessSize): number {
    const at = port & (PORTS - 1);
    const slot = this.#owner(at, size);
    if (slot === 0) return allOnes(size);
    if (slot > 0) {
      const value = this.#ranges.device(slot - 1).portRead(at - this.#base[slot - 1]!, size);
      return (value & allOnes(size)) >>> 0;
    }
    const half = size === 4 ? 2 : 1;
    const low = this.read(at, half);
    return (low | (this.read(at + half, half) << (half * 8))) >>> 0;
  }

  /** Writes the low `size` bytes of `value` to `port`. Ports count modulo 65536. */
  write(port: number, size: AccessSize, value: number): void {
    const at = port & (PORTS - 1);
    const slot = this.#owner(at, size);
    if (slot === 0) return;
    if (slot > 0) {
      const masked = (value & allOnes(size)) >>> 0;
      this.#ranges.device(slot - 1).portWrite(at - this.#base[slot - 1]!, size, masked);
      return;
    }
    const half = size === 4 ? 2 : 1;
    this.write(at, half, value);
    this.write(at + half, half, value >>> (half * 8));
  }

  /**
   * Reads at a port again and again.
   *
   * @param into elements of `size` bytes
   * @returns elements read; 0 where they are to be read one at a time, by {@link read}
   */
  readBlock(port: number, size: AccessSize, into: Uint8Array): number {
    const at = port & (PORTS - 1);
    const slot = this.#owner(at, size);
    if (slot <= 0) return 0;
    return this.#ranges.device(slot - 1).portReadBlock?.(at - this.#base[slot - 1]!, size, into) ?? 0;
  }

  /** Writes to a port again and again. @returns elements written, as {@link readBlock} */
  writeBlock(port: number, size: AccessSize, from: Uint8Array): number {
    const at = port & (PORTS - 1);
    const slot = this.#owner(at, size);
    if (slot <= 0) return 0;
    return this.#ranges.device(slot - 1).portWriteBlock?.(at - this.#base[slot - 1]!, size, from) ?? 0;
  }

  /** Slot + 1 of the device that decodes all of the access, 0 where none decodes any, -1 where they differ. */
  #owner(port: number, size: AccessSize): number {
    if (this.#ranges.generation !== this.#seen) this.#build();
    const slot = this.#decode[port]!;
    for (let i = 1; i < size; i++) {
      if (this.#decode[(port + i) & (PORTS - 1)] !== slot) return -1;
    }
    return size > 1 && port + size > PORTS && slot !== 0 ? -1 : slot;
  }

  #build(): void {
    this.#seen = this.#ranges.generation;
    this.#decode.fill(0);
    for (let slot = 0; slot < this.#ranges.count; slot++) {
      const { start, size, enabled } = this.#ranges.place(slot);
      this.#base[slot] = start;
      if (enabled) this.#decode.fill(slot + 1, start, start + size);
    }
  }
}

function allOnes(size: AccessSize): number {
  return size === 4 ? 0xffffffff : size === 2 ? 0xffff : 0xff;
}
