/**
 * Finds what belongs into a region: the decoded instructions reachable from a hot one by ways that have been
 * taken — direct jumps, calls and the returns from them — also on other pages.
 */
import { highHalf, lowHalf } from '../../../base/halves.ts';
import type { Block } from '../interpreter/block-index.ts';
import { FIXED_HANDLERS, Fixed, isComputed, type Form } from '../interpreter/forms.ts';
import { REC, REC_BYTES } from '../private.ts';
import { isDirect, PAIR_BYTES, RecordReader, type RegionSource } from './source.ts';

/** Bounds on a region: instructions, those of its first path, which may be long where code goes straight on, paths
 * followed, pages. */
export interface Bounds {
  readonly instructions: number;
  readonly straight: number;
  readonly starts: number;
  readonly pages: number;
  /** Instructions after which it does not go on into what is a region already: two would have the same code. */
  readonly alone: number;
  /** It goes on into the functions that it calls. */
  readonly calls: boolean;
  /** Its accesses share looks into the TLB (`page-windows.ts`), which is more to compile. */
  readonly windows: boolean;
  /** The least part of all that is run that such a region is made for. */
  readonly share: number;
}

const SMALL = { instructions: 64, straight: 256, starts: 64, pages: 4 };
const LARGE = { instructions: 400, straight: 400, starts: 200, pages: 8 };

/**
 * What regions are at first, and what they become where they are more of what is run: the larger they are the less often
 * they are left, and the more of their code is in others too, which V8 compiles and the host's caches hold each time.
 */
export const SIZES: readonly Bounds[] = [
  { ...SMALL, alone: 0, calls: false, windows: false, share: 0 },
  { ...SMALL, alone: 32, calls: true, windows: false, share: 1 / 1024 },
  { ...SMALL, alone: 32, calls: true, windows: true, share: 1 / 256 },
  { ...LARGE, alone: 400, calls: true, windows: true, share: 1 / 64 },
];

/** Bits of how far a region goes on by computed jumps and calls: as far as direct ones lead. What is farther belongs to
 * another program or library, which lies elsewhere in the next process, where the region would be dropped. */
const REACH = 32;

/** Instructions that a region leaves to tier 0: they run themselves again, or are long and not often in one place. */
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
  'syscall',
  'sysret',
]);

/** What collecting asks of the vCPU. */
export interface CodePlaces {
  /** The record of code that has been run lately, by the halves of RIP; 0 where there is none or it has gone. */
  lookup(low: number, high: number): number;
  /** Where a page of code (the RIP of its first byte) lies now; undefined where it is not mapped. */
  page(rip: bigint): { readonly host: number; readonly global: boolean } | undefined;
  /** Where the computed jump of a record seems to have led last, as a RIP. */
  target(record: number): bigint;
  /** The handler of a record that a region has taken the place of. */
  originalHandler(record: number): number | undefined;
  /** There is a region now for the code at RIP, in place of a block: who has noted either is to find out. */
  forget(rip: bigint, block: Block): void;
  /** A region's number is about to be another's: whether its pages are mapped as they were is not known. */
  forgetTags(id: number): void;
  /** Handlers of regions that are gone are about to be used for others: the jump cache is to have none of them. */
  forgetRegions(handlers: readonly number[]): void;
}

/** Part of a page that a region was made of. */
export interface RegionRange {
  /** Bytes from the page of the region's entry to this page, and its host address. */
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

/** An instruction that belongs in: its record, that of its operand's address or 0, and the handlers of both. */
interface Found {
  readonly record: number;
  readonly address: number;
  readonly handler: number;
  readonly addressHandler: number;
  /** Bytes from the entry's page to that of the instruction: what its RIPs lack. */
  readonly page: number;
}

/**
 * Collects the region that begins with a record of 64-bit code. The vCPU waits for it: what lies how far from the entry's
 * page is a number, as a BigInt is an object for each step.
 *
 * @param reader of the shared memory
 * @param entryPage RIP of the first byte of the page the code is on
 * @param forms by handler − FIXED_HANDLERS
 * @param bounds how large it may become
 * @returns undefined where there is nothing to translate
 */
export function collectRegion(
  reader: RecordReader,
  entry: number,
  entryPage: bigint,
  forms: readonly Form[],
  places: CodePlaces,
  bounds: Bounds,
): Collected | undefined {
  const entryRip = reader.rip(entry);
  const [entryLow, entryHigh] = [lowHalf(entryPage), highHalf(entryPage)];
  const found: Found[] = [];
  const seen = new Set<number>();
  const links: number[] = [];
  const ranges = new Map<number, RegionRange>();
  let global = true;
  let loops = false;
  const handlerAt = (record: number): number => places.originalHandler(record) ?? reader.words[record >> 2]!;
  const ripAt = (record: number, page: number): number => page + reader.rip(record);
  const lookup = (rip: number): number => {
    const low = (entryLow >>> 0) + rip;
    return places.lookup(low | 0, (entryHigh + Math.floor(low / 2 ** 32)) | 0);
  };
  const queue: Array<{ record: number; page: number; most: number }> = [
    { record: entry, page: 0, most: bounds.straight },
  ];
  /** Queues the code at a record; whether it can be part of the region. */
  const follow = (record: number, page: number, most = bounds.instructions): boolean => {
    if (record === 0 || handlerAt(record) === Fixed.Stale) return false;
    if (seen.has(ripAt(record, page))) loops = true;
    else if (
      queue.length >= bounds.starts ||
      (found.length >= bounds.alone && places.originalHandler(record) !== undefined)
    )
      return false;
    queue.push({ record, page, most });
    return true;
  };
  const followTo = (rip: number, most?: number): boolean => follow(lookup(rip), pageOf(rip), most);
  const rangeOf = (page: number): RegionRange | undefined => {
    let range = ranges.get(page);
    if (range === undefined && ranges.size < bounds.pages) {
      const place = places.page(BigInt.asUintN(64, entryPage + BigInt(page)));
      if (place === undefined || place.host < 0) return undefined;
      global &&= place.global;
      range = { page: BigInt(page), host: place.host, from: place.host + 4096, to: place.host };
      ranges.set(page, range);
    }
    return range;
  };
  for (let n = 0; n < queue.length; n++) {
    const { page, record, most } = queue[n]!;
    // What is begun goes on to its jump, so that what follows begins where others do as well.
    if (found.length >= most) continue;
    for (let at = record; found.length < bounds.straight; at += REC_BYTES) {
      const rip = ripAt(at, page);
      let handler = handlerAt(at);
      if (handler === Fixed.Continue) {
        // The block ended; the code may go on in another.
        const next = page + reader.distance(at);
        if (!seen.has(next)) followTo(next, most);
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
      const offset = rip - page;
      const range = rangeOf(page);
      if (range === undefined) break;
      const rest = offset + length - 4096;
      if (rest > 0) {
        // It crosses onto the next page, which is then one of the region's.
        const next = rangeOf(page + 4096);
        if (next === undefined) break;
        next.from = next.host;
        next.to = Math.max(next.to, next.host + rest);
      }
      range.from = Math.min(range.from, range.host + offset);
      range.to = Math.max(range.to, range.host + Math.min(offset + length, 4096));
      seen.add(rip);
      found.push({ record: at, address, handler, addressHandler, page });
      const { name } = form;
      if (isDirect(name) && (name !== 'call' || bounds.calls)) {
        const target = page + reader.distance(at);
        const chain = form.chained ? reader.words[(at + REC.chain) >> 2]! : 0;
        if (chain !== 0 ? follow(chain, page) : followTo(target)) {
          links.push(rip, target);
          if (name === 'call') followTo(rip + length);
        }
      } else if (isComputed(name) && (name !== 'callr' || bounds.calls)) {
        const far = BigInt.asIntN(64, places.target(at) - entryPage);
        const target = Number(far);
        if (far === BigInt.asIntN(REACH, far) && followTo(target)) {
          links.push(rip, target);
          if (name === 'callr') followTo(rip + length);
        }
      }
      if (form.end) break;
    }
  }
  if (!seen.has(entryRip)) return undefined;
  const source: RegionSource = {
    records: copyRecords(reader, found, forms),
    entry: BigInt(entryRip),
    links: BigInt64Array.from(links, BigInt),
    spread: ranges.size > 1,
    global,
    windows: bounds.windows,
  };
  const witness = new Int32Array(2 * found.length);
  for (const [i, { record, handler }] of found.entries()) {
    witness[2 * i] = record;
    witness[2 * i + 1] = handler;
  }
  return { source, ranges: [...ranges.values()], witness, instructions: found.length, loops };
}

/** The page of what lies so far from the entry's. */
const pageOf = (rip: number): number => rip - (rip & 0xfff);

/** The records as a source has them. */
function copyRecords(
  reader: RecordReader,
  found: readonly Found[],
  forms: readonly Form[],
): Uint8Array<ArrayBuffer> {
  const records = new Uint8Array(found.length * PAIR_BYTES);
  const copies = new RecordReader(records.buffer);
  const copy = (to: number, from: number, handler: number): void => {
    for (let i = 0; i < REC_BYTES / 4; i++) copies.words[(to >> 2) + i] = reader.words[(from >> 2) + i]!;
    copies.words[to >> 2] = handler;
    records[to + REC.ordinal] = 0;
  };
  for (const [i, { record, address, handler, addressHandler, page }] of found.entries()) {
    const to = i * PAIR_BYTES;
    if (address !== 0) {
      copy(to, address, addressHandler);
      // Handlers have no use for it; it depends on where the code was first found.
      copies.setQuad(to + REC.rip, 0);
      if (addressHandler === Fixed.Relative) copies.setQuad(to + REC.imm64, page + reader.distance(address));
    }
    const own = to + REC_BYTES;
    copy(own, record, handler);
    copies.setQuad(own + REC.rip, page + reader.rip(record));
    if (isDirect(forms[handler - FIXED_HANDLERS]!.name)) {
      copies.words[(own + REC.chain) >> 2] = 0;
      copies.setQuad(own + REC.imm64, page + reader.distance(record));
    }
  }
  return records;
}
