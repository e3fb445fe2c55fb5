/**
 * A file in memory that remembers what was done to it, for tests: what would be in the file had the process
 * ended in the middle, or had the host lost power.
 */
import type { Random } from '../../base/random.ts';
import { type Buffers, lengthOf, viewsOf } from './buffers.ts';
import type { HostFile } from './host-file.ts';

type Operation =
  | { readonly kind: 'write'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly bytes: number }
  | { readonly kind: 'sync' };

export class MemoryFile implements HostFile {
  #bytes = new Uint8Array(0);
  #size = 0;
  readonly log: Operation[] = [];
  /** Called before each write, which fails where this throws. */
  onWrite: () => void = () => {};

  size(): number {
    return this.#size;
  }

  /** All of it, as it is now. */
  contents(): Uint8Array {
    return this.#bytes.slice(0, this.#size);
  }

  readv(at: number, into: Buffers): void {
    let from = at;
    for (const buffer of viewsOf(into)) {
      const there = this.#bytes.subarray(from, Math.min(from + buffer.length, this.#size));
      buffer.fill(0);
      buffer.set(there);
      from += buffer.length;
    }
  }

  writev(at: number, from: Buffers): void {
    this.onWrite();
    const bytes = new Uint8Array(lengthOf(from));
    let to = 0;
    for (const buffer of viewsOf(from)) {
      bytes.set(buffer, to);
      to += buffer.length;
    }
    this.#apply({ kind: 'write', at, bytes });
  }

  truncate(bytes: number): void {
    this.#apply({ kind: 'truncate', bytes });
  }

  sync(): void {
    this.log.push({ kind: 'sync' });
  }

  punchHole(at: number, length: number): void {
    const there = Math.max(0, Math.min(length, this.#size - at));
    if (there > 0) this.#apply({ kind: 'write', at, bytes: new Uint8Array(there) });
  }

  close(): void {}

  /** The file had the process been killed after the first `operations`. */
  killedAfter(operations: number): MemoryFile {
    const file = new MemoryFile();
    for (const operation of this.log.slice(0, operations))
      if (operation.kind !== 'sync') file.#apply(operation);
    file.log.length = 0;
    return file;
  }

  /** The file had the host lost power after the first `operations`: of what was not synchronized, some is there
   * and some is not. */
  powerLostAfter(operations: number, random: Random): MemoryFile {
    const file = new MemoryFile();
    const done = this.log.slice(0, operations);
    const safe = done.findLastIndex(({ kind }) => kind === 'sync');
    for (const [i, operation] of done.entries()) {
      if (operation.kind !== 'sync' && (i < safe || random.oneIn(2))) file.#apply(operation);
    }
    file.log.length = 0;
    return file;
  }

  #apply(operation: Exclude<Operation, { kind: 'sync' }>): void {
    this.log.push(operation);
    const end = operation.kind === 'write' ? operation.at + operation.bytes.length : operation.bytes;
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(end, 2 * this.#bytes.length));
      larger.set(this.#bytes.subarray(0, this.#size));
      this.#bytes = larger;
    }
    if (operation.kind === 'write') {
      this.#bytes.set(operation.bytes, operation.at);
      this.#size = Math.max(this.#size, end);
    } else {
      this.#bytes.fill(0, Math.min(end, this.#size));
      this.#size = end;
    }
  }
}
