/**
 * Reference counts: how often each cluster of the file is used, and with that which are free.
 *
 * QEMU, docs/interop/qcow2.txt, "Host cluster management": a table of blocks, each of one cluster of counts.
 *
 * A new block lies in the first cluster that it counts, which is free because nothing had counted it. Changes
 * are kept in memory until {@link Refcounts.write}; those that are forgotten by a crash leave clusters that are
 * counted and not used, as long as whatever makes use of a cluster is written after its count.
 */
import type { Qcow2Header } from './header.ts';
import { HeaderField } from './header.ts';
import { bigEndian, damaged, type Qcow2Context, readMetadata, readTable } from './metadata-file.ts';
import { EntryTable } from './entries.ts';

interface RefcountBlock {
  readonly bytes: Uint8Array;
  dirty: boolean;
}

/** Bytes of blocks kept in memory, about. */
const CACHE_BYTES = 4 * 2 ** 20;

/** Clusters looked at in vain beyond the file's end before the counts are taken for nonsense. */
const MOST_IN_VAIN = 2 ** 22;

/** Consecutive clusters, by index. */
export interface ClusterRun {
  readonly first: number;
  readonly count: number;
}

export class Refcounts {
  readonly #context: Qcow2Context;
  /** Counts are of 2 ** order bits. */
  readonly #order: number;
  readonly #perBlock: number;
  readonly #blocks = new Map<number, RefcountBlock>();
  #table: EntryTable;
  /** Entries of the table that are not in the file yet. */
  readonly #newEntries = new Set<number>();
  /** Where the table is in the file. */
  #tableAt: ClusterRun;
  /** Where it is to be: it has outgrown its place. */
  #tableTo: ClusterRun | undefined;
  /** No cluster before is free. */
  #hint = 0;

  /** @throws GuesthouseError `file` where the table is not in the file */
  constructor(context: Qcow2Context, header: Qcow2Header) {
    const { clusterBytes } = context;
    const bytes = header.refcountTableClusters * clusterBytes;
    this.#context = context;
    this.#order = header.refcountOrder;
    this.#perBlock = (clusterBytes * 8) >> header.refcountOrder;
    this.#table = new EntryTable(readMetadata(context, header.refcountTableOffset, bytes, 'refcount table'));
    this.#tableAt = {
      first: header.refcountTableOffset / clusterBytes,
      count: header.refcountTableClusters,
    };
  }

  /** Whether a byte of the file is the refcount table's. */
  inTable(offset: number): boolean {
    const cluster = Math.floor(offset / this.#context.clusterBytes);
    return cluster >= this.#tableAt.first && cluster < this.#tableAt.first + this.#tableAt.count;
  }

  /** How often cluster `cluster` is used. */
  get(cluster: number): number {
    const block = this.#block(Math.floor(cluster / this.#perBlock));
    return block === undefined ? 0 : readCount(block.bytes, cluster % this.#perBlock, this.#order);
  }

  /** Says how often a cluster is used. */
  set(cluster: number, count: number): void {
    const block = this.#require(Math.floor(cluster / this.#perBlock));
    writeCount(block.bytes, cluster % this.#perBlock, this.#order, count);
    block.dirty = true;
    if (count === 0) this.#hint = Math.min(this.#hint, cluster);
  }

  /** One use less.
   * @returns how many are left
   * @throws GuesthouseError `file` where there was none */
  release(cluster: number): number {
    const count = this.get(cluster);
    if (count === 0) throw damaged(this.#context, `cluster ${cluster} is used and not counted`);
    this.set(cluster, count - 1);
    return count - 1;
  }

  /** Takes one to `most` consecutive free clusters; they are counted once. */
  allocate(most: number): ClusterRun {
    this.#shrinkCache();
    const first = this.#findFree(this.#hint);
    let count = 0;
    while (count < most && this.#isFree(first + count)) this.set(first + count++, 1);
    this.#hint = first + count;
    return { first, count };
  }

  /** Takes `count` consecutive free clusters. */
  allocateAll(count: number): ClusterRun {
    for (let first = this.#findFree(this.#hint); ;) {
      let found = 0;
      while (found < count && this.#isFree(first + found)) found++;
      if (found === count) {
        for (let i = 0; i < count; i++) this.set(first + i, 1);
        return { first, count };
      }
      first = this.#findFree(first + found);
    }
  }

  /**
   * Writes what has changed, so that at no moment the file counts a cluster less than before.
   *
   * @param barrier returns when all that was written is on the disk
   * @returns whether anything was written
   */
  write(barrier: () => void): boolean {
    const { file, clusterBytes } = this.#context;
    let any = false;
    for (const [index, block] of this.#blocks) {
      if (!block.dirty) continue;
      this.#writeBlock(index, block);
      any = true;
    }
    if (this.#tableTo !== undefined) {
      const { first, count } = this.#tableTo;
      file.writev(first * clusterBytes, [this.#table.bytes]);
      barrier();
      const place = bigEndian([8, first * clusterBytes], [4, count]);
      file.writev(HeaderField.RefcountTableOffset, [place]);
      barrier();
      const old = this.#tableAt;
      this.#tableAt = this.#tableTo;
      this.#tableTo = undefined;
      this.#newEntries.clear();
      for (let i = 0; i < old.count; i++) this.release(old.first + i);
      this.write(barrier);
      return true;
    }
    if (this.#newEntries.size > 0) {
      barrier();
      for (const index of this.#newEntries) {
        const at = this.#tableAt.first * clusterBytes + index * 8;
        file.writev(at, [this.#table.bytes.subarray(index * 8, index * 8 + 8)]);
      }
      this.#newEntries.clear();
      any = true;
    }
    return any;
  }

  #isFree(cluster: number): boolean {
    const index = Math.floor(cluster / this.#perBlock);
    this.#require(index);
    return this.get(cluster) === 0;
  }

  /** The first free cluster from `from` on. */
  #findFree(from: number): number {
    const end = Math.ceil(this.#context.file.size() / this.#context.clusterBytes) + MOST_IN_VAIN;
    for (let cluster = from; cluster < end; cluster++) if (this.#isFree(cluster)) return cluster;
    throw damaged(this.#context, 'its refcounts say that no cluster is free');
  }

  /** The block that holds the counts from `index * perBlock` on; undefined where there is none. */
  #block(index: number): RefcountBlock | undefined {
    const cached = this.#blocks.get(index);
    if (cached !== undefined) return cached;
    const offset = index < this.#table.count ? this.#table.offset(index) : 0;
    if (offset === 0) return undefined;
    const { clusterBytes } = this.#context;
    if (offset % clusterBytes !== 0) throw damaged(this.#context, `a refcount block is at ${offset}`);
    const block = {
      bytes: readTable(this.#context, offset, clusterBytes, 'refcount block'),
      dirty: false,
    };
    this.#blocks.set(index, block);
    return block;
  }

  /** As {@link #block}, and makes it where there is none. */
  #require(index: number): RefcountBlock {
    const found = this.#block(index);
    if (found !== undefined) return found;
    // The first block counts the header, so it can't be missing.
    if (index === 0) throw damaged(this.#context, 'its first clusters are not counted');
    if (index >= this.#table.count) {
      this.#growTable(index);
      // The table's new place may have needed this block.
      const made = this.#block(index);
      if (made !== undefined) return made;
    }
    const block = { bytes: new Uint8Array(this.#context.clusterBytes), dirty: true };
    writeCount(block.bytes, 0, this.#order, 1);
    this.#blocks.set(index, block);
    this.#table.set(index, index * this.#perBlock * this.#context.clusterBytes, false);
    this.#newEntries.add(index);
    return block;
  }

  /** Makes the table large enough for entry `index`, and half as large again. */
  #growTable(index: number): void {
    const { clusterBytes } = this.#context;
    const perCluster = clusterBytes / 8;
    const clusters = Math.ceil(((index + 1) * 1.5) / perCluster);
    const bytes = new Uint8Array(clusters * clusterBytes);
    bytes.set(this.#table.bytes);
    this.#table = new EntryTable(bytes);
    // One that has grown already, and is not written: its place was never used.
    const unused = this.#tableTo;
    this.#tableTo = undefined;
    for (let i = 0; i < (unused?.count ?? 0); i++) this.set((unused?.first ?? 0) + i, 0);
    this.#tableTo = this.allocateAll(clusters);
  }

  #writeBlock(index: number, block: RefcountBlock): void {
    this.#context.file.writev(this.#table.offset(index), [block.bytes]);
    block.dirty = false;
  }

  /** Forgets blocks, oldest first, where there are too many. A count that is written early does no harm. */
  #shrinkCache(): void {
    const most = Math.max(4, CACHE_BYTES / this.#context.clusterBytes);
    for (const [index, block] of this.#blocks) {
      if (this.#blocks.size <= most) return;
      if (block.dirty) this.#writeBlock(index, block);
      this.#blocks.delete(index);
    }
  }
}

/** Count `index` of a block. Narrow counts are packed from the low bits up, wide ones are big-endian. */
export function readCount(bytes: Uint8Array, index: number, order: number): number {
  if (order < 3) {
    const bit = index << order;
    return (bytes[bit >> 3] >> (bit & 7)) & ((1 << (1 << order)) - 1);
  }
  const width = 1 << (order - 3);
  let value = 0;
  for (let i = 0; i < width; i++) value = value * 256 + bytes[index * width + i];
  return value;
}

/** Sets count `index` of a block. */
export function writeCount(bytes: Uint8Array, index: number, order: number, count: number): void {
  if (order < 3) {
    const bit = index << order;
    const mask = ((1 << (1 << order)) - 1) << (bit & 7);
    bytes[bit >> 3] = (bytes[bit >> 3] & ~mask) | ((count << (bit & 7)) & mask);
    return;
  }
  const width = 1 << (order - 3);
  let rest = count;
  for (let i = width - 1; i >= 0; i--) {
    bytes[index * width + i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
}
