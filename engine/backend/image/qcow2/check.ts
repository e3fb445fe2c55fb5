/**
 * Checks that an image's counts agree with what its tables use, and counts anew where they don't.
 *
 * QEMU, docs/interop/qcow2.txt, "Host cluster management" says what is counted: the header, the L1 tables of
 * the disk and of each snapshot, their L2 tables, the clusters those point to, the refcount table with its
 * blocks, and the snapshot table.
 */
import { GuesthouseError } from '../../../base/errors.ts';
import { EntryTable } from './entries.ts';
import { HeaderField, Incompatible, type Qcow2Header } from './header.ts';
import { bigEndian, damaged, type Qcow2Context, readMetadata, readTable } from './metadata-file.ts';
import { Refcounts, writeCount } from './refcounts.ts';
import { readSnapshots } from './snapshots.ts';

/** What a check has found. */
export interface CheckReport {
  /** Clusters that are counted more often than they are used: space lost, nothing worse. */
  readonly leaks: number;
  /** Clusters counted less often than they are used, flags that contradict their counts: counting anew puts
   * them right. */
  readonly miscounted: number;
  /** References that lead nowhere; data is lost. At most {@link MOST_LINES} of them as lines. */
  readonly broken: number;
  readonly lines: readonly string[];
  /** Clusters of the disk: with data, compressed, in all. */
  readonly allocated: number;
  readonly compressed: number;
  readonly total: number;
}

const MOST_LINES = 20;

/** Clusters of a file that can be counted: 16 TiB of 64 KiB each. */
const MOST_CLUSTERS = 2 ** 28;

/** What is used, as the tables have it. */
class Census {
  readonly #context: Qcow2Context;
  /** For each cluster of the file how often it is used. */
  readonly uses: Uint32Array;
  readonly lines: string[] = [];
  broken = 0;
  allocated = 0;
  compressed = 0;

  constructor(context: Qcow2Context) {
    const clusters = Math.ceil(context.file.size() / context.clusterBytes);
    if (clusters > MOST_CLUSTERS) {
      throw new GuesthouseError('unsupported', `${context.path} is too large to be checked`);
    }
    this.#context = context;
    // One cluster may be begun at the end of the file and not be written yet.
    this.uses = new Uint32Array(clusters + 1);
  }

  /** Counts `times` uses of the clusters that `length` bytes at `offset` touch. */
  use(offset: number, length: number, times: number, what: string): void {
    const { clusterBytes } = this.#context;
    if (length === 0) return;
    const first = Math.floor(offset / clusterBytes);
    const last = Math.floor((offset + length - 1) / clusterBytes);
    for (let cluster = first; cluster <= last; cluster++) {
      if (cluster < this.uses.length) this.uses[cluster] += times;
      else {
        this.report(`${what} at ${offset} is beyond the end of the file`);
        return;
      }
    }
  }

  report(line: string): void {
    this.broken++;
    if (this.lines.length < MOST_LINES) this.lines.push(line);
  }
}

/** An L2 table that the disk or a snapshot uses. */
interface Found {
  /** How many L1 entries point to it. */
  times: number;
  /** One of them is the disk's as it is now. */
  active: boolean;
}

function takeCensus(
  context: Qcow2Context,
  header: Qcow2Header,
): { census: Census; tables: Map<number, Found> } {
  const { clusterBytes } = context;
  const census = new Census(context);
  const tables = new Map<number, Found>();
  census.use(0, clusterBytes, 1, 'the header');

  const useL1 = (offset: number, entries: number, active: boolean, what: string) => {
    if (entries === 0) return;
    census.use(offset, entries * 8, 1, what);
    const l1 = new EntryTable(readMetadata(context, offset, entries * 8, what));
    for (let i = 0; i < entries; i++) {
      const at = l1.offset(i);
      if (at === 0) continue;
      const found = tables.get(at) ?? { times: 0, active: false };
      tables.set(at, { times: found.times + 1, active: found.active || active });
    }
  };
  useL1(header.l1Offset, header.l1Size, true, 'the L1 table');
  const snapshots = readSnapshots(context, header);
  for (const { name, l1Offset, l1Size } of snapshots)
    useL1(l1Offset, l1Size, false, `the L1 table of '${name}'`);
  if (snapshots.length > 0) {
    census.use(header.snapshotsOffset, snapshotTableBytes(context, header), 1, 'the snapshot table');
  }

  // A table that several snapshots share is looked at once, and what it points to is used by each of them.
  for (const [offset, found] of tables) {
    if (offset % clusterBytes !== 0) {
      census.report(`an L2 table is at ${offset}, which is not the start of a cluster`);
      continue;
    }
    census.use(offset, clusterBytes, found.times, 'an L2 table');
    if (offset >= context.file.size()) continue;
    useL2(context, header, census, offset, found);
  }
  return { census, tables };
}

function useL2(
  context: Qcow2Context,
  header: Qcow2Header,
  census: Census,
  offset: number,
  found: Found,
): void {
  const { clusterBytes, clusterBits } = context;
  const l2 = new EntryTable(readTable(context, offset, clusterBytes, 'L2 table'));
  for (let i = 0; i < l2.count; i++) {
    if (l2.empty(i)) continue;
    const cluster = l2.cluster(i, clusterBits, header.version === 3);
    if (cluster.kind === 'unallocated' || (cluster.kind === 'zero' && cluster.offset === 0)) continue;
    if (cluster.kind === 'compressed') {
      census.use(cluster.offset, cluster.bytes, found.times, 'a compressed cluster');
      if (found.active) census.compressed++;
    } else if (cluster.offset % clusterBytes !== 0) {
      census.report(`a cluster is at ${cluster.offset}, which is not the start of one`);
    } else {
      census.use(cluster.offset, clusterBytes, found.times, 'a cluster');
    }
    if (found.active) census.allocated++;
  }
}

/** Bytes of the snapshot table: its entries are of different lengths. */
function snapshotTableBytes(context: Qcow2Context, header: Qcow2Header): number {
  let at = header.snapshotsOffset;
  for (let i = 0; i < header.snapshots; i++) {
    const view = new DataView(readMetadata(context, at, 40, 'snapshot table').buffer);
    const length = 40 + view.getUint32(36) + view.getUint16(12) + view.getUint16(14);
    at += Math.ceil(length / 8) * 8;
  }
  return at - header.snapshotsOffset;
}

function useRefcountStructures(context: Qcow2Context, header: Qcow2Header, census: Census): void {
  const { clusterBytes } = context;
  const bytes = header.refcountTableClusters * clusterBytes;
  census.use(header.refcountTableOffset, bytes, 1, 'the refcount table');
  const table = new EntryTable(readMetadata(context, header.refcountTableOffset, bytes, 'refcount table'));
  for (let i = 0; i < table.count; i++) {
    const offset = table.offset(i);
    if (offset === 0) continue;
    if (offset % clusterBytes !== 0) census.report(`a refcount block is at ${offset}`);
    else census.use(offset, clusterBytes, 1, 'a refcount block');
  }
}

/**
 * Compares the counts in the file with what its tables use. Writes nothing.
 *
 * @throws GuesthouseError `file` where a table is not in the file at all
 */
export function checkImage(context: Qcow2Context, header: Qcow2Header): CheckReport {
  const { census, tables } = takeCensus(context, header);
  useRefcountStructures(context, header, census);
  const refcounts = new Refcounts(context, header);
  let leaks = 0;
  let miscounted = 0;
  for (const [cluster, uses] of census.uses.entries()) {
    const count = refcounts.get(cluster);
    if (count > uses) leaks++;
    if (count < uses) {
      miscounted++;
      if (census.lines.length < MOST_LINES) {
        census.lines.push(`cluster ${cluster} is counted ${count} times and used ${uses} times`);
      }
    }
  }
  miscounted += eachCopiedFlag(context, header, tables, (offset) =>
    refcounts.get(offset / context.clusterBytes),
  );
  return {
    leaks,
    miscounted,
    broken: census.broken,
    lines: census.lines,
    allocated: census.allocated,
    compressed: census.compressed,
    total: Math.ceil(header.size / context.clusterBytes),
  };
}

/**
 * Looks at the "copied" flags of the disk's tables, which say that a cluster is used once.
 *
 * @param fix whether those that are wrong are written as they should be
 * @returns how many are wrong
 */
function eachCopiedFlag(
  context: Qcow2Context,
  header: Qcow2Header,
  tables: ReadonlyMap<number, Found>,
  countAt: (offset: number) => number,
  fix = false,
): number {
  const { file, clusterBytes, clusterBits } = context;
  let wrong = 0;
  const compare = (table: EntryTable, i: number, offset: number): void => {
    if (offset === 0 || offset % clusterBytes !== 0 || offset >= file.size()) return;
    const copied = countAt(offset) === 1;
    if (table.copied(i) === copied) return;
    wrong++;
    table.setCopied(i, copied);
  };
  const visit = (at: number, length: number, body: (table: EntryTable, i: number) => void) => {
    const table = new EntryTable(readTable(context, at, length, 'table'));
    const before = wrong;
    for (let i = 0; i < table.count; i++) body(table, i);
    if (fix && wrong > before) file.writev(at, [table.bytes]);
  };
  if (header.l1Size > 0) {
    visit(header.l1Offset, header.l1Size * 8, (table, i) => compare(table, i, table.offset(i)));
  }
  for (const [offset, { active }] of tables) {
    if (!active || offset % clusterBytes !== 0 || offset >= file.size()) continue;
    visit(offset, clusterBytes, (table, i) => {
      const cluster = table.cluster(i, clusterBits, header.version === 3);
      if (cluster.kind === 'data' || cluster.kind === 'zero') compare(table, i, cluster.offset);
    });
  }
  return wrong;
}

/**
 * Counts anew: writes new counts of all that is used behind the end of the file, then makes the header point to
 * them. What was wrong with the old ones does not matter, and until the header is written they stay in force.
 *
 * @throws GuesthouseError `file` where references lead nowhere, which no counting can mend
 */
export function recount(context: Qcow2Context, header: Qcow2Header): void {
  const { file, clusterBytes } = context;
  const { census, tables } = takeCensus(context, header);
  if (census.broken > 0) throw damaged(context, census.lines[0] ?? 'references lead nowhere');
  const perBlock = (clusterBytes * 8) >> header.refcountOrder;
  const most = 2 ** Math.min(2 ** header.refcountOrder, 53) - 1;
  const start = census.uses.length;
  let blocks = 0;
  let tableClusters = 1;
  const end = () => start + blocks + tableClusters;
  while (blocks * perBlock < end() || tableClusters * clusterBytes < blocks * 8) {
    blocks = Math.ceil(end() / perBlock);
    tableClusters = Math.ceil((blocks * 8) / clusterBytes);
  }
  const countOf = (cluster: number) => (cluster < start ? census.uses[cluster] : cluster < end() ? 1 : 0);
  const table = new EntryTable(new Uint8Array(tableClusters * clusterBytes));
  for (let index = 0; index < blocks; index++) {
    const block = new Uint8Array(clusterBytes);
    for (let i = 0; i < perBlock && index * perBlock + i < end(); i++) {
      const count = countOf(index * perBlock + i);
      if (count > most) throw damaged(context, `a cluster is used ${count} times`);
      writeCount(block, i, header.refcountOrder, count);
    }
    file.writev((start + index) * clusterBytes, [block]);
    table.set(index, (start + index) * clusterBytes, false);
  }
  const tableAt = (start + blocks) * clusterBytes;
  file.writev(tableAt, [table.bytes]);
  eachCopiedFlag(context, header, tables, (offset) => countOf(offset / clusterBytes), true);
  file.sync();
  file.writev(HeaderField.RefcountTableOffset, [bigEndian([8, tableAt], [4, tableClusters])]);
  if (header.version === 3) {
    const features = header.incompatible & ~(Incompatible.Dirty | Incompatible.Corrupt);
    file.writev(HeaderField.IncompatibleFeatures, [bigEndian([8, features])]);
  }
  file.sync();
}
