import { expect, test } from 'vitest';
import { vcpuLayout } from '../../../vcpu/state.ts';
import { gpr, imm, mem, MEMORY, mmx, SimdMachine, xmm, type TestForm } from './simd-harness.ts';

const filled = (length: number, value: number): number[] => Array.from({ length }, () => value);

const COUNT = Array.from({ length: 16 }, (_, i) => i + 1);
const GP = 13;
const MF = 16;

test('16-byte memory operands must be aligned, or #GP(0), but for MOVUPS and string comparison (SDM 1, 4.1.1)', () => {
  const names = ['movaps', 'paddb', 'addps', 'pshufd', 'movups', 'pcmpistri'];
  const machine = new SimdMachine(names.map((name) => ({ name, operands: [xmm(1), mem, imm] })));
  expect(names.map((name) => machine.run(name, 0, MEMORY + 8))).toEqual([GP, GP, GP, GP, 0, 0]);
  expect(names.map((name) => machine.run(name, 0, MEMORY + 16))).toEqual([0, 0, 0, 0, 0, 0]);
});

test('loads of part of a register clear the rest; moves between registers leave it (SDM 2, MOVSS, MOVSD, MOVQ)', () => {
  const machine = new SimdMachine([
    { name: 'movss_load', operands: [xmm(1), mem] },
    { name: 'movq_load', operands: [xmm(1), mem] },
    { name: 'movss', operands: [xmm(1), xmm(2)] },
    { name: 'movsd', operands: [xmm(1), xmm(2)] },
    { name: 'movq_store', operands: [xmm(1), xmm(2)] },
  ]);
  const after = (name: string): number[] => {
    machine.memory(16).set(COUNT);
    machine.xmm(2).set(COUNT);
    machine.xmm(1).fill(0xee);
    machine.run(name);
    return [...machine.xmm(1)];
  };
  const first = (n: number, rest: number): number[] => COUNT.map((x, i) => (i < n ? x : rest));
  expect(after('movss_load')).toEqual(first(4, 0));
  expect(after('movq_load')).toEqual(first(8, 0));
  expect(after('movss')).toEqual(first(4, 0xee));
  expect(after('movsd')).toEqual(first(8, 0xee));
  expect(after('movq_store')).toEqual(first(8, 0));
});

test('legacy SSE leaves bits above 127 alone', () => {
  const machine = new SimdMachine([{ name: 'pxor', operands: [xmm(1), xmm(1)] }]);
  const upper = new Uint8Array(machine.xmm(1).buffer, machine.xmm(1).byteOffset + 16, 16).fill(0x77);
  machine.run('pxor');
  expect([...upper]).toEqual(filled(16, 0x77));
});

test('every MMX instruction empties no register, zeroes TOP and sets the exponent it writes (SDM 1, 9.5.2, 9.6.2)', () => {
  const forms: TestForm[] = [
    { name: 'paddb_mmx', operands: [mmx(1), mmx(2)] },
    { name: 'movd_mmx', operands: [mmx(1), gpr(0)] },
    { name: 'pmovmskb_mmx', operands: [gpr(0), mmx(1)] },
    { name: 'movq_mmx', operands: [mem, mmx(1)] },
    { name: 'cvttps2pi', operands: [mmx(1), xmm(2)] },
  ];
  const machine = new SimdMachine(forms);
  forms.forEach((form, i) => {
    machine.setField32('fsw', 0x3d00);
    machine.setField32('ftw', 0x11);
    machine.fpr(1).fill(0);
    expect(machine.runForm(i)).toBe(0);
    expect(machine.field32('fsw'), form.name).toBe(0x0500);
    expect(machine.field32('ftw'), form.name).toBe(0xff);
    const written = form.operands[0] === forms[0].operands[0] || i === 1 || i === 4;
    expect([...machine.fpr(1).subarray(8)], form.name).toEqual(written ? [0xff, 0xff] : [0, 0]);
  });
});

test('a pending x87 exception is reported before an MMX instruction, and before EMMS', () => {
  const machine = new SimdMachine([
    { name: 'paddb_mmx', operands: [mmx(1), mmx(2)] },
    { name: 'emms', operands: [] },
    { name: 'cvtpi2pd', operands: [xmm(1), mem] },
  ]);
  machine.setField32('fsw', 0x80);
  machine.setField32('ftw', 0x11);
  expect(machine.run('paddb_mmx')).toBe(MF);
  expect(machine.field32('ftw')).toBe(0x11);
  expect(machine.run('emms')).toBe(MF);
  // This one uses no MMX register where its operand is in memory.
  expect(machine.run('cvtpi2pd')).toBe(0);
  expect(machine.field32('ftw')).toBe(0x11);
});

test('EMMS empties all registers and zeroes TOP (SDM 3A, table 12-1)', () => {
  const machine = new SimdMachine([{ name: 'emms', operands: [] }]);
  machine.setField32('fsw', 0x3800);
  machine.setField32('ftw', 0xff);
  expect(machine.run('emms')).toBe(0);
  expect(machine.field32('ftw')).toBe(0);
  expect(machine.field32('fsw')).toBe(0);
});

test('LDMXCSR raises #GP(0) for reserved bits and keeps the old value; STMXCSR stores it', () => {
  const machine = new SimdMachine([
    { name: 'ldmxcsr', operands: [mem] },
    { name: 'stmxcsr', operands: [mem] },
  ]);
  machine.memory(4).set([0x80, 0x1f, 1, 0]);
  machine.mxcsr = 0x1fa0;
  expect(machine.run('ldmxcsr')).toBe(GP);
  expect(machine.mxcsr).toBe(0x1fa0);
  machine.memory(4).set([0xff, 0xff, 0, 0]);
  expect(machine.run('ldmxcsr')).toBe(0);
  expect(machine.mxcsr).toBe(0xffff);
  machine.memory(4).fill(0);
  machine.run('stmxcsr');
  expect([...machine.memory(4)]).toEqual([0xff, 0xff, 0, 0]);
});

test('MASKMOVDQU stores the bytes whose mask has its top bit set, and touches nothing where none has', () => {
  const machine = new SimdMachine([{ name: 'maskmovdqu', operands: [xmm(1), xmm(2)] }]);
  machine.setGpr(7, BigInt(MEMORY + 3));
  machine.xmm(1).set(COUNT);
  machine.memory(32).fill(0xee);
  machine.xmm(2).fill(0x7f);
  machine.run('maskmovdqu');
  expect([...machine.memory(32)]).toEqual(filled(32, 0xee));
  machine.xmm(2).set([0x80, 0x7f, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80]);
  machine.run('maskmovdqu');
  const expected = filled(32, 0xee);
  for (const i of [0, 2, 15]) expected[3 + i] = COUNT[i];
  expect([...machine.memory(32)]).toEqual(expected);
});

test('moves of halves', () => {
  const machine = new SimdMachine([
    { name: 'movhlps', operands: [xmm(1), xmm(2)] },
    { name: 'movlhps', operands: [xmm(1), xmm(2)] },
    { name: 'movhps', operands: [xmm(1), mem] },
    { name: 'movhps_store', operands: [mem, xmm(2)] },
  ]);
  const after = (name: string): number[] => {
    machine.xmm(1).fill(0);
    machine.xmm(2).set(COUNT);
    machine.memory(16).set(COUNT);
    machine.run(name);
    return [...(name === 'movhps_store' ? machine.memory(8) : machine.xmm(1))];
  };
  const zeros = filled(8, 0);
  expect(after('movhlps')).toEqual([...COUNT.slice(8), ...zeros]);
  expect(after('movlhps')).toEqual([...zeros, ...COUNT.slice(0, 8)]);
  expect(after('movhps')).toEqual([...zeros, ...COUNT.slice(0, 8)]);
  expect(after('movhps_store')).toEqual(COUNT.slice(8));
});

test('MOVD and MOVQ between general and vector registers zero-extend', () => {
  const machine = new SimdMachine([
    { name: 'movd', operands: [xmm(1), gpr(0)], size: 4 },
    { name: 'movd', operands: [xmm(1), gpr(0)], size: 8 },
    { name: 'movd_store', operands: [gpr(0), xmm(1)], size: 4 },
  ]);
  machine.setGpr(0, 0x1122_3344_5566_7788n);
  machine.xmm(1).fill(0xff);
  machine.runForm(0);
  expect([...new BigUint64Array(machine.xmm(1).slice().buffer)]).toEqual([0x5566_7788n, 0n]);
  machine.runForm(1);
  expect([...new BigUint64Array(machine.xmm(1).slice().buffer)]).toEqual([0x1122_3344_5566_7788n, 0n]);
  machine.runForm(2);
  expect(machine.gpr(0)).toBe(0x5566_7788n);
});

test('the harness sees the registers where the state has them', () => {
  const machine = new SimdMachine([]);
  expect(machine.xmm(1).byteOffset - machine.xmm(0).byteOffset).toBe(32);
  expect(machine.fpr(0).byteOffset).toBe(
    machine.xmm(0).byteOffset - vcpuLayout.offset.ymm + vcpuLayout.offset.fpr,
  );
});
