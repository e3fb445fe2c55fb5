/**
 * Entries of L1 and L2 tables, taken apart and put together.
 *
 * QEMU, docs/interop/qcow2.txt, "Cluster mapping". An entry is 64 bits, big-endian; here in two halves, since
 * numbers are exact up to 2^53 only.
 */

/** Bits of an entry's upper half. */
const COPIED = 0x8000_0000;
const COMPRESSED = 0x4000_0000;
const OFFSET_HIGH = 0x00ff_ffff;
/** Of the lower half. */
const ZERO = 1;
const OFFSET_LOW = 0xffff_fe00;

const TWO_32 = 2 ** 32;

/** What is known of a cluster of the disk. */
export type Cluster =
  /** Not here: what the backing file has, or zeros. */
  | { readonly kind: 'unallocated' }
  /** Zeros, whatever the backing file has. `offset` where a cluster is kept for it, else 0. */
  | { readonly kind: 'zero'; readonly offset: number; readonly copied: boolean }
  /** `copied`: nobody else uses it, so it may be written in place. */
  | { readonly kind: 'data'; readonly offset: number; readonly copied: boolean }
  /** In the file from byte `offset` on, in at most `bytes` bytes. */
  | { readonly kind: 'compressed'; readonly offset: number; readonly bytes: number };

const UNALLOCATED: Cluster = { kind: 'unallocated' };

/** A table in memory: entries as they are in the file. */
export class EntryTable {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  /** @param bytes a multiple of 8 of them */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get count(): number {
    return this.bytes.length / 8;
  }

  /** The offset in entry `index`: bits 9 to 55. */
  offset(index: number): number {
    return (
      ((this.#view.getUint32(index * 8) & OFFSET_HIGH) >>> 0) * TWO_32 +
      ((this.#view.getUint32(index * 8 + 4) & OFFSET_LOW) >>> 0)
    );
  }

  /** Bit 63: the cluster is used once. */
  copied(index: number): boolean {
    return (this.#view.getUint32(index * 8) & COPIED) !== 0;
  }

  /** Whether the entry is all zero. */
  empty(index: number): boolean {
    return this.#view.getUint32(index * 8) === 0 && this.#view.getUint32(index * 8 + 4) === 0;
  }

  /** Makes entry `index` point to `offset`. */
  set(index: number, offset: number, copied: boolean, zero = false): void {
    const high = Math.floor(offset / TWO_32) + (copied ? COPIED : 0);
    this.#view.setUint32(index * 8, high);
    this.#view.setUint32(index * 8 + 4, (offset % TWO_32) + (zero ? ZERO : 0));
  }

  setCopied(index: number, copied: boolean): void {
    const high = this.#view.getUint32(index * 8);
    this.#view.setUint32(index * 8, copied ? (high | COPIED) >>> 0 : (high & ~COPIED) >>> 0);
  }

  /** Makes entry `index` say that the cluster is zeros. */
  setZero(index: number): void {
    this.set(index, 0, false, true);
  }

  /** Makes entry `index` say that the cluster is not here. */
  clear(index: number): void {
    this.set(index, 0, false);
  }

  /** Takes entry `index` of an L2 table apart.
   * @param zeroes whether bit 0 means anything (version 3) */
  cluster(index: number, clusterBits: number, zeroes: boolean): Cluster {
    const high = this.#view.getUint32(index * 8);
    const low = this.#view.getUint32(index * 8 + 4);
    if ((high & COMPRESSED) !== 0) return compressed(high, low, clusterBits);
    const offset = this.offset(index);
    const copied = (high & COPIED) !== 0;
    if (zeroes && (low & ZERO) !== 0) return { kind: 'zero', offset, copied };
    return offset === 0 ? UNALLOCATED : { kind: 'data', offset, copied };
  }
}

/** "Compressed Clusters Descriptor": an offset of 70 - clusterBits bits, then a count of 512-byte sectors beyond
 * the first, which the data need not fill. */
function compressed(high: number, low: number, clusterBits: number): Cluster {
  // 49 to 61 bits of offset; the count is in the upper half whatever the size of clusters.
  const offsetBits = 62 - (clusterBits - 8);
  const highBits = offsetBits - 32;
  const offset = (high & (2 ** highBits - 1)) * TWO_32 + low;
  const sectors = ((high & 0x3fff_ffff) >>> highBits) + 1;
  return { kind: 'compressed', offset, bytes: sectors * 512 - (offset % 512) };
}
