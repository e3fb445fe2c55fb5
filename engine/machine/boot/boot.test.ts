import { expect, test } from 'vitest';
import { GuesthouseError } from '../../base/errors.ts';
import { Gpr, Seg, vcpuLayout } from '../../vcpu/state.ts';
import { concat, u32 } from '../acpi/bytes.ts';
import { loadKernel } from './detect.ts';
import { applyEntry } from './entry.ts';
import { loadFirmware } from './firmware.ts';
import { Placement } from './guest-memory.ts';
import type { KernelInputs, LoadedKernel } from './kernel.ts';
import { elfImage, linuxImage, MIB, multibootHeader, TestMemory } from './test-images.ts';

const register = (loaded: LoadedKernel, index: number) =>
  Number(loaded.entry.gpr.find(([number]) => number === index)?.[1] ?? 0n);
const code = Uint8Array.from({ length: 300 }, (_, i) => i + 1);
const multibootElf = (header: Uint8Array) => elfImage(false, MIB, concat(header, code));
const modules = [
  { bytes: Uint8Array.of(1, 2, 3), commandLine: 'first' },
  { bytes: Uint8Array.of(4, 5), commandLine: 'second' },
];

function errorOf(inputs: Partial<KernelInputs>, mebibytes = 16): GuesthouseError {
  try {
    loadKernel(new TestMemory(mebibytes), { kernel: new Uint8Array(0), commandLine: '', ...inputs });
  } catch (error) {
    if (error instanceof GuesthouseError) return error;
    throw error;
  }
  throw new Error('no error');
}

test('placement gives away each byte once, and only usable memory below the hole', () => {
  const placement = new Placement(new TestMemory(4));
  expect(placement.isFree(0x9f000, 0x1000)).toBe(false);
  expect(placement.highest(4096, 4096, 2 ** 32)).toBe(4 * MIB - 4096);
  expect(placement.highest(4096, 4096, 2 ** 32)).toBe(4 * MIB - 8192);
  expect(placement.highest(10, 4096, 2 * MIB + 5)).toBe(2 * MIB - 4096);
  expect(placement.lowest(0x1000, 0x1000, 0x10001)).toBe(0x11000);
  expect(placement.lowest(0x1000, 0x1000, 0x10001)).toBe(0x12000);
  placement.take(0, 0xa0000);
  expect(placement.lowest(16, 16, 0x10000)).toBe(MIB);
  expect(placement.lowest(8 * MIB, 16, 0)).toBe(undefined);
});

test.each([true, false])(
  'PVH: the note names the entry, EBX points at start_info (64-bit file: %s)',
  (is64) => {
    const memory = new TestMemory(16);
    const kernel = elfImage(is64, 0x20_0000, code, 0x20_0010);
    const loaded = loadKernel(memory, { kernel, commandLine: 'a b', modules, rsdpAddress: 0xe0000 });
    expect([loaded.protocol, loaded.entry.mode, loaded.entry.rip]).toEqual([
      'pvh',
      'protected32',
      0x20_0010n,
    ]);
    expect(memory.read(0x20_0000, 300)).toEqual(code);
    expect(memory.read(0x20_0000 + 300, 0x2000).every((byte) => byte === 0)).toBe(true);

    const info = register(loaded, Gpr.RBX);
    expect([memory.u32(info), memory.u32(info + 4), memory.u32(info + 8), memory.u32(info + 12)]).toEqual([
      0x336e_c578, 1, 0, 2,
    ]);
    expect(memory.string(Number(memory.u64(info + 24)))).toBe('a b');
    expect(memory.u64(info + 32)).toBe(0xe0000n);
    const list = Number(memory.u64(info + 16));
    modules.forEach(({ bytes, commandLine }, i) => {
      const at = Number(memory.u64(list + 32 * i));
      expect(at % 4096).toBe(0);
      expect(memory.read(at, Number(memory.u64(list + 32 * i + 8)))).toEqual(bytes);
      expect(memory.string(Number(memory.u64(list + 32 * i + 16)))).toBe(commandLine);
    });
    const map = Number(memory.u64(info + 40));
    expect(memory.u32(info + 48)).toBe(memory.e820.length);
    memory.e820.forEach(({ base, length, type }, i) => {
      const at = map + 24 * i;
      expect([memory.u64(at), memory.u64(at + 8), memory.u32(at + 16)]).toEqual([
        BigInt(base),
        BigInt(length),
        type,
      ]);
    });
  },
);

test('Multiboot: EAX has the magic, EBX the information structure', () => {
  const memory = new TestMemory(16);
  const kernel = elfImage(false, MIB, concat(multibootHeader(3), code));
  const loaded = loadKernel(memory, { kernel, commandLine: 'kernel -v', modules, vgaText: true });
  expect([loaded.protocol, loaded.entry.rip, register(loaded, Gpr.RAX)]).toEqual([
    'multiboot',
    BigInt(MIB),
    0x2bad_b002,
  ]);
  const info = register(loaded, Gpr.RBX);
  expect(memory.u32(info)).toBe((1 << 0) | (1 << 2) | (1 << 3) | (1 << 6) | (1 << 9) | (1 << 12));
  expect([memory.u32(info + 4), memory.u32(info + 8)]).toEqual([639, 15 * 1024]);
  expect(memory.string(memory.u32(info + 16))).toBe('kernel -v');
  expect(memory.string(memory.u32(info + 64))).toBe('Guesthouse');
  expect([memory.u64(info + 88), memory.bytes[info + 109]]).toEqual([0xb8000n, 2]);
  expect(memory.u32(info + 20)).toBe(2);
  modules.forEach(({ bytes, commandLine }, i) => {
    const at = memory.u32(info + 24) + 16 * i;
    expect(memory.u32(at) % 4096).toBe(0);
    expect(memory.read(memory.u32(at), memory.u32(at + 4) - memory.u32(at))).toEqual(bytes);
    expect(memory.string(memory.u32(at + 8))).toBe(commandLine);
  });
  expect(memory.u32(info + 44)).toBe(24 * memory.e820.length);
  const map = memory.u32(info + 48);
  expect([memory.u32(map), memory.u64(map + 4), memory.u64(map + 12), memory.u32(map + 20)]).toEqual([
    20,
    0n,
    0x9fc00n,
    1,
  ]);
});

test('Multiboot: bit 16 of the flags loads by the addresses in the header', () => {
  const memory = new TestMemory(16);
  const flags = 1 << 16;
  const header = concat(
    multibootHeader(flags),
    u32(MIB + 64),
    u32(MIB),
    u32(0),
    u32(MIB + 0x3000),
    u32(MIB + 8),
  );
  const body = concat(new Uint8Array(64).fill(0xaa), header, code);
  // The file has 256 bytes in front of what is loaded.
  const loaded = loadKernel(memory, { kernel: concat(new Uint8Array(256), body), commandLine: '' });
  expect([loaded.protocol, loaded.entry.rip]).toEqual(['multiboot', BigInt(MIB + 8)]);
  expect(memory.read(MIB, body.length)).toEqual(body);
  expect(memory.read(MIB + body.length, 0x3000 - body.length).every((byte) => byte === 0)).toBe(true);
  expect(memory.bytes[MIB + 0x3000]).toBe(0xcc);
});

test('Multiboot: what a kernel requires and cannot have is an error', () => {
  expect(errorOf({ kernel: multibootElf(multibootHeader(0x8)) }).message).toContain('0x8');
  const graphics = concat(multibootHeader(4), new Uint8Array(20), u32(0), u32(1024), u32(768), u32(32));
  expect(errorOf({ kernel: multibootElf(graphics) }).message).toContain('graphics');
  const text = concat(multibootHeader(4), new Uint8Array(20), u32(1), u32(80), u32(25), u32(0));
  expect(loadKernel(new TestMemory(16), { kernel: multibootElf(text), commandLine: '' }).protocol).toBe(
    'multiboot',
  );
});

test('a kernel with both entries is taken for PVH; one with neither, and other files, are refused', () => {
  const both = elfImage(false, MIB, concat(multibootHeader(0), code), MIB);
  expect(loadKernel(new TestMemory(16), { kernel: both, commandLine: '' }).protocol).toBe('pvh');
  expect(errorOf({ kernel: elfImage(true, MIB, code) }).code).toBe('file');
  expect(errorOf({ kernel: Uint8Array.of(0x1f, 0x8b, 8, 0) }).message).toContain('gzip');
  expect(errorOf({ kernel: new Uint8Array(0) }).message).toContain('empty');
  expect(errorOf({ kernel: new Uint8Array(100) }).code).toBe('file');
});

test('memory too small for a kernel or its module is an error of the configuration', () => {
  expect(errorOf({ kernel: elfImage(true, 64 * MIB, code, 64 * MIB) }).code).toBe('config');
  const kernel = elfImage(true, MIB, code, MIB);
  expect(errorOf({ kernel, modules: [{ bytes: new Uint8Array(20 * MIB) }] }).code).toBe('config');
});

test('firmware ends at 4 GiB, its last 128 KiB also at 1 MiB', () => {
  const image = Uint8Array.from({ length: 0x4_0000 }, (_, i) => (i >> 10) * 3 + 1);
  const { roms, entry } = loadFirmware(image, 0x0006_03a9);
  expect(roms.map(({ address, bytes }) => [address, bytes.length])).toEqual([
    [0xfffc_0000, 0x4_0000],
    [0xe0000, 0x2_0000],
  ]);
  expect(roms[1].bytes).toEqual(image.subarray(0x2_0000));
  expect(entry.gpr).toEqual([[Gpr.RDX, 0x603a9n]]);
  const small = loadFirmware(image.subarray(0, 0x1_0000), 0);
  expect(small.roms.map(({ address }) => address)).toEqual([0xffff_0000, 0xf0000]);
  for (const wrong of [
    new Uint8Array(0),
    new Uint8Array(100),
    new Uint8Array(0x1_0000),
    new Uint8Array(0x1_0001).fill(1),
  ]) {
    expect(() => loadFirmware(wrong, 0)).toThrow(GuesthouseError);
  }
});

test('SDM 3A table 10-1: the state after reset', () => {
  const state = vcpuLayout.bind(new SharedArrayBuffer(vcpuLayout.size), 0);
  state.gpr.fill(5n);
  applyEntry(state, loadFirmware(new Uint8Array(0x1_0000).fill(0x90), 0x600).entry);
  expect([state.rip, state.segSelector[Seg.CS], state.segBase[Seg.CS]]).toEqual([
    0xfff0n,
    0xf000,
    0xffff_0000n,
  ]);
  expect([state.gpr[Gpr.RDX], state.gpr[Gpr.RAX], state.gpr[Gpr.RSP]]).toEqual([0x600n, 0n, 0n]);
  expect([state.cr0, state.cr4, state.efer, state.dr[6], state.dr[7]]).toEqual([
    0x6000_0010n,
    0n,
    0n,
    0xffff_0ff0n,
    0x400n,
  ]);
  for (const index of [Seg.ES, Seg.CS, Seg.SS, Seg.DS, Seg.FS, Seg.GS]) {
    expect([state.segLimit[index], state.segAttr[index]]).toEqual([0xffff, 0x93]);
    expect([state.segReadLo[index], state.segReadHi[index], state.segWriteHi[index]]).toEqual([
      0, 0xffff, 0xffff,
    ]);
  }
  expect([state.segLimit[Seg.LDTR], state.segLimit[Seg.TR], state.idtrLimit, state.gdtrLimit]).toEqual([
    0xffff, 0xffff, 0xffff, 0xffff,
  ]);
  expect([state.flagsSys & 0x20_7f28, state.flagsRes, state.flagsAux, state.cpl]).toEqual([0, 1n, 0, 0]);
});

test('a long-mode entry has paging on, a protected-mode entry off; both have flat segments', () => {
  const state = vcpuLayout.bind(new SharedArrayBuffer(vcpuLayout.size), 0);
  const memory = new TestMemory(64);
  const linux = loadKernel(memory, { kernel: linuxImage(), commandLine: '' });
  applyEntry(state, linux.entry);
  expect([state.cr0, state.cr4, state.efer, state.cr3]).toEqual([
    0x8000_0011n,
    0x20n,
    0x500n,
    linux.entry.cr3,
  ]);
  expect(state.segAttr[Seg.CS]).toBe(0xa09b);
  expect([state.segReadHi[Seg.SS], state.segWriteHi[Seg.ES]]).toEqual([0xffff_ffff, 0xffff_ffff]);

  applyEntry(state, loadKernel(memory, { kernel: elfImage(true, MIB, code, MIB), commandLine: '' }).entry);
  expect([state.cr0, state.cr4, state.efer, state.cr3]).toEqual([0x11n, 0n, 0n, 0n]);
  expect([state.segAttr[Seg.CS], state.segAttr[Seg.TR], state.segLimit[Seg.TR]]).toEqual([
    0xc09b, 0x8b, 0x67,
  ]);
});

test('fuzz: truncated and mutated files load or are refused, and nothing else happens', () => {
  const header = concat(
    multibootHeader(1 << 16),
    u32(MIB),
    u32(MIB),
    u32(MIB + 64),
    u32(MIB + 0x3000),
    u32(MIB),
  );
  const images = [
    linuxImage({ initSize: MIB }),
    elfImage(true, MIB, code, MIB),
    elfImage(false, MIB, code, MIB),
    elfImage(false, MIB, concat(multibootHeader(3), code)),
    concat(header, code),
  ];
  const memory = new TestMemory(20);
  let seed = 12345;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  const seen = { loaded: 0, refused: 0 };
  for (let round = 0; round < 4000; round++) {
    let kernel = images[round % images.length].slice();
    if (random(3) === 0) kernel = kernel.subarray(0, random(kernel.length));
    for (let i = random(12); i > 0 && kernel.length > 0; i--) {
      // Headers are where mutations tell; the rest is only copied.
      const at = random(2) === 0 ? 0x1f0 + random(0x80) : random(Math.min(kernel.length, 256));
      if (at < kernel.length) kernel[at] = random(2) === 0 ? random(256) : [0, 0xff, 0x7f, 0x80][random(4)];
    }
    try {
      loadKernel(memory, {
        kernel,
        commandLine: 'x'.repeat(random(100)),
        modules: modules.slice(0, random(3)),
      });
      seen.loaded++;
    } catch (error) {
      if (!(error instanceof GuesthouseError)) throw error;
      expect(['file', 'config']).toContain(error.code);
      expect(error.line).not.toMatch(/\n|NaN|undefined/);
      seen.refused++;
    }
  }
  expect(seen.loaded).toBeGreaterThan(200);
  expect(seen.refused).toBeGreaterThan(200);
});
