/**
 * The mapping from the disk's clusters to the file's: the L1 table, and L2 tables as they are needed.
 *
 * Tables are changed in memory; {@link Mapping.write} brings them into the file.
 */
import { type Cluster, EntryTable } from './entries.ts';
import type { Qcow2Header } from './header.ts';
import { damaged, type Qcow2Context, readMetadata, readTable } from './metadata-file.ts';
import type { Refcounts } from './refcounts.ts';

interface L2Table {
  readonly entries: EntryTable;
  dirty: boolean;
}

/** Bytes of L2 tables kept in memory, about: with clusters of 64 KiB enough for 128 GiB. */
const CACHE_BYTES = 16 * 2 ** 20;

/** Where a table's entry is. */
export interface L2Place {
  readonly entries: EntryTable;
  readonly index: number;
  /** Entries from `index` to the end of the table. */
  readonly left: number;
}

/** Where the L1 table is: the active one's place, or a snapshot's. */
export interface L1Place {
  readonly l1Offset: number;
  /** Entries. */
  readonly l1Size: number;
}

export class Mapping {
  readonly #context: Qcow2Context;
  readonly #zeroes: boolean;
  readonly #perTable: number;
  #l1: EntryTable;
  #l1Offset: number;
  /** Entries of the L1 table that are not in the file yet. */
  readonly #newL1 = new Set<number>();
  /** By offset in the file. */
  readonly #tables = new Map<number, L2Table>();

  constructor(context: Qcow2Context, header: Qcow2Header, l1: L1Place = header) {
    this.#context = context;
    this.#zeroes = header.version === 3;
    this.#perTable = context.clusterBytes / 8;
    this.#l1Offset = l1.l1Offset;
    this.#l1 = new EntryTable(
      l1.l1Size === 0 ? new Uint8Array(0) : readMetadata(context, l1.l1Offset, l1.l1Size * 8, 'L1 table'),
    );
  }

  /** Whether a byte of the file is the L1 table's. */
  inL1(offset: number): boolean {
    return offset >= this.#l1Offset && offset < this.#l1Offset + this.#l1.bytes.length;
  }

  /** Entries of the L1 table, and its first byte in the file. */
  get l1(): L1Place {
    return { l1Size: this.#l1.count, l1Offset: this.#l1Offset };
  }

  /** What is known of a cluster, by its index on the disk. */
  lookup(cluster: number): Cluster {
    const place = this.find(cluster);
    return place === undefined ? { kind: 'unallocated' } : this.at(place);
  }

  /** What an entry says, `further` entries behind a place. */
  at({ entries, index }: L2Place, further = 0): Cluster {
    const cluster = entries.cluster(index + further, this.#context.clusterBits, this.#zeroes);
    if (cluster.kind !== 'data' && cluster.kind !== 'zero') return cluster;
    const { offset } = cluster;
    if (offset % this.#context.clusterBytes !== 0 || (cluster.kind === 'data' && offset === 0)) {
      throw damaged(this.#context, `a cluster is at ${offset}`);
    }
    return cluster;
  }

  /** The entry of a cluster; undefined where there is no table for it. */
  find(cluster: number): L2Place | undefined {
    const l1Index = Math.floor(cluster / this.#perTable);
    const offset = l1Index < this.#l1.count ? this.#l1.offset(l1Index) : 0;
    if (offset === 0) return undefined;
    return this.#place(this.#load(offset), cluster);
  }

  /**
   * The entry of a cluster, in a table that may be written.
   *
   * @param released told which cluster of the file is used once less
   */
  require(cluster: number, refcounts: Refcounts, released: (cluster: number) => void): L2Place {
    const { clusterBytes } = this.#context;
    const l1Index = Math.floor(cluster / this.#perTable);
    if (l1Index >= this.#l1.count) throw damaged(this.#context, 'its L1 table is too short');
    const offset = this.#l1.offset(l1Index);
    if (offset !== 0 && this.#l1.copied(l1Index)) {
      const table = this.#load(offset);
      table.dirty = true;
      return this.#place(table, cluster);
    }
    const bytes = offset === 0 ? new Uint8Array(clusterBytes) : this.#load(offset).entries.bytes.slice();
    const table = { entries: new EntryTable(bytes), dirty: true };
    const to = refcounts.allocate(1).first * clusterBytes;
    this.#tables.set(to, table);
    this.#l1.set(l1Index, to, true);
    this.#newL1.add(l1Index);
    if (offset !== 0) released(offset / clusterBytes);
    return this.#place(table, cluster);
  }

  /** Whether there is anything to write. */
  get dirty(): boolean {
    if (this.#newL1.size > 0) return true;
    for (const { dirty } of this.#tables.values()) if (dirty) return true;
    return false;
  }

  /** Writes what has changed: tables, then what points to them. */
  write(barrier: () => void): void {
    const { file } = this.#context;
    for (const [offset, table] of this.#tables) {
      if (!table.dirty) continue;
      file.writev(offset, [table.entries.bytes]);
      table.dirty = false;
    }
    if (this.#newL1.size === 0) return;
    barrier();
    for (const index of this.#newL1) {
      file.writev(this.#l1Offset + index * 8, [this.#l1.bytes.subarray(index * 8, index * 8 + 8)]);
    }
    this.#newL1.clear();
  }

  /** Whether more tables are in memory than should be. */
  get crowded(): boolean {
    return this.#tables.size > Math.max(8, CACHE_BYTES / this.#context.clusterBytes);
  }

  /** Forgets tables, those first that were not used for longest. All of them have been written. */
  shrink(): void {
    const most = Math.max(8, CACHE_BYTES / this.#context.clusterBytes) / 2;
    for (const offset of this.#tables.keys()) {
      if (this.#tables.size <= most) return;
      this.#tables.delete(offset);
    }
  }

  /** Replaces the L1 table by a longer one. All that is in memory has been written.
   * @returns its bytes, which are to be written at `offset` */
  growL1(entries: number, offset: number): Uint8Array {
    const bytes = new Uint8Array(entries * 8);
    bytes.set(this.#l1.bytes.subarray(0, bytes.length));
    this.#l1 = new EntryTable(bytes);
    this.#l1Offset = offset;
    return bytes;
  }

  #place({ entries }: L2Table, cluster: number): L2Place {
    const index = cluster % this.#perTable;
    return { entries, index, left: this.#perTable - index };
  }

  #load(offset: number): L2Table {
    const cached = this.#tables.get(offset);
    if (cached !== undefined) {
      // Last used last.
      this.#tables.delete(offset);
      this.#tables.set(offset, cached);
      return cached;
    }
    const { clusterBytes } = this.#context;
    if (offset % clusterBytes !== 0) throw damaged(this.#context, `an L2 table is at ${offset}`);
    const table = {
      entries: new EntryTable(readTable(this.#context, offset, clusterBytes, 'L2 table')),
      dirty: false,
    };
    this.#tables.set(offset, table);
    return table;
  }
}
