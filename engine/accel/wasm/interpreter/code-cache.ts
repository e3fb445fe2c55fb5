/**
 * Decoded code: blocks of records in the vCPU's arena, found by where their bytes lie in the shared memory,
 * and dropped when those bytes are written.
 *
 * A block runs from its first instruction to an unconditional transfer, the end of the page, or a limit;
 * conditional jumps are left in its middle. Dropping a block means overwriting the handlers of its records
 * with one that leaves: whoever is about to run one of them, by a link or by falling into it, finds out
 * without a check on the way. The space is reused only when the whole arena is emptied, which happens
 * between instructions.
 */
import { vcpuLayout } from '../../../vcpu/state.ts';
import { Decoder, TooLong, type Decoded } from '../decode/decoder.ts';
import type { Row } from '../decode/rows.ts';
import { isRm } from '../decode/shape.ts';
import { Mem, REC, REC_BYTES } from '../private.ts';
import type { InstalledRegion, RegionDropped } from '../region/installed-region.ts';
import { complexNumber } from '../semantics/registry.ts';
import type { CodeWatch } from '../system/mmu.ts';
import { BlockIndex, type Block, type CodeMode } from './block-index.ts';
import { HOT, NEVER } from './entry-count.ts';
import { addressHandler, Fixed, variantOf, type Check } from './forms.ts';
import type { RunnableTier0 } from './tier0.ts';
import {
  classFault,
  complexInfo,
  inlineMem,
  memoryBytes,
  registerOffset,
  segmentFor,
} from './record-fields.ts';

export type { CodeMode };

/** Reads code: by linear address, through paging. */
export interface CodeReader {
  /** Host address of a byte of code, given by the halves of its linear address.
   * @throws GuestFault
   * @returns -1 where it is not in memory */
  fetch(low: number, high: number): number;
}

/** Instructions in a block at most; the ordinal has to fit a byte. */
const BLOCK_LIMIT = 48;
/** Blocks at most, or all are dropped: what is known of each takes some 200 bytes of the vCPU's heap, and a guest may
 * have made them of one instruction each. */
const MOST_BLOCKS = 500_000;
/**
 * Writes to a page beside its code after which the code is dropped, so that writes to it need not be noticed any
 * more: what was code once is data now, as memory is that a kernel used while it started. Where code comes back the
 * page has twice the patience each time, up to the most.
 */
const PATIENCE = 64;
const MOST_PATIENCE = 2 ** 20;
/** Room a block may need: a wait and an address record before each instruction, and the record that continues. */
const BLOCK_ROOM = (3 * BLOCK_LIMIT + 1) * REC_BYTES;

/** Where register operands go, in their order. */
const SLOTS = [REC.a, REC.b, REC.c] as const;

const ZERO = vcpuLayout.offset.zero;
const GPR = vcpuLayout.offset.gpr;

export class CodeCache implements CodeWatch {
  readonly #tier0: RunnableTier0;
  readonly #words: Int32Array;
  readonly #halves: Uint16Array;
  readonly #bytes: Uint8Array;
  readonly #quads: BigInt64Array;
  readonly #arena: number;
  readonly #arenaEnd: number;
  #next: number;
  /** Handler of FWAIT. */
  readonly #wait: number;
  readonly #blocks = new BlockIndex();
  #blockCount = 0;
  readonly #pages = new Map<number, Set<Block>>();
  /** Patience with writes to pages that have or had code, and how much of it is left. */
  readonly #patience = new Map<number, { whole: number; left: number }>();
  /** Pages that it has run out with. */
  readonly #worn: number[] = [];
  /** Pages that were given an entry there while the present block is decoded. */
  readonly #claimed: number[] = [];
  readonly #reader: CodeReader;
  readonly #decoder: Decoder;
  /** Counts arenas used up: a record address from before is worthless. */
  generation = 0;
  /** Told before the first code of a page is decoded, so that writable translations of it can be dropped, and
   * when the last is gone. */
  onCodePage: (hostPage: number) => void = () => {};
  onPageFree: (hostPage: number) => void = () => {};
  /** Told when everything was dropped. */
  onFlush: () => void = () => {};
  invalidated = 0;
  /** The block last found. */
  get found(): Block | undefined {
    return this.#blocks.found;
  }
  readonly #regions = new Map<number, Set<InstalledRegion>>();
  /** By first record. */
  readonly #regionAt = new Map<number, InstalledRegion>();
  /** First records by {@link InstalledRegion.direct}, also of regions that are gone, while nobody else has it. */
  readonly #recordOf = new Map<number, number>();
  /** Told when a region is dropped, so that its handler can be used again. */
  onRegionDropped: (region: InstalledRegion, why: RegionDropped) => void = () => {};

  // The block being decoded: the halves of its RIP, in 64-bit mode relative to its page.
  #ripLow = 0;
  #ripHigh = 0;
  // The instruction being decoded: the halves of its linear address, and where it is.
  #low = 0;
  #high = 0;
  #host = 0;
  #available = 0;
  #host2 = 0;
  #long = true;

  /** @param arena byte address and size of the records' memory */
  constructor(
    tier0: RunnableTier0,
    memory: WebAssembly.Memory,
    arena: number,
    size: number,
    reader: CodeReader,
  ) {
    this.#tier0 = tier0;
    this.#wait = tier0.forms.forms.find((form) => form.name === 'fwait')!.handler;
    this.#words = new Int32Array(memory.buffer);
    this.#halves = new Uint16Array(memory.buffer);
    this.#bytes = new Uint8Array(memory.buffer);
    this.#quads = new BigInt64Array(memory.buffer);
    this.#arena = arena;
    this.#arenaEnd = arena + size;
    this.#next = arena;
    this.#reader = reader;
    this.#decoder = new Decoder((index) => this.#byteAt(index));
  }

  /** True where bytes are code that has been decoded. */
  overlaps(host: number, bytes: number): boolean {
    const end = host + bytes;
    const key = (host & ~0xfff) >>> 0;
    for (const block of this.#pages.get(key) ?? []) {
      if ((block.from < end && host < block.to) || (block.from2 < end && host < block.to2)) return true;
    }
    // A region outlives blocks of which it has only the beginning.
    for (const region of this.#regions.get(key) ?? []) {
      if (region.ranges.some(({ from, to }) => from < end && host < to)) return true;
    }
    return false;
  }

  written(host: number, bytes: number): void {
    const key = (host & ~0xfff) >>> 0;
    const page = this.#pages.get(key);
    if (page === undefined) return;
    let patience = this.#patience.get(key);
    if (patience === undefined) this.#patience.set(key, (patience = { whole: PATIENCE, left: PATIENCE }));
    if (--patience.left === 0) this.#worn.push(key);
    const end = host + bytes;
    for (const region of this.#regions.get(key) ?? []) {
      const hit = region.ranges.some(({ from, to }) => from < end && host < to);
      if (hit) this.dropRegion(region, 'written');
    }
    for (const block of page) {
      if ((block.from < end && host < block.to) || (block.from2 < end && host < block.to2)) this.#drop(block);
    }
  }

  /** Drops the code of pages that are written again and again beside it. Only between instructions: a region does
   * not see its own code change once nobody notices writes to it. */
  dropWorn(): void {
    if (this.#worn.length === 0) return;
    for (const key of this.#worn.splice(0)) {
      const patience = this.#patience.get(key)!;
      patience.left = patience.whole = Math.min(2 * patience.whole, MOST_PATIENCE);
      for (const region of this.#regions.get(key) ?? []) this.dropRegion(region, 'written');
      for (const block of this.#pages.get(key) ?? []) this.#drop(block);
    }
  }

  /** Numbers of the pages of the shared memory that code has been decoded from. */
  pages(): number[] {
    return Array.from(this.#pages.keys(), (page) => page / 4096);
  }

  /** Remembers where a direct jump leads: to the block last found, at its first record. */
  link(jump: number, target: number): void {
    const { found } = this;
    if (found?.record !== target) return;
    this.#words[(jump + REC.chain) >> 2] = found.to2 === 0 ? target : found.end - REC_BYTES;
    const { links } = found;
    if (links === undefined) found.links = jump;
    else if (typeof links === 'number') found.links = [links, jump];
    else links.push(jump);
  }

  /** Has emitted code leave with `Leave.Hot` when tier 0 has gone to a record so often from now on. */
  count(record: number, times: number): void {
    this.#words[(record + REC.count) >> 2] = -times;
  }

  #drop(block: Block): void {
    this.invalidated++;
    this.#blockCount--;
    // A jump that has been dropped itself keeps nothing in the place of its link.
    const { links = [] } = block;
    for (const jump of typeof links === 'number' ? [links] : links) {
      const chain = (jump + REC.chain) >> 2;
      if (this.#words[chain]! >= block.record && this.#words[chain]! < block.end) this.#words[chain] = 0;
    }
    for (let at = block.record; at < block.end; at += REC_BYTES) this.#words[at >> 2] = Fixed.Stale;
    this.#blocks.remove(block);
    for (const host of [block.from, block.from2]) {
      const key = (host & ~0xfff) >>> 0;
      this.#pages.get(key)?.delete(block);
      this.#freeIfUnused(key);
    }
  }

  /** Writes to a page are no longer noticed once no code of it is left. */
  #freeIfUnused(page: number): void {
    if (this.#pages.get(page)?.size !== 0 || this.#regions.has(page)) return;
    this.#pages.delete(page);
    this.onPageFree(page);
  }

  /** Puts a region in place of its first record. */
  install(region: InstalledRegion): void {
    for (const { host } of region.ranges) {
      let regions = this.#regions.get(host);
      if (regions === undefined) this.#regions.set(host, (regions = new Set()));
      regions.add(region);
    }
    this.#regionAt.set(region.record, region);
    this.#recordOf.set(region.direct, region.record);
    this.#words[region.record >> 2] = region.handler;
  }

  /** Regions that are in the place of records now. */
  get regionCount(): number {
    return this.#regionAt.size;
  }

  /** The region that has taken a record's place. */
  regionAt(record: number): InstalledRegion | undefined {
    // Most have a handler of tier 0's, and need not be searched for.
    return this.#words[record >> 2]! < this.#tier0.handlers ? undefined : this.#regionAt.get(record);
  }

  /** The record that the last region with a handler took the place of, or 0. It may have been dropped since. */
  recordOf(direct: number): number {
    return this.#recordOf.get(direct) ?? 0;
  }

  /** The handler a record had before a region took its place. */
  originalHandler(record: number): number | undefined {
    return this.regionAt(record)?.original;
  }

  /** Takes a region out; its code is tier 0's again. */
  dropRegion(region: InstalledRegion, why: RegionDropped): void {
    for (const { host } of region.ranges) {
      const regions = this.#regions.get(host);
      regions?.delete(region);
      if (regions?.size === 0) this.#regions.delete(host);
      this.#freeIfUnused(host);
    }
    this.#regionAt.delete(region.record);
    this.count(region.record, HOT);
    if (this.#words[region.record >> 2] === region.handler) this.#words[region.record >> 2] = region.original;
    this.onRegionDropped(region, why);
  }

  /** Drops so many regions, those that were installed first. */
  dropOldest(count: number): void {
    for (const region of this.#regionAt.values()) {
      if (count-- === 0) break;
      this.dropRegion(region, 'crowded');
    }
  }

  /** Drops the regions of a number. */
  dropNumbered(id: number): void {
    for (const region of this.#regionAt.values()) if (region.id === id) this.dropRegion(region, 'crowded');
  }

  /** Drops everything. Only between instructions. */
  flush(): void {
    for (const region of this.#regionAt.values()) this.onRegionDropped(region, 'flushed');
    this.#regionAt.clear();
    this.#recordOf.clear();
    this.#regions.clear();
    this.#blocks.clear();
    this.#blockCount = 0;
    for (const page of this.#pages.keys()) this.onPageFree(page);
    this.#pages.clear();
    this.#patience.clear();
    this.#worn.length = 0;
    this.#next = this.#arena;
    this.generation++;
    this.onFlush();
  }

  /**
   * The record with which the code at an address begins.
   * @param low, high halves of RIP, the offset within CS; signed or unsigned
   * @throws GuestFault where the code cannot be fetched
   */
  find(low: number, high: number, mode: CodeMode): number {
    low |= 0;
    high |= 0;
    const long = mode.code === 64;
    this.#low = long ? low : (low + mode.csBase) | 0;
    this.#high = long ? high : 0;
    this.#long = long;
    this.#host = this.#reader.fetch(this.#low, this.#high);
    this.#available = 4096 - (this.#low & 0xfff);
    this.#host2 = 0;
    // In 64-bit mode the bytes and where they lie say all; code is the same wherever it is mapped.
    if (long) {
      low = low & 0xfff;
      high = 0;
    }
    const record = this.#blocks.find(this.#host, low, high, mode, this.#secondPage);
    if (record !== 0) return record;
    if (this.#next + BLOCK_ROOM > this.#arenaEnd || this.#blockCount >= MOST_BLOCKS) this.flush();
    try {
      return this.#decodeBlock(low, high, mode);
    } finally {
      // Bytes were looked at that no block came of.
      for (const page of this.#claimed.splice(0)) this.#freeIfUnused(page);
    }
  }

  readonly #secondPage = (): number => this.#fetchNextPage();

  #fetchNextPage(): number {
    const low = ((this.#low & ~0xfff) + 0x1000) | 0;
    return this.#reader.fetch(low, low === 0 && this.#long ? (this.#high + 1) | 0 : this.#high);
  }

  /** Byte `index` of the present instruction; what is not memory reads as all ones. */
  #byteAt(index: number): number {
    if (index < this.#available) return this.#host < 0 ? 0xff : this.#bytes[this.#host + index]!;
    if (this.#host2 === 0) {
      this.#host2 = this.#fetchNextPage();
      if (this.#host2 >= 0) this.#claim(this.#host2);
    }
    return this.#host2 < 0 ? 0xff : this.#bytes[this.#host2 + index - this.#available]!;
  }

  #decodeBlock(low: number, high: number, mode: CodeMode): number {
    const start = this.#next;
    const from = this.#host;
    if (from >= 0) this.#claim(from);
    const first = this.#low;
    const long = mode.code === 64;
    this.#ripLow = low;
    this.#ripHigh = high;
    // Outside 64-bit mode, bytes of CS from the block's first on.
    const room = long ? Infinity : mode.csLimit + 1 - (low >>> 0);
    let at = start;
    let to = from;
    let from2 = 0;
    let to2 = 0;
    let length = 0;
    // Offset of the instruction in the block.
    let done = 0;
    const most = mode.step ? 1 : BLOCK_LIMIT;
    let ended = false;
    for (let ordinal = 1; ordinal <= most && !ended; ordinal++) {
      if (ordinal > 1) {
        const offset = (first & 0xfff) + done;
        // What begins on another page is another block's.
        if (offset >= 4096 || done >= room) break;
        this.#low = (first & ~0xfff) + offset;
        this.#host = from + offset - (first & 0xfff);
        this.#available = 4096 - offset;
        this.#host2 = 0;
      }
      let d: Decoded | undefined;
      let fault = 0;
      try {
        d = this.#decoder.decode(mode);
        if (d.row === undefined) fault = 6;
        else fault = classFault(d.row, mode);
        // An instruction must lie within CS whole.
        if (done + d.length > room) fault = 13;
      } catch (reason) {
        if (reason instanceof TooLong) fault = 13;
        else if (ordinal === 1) throw reason;
        else break; // faults when it is reached, not before
      }
      length = d?.length ?? 1;
      const crosses = length > this.#available;
      // One that crosses pages has a block to itself, so that only the block's end can be on another page.
      if (crosses && ordinal > 1) break;
      this.#clearRecord(at);
      if (fault !== 0 || d === undefined || d.row === undefined) {
        this.#words[at >> 2] = Fixed.Raise;
        this.#words[(at + REC.imm) >> 2] = fault;
        this.#common(at, done, length, ordinal);
        at += REC_BYTES;
        ended = true;
      } else {
        at = this.#emit(d, d.row, at, done, ordinal, mode);
        ended = d.row.attributes.end;
      }
      if (crosses) {
        to = from + this.#available;
        from2 = this.#host2;
        to2 = this.#host2 + length - this.#available;
        done += length;
        break;
      }
      to = this.#host + length;
      done += length;
    }
    if (!ended) {
      // Where the next instruction is not this block's, go and look for it.
      this.#clearRecord(at);
      this.#words[at >> 2] = Fixed.Continue;
      this.#putRip(at + REC.imm64, done);
      this.#common(at, done, 0, this.#bytes[at - REC_BYTES + REC.ordinal]!);
      at += REC_BYTES;
    }
    if (to2 > 0) {
      // What links lead to: the second page may be mapped elsewhere by then, so the block is looked for again.
      this.#clearRecord(at);
      this.#words[at >> 2] = Fixed.Continue;
      this.#putRip(at + REC.imm64, 0);
      this.#common(at, 0, 0, 0);
      at += REC_BYTES;
    }
    this.count(start, long && !mode.step ? HOT : NEVER);
    this.#next = at;
    this.#blocks.found = undefined;
    if (from >= 0)
      this.#keep({
        record: start, end: at, mode, low, high, from, to, from2, to2, next: undefined, finds: 0, since: 0, links: undefined,
      }); // prettier-ignore
    return start;
  }

  #keep(block: Block): void {
    this.#blocks.found = block;
    this.#blockCount++;
    for (const host of block.to2 > 0 ? [block.from, block.from2] : [block.from]) {
      this.#claim(host).add(block);
    }
    // Not before: its pages are to stay watched.
    const outlived = this.#blocks.add(block);
    if (outlived !== undefined) this.#drop(outlived);
  }

  /** The blocks of a page; from now on writes to it are noticed, so its bytes can be read. */
  #claim(host: number): Set<Block> {
    const key = (host & ~0xfff) >>> 0;
    let page = this.#pages.get(key);
    if (page === undefined) {
      page = new Set();
      this.#pages.set(key, page);
      this.#claimed.push(key);
      this.onCodePage(key);
    }
    return page;
  }

  #clearRecord(at: number): void {
    const quads = this.#quads;
    for (let n = at >> 3; n < (at + REC_BYTES) >> 3; n++) quads[n] = 0n;
  }

  /** Writes RIP of the block plus an offset, which may be negative, as 64 bits. In halves: a BigInt for each
   * instruction is garbage. */
  #putRip(at: number, offset: number): void {
    const sum = (this.#ripLow >>> 0) + offset;
    this.#words[at >> 2] = sum;
    this.#words[(at >> 2) + 1] = this.#ripHigh + Math.floor(sum / 2 ** 32);
  }

  #common(at: number, done: number, length: number, ordinal: number): void {
    this.#putRip(at + REC.rip, done);
    this.#bytes[at + REC.length] = length;
    this.#bytes[at + REC.ordinal] = ordinal;
  }

  /** Writes the records of the instruction at an offset in its block; returns where the next goes. */
  #emit(d: Decoded, row: Row, at: number, done: number, ordinal: number, mode: CodeMode): number {
    const { attributes: a, shape } = row;
    let mem: Mem = Mem.Record;
    if (d.memory) {
      if (a.hot && !d.lock && !a.locked) mem = inlineMem(d);
      if (mem === Mem.Record) {
        // A pending x87 exception comes before a fault of the operand's segment.
        if ((a.x87 || (a.mmx && !a.sse)) && !a.ts && mode.code !== 64 && !row.name.startsWith('fn')) {
          this.#words[at >> 2] = this.#wait;
          this.#common(at, done, d.length, ordinal);
          at += REC_BYTES;
          this.#clearRecord(at);
        }
        this.#emitAddress(d, row, at, done);
        this.#common(at, done, d.length, ordinal);
        at += REC_BYTES;
        this.#clearRecord(at);
      } else this.#address(d, at, mem === Mem.RipRelative ? d.length : 0);
    }
    this.#common(at, done, d.length, ordinal);
    if (!d.memory || mem === Mem.Record) this.#bytes[at + REC.segment] = a.ts ? d.segment : segmentFor(d);
    if (a.ts) {
      this.#words[at >> 2] = a.end ? Fixed.ComplexEnd : Fixed.Complex;
      this.#registers(d, row, at);
      this.#halves[(at + REC.complex) >> 1] = complexNumber(row.name);
      this.#bytes[at + REC.scale] = complexInfo(d);
      if (shape.far) this.#words[(at + REC.disp) >> 2] = Number(d.imm64);
      if (shape.immediate || shape.far) this.#words[(at + REC.imm) >> 2] = d.imm;
      return at + REC_BYTES;
    }
    // A slow variant done in TypeScript finds what the mode says here; addresses of its own have no scale.
    if (!d.memory) this.#bytes[at + REC.scale] = complexInfo(d);
    let chained = false;
    if (shape.target) {
      let distance = d.length + d.relative;
      let legal = true;
      if (mode.code === 64) this.#putRip(at + REC.imm64, done + distance);
      else {
        const rip = (this.#ripLow >>> 0) + done;
        const target = d.size === 2 ? (rip + distance) & 0xffff : (rip + distance) >>> 0;
        this.#words[(at + REC.imm64) >> 2] = target;
        this.#words[((at + REC.imm64) >> 2) + 1] = 0;
        distance = target - rip;
        legal = target <= mode.csLimit;
      }
      // The page is the same where the distance is less than to either of its ends.
      const offset = (this.#low & 0xfff) + distance;
      chained = offset >= 0 && offset < 4096 && legal;
    } else {
      this.#registers(d, row, at);
      if (shape.wide) this.#quads[(at + REC.imm64) >> 3] = BigInt.asIntN(64, d.imm64);
      else if (shape.immediate) this.#words[(at + REC.imm) >> 2] = d.imm;
      // FOP holds the modrm byte (SDM 1, 8.1.9).
      else if (a.x87) this.#words[(at + REC.imm) >> 2] = d.modrm;
    }
    const handler = this.#tier0.forms.handler(row, variantOf(d, row, mem, mode.stack, chained));
    if (handler < 0)
      throw new Error(`no form of ${row.name} (size ${d.size}, memory ${d.memory}, ${d.address})`);
    this.#words[at >> 2] = handler;
    return at + REC_BYTES;
  }

  /** Register operands into slots, in the order of the operands. */
  #registers(d: Decoded, row: Row, at: number): void {
    const operands = d.memory ? row.shape.memorySlots : row.shape.slots;
    for (let slot = 0; slot < operands.length; slot++) {
      const { where, size } = operands[slot]!;
      this.#halves[(at + SLOTS[slot]!) >> 1] = registerOffset(d, where, size);
    }
  }

  /** Base, index, scale, displacement and segment of the memory operand. */
  #address(d: Decoded, at: number, add: number): void {
    const halves = this.#halves;
    halves[(at + REC.base) >> 1] = d.base < 0 || d.base === 16 ? ZERO : GPR + 8 * d.base;
    halves[(at + REC.index) >> 1] = d.index < 0 ? ZERO : GPR + 8 * d.index;
    this.#bytes[at + REC.scale] = d.scale;
    this.#bytes[at + REC.segment] = segmentFor(d);
    this.#words[(at + REC.disp) >> 2] = d.disp + add;
  }

  #emitAddress(d: Decoded, row: Row, at: number, done: number): void {
    const a = row.attributes;
    if (d.moffs !== undefined) {
      this.#words[at >> 2] = Fixed.Absolute;
      this.#quads[(at + REC.imm64) >> 3] = BigInt.asIntN(64, d.moffs);
      this.#bytes[at + REC.segment] = segmentFor(d);
      return;
    }
    let check: Check = 'none';
    if (!a.nocheck && !a.ts && (d.address === '32' || d.address === '16')) {
      const first = row.operands[0];
      check = first && isRm(first.where) && !a.ro ? 'write' : 'read';
    }
    this.#words[at >> 2] = addressHandler(d.address, check);
    this.#address(d, at, 0);
    // POP into memory: the address is formed with the stack pointer already moved (SDM 2, POP).
    if (row.name === 'pop' && d.base === 4) this.#words[(at + REC.disp) >> 2] = d.disp + d.size;
    this.#words[(at + REC.imm) >> 2] = memoryBytes(row, d);
    if (d.base === 16) {
      this.#words[at >> 2] = Fixed.Relative;
      this.#putRip(at + REC.imm64, done + d.length + d.disp);
      // Cut to 32 bits by an address prefix.
      this.#bytes[at + REC.scale] = d.address === '64' ? 0 : 1;
    }
  }
}
