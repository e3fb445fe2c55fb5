/** Making a qcow2 image: the header, an empty L1 table, and counts for these. */
import { GuesthouseError } from '../../../base/errors.ts';
import type { HostFile } from '../host-file.ts';
import { EntryTable } from './entries.ts';
import { buildHeader, Compatible } from './header.ts';
import { writeCount } from './refcounts.ts';

export interface Qcow2Options {
  /** Bytes of the disk, a multiple of 512. */
  readonly size: number;
  readonly version?: 2 | 3;
  /** Bytes of a cluster: a power of two, 512 to 2 MiB. */
  readonly clusterBytes?: number;
  readonly lazyRefcounts?: boolean;
  readonly compression?: 'zlib' | 'zstd';
  /** As it is to be in the header: relative to the image's own folder, or absolute. */
  readonly backingFile?: string | undefined;
  readonly backingFormat?: string | undefined;
}

/** Clusters of 64 KiB, as QEMU's. */
const CLUSTER_BYTES = 0x1_0000;

/** Counts of 16 bits, the only width of version 2. */
const REFCOUNT_ORDER = 4;

/**
 * Writes a new image into an empty file.
 *
 * @throws GuesthouseError `config` for options that contradict each other or the format
 */
export function createQcow2(file: HostFile, options: Qcow2Options): void {
  const { size, version = 3, clusterBytes = CLUSTER_BYTES, lazyRefcounts = false } = options;
  const clusterBits = Math.log2(clusterBytes);
  if (!Number.isInteger(clusterBits) || clusterBits < 9 || clusterBits > 21) {
    throw new GuesthouseError(
      'config',
      `clusters of ${clusterBytes} bytes are not possible`,
      '512 to 2097152, a power of two',
    );
  }
  if (version === 2 && (lazyRefcounts || options.compression === 'zstd')) {
    throw new GuesthouseError('config', 'lazy refcounts and zstd need version 3 of qcow2');
  }
  const l1Size = Math.max(1, Math.ceil(size / (clusterBytes * (clusterBytes / 8))));
  if (l1Size * 8 > 32 * 2 ** 20) {
    throw new GuesthouseError('config', `clusters of ${clusterBytes} bytes are too small for ${size} bytes`);
  }
  const l1Clusters = Math.ceil((l1Size * 8) / clusterBytes);
  // One after the other: header, refcount table, refcount blocks, L1 table.
  const perBlock = (clusterBytes * 8) >> REFCOUNT_ORDER;
  let blocks = 1;
  const used = () => 2 + blocks + l1Clusters;
  while (blocks * perBlock < used()) blocks = Math.ceil(used() / perBlock);
  if (blocks * 8 > clusterBytes) {
    throw new GuesthouseError('config', `clusters of ${clusterBytes} bytes are too small for ${size} bytes`);
  }
  const l1Offset = (2 + blocks) * clusterBytes;
  const header = buildHeader({
    version,
    clusterBits,
    size,
    l1Size,
    l1Offset,
    refcountTableOffset: clusterBytes,
    refcountTableClusters: 1,
    refcountOrder: REFCOUNT_ORDER,
    compatible: lazyRefcounts ? Compatible.LazyRefcounts : 0,
    compression: options.compression ?? 'zlib',
    backingFile: options.backingFile,
    backingFormat: options.backingFormat,
  });
  const table = new EntryTable(new Uint8Array(clusterBytes));
  for (let index = 0; index < blocks; index++) {
    const block = new Uint8Array(clusterBytes);
    for (let i = 0; i < perBlock && index * perBlock + i < used(); i++)
      writeCount(block, i, REFCOUNT_ORDER, 1);
    file.writev((2 + index) * clusterBytes, [block]);
    table.set(index, (2 + index) * clusterBytes, false);
  }
  file.writev(clusterBytes, [table.bytes]);
  file.truncate(l1Offset + l1Clusters * clusterBytes);
  file.writev(0, [header]);
}
