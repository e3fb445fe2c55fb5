/**
 * The smallest system a case can run under on a processor of ours: page tables that map the tests' regions at
 * their linear addresses for the user, a GDT with Linux's user selectors, and an IDT whose gates lead to
 * stubs of one HLT each. Where the HLT ends tells the vector; the frame on the supervisor's stack the rest.
 *
 * SDM 3A, 4.5 (4-level paging), 3.4.5 (descriptors), 6.14 (64-bit IDT), 7.7 (64-bit TSS).
 */
import { PAGE, REGIONS, type Region } from './case.ts';

/** Guest-physical addresses. */
export const Physical = {
  gdt: 0x1000, idt: 0x2000, tss: 0x3000, stubs: 0x4000, stackTop: 0x9000, pml4: 0x1_0000, regions: 0x4_0000,
  end: 0x10_0000,
} as const; // prettier-ignore

/** Linear address of physical address 0 for the supervisor: in the upper half, where no case looks. */
export const KERNEL = 0xffff_8000_0000_0000n;

export const GDT_LIMIT = 127;
export const IDT_LIMIT = 4095;
export const TSS_LIMIT = 0x67;
export const SELECTOR_KERNEL_CODE = 0x10;
export const SELECTOR_TSS = 0x40;

/** Distance between the stubs of two vectors. */
export const STUB_BYTES = 16;

/** Vectors whose frame has an error code (SDM 3A, table 6-1). */
export const WITH_ERROR_CODE = new Set([8, 10, 11, 12, 13, 14, 17, 21]);

/** Linux's descriptors by index, as user code can tell: access rights byte and flags, all flat. */
const DESCRIPTORS: readonly (readonly [index: number, value: bigint])[] = [
  [1, 0x00cf_9b00_0000_ffffn], // 32-bit code, privilege 0
  [2, 0x00af_9b00_0000_ffffn], // 64-bit code, privilege 0
  [3, 0x00cf_9300_0000_ffffn], // data, privilege 0
  [4, 0x00cf_fb00_0000_ffffn], // 32-bit code, privilege 3
  [5, 0x00cf_f300_0000_ffffn], // data, privilege 3
  [6, 0x00af_fb00_0000_ffffn], // 64-bit code, privilege 3
];

/** What a selector of the GDT loads: attributes as `segAttr` has them. */
export function descriptorAttributes(selector: number): number {
  const found = DESCRIPTORS.find(([index]) => index === selector >> 3);
  if (found === undefined) return 0x1_0000;
  return Number((found[1] >> 40n) & 0xf0ffn);
}

const P = 1n;
const W = 2n;
const U = 4n;
const ACCESSED = 0x20n;
const DIRTY = 0x40n;
const LARGE = 0x80n;
const NX = 1n << 63n;

/** Where a region's pages lie in guest-physical memory. */
export function physicalOf(region: Region): number {
  let at: number = Physical.regions;
  for (const each of REGIONS) {
    if (each === region) return at;
    at += each.bytes;
  }
  throw new RangeError(`no such region: ${region.name}`);
}

/** Writes the system into guest RAM, all zero before. @param ram guest-physical memory from address 0 */
export function buildKernel(ram: DataView): void {
  const entry = (table: number, index: number, value: bigint): void =>
    ram.setBigUint64(table + index * 8, value, true);

  for (const [index, value] of DESCRIPTORS) entry(Physical.gdt, index, value);
  const tss = KERNEL + BigInt(Physical.tss);
  const [low, high] = [tss & 0xff_ffffn, (tss >> 24n) & 0xffn];
  entry(Physical.gdt, SELECTOR_TSS >> 3, BigInt(TSS_LIMIT) | (low << 16n) | (0x8bn << 40n) | (high << 56n));
  entry(Physical.gdt, (SELECTOR_TSS >> 3) + 1, tss >> 32n);
  ram.setBigUint64(Physical.tss + 4, KERNEL + BigInt(Physical.stackTop), true);
  ram.setUint16(Physical.tss + 0x66, TSS_LIMIT + 1, true); // no I/O permission bitmap

  for (let vector = 0; vector < 256; vector++) {
    const stub = KERNEL + BigInt(Physical.stubs + vector * STUB_BYTES);
    ram.setUint8(Physical.stubs + vector * STUB_BYTES, 0xf4);
    // Interrupt gates; #BP and #OF may be raised by INT n of the user, as under Linux.
    const privilege = vector === 3 || vector === 4 ? 3n : 0n;
    const rights = 0x8e00n | (privilege << 13n);
    const offset = (stub & 0xffffn) | (((stub >> 16n) & 0xffffn) << 48n);
    entry(Physical.idt, vector * 2, offset | (BigInt(SELECTOR_KERNEL_CODE) << 16n) | (rights << 32n));
    entry(Physical.idt, vector * 2 + 1, stub >> 32n);
  }

  let nextTable = Physical.pml4 + PAGE;
  const table = (parent: number, index: number, flags: bigint): number => {
    const present = ram.getBigUint64(parent + index * 8, true);
    if (present !== 0n) return Number(present & 0xf_ffff_f000n);
    const at = nextTable;
    nextTable += PAGE;
    entry(parent, index, BigInt(at) | flags);
    return at;
  };
  const open = P | W | U | ACCESSED;
  for (const region of REGIONS) {
    const rights = P | U | ACCESSED | (region.write ? W | DIRTY : 0n) | (region.execute ? 0n : NX);
    for (let offset = 0; offset < region.bytes; offset += PAGE) {
      const linear = region.address + offset;
      const directory = table(table(Physical.pml4, 0, open), linear >>> 30, open);
      const pages = table(directory, (linear >>> 21) & 511, open);
      entry(pages, (linear >>> 12) & 511, BigInt(physicalOf(region) + offset) | rights);
    }
  }
  const kernel = table(table(Physical.pml4, 256, P | W | ACCESSED), 0, P | W | ACCESSED);
  entry(kernel, 0, P | W | ACCESSED | DIRTY | LARGE);
}
