/** The table of internal snapshots. QEMU, docs/interop/qcow2.txt, "Snapshots". */
import type { Qcow2Header } from './header.ts';
import { damaged, type Qcow2Context, readMetadata } from './metadata-file.ts';

export interface Snapshot {
  /** Unique; a number as text. */
  readonly id: string;
  readonly name: string;
  readonly l1Offset: number;
  /** Entries. */
  readonly l1Size: number;
  /** Bytes of the disk then. */
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly taken: number;
  /** Bytes of saved machine state. */
  readonly stateBytes: number;
}

const ENTRY_BYTES = 40;
/** Longest extra data that is believed. */
const MOST_EXTRA = 1024;
const MOST_L1_ENTRIES = (32 * 2 ** 20) / 8;

/** Reads the table.
 * @throws GuesthouseError `file` where it is damaged */
export function readSnapshots(context: Qcow2Context, header: Qcow2Header): Snapshot[] {
  const snapshots: Snapshot[] = [];
  let at = header.snapshotsOffset;
  for (let i = 0; i < header.snapshots; i++) {
    const fixed = readMetadata(context, at, ENTRY_BYTES, 'snapshot table');
    const view = new DataView(fixed.buffer);
    const idLength = view.getUint16(12);
    const nameLength = view.getUint16(14);
    const extraLength = view.getUint32(36);
    if (extraLength > MOST_EXTRA) throw damaged(context, `${extraLength} bytes of extra data in a snapshot`);
    const length = extraLength + idLength + nameLength;
    const rest = readMetadata(context, at + ENTRY_BYTES, length, 'snapshot table');
    const extra = new DataView(rest.buffer, 0, extraLength);
    const text = (from: number, bytes: number) => new TextDecoder().decode(rest.subarray(from, from + bytes));
    const l1Offset = Number(view.getBigUint64(0));
    const l1Size = view.getUint32(8);
    if (l1Offset % context.clusterBytes !== 0 || l1Size > MOST_L1_ENTRIES) {
      throw damaged(context, `a snapshot has an L1 table of ${l1Size} entries at ${l1Offset}`);
    }
    snapshots.push({
      id: text(extraLength, idLength),
      name: text(extraLength + idLength, nameLength),
      l1Offset,
      l1Size,
      size: extraLength >= 16 ? Number(extra.getBigUint64(8)) : header.size,
      taken: view.getUint32(16) * 1000 + Math.floor(view.getUint32(20) / 1e6),
      stateBytes: extraLength >= 8 ? Number(extra.getBigUint64(0)) : view.getUint32(32),
    });
    at += Math.ceil((ENTRY_BYTES + length) / 8) * 8;
  }
  return snapshots;
}
