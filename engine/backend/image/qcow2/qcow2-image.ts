/**
 * A qcow2 image: clusters that are allocated when they are written, over an optional backing image.
 *
 * What is in the file is consistent at every moment, so that it does not matter when the process ends: data is
 * written to where nothing points yet, then the counts of clusters newly used, then the tables that point to
 * them, then the counts of clusters no longer used. Between these the host is asked to have it on the disk.
 * The worst that is left behind is a cluster that is counted and not used. With lazy refcounts no counts are
 * written until the image is closed; the header says so meanwhile, and whoever opens it next counts anew.
 *
 * QEMU, docs/interop/qcow2.txt.
 */
import { GuesthouseError } from '../../../base/errors.ts';
import { type Buffers, clear, lengthOf, scatter, sliceOf, viewsOf } from '../buffers.ts';
import { type DiskImage, MOST_BYTES, SECTOR } from '../disk-image.ts';
import type { HostFile } from '../host-file.ts';
import { decompress } from './decompress.ts';
import type { Cluster } from './entries.ts';
import { Compatible, HeaderField, Incompatible, type Qcow2Header } from './header.ts';
import { Mapping } from './mapping.ts';
import { bigEndian, damaged, type Qcow2Context } from './metadata-file.ts';
import { Refcounts } from './refcounts.ts';
import type { Snapshot } from './snapshots.ts';

/** Clusters written at a time, at most. */
const MOST_CLUSTERS = 256;

export interface Qcow2Parts {
  readonly file: HostFile;
  readonly path: string;
  readonly header: Qcow2Header;
  readonly writable: boolean;
  readonly backing: DiskImage | undefined;
  /** What is shown instead of the disk as it is now; not writable then. */
  readonly snapshot?: Snapshot | undefined;
}

export class Qcow2Image implements DiskImage {
  readonly format = 'qcow2';
  readonly writable: boolean;
  readonly files: readonly string[];
  readonly header: Qcow2Header;
  readonly #context: Qcow2Context;
  readonly #backing: DiskImage | undefined;
  readonly #mapping: Mapping;
  readonly #refcounts: Refcounts;
  /** Counts are written when the image is closed. */
  readonly #lazy: boolean;
  #incompatible: number;
  #autoclear: boolean;
  #size: number;
  /** Clusters of the file that are used once less, as soon as the tables say so in the file. */
  #released: number[] = [];
  /** The compressed cluster last read: by its offset in the file. */
  #unpacked: { readonly offset: number; readonly bytes: Uint8Array } | undefined;

  /** Takes over an image whose header has been read; writes nothing.
   * @throws GuesthouseError `file` where a table is not in the file */
  constructor({ file, path, header, writable, backing, snapshot }: Qcow2Parts) {
    this.header = header;
    this.writable = writable && snapshot === undefined;
    this.files = [path, ...(backing?.files ?? [])];
    this.#context = { file, path, clusterBits: header.clusterBits, clusterBytes: 2 ** header.clusterBits };
    this.#backing = backing;
    this.#mapping = new Mapping(this.#context, header, snapshot);
    this.#refcounts = new Refcounts(this.#context, header);
    this.#lazy = (header.compatible & Compatible.LazyRefcounts) !== 0;
    this.#incompatible = header.incompatible;
    this.#autoclear = header.autoclear;
    this.#size = Math.floor((snapshot?.size ?? header.size) / SECTOR) * SECTOR;
  }

  get size(): number {
    return this.#size;
  }

  readv(at: number, into: Buffers): void {
    const { file, clusterBytes } = this.#context;
    this.#makeRoom();
    const length = lengthOf(into);
    for (let done = 0; done < length;) {
      const position = at + done;
      const inCluster = position % clusterBytes;
      const [cluster, bytes] = this.#run(position, length - done);
      const part = sliceOf(into, done, bytes);
      switch (cluster.kind) {
        case 'data':
          file.readv(cluster.offset + inCluster, part);
          break;
        case 'compressed':
          scatter(part, this.#unpack(cluster).subarray(inCluster, inCluster + bytes));
          break;
        case 'zero':
          clear(part);
          break;
        case 'unallocated':
          this.#readBacking(position, part);
      }
      done += bytes;
    }
  }

  writev(at: number, from: Buffers): void {
    this.#beforeWrite();
    const length = lengthOf(from);
    for (let done = 0; done < length;) {
      done += this.#writeRun(at + done, (bytes) => sliceOf(from, done, bytes), length - done);
    }
  }

  writeZeroes(at: number, length: number, unmap: boolean): void {
    const { clusterBytes } = this.#context;
    this.#beforeWrite();
    const zeros = new Uint8Array(Math.min(length, clusterBytes));
    for (let done = 0; done < length;) {
      const position = at + done;
      const bytes = Math.min(length - done, clusterBytes - (position % clusterBytes));
      if (!this.#zeroCluster(position, bytes, unmap) && !this.#readsZero(position, bytes)) {
        this.writev(position, [zeros.subarray(0, bytes)]);
      }
      done += bytes;
    }
  }

  discard(at: number, length: number): void {
    const { clusterBytes } = this.#context;
    this.#beforeWrite();
    const end = at + length === this.#size ? Infinity : at + length;
    const first = Math.ceil(at / clusterBytes) * clusterBytes;
    for (let position = first; position + clusterBytes <= end && position < this.#size;) {
      this.#zeroCluster(position, clusterBytes, true);
      position += clusterBytes;
    }
  }

  flush(): void {
    if (!this.writable) return;
    this.#writeMetadata();
    this.#context.file.sync();
  }

  resize(bytes: number): void {
    const { file, clusterBytes, path } = this.#context;
    if (!this.writable) throw new GuesthouseError('state', `${path} is open for reading only`);
    if (bytes < this.#size) {
      throw new GuesthouseError(
        'unsupported',
        `${path} cannot be made smaller`,
        'convert it into a smaller image',
      );
    }
    if (bytes > MOST_BYTES || bytes % SECTOR !== 0) {
      throw new GuesthouseError('config', `an image of ${bytes} bytes is not possible`);
    }
    if (this.header.snapshots > 0 && this.header.version === 2) {
      throw new GuesthouseError('unsupported', `${path} has snapshots, so its size cannot change`);
    }
    this.#beforeWrite();
    this.flush();
    const entries = Math.ceil(bytes / (clusterBytes * (clusterBytes / 8)));
    const { l1Size, l1Offset } = this.#mapping.l1;
    if (entries > l1Size) {
      const run = this.#refcounts.allocateAll(Math.ceil((entries * 8) / clusterBytes));
      const table = new Uint8Array(run.count * clusterBytes);
      table.set(this.#mapping.growL1(entries, run.first * clusterBytes));
      file.writev(run.first * clusterBytes, [table]);
      this.#writeCounts();
      file.sync();
      const place = bigEndian([4, entries], [8, run.first * clusterBytes]);
      file.writev(HeaderField.L1Size, [place]);
      for (let at = 0; at < l1Size * 8; at += clusterBytes) this.#release((l1Offset + at) / clusterBytes);
    }
    file.writev(HeaderField.Size, [bigEndian([8, bytes])]);
    this.#size = bytes;
    this.flush();
  }

  close(): void {
    try {
      if (this.writable) {
        this.flush();
        if ((this.#incompatible & Incompatible.Dirty) !== 0) {
          this.#refcounts.write(() => this.#context.file.sync());
          this.#context.file.sync();
          this.#setIncompatible(this.#incompatible & ~Incompatible.Dirty);
        }
      }
    } finally {
      this.#context.file.close();
      this.#backing?.close();
    }
  }

  /** The cluster at a position of the disk, and how many bytes from there on are alike: of data, consecutive in
   * the file. At most `most`. */
  #run(position: number, most: number): [Cluster, bytes: number] {
    const { clusterBytes } = this.#context;
    const index = Math.floor(position / clusterBytes);
    const inCluster = position % clusterBytes;
    const place = this.#mapping.find(index);
    if (place === undefined) {
      const perTable = clusterBytes / 8;
      const left = (perTable - (index % perTable)) * clusterBytes - inCluster;
      return [{ kind: 'unallocated' }, Math.min(most, left)];
    }
    const first = this.#mapping.at(place);
    const wanted = Math.min(place.left, Math.ceil((inCluster + most) / clusterBytes));
    let count = 1;
    while (count < wanted && follows(first, this.#mapping.at(place, count), count * clusterBytes)) count++;
    return [first, Math.min(most, count * clusterBytes - inCluster)];
  }

  #readBacking(position: number, into: Buffers): void {
    const bytes = Math.max(0, Math.min(lengthOf(into), (this.#backing?.size ?? 0) - position));
    if (bytes > 0) this.#backing?.readv(position, sliceOf(into, 0, bytes));
    clear(sliceOf(into, bytes, Infinity));
  }

  #unpack({ offset, bytes }: Cluster & { kind: 'compressed' }): Uint8Array {
    if (this.#unpacked?.offset === offset) return this.#unpacked.bytes;
    const { file, clusterBytes } = this.#context;
    const packed = new Uint8Array(bytes);
    file.readv(offset, [packed]);
    const unpacked = decompress(packed, clusterBytes, this.header.compression);
    if (unpacked === undefined) {
      throw damaged(this.#context, `the compressed cluster at ${offset} cannot be unpacked`);
    }
    this.#unpacked = { offset, bytes: unpacked };
    return unpacked;
  }

  /** Writes from `position` on as far as it can be done at once: in place, or to clusters newly allocated.
   * @param data gives the first bytes to be written
   * @returns how many bytes */
  #writeRun(position: number, data: (bytes: number) => Buffers, most: number): number {
    const { clusterBytes } = this.#context;
    const inCluster = position % clusterBytes;
    const index = Math.floor(position / clusterBytes);
    const place = this.#mapping.require(index, this.#refcounts, this.#release);
    const first = this.#mapping.at(place);
    const wanted = Math.min(place.left, MOST_CLUSTERS, Math.ceil((inCluster + most) / clusterBytes));
    let count = 1;
    if (first.kind === 'data' && first.copied) {
      while (count < wanted) {
        const next = this.#mapping.at(place, count);
        if (next.kind !== 'data' || !next.copied || next.offset !== first.offset + count * clusterBytes)
          break;
        count++;
      }
      const bytes = Math.min(most, count * clusterBytes - inCluster);
      this.#requireData(first.offset, count);
      this.#context.file.writev(first.offset + inCluster, data(bytes));
      return bytes;
    }
    while (count < wanted) {
      const next = this.#mapping.at(place, count);
      if (next.kind === 'data' && next.copied) break;
      count++;
    }
    const run = this.#refcounts.allocate(count);
    const bytes = Math.min(most, run.count * clusterBytes - inCluster);
    try {
      this.#writeNew(position, data(bytes), bytes, run.first * clusterBytes);
    } catch (error) {
      // Nothing points there, and nothing will.
      for (let i = 0; i < run.count; i++) this.#refcounts.set(run.first + i, 0);
      throw error;
    }
    for (let i = 0; i < run.count; i++) {
      this.#releaseCluster(this.#mapping.at(place, i));
      place.entries.set(place.index + i, (run.first + i) * clusterBytes, true);
    }
    return bytes;
  }

  /** Fills new clusters: with the data, and around it with what the disk has there. */
  #writeNew(position: number, data: Buffers, bytes: number, to: number): void {
    const { file, clusterBytes } = this.#context;
    const before = position % clusterBytes;
    const after = (clusterBytes - ((position + bytes) % clusterBytes)) % clusterBytes;
    const around = (at: number, length: number): Uint8Array[] => {
      if (length === 0) return [];
      const old = new Uint8Array(length);
      // Beyond the disk's end there is nothing to keep.
      const there = Math.max(0, Math.min(length, this.#size - at));
      this.readv(at, [old.subarray(0, there)]);
      return [old];
    };
    const head = around(position - before, before);
    const tail = around(position + bytes, after);
    // Runs go to the file as they are, where they are all that is written.
    file.writev(to, before + after === 0 ? data : [...head, ...viewsOf(data), ...tail]);
  }

  /** Makes the cluster at `position` zeros by its entry alone.
   * @returns false where that can't be done: not all of a cluster, or no way to say it in version 2 */
  #zeroCluster(position: number, bytes: number, unmap: boolean): boolean {
    const { clusterBytes } = this.#context;
    const whole =
      position % clusterBytes === 0 && position + bytes >= Math.min(position + clusterBytes, this.#size);
    if (!whole) return false;
    const index = Math.floor(position / clusterBytes);
    const covered = this.#backing !== undefined && position < this.#backing.size;
    const cluster = this.#mapping.lookup(index);
    if (cluster.kind === 'unallocated' && !covered) return true;
    if (this.header.version === 2 && (covered || !unmap)) return false;
    if (cluster.kind === 'zero' && (cluster.offset === 0 || !unmap)) return true;
    const { entries, index: at } = this.#mapping.require(index, this.#refcounts, this.#release);
    if (cluster.kind === 'data' && cluster.copied && !unmap) {
      entries.set(at, cluster.offset, true, true);
      return true;
    }
    this.#releaseCluster(cluster);
    // Zeros where the backing file's bytes, or what was there before, would come to light otherwise.
    if (this.header.version === 3 && covered) entries.setZero(at);
    else entries.clear(at);
    return true;
  }

  #readsZero(position: number, bytes: number): boolean {
    const [cluster, alike] = this.#run(position, bytes);
    if (alike < bytes) return false;
    if (cluster.kind === 'zero') return true;
    return cluster.kind === 'unallocated' && position >= (this.#backing?.size ?? 0);
  }

  readonly #release = (cluster: number): void => {
    this.#released.push(cluster);
  };

  /** Notes that a table does not point to a cluster any more. */
  #releaseCluster(cluster: Cluster): void {
    const { clusterBytes } = this.#context;
    if (cluster.kind === 'data' || (cluster.kind === 'zero' && cluster.offset !== 0)) {
      this.#release(cluster.offset / clusterBytes);
    } else if (cluster.kind === 'compressed') {
      const first = Math.floor(cluster.offset / clusterBytes);
      const last = Math.floor((cluster.offset + cluster.bytes - 1) / clusterBytes);
      for (let at = first; at <= last; at++) this.#release(at);
    }
  }

  /** Guards the metadata of an image whose tables point to it. */
  #requireData(offset: number, clusters: number): void {
    const { clusterBytes } = this.#context;
    for (let i = 0; i < clusters; i++) {
      const at = offset + i * clusterBytes;
      if (at < clusterBytes || this.#mapping.inL1(at) || this.#refcounts.inTable(at)) {
        throw damaged(this.#context, `the cluster at ${at} is both data and metadata`);
      }
    }
  }

  /** What must be in the header before anything else is written. */
  #beforeWrite(): void {
    const { file, path } = this.#context;
    if (!this.writable) throw new GuesthouseError('state', `${path} is open for reading only`);
    this.#makeRoom();
    if (this.#autoclear) {
      // A writer that does not know a feature takes its bit away, and what it stands for is void.
      file.writev(HeaderField.AutoclearFeatures, [bigEndian([8, 0])]);
      this.#autoclear = false;
    }
    if (this.#lazy && (this.#incompatible & Incompatible.Dirty) === 0) {
      this.#setIncompatible(this.#incompatible | Incompatible.Dirty);
    }
  }

  #setIncompatible(features: number): void {
    const { file } = this.#context;
    file.writev(HeaderField.IncompatibleFeatures, [bigEndian([8, features])]);
    file.sync();
    this.#incompatible = features;
  }

  #makeRoom(): void {
    if (!this.#mapping.crowded) return;
    if (this.writable) this.#writeMetadata();
    this.#mapping.shrink();
  }

  #writeCounts(): boolean {
    return this.#refcounts.write(() => this.#context.file.sync());
  }

  /** Brings all metadata into the file, in the order that keeps it consistent. */
  #writeMetadata(): void {
    const { file, clusterBytes } = this.#context;
    const barrier = () => file.sync();
    if (this.#mapping.dirty) {
      if (!this.#lazy && this.#writeCounts()) barrier();
      this.#mapping.write(barrier);
    }
    if (this.#released.length === 0) return;
    barrier();
    const released = this.#released;
    this.#released = [];
    const free: number[] = [];
    for (const cluster of released) if (this.#refcounts.release(cluster) === 0) free.push(cluster);
    if (!this.#lazy) this.#writeCounts();
    for (const [first, count] of runsOf(free)) file.punchHole(first * clusterBytes, count * clusterBytes);
    this.#unpacked = undefined;
  }
}

/** Whether a cluster can be read together with one `distance` bytes before it. */
function follows(first: Cluster, next: Cluster, distance: number): boolean {
  if (first.kind !== next.kind || first.kind === 'compressed') return false;
  return first.kind !== 'data' || next.kind !== 'data' || next.offset === first.offset + distance;
}

/** Consecutive numbers as first and count. */
function runsOf(numbers: readonly number[]): Array<[first: number, count: number]> {
  const runs: Array<[number, number]> = [];
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last !== undefined && last[0] + last[1] === number) last[1]++;
    else runs.push([number, 1]);
  }
  return runs;
}
