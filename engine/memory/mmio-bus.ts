/**
 * The memory-mapped I/O bus: what a guest-physical access reaches where the address map has no memory.
 *
 * Addresses that no device decodes read as all ones. Accesses that leave a device's range, and 8-byte ones
 * to a device without registers of that width, are split in halves. Everything here is called with the
 * device lock held.
 */
import type { AccessSize, LocalMmioDevice, MmioDevice } from '../device/device.ts';
import { type BusRange, BusRanges } from './bus-ranges.ts';
import type { Arena } from './layout.ts';
import { PAGE_SIZE } from './machine-memory.ts';

interface Decoded {
  readonly device: MmioDevice;
  readonly start: number;
  readonly end: number;
}

export class MmioBus {
  readonly #ranges: BusRanges<MmioDevice>;
  /** The enabled ranges, the one decoded first in front; as of {@link #seen}. */
  #decoded: Decoded[] = [];
  #seen = -1;
  #local: LocalMmioDevice | undefined;
  /** Where each vCPU has last found it. */
  readonly #localDecoded: Decoded[] = [];

  constructor(arena: Arena) {
    this.#ranges = new BusRanges(arena);
  }

  /** Adds a device at `size` bytes from `start` on, in front of those added before. */
  register(device: MmioDevice, start: number, size: number, enabled = true): BusRange {
    return this.#ranges.register(device, { start, size, enabled });
  }

  /** Adds the device that each vCPU finds at a place of its own, in front of all others. There is one at most. */
  registerLocal(device: LocalMmioDevice): void {
    if (this.#local !== undefined) throw new RangeError('a bus has one local device at most');
    this.#local = device;
  }

  /** Puts every device where it is at power-on. */
  reset(): void {
    this.#ranges.reset();
  }

  /**
   * Reads at a guest-physical address.
   *
   * @param size 1, 2, 4 or 8 bytes
   * @param vcpu index of the vCPU that reads
   * @returns little-endian, unsigned
   */
  read(address: number, size: AccessSize | 8, vcpu: number): bigint {
    const found = this.#find(address, size, vcpu);
    if (found === null) return (1n << BigInt(size * 8)) - 1n;
    if (found !== undefined) {
      const offset = address - found.start;
      if (size !== 8) {
        return BigInt.asUintN(size * 8, BigInt(found.device.mmioRead(offset, size, vcpu)));
      }
      if (offset % 8 === 0 && found.device.mmioRead64 !== undefined) {
        return BigInt.asUintN(64, found.device.mmioRead64(offset, vcpu));
      }
    }
    const half = halfOf(size);
    const low = this.read(address, half, vcpu);
    return low | (this.read(address + half, half, vcpu) << BigInt(half * 8));
  }

  /** Writes the low `size` bytes of `data` at a guest-physical address; see {@link read}. */
  write(address: number, size: AccessSize | 8, data: bigint, vcpu: number): void {
    const found = this.#find(address, size, vcpu);
    if (found === null) return;
    if (found !== undefined) {
      const offset = address - found.start;
      if (size !== 8) {
        found.device.mmioWrite(offset, size, Number(BigInt.asUintN(size * 8, data)), vcpu);
        return;
      }
      if (offset % 8 === 0 && found.device.mmioWrite64 !== undefined) {
        found.device.mmioWrite64(offset, BigInt.asUintN(64, data), vcpu);
        return;
      }
    }
    const half = halfOf(size);
    this.write(address, half, data, vcpu);
    this.write(address + half, half, data >> BigInt(half * 8), vcpu);
  }

  /** The device that decodes all of the access; null where none decodes any of it, undefined where it must
   * be split. */
  #find(address: number, size: number, vcpu: number): Decoded | null | undefined {
    const end = address + size;
    const local = this.#localTo(vcpu);
    if (local !== undefined && address < local.end && end > local.start) {
      return address >= local.start && end <= local.end ? local : undefined;
    }
    if (this.#ranges.generation !== this.#seen) this.#build();
    for (const range of this.#decoded) {
      if (address >= range.end || end <= range.start) continue;
      return address >= range.start && end <= range.end ? range : undefined;
    }
    return null;
  }

  #localTo(vcpu: number): Decoded | undefined {
    const start = this.#local?.placeOf(vcpu) ?? -1;
    if (this.#local === undefined || start < 0) return undefined;
    let decoded = this.#localDecoded[vcpu];
    if (decoded?.start !== start) {
      decoded = { device: this.#local, start, end: start + PAGE_SIZE };
      this.#localDecoded[vcpu] = decoded;
    }
    return decoded;
  }

  #build(): void {
    this.#seen = this.#ranges.generation;
    this.#decoded = [];
    for (let slot = 0; slot < this.#ranges.count; slot++) {
      const { start, size, enabled } = this.#ranges.place(slot);
      if (enabled) this.#decoded.unshift({ device: this.#ranges.device(slot), start, end: start + size });
    }
  }
}

function halfOf(size: AccessSize | 8): AccessSize {
  return size === 8 ? 4 : size === 4 ? 2 : 1;
}
