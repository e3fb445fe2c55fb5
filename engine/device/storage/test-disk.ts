/** What tests of storage devices put in place of an image and guest memory. */
import { type Buffers, lengthOf, viewsOf } from '../../backend/image/buffers.ts';
import type { Segment } from '../../memory/physical-memory.ts';
import type { BlockBackend } from './block.ts';
import type { DmaMemory } from '../dma.ts';

/** A disk in memory. */
export class TestDisk implements BlockBackend {
  readonly bytes: Uint8Array;
  /** What was done to it. */
  readonly journal: string[] = [];
  /** The host fails. */
  broken = false;

  /** @param bytes how many, or the bytes themselves */
  constructor(bytes: number | Uint8Array) {
    this.bytes = typeof bytes === 'number' ? new Uint8Array(bytes) : bytes;
  }

  read(at: number, into: Buffers): boolean {
    return this.#each('read', at, into, (part, from) =>
      part.set(this.bytes.subarray(from, from + part.length)),
    );
  }

  write(at: number, from: Buffers): boolean {
    return this.#each('write', at, from, (part, to) => this.bytes.set(part, to));
  }

  flush(): boolean {
    this.journal.push('flush');
    return !this.broken;
  }

  discard(at: number, length: number): boolean {
    return this.#clear('discard', at, length);
  }

  writeZeroes(at: number, length: number): boolean {
    return this.#clear('zero', at, length);
  }

  #clear(what: string, at: number, length: number): boolean {
    this.#require(at, length);
    this.journal.push(`${what} ${at}+${length}`);
    if (!this.broken) this.bytes.fill(0, at, at + length);
    return !this.broken;
  }

  #each(what: string, at: number, buffers: Buffers, body: (part: Uint8Array, at: number) => void): boolean {
    const length = lengthOf(buffers);
    this.#require(at, length);
    this.journal.push(`${what} ${at}+${length}`);
    if (this.broken) return false;
    let position = at;
    for (const part of viewsOf(buffers)) {
      body(part, position);
      position += part.length;
    }
    return true;
  }

  /** Devices keep to the disk. */
  #require(at: number, length: number): void {
    if (at < 0 || at + length > this.bytes.length)
      throw new RangeError(`${at}+${length} is beyond the disk's end`);
  }
}

/** Guest memory from address 0 on; beyond it nothing. */
export class TestMemory implements DmaMemory {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get view(): DataView {
    return new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length);
  }

  read(address: number, length: number): Uint8Array {
    const result = new Uint8Array(length).fill(0xff);
    result.set(this.#there(address, length));
    return result;
  }

  write(address: number, data: Uint8Array): void {
    const there = this.#there(address, data.length);
    there.set(data.subarray(0, there.length));
  }

  pieces(segments: readonly Segment[]): Uint8Array[] {
    return segments.flatMap(({ address, length }) => {
      const there = this.#there(address, length);
      return there.length === length ? [there] : [there, new Uint8Array(length - there.length).fill(0xff)];
    });
  }

  wrote(): void {}

  #there(address: number, length: number): Uint8Array {
    return this.bytes.subarray(address, Math.max(address, Math.min(address + length, this.bytes.length)));
  }
}
