/**
 * Guest-physical memory as devices and loaders see it: bytes and little-endian numbers at physical addresses.
 *
 * No address is wrong: what is not memory reads as all ones and takes no writes, like a bus that nobody
 * answers on; neither does ROM take writes. MMIO devices are not reached this way.
 */
import type { AddressMap } from './address-map.ts';
import type { DirtyLog } from './dirty-log.ts';
import { type MachineMemory, PAGE_SIZE } from './machine-memory.ts';
import { Runs } from './runs.ts';

/** A piece of guest memory. */
export interface Segment {
  readonly address: number;
  readonly length: number;
}

export class PhysicalMemory {
  readonly #memory: MachineMemory;
  readonly #map: AddressMap;
  readonly #dirty: DirtyLog;
  readonly #written: (address: number, bytes: number) => void;

  /** @param written called after each write within a page, with its place in the shared memory: code may have
   *   been overwritten */
  constructor(
    memory: MachineMemory,
    map: AddressMap,
    dirty: DirtyLog,
    written: (address: number, bytes: number) => void,
  ) {
    this.#memory = memory;
    this.#map = map;
    this.#dirty = dirty;
    this.#written = written;
  }

  /** Copies `length` bytes at `address` out. */
  read(address: number, length: number): Uint8Array {
    const result = new Uint8Array(length);
    this.#eachPage(address, length, (at, offset, bytes) => {
      const into = result.subarray(offset, offset + bytes);
      if (at === 0) into.fill(0xff);
      else into.set(this.#memory.bytes.subarray(at, at + bytes));
    });
    return result;
  }

  /** Copies `data` to `address`. */
  write(address: number, data: Uint8Array): void {
    this.#modify(address, data.length, (at, offset, bytes) => {
      this.#memory.bytes.set(data.subarray(offset, offset + bytes), at);
    });
  }

  /** Sets `length` bytes at `address` to `value`. */
  fill(address: number, length: number, value: number): void {
    this.#modify(address, length, (at, _offset, bytes) => {
      this.#memory.bytes.fill(value, at, at + bytes);
    });
  }

  /** True where all of the `length` bytes at `address` are RAM. */
  isRam(address: number, length: number): boolean {
    let all = true;
    this.#eachPage(address, length, (at, _offset, _bytes, readOnly) => {
      if (at === 0 || readOnly) all = false;
    });
    return all;
  }

  readU8(address: number): number {
    const at = this.#within(address, 1);
    return at === 0 ? 0xff : this.#memory.view.getUint8(at);
  }

  readU16(address: number): number {
    const at = this.#within(address, 2);
    return at === 0
      ? numbers(this.read(address, 2)).getUint16(0, true)
      : this.#memory.view.getUint16(at, true);
  }

  readU32(address: number): number {
    const at = this.#within(address, 4);
    return at === 0
      ? numbers(this.read(address, 4)).getUint32(0, true)
      : this.#memory.view.getUint32(at, true);
  }

  readU64(address: number): bigint {
    const at = this.#within(address, 8);
    return at === 0
      ? numbers(this.read(address, 8)).getBigUint64(0, true)
      : this.#memory.view.getBigUint64(at, true);
  }

  writeU8(address: number, value: number): void {
    this.write(address, Uint8Array.of(value));
  }

  writeU16(address: number, value: number): void {
    const data = new Uint8Array(2);
    numbers(data).setUint16(0, value, true);
    this.write(address, data);
  }

  writeU32(address: number, value: number): void {
    const data = new Uint8Array(4);
    numbers(data).setUint32(0, value, true);
    this.write(address, data);
  }

  writeU64(address: number, value: bigint): void {
    const data = new Uint8Array(8);
    numbers(data).setBigUint64(0, value, true);
    this.write(address, data);
  }

  /**
   * The bytes of segments themselves, one behind the other, for DMA in place. In place of what is not memory, or is not to
   * be written, there are bytes that belong to nobody, all ones.
   *
   * @param segments whose bytes are bounded by the caller
   * @param access `write` leaves out ROM; {@link wrote} is to be called afterwards
   */
  pieces(segments: readonly Segment[], access: 'read' | 'write'): readonly Uint8Array[] | Runs {
    const runs = new Runs(this.#memory.buffer);
    for (const { address, length } of segments)
      if (!this.#addRuns(runs, address, length, access)) return this.#views(segments, access);
    return runs;
  }

  /** Notes that {@link pieces} of segments have been written. */
  wrote(segments: readonly Segment[], pieces: readonly Uint8Array[] | Runs): void {
    if (!(pieces instanceof Runs)) {
      for (const { address, length } of segments) this.#modify(address, length, nothing);
      return;
    }
    for (let run = 0; run < pieces.count; run++) {
      const end = pieces.start(run) + pieces.length(run);
      for (let at = pieces.start(run); at < end;) {
        const bytes = Math.min(end - at, PAGE_SIZE - (at % PAGE_SIZE));
        this.#changed(at, bytes);
        at += bytes;
      }
    }
  }

  /** @returns false where not all of it is memory, or for `write` not to be written */
  #addRuns(runs: Runs, address: number, length: number, access: 'read' | 'write'): boolean {
    for (let offset = 0; offset < length;) {
      const page = Math.floor((address + offset) / PAGE_SIZE);
      const inPage = address + offset - page * PAGE_SIZE;
      const bytes = Math.min(length - offset, PAGE_SIZE - inPage);
      const found = this.#map.resolve(page);
      if (found === 0 || (access === 'write' && found % 2 !== 0)) return false;
      runs.add(found - (found % 2) + inPage, bytes);
      offset += bytes;
    }
    return true;
  }

  #views(segments: readonly Segment[], access: 'read' | 'write'): Uint8Array[] {
    const views: Uint8Array[] = [];
    for (const { address, length } of segments) {
      this.#eachPage(address, length, (at, _offset, bytes, readOnly) => {
        const nobodys = at === 0 || (access === 'write' && readOnly);
        views.push(nobodys ? new Uint8Array(bytes).fill(0xff) : this.#memory.bytes.subarray(at, at + bytes));
      });
    }
    return views;
  }

  /** Where `size` bytes at `address` lie in the shared memory; 0 where not all of them are in one page of
   * memory. */
  #within(address: number, size: number): number {
    const page = Math.floor(address / PAGE_SIZE);
    const offset = address - page * PAGE_SIZE;
    if (offset + size > PAGE_SIZE) return 0;
    const at = this.#map.resolve(page);
    return at === 0 ? 0 : at - (at % 2) + offset;
  }

  #modify(address: number, length: number, body: (at: number, offset: number, bytes: number) => void): void {
    this.#eachPage(address, length, (at, offset, bytes, readOnly) => {
      if (at === 0 || readOnly) return;
      body(at, offset, bytes);
      this.#changed(at, bytes);
    });
  }

  /** Tells of bytes that have changed, within a page, by their place in the shared memory. */
  #changed(at: number, bytes: number): void {
    const { ramBase } = this.#memory;
    if (at >= ramBase) this.#dirty.mark(Math.floor((at - ramBase) / PAGE_SIZE));
    this.#written(at, bytes);
  }

  /** Calls `body` for each page that the `length` bytes at `address` touch: its part's address in the shared
   * memory (0 where it is not memory), the part's offset from `address`, and its bytes. */
  #eachPage(
    address: number,
    length: number,
    body: (at: number, offset: number, bytes: number, readOnly: boolean) => void,
  ): void {
    for (let offset = 0; offset < length;) {
      const page = Math.floor((address + offset) / PAGE_SIZE);
      const inPage = address + offset - page * PAGE_SIZE;
      const bytes = Math.min(length - offset, PAGE_SIZE - inPage);
      const found = this.#map.resolve(page);
      const readOnly = found % 2;
      body(found === 0 ? 0 : found - readOnly + inPage, offset, bytes, readOnly !== 0);
      offset += bytes;
    }
  }
}

const nothing = (): void => {};

function numbers(data: Uint8Array): DataView {
  return new DataView(data.buffer, data.byteOffset, data.byteLength);
}
