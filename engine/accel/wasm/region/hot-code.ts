/** Code of a region that somebody watches for, as it was when it was found hot. */
import { REC, REC_BYTES } from '../private.ts';
import type { Collected } from './collect.ts';
import { PAIR_BYTES, RecordReader, type RegionSource } from './source.ts';

/** Code that has been found hot; it can be sent to another thread. */
export interface HotCode {
  readonly source: RegionSource;
  /** RIP of the first byte of the page it is entered at. */
  readonly page: bigint;
  /** The bytes of each instruction, in the source's order. */
  readonly bytes: readonly Uint8Array[];
}

/**
 * The code of a region, where an address is part of it.
 *
 * @param reader of the shared memory
 * @param page RIP of the first byte of the page the region is entered at
 */
export function hotCodeAt(
  address: bigint,
  { source, ranges }: Collected,
  reader: RecordReader,
  page: bigint,
): HotCode | undefined {
  const records = new RecordReader(source.records.buffer);
  let within = false;
  const bytes: Uint8Array[] = [];
  for (let at = REC_BYTES; at < source.records.length; at += PAIR_BYTES) {
    const rip = records.quads[(at + REC.rip) >> 3]!;
    const length = records.bytes[at + REC.length]!;
    const from = BigInt.asUintN(64, page + rip);
    within ||= address >= from && address < from + BigInt(length);
    const { host } = ranges.find((range) => range.page === (rip & ~0xfffn))!;
    const first = host + Number(rip & 0xfffn);
    bytes.push(reader.bytes.slice(first, first + length));
  }
  // The records are about to be handed over, so that they are copied.
  return within ? { source: { ...source, records: source.records.slice() }, page, bytes } : undefined;
}
