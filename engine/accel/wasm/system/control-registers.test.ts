import { describe, expect, test } from 'vitest';
import { Seg } from '../../../vcpu/state.ts';
import { Vector } from './cpu.ts';
import { CpuModel } from './cpuid.ts';
import { enterLongMode, enterProtectedMode, fakeCpu, type FakeCpu, faultOf, run } from './fake-cpu.ts';
import { gprOffset } from './operands.ts';
import { Cr0, Cr4, Efer } from './registers.ts';

const GP = [Vector.GP, 0];

function write(cpu: FakeCpu, number: number, value: bigint): readonly [number, number | undefined] | null {
  cpu.state.gpr[1] = value;
  return faultOf(() => run(cpu, 'mov_to_cr', { a: number, b: gprOffset(1) }));
}

describe('CR0 (SDM 3A, 2.5)', () => {
  test.each([
    ['PG without PE', 0x8000_0010n],
    ['NW without CD', 0x2000_0011n],
  ])('%s is #GP(0)', (_, value) => {
    expect(write(fakeCpu(), 0, value)).toEqual(GP);
  });

  test('reserved bits are dropped, ET stays set', () => {
    const cpu = fakeCpu();
    expect(write(cpu, 0, 0x1ff5_ffe1n)).toBe(null);
    expect(cpu.state.cr0).toBe(0x0005_0031n);
  });

  test('in 64-bit mode the upper half must be zero and paging stays on', () => {
    const cpu = fakeCpu();
    enterLongMode(cpu);
    expect(write(cpu, 0, 0x1_8000_0011n)).toEqual(GP);
    expect(write(cpu, 0, 0x11n)).toEqual(GP);
    expect(write(cpu, 0, 0x8001_0011n)).toBe(null);
    expect(cpu.flushes).toEqual(['all']);
  });

  test('paging with EFER.LME enters long mode; without CR4.PAE it is #GP(0) (SDM 3A, 9.8.5)', () => {
    const cpu = fakeCpu();
    enterProtectedMode(cpu);
    cpu.state.efer = BigInt(Efer.LME);
    expect(write(cpu, 0, 0x8000_0011n)).toEqual(GP);
    cpu.state.cr4 = BigInt(Cr4.PAE);
    expect(write(cpu, 0, 0x8000_0011n)).toBe(null);
    expect(cpu.state.efer).toBe(BigInt(Efer.LME | Efer.LMA));
    expect(write(cpu, 0, 0x11n)).toBe(null);
    expect(cpu.state.efer).toBe(BigInt(Efer.LME));
  });

  test('PAE paging checks the reserved bits of the PDPTEs (SDM 3A, table 4-8)', () => {
    const cpu = fakeCpu();
    enterProtectedMode(cpu);
    cpu.state.cr4 = BigInt(Cr4.PAE);
    cpu.state.cr3 = 0x1_0020n;
    cpu.linear.view.setUint32(0x1_0028, 0x3001, true);
    expect(write(cpu, 0, 0x8000_0011n)).toBe(null);
    cpu.linear.view.setUint32(0x1_0028, 0x3003, true);
    expect(write(cpu, 3, 0x1_0020n)).toEqual(GP);
    cpu.linear.view.setUint32(0x1_0028, 0x3001, true);
    cpu.linear.view.setUint32(0x1_002c, 0x100, true);
    expect(write(cpu, 3, 0x1_0020n)).toEqual(GP);
  });

  test('real mode goes on with protected-mode limits, and the other way round (SDM 3A, 9.9.2)', () => {
    const cpu = fakeCpu();
    cpu.state.segAttr[Seg.DS] = 0x91;
    write(cpu, 0, 0x11n);
    expect(cpu.state.segWriteHi[Seg.DS] < cpu.state.segWriteLo[Seg.DS]).toBe(true);
    write(cpu, 0, 0x10n);
    expect(cpu.state.segWriteHi[Seg.DS]).toBe(0xffff);
  });

  test('LMSW sets PE but does not clear it (SDM 2, LMSW)', () => {
    const cpu = fakeCpu();
    cpu.state.gpr[0] = 0xffffn;
    run(cpu, 'lmsw', { a: gprOffset(0) });
    expect(Number(cpu.state.cr0) & 0xf).toBe(0xf);
    cpu.state.gpr[0] = 0n;
    run(cpu, 'lmsw', { a: gprOffset(0) });
    expect(Number(cpu.state.cr0) & 0xf).toBe(Cr0.PE);
  });
});

describe('CR3 (SDM 3A, 4.5, 4.10.4.1)', () => {
  test('bits beyond the physical width are #GP(0)', () => {
    const cpu = fakeCpu();
    enterLongMode(cpu);
    expect(write(cpu, 3, 1n << 40n)).toEqual(GP);
    expect(write(cpu, 3, 1n << 63n)).toEqual(GP);
    expect(write(cpu, 3, 0xff_ffff_f018n)).toBe(null);
    expect(cpu.flushes).toEqual(['to 0']);
  });

  test('with PCIDs bit 63 keeps translations and is not stored', () => {
    const cpu = fakeCpu();
    enterLongMode(cpu);
    cpu.state.cr4 |= BigInt(Cr4.PCIDE);
    write(cpu, 3, 0x1001n);
    write(cpu, 3, (1n << 63n) | 0x1001n);
    expect(cpu.state.cr3).toBe(0x1001n);
    expect(cpu.flushes).toEqual(['to 1', 'back to 1']);
  });
});

describe('CR4 (SDM 3A, 2.5)', () => {
  test('only bits of features that the model offers can be set', () => {
    const cpu = fakeCpu(new CpuModel('x86-64-v1'));
    expect(write(cpu, 4, BigInt(Cr4.SMEP))).toEqual(GP);
    expect(write(fakeCpu(), 4, BigInt(Cr4.SMEP))).toBe(null);
    expect(write(fakeCpu(), 4, 1n << 13n)).toEqual(GP);
  });

  test('in long mode PAE stays and LA57 does not change', () => {
    const cpu = fakeCpu();
    enterLongMode(cpu);
    expect(write(cpu, 4, 0n)).toEqual(GP);
    expect(write(cpu, 4, BigInt(Cr4.PAE | Cr4.LA57))).toEqual(GP);
  });

  test('PCIDE needs long mode and CR3 bits 11-0 zero', () => {
    const cpu = fakeCpu();
    enterProtectedMode(cpu);
    expect(write(cpu, 4, BigInt(Cr4.PCIDE))).toEqual(GP);
    enterLongMode(cpu);
    cpu.state.cr3 = 0x1001n;
    expect(write(cpu, 4, BigInt(Cr4.PAE | Cr4.PCIDE))).toEqual(GP);
    cpu.state.cr3 = 0x1000n;
    expect(write(cpu, 4, BigInt(Cr4.PAE | Cr4.PCIDE))).toBe(null);
    expect(write(cpu, 0, 0x11n)).toEqual(GP);
  });
});

test('CR8 is the task priority; more than 15 is #GP(0) (SDM 3A, 11.8.6)', () => {
  const cpu = fakeCpu();
  enterLongMode(cpu);
  expect(write(cpu, 8, 9n)).toBe(null);
  run(cpu, 'mov_from_cr', { a: 8, b: gprOffset(2) });
  expect(cpu.state.gpr[2]).toBe(9n);
  expect(write(cpu, 8, 16n)).toEqual(GP);
});

test('control registers that do not exist are #UD, and all of them #GP(0) beyond CPL 0 (SDM 2, MOV)', () => {
  const cpu = fakeCpu();
  enterLongMode(cpu, 3);
  expect(write(cpu, 1, 0n)).toEqual([Vector.UD, undefined]);
  for (const number of [0, 2, 3, 4, 8]) expect(write(cpu, number, 0n)).toEqual(GP);
  for (const name of ['hlt', 'invd', 'wbinvd', 'clts', 'rdmsr', 'wrmsr', 'invlpg']) {
    expect(faultOf(() => run(cpu, name))).toEqual(GP);
  }
});

test('XSETBV takes x87, SSE and AVX, nothing without x87, and AVX only with SSE (SDM 2, XSETBV)', () => {
  const cpu = fakeCpu();
  enterLongMode(cpu);
  const set = (value: bigint, index = 0n) => {
    cpu.state.gpr[0] = value;
    cpu.state.gpr[1] = index;
    cpu.state.gpr[2] = 0n;
    return faultOf(() => run(cpu, 'xsetbv'));
  };
  expect(set(3n)).toEqual([Vector.UD, undefined]);
  cpu.state.cr4 |= BigInt(Cr4.OSXSAVE);
  expect(set(3n)).toBe(null);
  expect(cpu.state.xcr0).toBe(3n);
  expect([set(2n), set(5n), set(15n), set(3n, 1n)]).toEqual([GP, GP, GP, GP]);
  expect(set(7n)).toBe(null);
  cpu.state.gpr[1] = 0n;
  run(cpu, 'xgetbv');
  expect(cpu.state.gpr[0]).toBe(7n);
});
