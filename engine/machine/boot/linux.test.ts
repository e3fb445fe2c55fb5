import { expect, test } from 'vitest';
import { GuesthouseError } from '../../base/errors.ts';
import { Gpr } from '../../vcpu/state.ts';
import { loadLinux } from './linux.ts';
import type { LoadedKernel } from './kernel.ts';
import { linuxImage, MIB, TestMemory } from './test-images.ts';

const register = (loaded: LoadedKernel, index: number) =>
  Number(loaded.entry.gpr.find(([number]) => number === index)?.[1] ?? 0n);

function errorOf(run: () => unknown): GuesthouseError {
  try {
    run();
  } catch (error) {
    if (error instanceof GuesthouseError) return error;
    throw error;
  }
  throw new Error('no error');
}

test('the 64-bit entry is 0x200 behind the load address, RSI points at boot_params', () => {
  const memory = new TestMemory(64);
  const loaded = loadLinux(memory, { kernel: linuxImage(), commandLine: 'console=ttyS0' });
  expect(loaded.protocol).toBe('linux64');
  expect(loaded.entry.rip).toBe(0x100_0200n);
  expect([...memory.read(0x100_0000, 3)]).toEqual([0, 7, 14]);
  const params = register(loaded, Gpr.RSI);
  expect(params % 4096).toBe(0);
  expect(memory.string(params + 0x202).slice(0, 4)).toBe('HdrS');
  expect(memory.bytes[params + 0x210]).toBe(0xff);
  expect(memory.string(memory.u32(params + 0x228))).toBe('console=ttyS0');
});

test('boot_params: nothing but the setup header is taken from the file', () => {
  const kernel = linuxImage();
  kernel.fill(0xee, 0, 0x1f1);
  kernel.fill(0xee, 0x26c, 1024);
  const memory = new TestMemory(64);
  const params = register(loadLinux(memory, { kernel, commandLine: '' }), Gpr.RSI);
  expect(memory.bytes.subarray(params, params + 0x1e8).every((byte) => byte === 0)).toBe(true);
  expect(memory.bytes.subarray(params + 0x26c, params + 0x2d0).every((byte) => byte === 0)).toBe(true);
});

test('boot_params: the memory map, the RSDP and the screen', () => {
  const memory = new TestMemory(64);
  const loaded = loadLinux(memory, {
    kernel: linuxImage(),
    commandLine: '',
    rsdpAddress: 0xe0000,
    vgaText: true,
  });
  const params = register(loaded, Gpr.RSI);
  expect(memory.u64(params + 0x70)).toBe(0xe0000n);
  expect(memory.bytes[params + 0x1e8]).toBe(memory.e820.length);
  memory.e820.forEach(({ base, length, type }, i) => {
    const at = params + 0x2d0 + 20 * i;
    expect([memory.u64(at), memory.u64(at + 8), memory.u32(at + 16)]).toEqual([
      BigInt(base),
      BigInt(length),
      type,
    ]);
  });
  expect([memory.bytes[params + 7], memory.bytes[params + 14], memory.bytes[params + 15]]).toEqual([
    80, 25, 1,
  ]);
});

test('page tables map the first 4 GiB onto themselves', () => {
  const memory = new TestMemory(64);
  const { entry } = loadLinux(memory, { kernel: linuxImage(), commandLine: '' });
  const translate = (address: number): number => {
    const pml4e = memory.u64(Number(entry.cr3));
    const pdpte = memory.u64(Number(pml4e & ~0xfffn) + 8 * Math.floor(address / 2 ** 30));
    const pde = memory.u64(Number(pdpte & ~0xfffn) + 8 * (Math.floor(address / 2 ** 21) % 512));
    expect([pml4e & 3n, pdpte & 3n, pde & 0x83n]).toEqual([3n, 3n, 0x83n]);
    return Number(pde & ~0x1f_ffffn) + (address % 2 ** 21);
  };
  for (const address of [0, 0x100_0200, 0x8000_1234, 0xfee0_0030, 0xffff_ffff])
    expect(translate(address)).toBe(address);
});

test('__BOOT_CS is 0x10 and __BOOT_DS is 0x18, in the registers and in the table', () => {
  const memory = new TestMemory(64);
  const { entry } = loadLinux(memory, { kernel: linuxImage(), commandLine: '' });
  expect([entry.cs.selector, entry.data.selector]).toEqual([0x10, 0x18]);
  const gdt = Number(entry.gdtr.base);
  expect(memory.u64(gdt + 0x10)).toBe(0x00af_9b00_0000_ffffn);
  expect(memory.u64(gdt + 0x18)).toBe(0x00cf_9300_0000_ffffn);
  expect(entry.gdtr.limit).toBe(0x1f);
});

test('the RAM disk goes high, on a page, below initrd_addr_max', () => {
  const memory = new TestMemory(64);
  const disk = Uint8Array.from({ length: 5000 }, (_, i) => i * 3);
  const place = (initrdMax: number) => {
    const kernel = linuxImage({ initrdMax });
    const loaded = loadLinux(memory, { kernel, commandLine: '', modules: [{ bytes: disk }] });
    const params = register(loaded, Gpr.RSI);
    expect(memory.u32(params + 0x21c)).toBe(5000);
    const at = memory.u32(params + 0x218);
    expect(memory.read(at, 5000)).toEqual(disk);
    return at;
  };
  expect(place(0x7fff_ffff)).toBe(64 * MIB - 8192);
  expect(place(0x1ff_ffff)).toBe(32 * MIB - 8192);
});

test('several RAM disks become one, each at a multiple of four', () => {
  const memory = new TestMemory(64);
  const modules = [{ bytes: Uint8Array.of(1, 2, 3, 4, 5) }, { bytes: Uint8Array.of(6, 7) }];
  const params = register(loadLinux(memory, { kernel: linuxImage(), commandLine: '', modules }), Gpr.RSI);
  const at = memory.u32(params + 0x218);
  expect([...memory.read(at, memory.u32(params + 0x21c))]).toEqual([1, 2, 3, 4, 5, 0, 0, 0, 6, 7]);
});

test('a kernel that does not fit at its preferred address is relocated, if it can be', () => {
  const commandLine = '';
  const memory = new TestMemory(32);
  const high = linuxImage({ preferred: 0x2000_0000n });
  expect(loadLinux(memory, { kernel: high, commandLine }).entry.rip).toBe(0x20_0200n);
  const fixed = linuxImage({ preferred: 0x2000_0000n, relocatable: false });
  expect(errorOf(() => loadLinux(memory, { kernel: fixed, commandLine })).code).toBe('config');
  const beyond = linuxImage({ preferred: 1n << 63n });
  expect(loadLinux(memory, { kernel: beyond, commandLine }).entry.rip).toBe(0x20_0200n);
});

test('init_size counts: what the kernel needs to unpack itself must be there', () => {
  const kernel = linuxImage({ initSize: 40 * MIB });
  expect(errorOf(() => loadLinux(new TestMemory(32), { kernel, commandLine: '' })).code).toBe('config');
  const modules = [{ bytes: new Uint8Array(20 * MIB) }];
  const memory = new TestMemory(64);
  expect(errorOf(() => loadLinux(memory, { kernel, commandLine: '', modules })).code).toBe('config');
});

test('a kernel without a 64-bit entry begins in protected mode at its load address', () => {
  const memory = new TestMemory(64);
  const loaded = loadLinux(memory, { kernel: linuxImage({ xloadflags: 0 }), commandLine: '' });
  expect([loaded.protocol, loaded.entry.mode, loaded.entry.rip]).toEqual([
    'linux32',
    'protected32',
    0x100_0000n,
  ]);
  expect(memory.u64(Number(loaded.entry.gdtr.base) + 0x10)).toBe(0x00cf_9b00_0000_ffffn);
});

test('the command line may have cmdline_size bytes, and not one more', () => {
  const memory = new TestMemory(64);
  const kernel = linuxImage({ commandLineSize: 10 });
  loadLinux(memory, { kernel, commandLine: '0123456789' });
  const error = errorOf(() => loadLinux(memory, { kernel, commandLine: '0123456789a' }));
  expect([error.code, error.message.includes('at most 10')]).toEqual(['config', true]);
  expect(errorOf(() => loadLinux(memory, { kernel, commandLine: 'ééééé!' })).code).toBe('config');
});

test('an old or a truncated kernel is refused with its reason', () => {
  const memory = new TestMemory(64);
  const load = (kernel: Uint8Array) => errorOf(() => loadLinux(memory, { kernel, commandLine: '' }));
  expect(load(linuxImage({ version: 0x204 })).message).toContain('2.04');
  expect(load(linuxImage().subarray(0, 5000)).message).toContain('truncated');
  expect(load(linuxImage().subarray(0, 0x210)).message).toContain('truncated');
  expect(load(new Uint8Array(4096)).message).toContain('not a Linux kernel');
});
