/**
 * What the fuzzed guest finds in its memory: page tables, descriptor tables, a task state, stacks and code,
 * all of it plausible, with mistakes sprinkled over it.
 *
 * SDM 3A, 4.3 to 4.5 (page tables), 3.4.5 and 6.11 (descriptors and gates), 7.2 and 7.7 (task states).
 */
import type { Random } from '../../engine/base/random.ts';
import { edge32, fillWithCode } from './guest-code.ts';

/** Guest-physical addresses of what lies where; paging maps the first 2 MiB to themselves, mostly. */
export const Place = {
  interruptTable: 0, gdt: 0x1000, idt: 0x2000, tss: 0x3000, ldt: 0x4000, stack: 0x5000, stackTop: 0x7f00,
  code: 0x8000, codeEnd: 0x1_0000, tables: 0x1_0000, tablesEnd: 0x1_8000, data: 0x1_8000, smram: 0x3_0000,
  smmCode: 0x3_8000, end: 0x4_0000,
} as const; // prettier-ignore

const PAGE = 4096;

/** How linear addresses become physical ones. */
export type Paging = 'none' | '32-bit' | 'pae' | '4-level' | '5-level';

/** Descriptors of the GDT and LDT. */
export const DESCRIPTORS = 64;

/** Bits of a page-table entry (SDM 3A, table 4-20). */
const PRESENT = 1;
const WRITE = 2;
const USER = 4;
const LARGE = 0x80;
const GLOBAL = 0x100;

/** Fills the guest's memory, in all but what `Place` does not name. @param ram from physical address 0 */
export function fillMemory(random: Random, ram: DataView, paging: Paging, long: boolean): void {
  const bytes = (from: number, to: number): Uint8Array =>
    new Uint8Array(ram.buffer, ram.byteOffset + from, to - from);

  const words = new Uint32Array(ram.buffer, ram.byteOffset, Place.end / 4);
  for (let at = Place.stack / 4; at < Place.code / 4; at++) words[at] = edge32(random);
  for (let at = Place.data / 4; at < (Place.data + PAGE) / 4; at++) words[at] = random.next();
  fillWithCode(random, bytes(Place.code, Place.code + 2 * PAGE));
  fillWithCode(random, bytes(Place.codeEnd - 256, Place.codeEnd));
  fillWithCode(random, bytes(Place.smmCode, Place.smmCode + 512));
  if (random.oneIn(8)) for (let at = 0x3_fc00; at < 0x4_0000; at += 4) words[at / 4] = edge32(random);

  for (let vector = 0; vector < 256; vector++) {
    ram.setUint16(vector * 4, random.below(0x400), true);
    ram.setUint16(vector * 4 + 2, (Place.code >> 4) + random.below(0x20), true);
  }
  for (let i = 0; i < DESCRIPTORS; i++) {
    putDescriptor(random, ram, Place.gdt + i * 8, long);
    putDescriptor(random, ram, Place.ldt + i * 8, long);
  }
  for (let vector = 0; vector < 256; vector++) {
    if (long) putLongGate(random, ram, Place.idt + vector * 16);
    else putGate(random, ram, Place.idt + vector * 8, false);
  }
  for (let at = 0; at < 0x68; at += 4) {
    ram.setUint32(
      Place.tss + at,
      random.oneIn(4) ? edge32(random) : Place.stack + random.below(0x2f00),
      true,
    );
  }
  if (paging !== 'none') putPageTables(random, ram, paging);
}

/** A descriptor of any kind, its base mostly low and its limit mostly high. */
function putDescriptor(random: Random, ram: DataView, at: number, long: boolean): void {
  if (random.oneIn(4)) {
    putGate(random, ram, at, true);
    return;
  }
  const base = random.oneIn(3) ? random.below(0x4_0000) : random.oneIn(16) ? random.next() : 0;
  const limit = random.oneIn(3) ? random.below(0x10_0000) : 0xf_ffff;
  const present = random.oneIn(16) ? 0 : 0x80;
  // A task state or LDT (types 1, 2, 3, 9, 11), code, or data.
  const kind = random.oneIn(3) ? random.pick([1, 2, 3, 9, 9, 11]) : 0x10 | random.below(16);
  const access = present | (random.pick([0, 0, 3, random.below(4)]) << 5) | kind;
  const flags = random.oneIn(2) ? (long ? 0xa : 0xc) : random.below(16);
  ram.setUint32(at, (limit & 0xffff) | (base << 16), true);
  const high =
    ((base >>> 16) & 0xff) | (access << 8) | (limit & 0xf_0000) | (flags << 20) | (base & 0xff00_0000);
  ram.setUint32(at + 4, high, true);
}

/** A call, task, interrupt or trap gate (types 4 to 7 and 12, 14, 15). */
function putGate(random: Random, ram: DataView, at: number, any: boolean): void {
  const offset = Place.code + random.below(0x2000);
  const type = random.pick(any ? [4, 5, 6, 7, 12, 14, 15] : [5, 6, 7, 14, 14, 14, 15]);
  const access = (random.oneIn(16) ? 0 : 0x80) | (random.pick([0, 3, 3, random.below(4)]) << 5) | type;
  const selector = random.below(DESCRIPTORS) * 8 + (random.oneIn(4) ? random.below(8) : 0);
  ram.setUint32(at, offset | (selector << 16), true);
  ram.setUint32(at + 4, random.below(32) | (access << 8), true);
}

/** A gate of long mode: 16 bytes, with an IST number. */
function putLongGate(random: Random, ram: DataView, at: number): void {
  putGate(random, ram, at, false);
  if (random.oneIn(2)) ram.setUint32(at + 4, 0x8e00 | (random.oneIn(2) ? 0x6000 : 0) | random.below(8), true);
  ram.setUint32(at + 8, random.oneIn(16) ? random.next() : 0, true);
  ram.setUint32(at + 12, random.oneIn(16) ? random.next() : 0, true);
}

/** Tables that map the first 2 MiB (4 MiB for 32-bit paging) to themselves, but for mistakes. */
function putPageTables(random: Random, ram: DataView, paging: Exclude<Paging, 'none'>): void {
  const small = paging === '32-bit';
  const size = small ? 4 : 8;
  const put = (table: number, index: number, value: number): void => {
    let high = 0;
    let low = value;
    if (random.oneIn(48)) low ^= 1 << random.below(12);
    // Reserved bits, NX, and addresses beyond all memory.
    if (random.oneIn(64)) high = random.oneIn(2) ? 0x8000_0000 : random.next();
    if (random.oneIn(128)) low = random.next();
    ram.setUint32(table + index * size, low, true);
    if (!small) ram.setUint32(table + index * size + 4, high, true);
  };
  const rights = PRESENT | WRITE | (random.oneIn(8) ? 0 : USER);
  for (let at = Place.tables; at < Place.tablesEnd; at += 4) ram.setUint32(at, 0, true);

  const depth = { '32-bit': 2, pae: 3, '4-level': 4, '5-level': 5 }[paging];
  for (let level = depth; level > 1; level--) {
    const table = Place.tables + (depth - level) * PAGE;
    const next = table + PAGE;
    // The PDPTEs of PAE have no rights.
    const flags = paging === 'pae' && level === 3 ? PRESENT : rights;
    put(table, 0, next | flags);
    // Some entries of the table lead elsewhere: to the table itself, to a large page, anywhere.
    for (let i = random.below(6); i > 0; i--) {
      const index = random.oneIn(2) ? random.below(4) : random.pick([255, 256, 510, 511]);
      const target = random.pick([table, next, 0, random.below(0x40) * PAGE, random.next()]);
      put(table, index, (target & ~0xfff) | flags | (random.oneIn(2) ? LARGE : 0));
    }
    if (level === 2 && random.oneIn(6)) put(table, 0, rights | LARGE);
  }
  const last = Place.tables + (depth - 1) * PAGE;
  for (let i = 0; i < 512; i++) {
    const global = random.oneIn(8) ? GLOBAL : 0;
    const frame = random.oneIn(32) ? random.below(0x240) : i;
    put(last, i, (frame * PAGE) | rights | global);
  }
}
