/**
 * Finds what belongs into a region: the decoded instructions reachable from a hot one by ways that have been
 * taken — direct jumps, calls and the returns from them — also on other pages.
 */
import { FIXED_HANDLERS, Fixed, type Form } from '../interpreter/forms.ts';
import { REC, REC_BYTES } from '../private.ts';
import { isDirect, PAIR_BYTES, type RecordReader, type RegionSource } from './source.ts';

/** Bounds on a region: instructions, paths followed, pages. */
const MOST_INSTRUCTIONS = 64;
const MOST_STARTS = 64;
const MOST_PAGES = 4;

/** Instructions that a region leaves to tier 0: they run themselves again, or are long and rare. */
const LEFT_OUT = new Set([
  'movs',
  'stos',
  'lods',
  'cmps',
  'scas',
  'enter',
  'pusha',
  'popa',
  'ud',
  'ud1',
  'pause',
]);

/** What collecting asks of the vCPU. */
export interface CodePlaces {
  /** The record of code that has been run lately, by RIP; 0 where there is none or it has gone. */
  lookup(rip: bigint): number;
  /** Where a page of code (the RIP of its first byte) lies now; undefined where it is not mapped. */
  page(rip: bigint): { readonly host: number; readonly global: boolean } | undefined;
  /** The handler of a record that a region has taken the place of. */
  originalHandler(record: number): number | undefined;
}

/** Part of a page that a region was made of. */
export interface RegionRange {
  /** RIP of the page's first byte, and its host address. */
  readonly page: bigint;
  readonly host: number;
  /** Host addresses of the code. */
  from: number;
  to: number;
}

export interface Collected {
  readonly source: RegionSource;
  readonly ranges: readonly RegionRange[];
  /** Records and their handlers, in pairs: while these are the same, the source is true. */
  readonly witness: Int32Array;
  readonly instructions: number;
  /** It can go round. */
  readonly loops: boolean;
}

/**
 * Collects the region that begins with a record of 64-bit code.
 *
 * @param reader of the shared memory
 * @param forms by handler − FIXED_HANDLERS
 * @returns undefined where there is nothing to translate
 */
export function collectRegion(
  reader: RecordReader,
  entry: number,
  forms: readonly Form[],
  places: CodePlaces,
): Collected | undefined {
  const entryRip = reader.quads[(entry + REC.rip) >> 3]!;
  const found: Array<{ record: number; address: number; handler: number; addressHandler: number }> = [];
  const seen = new Set<bigint>();
  const links: bigint[] = [];
  const ranges = new Map<bigint, RegionRange>();
  let global = true;
  let loops = false;
  const handlerAt = (record: number): number => places.originalHandler(record) ?? reader.words[record >> 2]!;
  const queue = [entry];
  /** Queues the code at a record; whether it can be part of the region. */
  const follow = (record: number): boolean => {
    if (record === 0 || handlerAt(record) === Fixed.Stale) return false;
    if (seen.has(reader.quads[(record + REC.rip) >> 3]!)) loops = true;
    else if (queue.length >= MOST_STARTS) return false;
    queue.push(record);
    return true;
  };
  const rangeOf = (rip: bigint): RegionRange | undefined => {
    const page = rip & ~0xfffn;
    let range = ranges.get(page);
    if (range === undefined && ranges.size < MOST_PAGES) {
      const place = places.page(page);
      if (place === undefined || place.host < 0) return undefined;
      global &&= place.global;
      range = { page, host: place.host, from: place.host + 4096, to: place.host };
      ranges.set(page, range);
    }
    return range;
  };
  for (let n = 0; n < queue.length; n++) {
    for (let at = queue[n]!; found.length < MOST_INSTRUCTIONS; at += REC_BYTES) {
      const rip = reader.quads[(at + REC.rip) >> 3]!;
      let handler = handlerAt(at);
      if (handler === Fixed.Continue) {
        // The block ended; the code may go on in another.
        const next = BigInt.asUintN(64, reader.quads[(at + REC.imm64) >> 3]!);
        if (!seen.has(next)) follow(places.lookup(next));
        break;
      }
      if (seen.has(rip)) break;
      let address = 0;
      let addressHandler = 0;
      if (handler >= Fixed.Address && handler < FIXED_HANDLERS) {
        address = at;
        addressHandler = handler;
        at += REC_BYTES;
        handler = handlerAt(at);
      }
      const form = handler < FIXED_HANDLERS ? undefined : forms[handler - FIXED_HANDLERS];
      if (form === undefined || LEFT_OUT.has(form.name)) break;
      const length = reader.bytes[at + REC.length]!;
      const offset = Number(rip & 0xfffn);
      // The second page of an instruction that crosses is nobody's to watch.
      if (offset + length > 4096) break;
      const range = rangeOf(rip);
      if (range === undefined) break;
      range.from = Math.min(range.from, range.host + offset);
      range.to = Math.max(range.to, range.host + offset + length);
      seen.add(rip);
      found.push({ record: at, address, handler, addressHandler });
      if (isDirect(form.name)) {
        const target = reader.quads[(at + REC.imm64) >> 3]!;
        const chain = form.chained ? reader.words[(at + REC.chain) >> 2]! : 0;
        if (follow(chain !== 0 ? chain : places.lookup(target))) {
          links.push(rip, target);
          if (form.name === 'call') follow(places.lookup(rip + BigInt(length)));
        }
      }
      if (form.end) break;
    }
  }
  if (!seen.has(entryRip)) return undefined;
  const records = new Uint8Array(found.length * PAIR_BYTES);
  const words = new Int32Array(records.buffer);
  const witness = new Int32Array(2 * found.length);
  for (const [i, { record, address, handler, addressHandler }] of found.entries()) {
    const to = i * PAIR_BYTES;
    if (address !== 0) {
      records.set(reader.bytes.subarray(address, address + REC_BYTES), to);
      words[to >> 2] = addressHandler;
      records[to + REC.ordinal] = 0;
    }
    const own = to + REC_BYTES;
    records.set(reader.bytes.subarray(record, record + REC_BYTES), own);
    words[own >> 2] = handler;
    records[own + REC.ordinal] = 0;
    if (isDirect(forms[handler - FIXED_HANDLERS]!.name)) words[(own + REC.chain) >> 2] = 0;
    witness[2 * i] = record;
    witness[2 * i + 1] = handler;
  }
  const source: RegionSource = {
    records,
    entry: entryRip,
    links: BigUint64Array.from(links),
    spread: ranges.size > 1,
    global,
  };
  return { source, ranges: [...ranges.values()], witness, instructions: found.length, loops };
}
