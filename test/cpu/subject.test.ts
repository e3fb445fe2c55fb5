import { expect, test } from 'vitest';
import { CODE, DATA, MIXED, PAGE, REGIONS } from './case.ts';
import { buildKernel, descriptorAttributes, KERNEL, Physical, physicalOf } from './subject-kernel.ts';
import { storeFlags } from './subject.ts';

/** Walks the tables as SDM 3A, 4.5 says. Returns the final entry, or 0 where one is not present. */
function walk(ram: DataView, linear: bigint): { entry: bigint; rights: bigint } {
  let table = Physical.pml4 as number;
  let rights = 6n;
  for (let shift = 39n; ; shift -= 9n) {
    const entry = ram.getBigUint64(table + Number((linear >> shift) & 511n) * 8, true);
    if ((entry & 1n) === 0n) return { entry: 0n, rights: 0n };
    rights &= entry;
    if (shift === 12n || (entry & 0x80n) !== 0n) return { entry, rights };
    table = Number(entry & 0xf_ffff_f000n);
  }
}

test('the tables map the regions for the user with their rights, and nothing else', () => {
  const ram = new DataView(new ArrayBuffer(Physical.end));
  buildKernel(ram);
  for (const region of REGIONS) {
    for (let offset = 0; offset < region.bytes; offset += PAGE) {
      const { entry, rights } = walk(ram, BigInt(region.address + offset));
      expect(entry & 0xf_ffff_f000n).toBe(BigInt(physicalOf(region) + offset));
      expect(rights & 6n).toBe(region.write ? 6n : 4n);
      expect(entry >> 63n).toBe(region.execute ? 0n : 1n);
    }
  }
  for (const address of [0, CODE + 2 * PAGE, DATA - PAGE, DATA + 2 * PAGE, MIXED + 2 * PAGE]) {
    expect(walk(ram, BigInt(address)).entry).toBe(0n);
  }
  const kernel = walk(ram, KERNEL);
  expect(kernel.rights & 4n).toBe(0n);
});

test('the GDT has the selectors of a Linux user', () => {
  expect(descriptorAttributes(0x33)).toBe(0xa0fb);
  expect(descriptorAttributes(0x23)).toBe(0xc0fb);
  expect(descriptorAttributes(0x2b)).toBe(0xc0f3);
  expect(descriptorAttributes(0x40) & 0x1_0000).toBe(0x1_0000);
});

test('flags are stored so that the definitions of the state schema give them back', () => {
  for (let bits = 0; bits < 64; bits++) {
    const flags = [0x1, 0x4, 0x10, 0x40, 0x80, 0x800].reduce(
      (sum, bit, i) => sum | ((bits >> i) & 1 ? bit : 0),
      0x202,
    );
    const state = { flagsRes: 0n, flagsAux: 0, flagsSys: 0 };
    storeFlags(state, BigInt(flags));
    const aux = state.flagsAux;
    const low = (Number(BigInt.asUintN(32, state.flagsRes)) ^ (aux >>> 8)) & 0xff;
    const ones = low.toString(2).replaceAll('0', '').length;
    const found =
      (state.flagsRes === 0n ? 0x40 : 0) |
      ((state.flagsRes < 0n ? 1 : 0) ^ (aux & 1) ? 0x80 : 0) |
      (ones % 2 === 0 ? 0x4 : 0) |
      ((aux >>> 31) & 1) |
      (((aux >>> 31) ^ (aux >>> 30)) & 1 ? 0x800 : 0) |
      ((aux >>> 3) & 1 ? 0x10 : 0) |
      2 | state.flagsSys; // prettier-ignore
    expect(found).toBe(flags);
  }
});
