import { expect, test } from 'vitest';
import { CpuState, type Case, type Result } from './case.ts';
import { compareResults } from './differential-compare.ts';
import { TEMPLATES } from './generator.ts';
import { excusedFor, leavesUndefined, MASKS } from './masks.ts';

const AF = 0x10;
const CF = 0x1;
const OF = 0x800;

function shift(name: string, count: number, operandSize = 4): Case {
  const state = CpuState.initial(64);
  state.setGpr(1, BigInt(count));
  return { name, mode: 64, code: Uint8Array.of(0xd3, 0xe0), state, memory: [], operandSize };
}

function halted(of: Case, change: (state: CpuState) => void = () => {}): Result {
  const state = of.state.clone();
  state.rip += BigInt(of.code.length);
  change(state);
  return { state, vector: 13, errorCode: 0, cr2: 0n, memory: [] };
}

test('every row matches some form, so that none outlives what it was for', () => {
  for (const mask of MASKS)
    expect(
      TEMPLATES.some(({ name }) => mask.forms.test(name)),
      String(mask.forms),
    ).toBe(true);
});

test('SHL leaves OF undefined for counts above 1 alone, CF from the operand size on (SDM 2, SAL/SAR/SHL/SHR)', () => {
  const flags = (of: Case): number => excusedFor(of, halted(of)).flags;
  expect(flags(shift('shl Ev,CL', 0))).toBe(0);
  expect(flags(shift('shl Ev,CL', 1))).toBe(AF);
  expect(flags(shift('shl Ev,CL', 2))).toBe(AF | OF);
  expect(flags(shift('shl Ev,CL', 33))).toBe(AF); // masked to 1
  expect(flags(shift('shl Eb,CL', 8, 1))).toBe(AF | OF | CF);
  expect(flags(shift('sar Eb,CL', 8, 1))).toBe(AF | OF);
  expect(flags(shift('rol Ev,CL', 5))).toBe(OF);
});

test('a difference in an undefined flag is excused, in a defined one not', () => {
  const of = shift('shl Ev,CL', 1);
  const differ = (bit: number): number =>
    compareResults(
      of,
      halted(of),
      halted(of, (state) => (state.rflags ^= BigInt(bit))),
    ).length;
  expect(differ(AF)).toBe(0);
  expect(differ(CF)).toBe(1);
  expect(differ(OF)).toBe(1);
});

test('every other field counts', () => {
  const of = shift('mov Ev,Gv', 0);
  const fields = (change: (state: CpuState) => void): string[] =>
    compareResults(of, halted(of), halted(of, change)).map((difference) => difference.field);
  expect(fields(() => {})).toEqual([]);
  expect(fields((state) => state.setGpr(12, 5n))).toEqual(['r12']);
  expect(fields((state) => (state.rip += 1n))).toEqual(['rip']);
  expect(fields((state) => (state.fsw = 1))).toEqual(['fsw']);
  expect(fields((state) => (state.ftw = 1))).toEqual(['ftw']);
  expect(fields((state) => (state.mxcsr = 0))).toEqual(['mxcsr']);
  expect(fields((state) => state.st(7).fill(1))).toEqual(['st7']);
  expect(fields((state) => state.xmm(15).fill(1))).toEqual(['xmm15']);
  expect(fields((state) => state.setSelector(3, 0))).toEqual(['ds']);
});

test('memory is compared byte by byte over what either side changed', () => {
  const of = shift('mov Ev,Gv', 0);
  const patch = { address: 0x6100_1000, bytes: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) };
  const wrote = { ...halted(of), memory: [patch] };
  expect(compareResults(of, wrote, wrote)).toEqual([]);
  expect(compareResults(of, wrote, halted(of)).map((difference) => difference.field)).toEqual([
    'memory 61001000',
  ]);
});

test('approximations are excused within their bound only (SDM 2, RCPPS)', () => {
  const of = { ...shift('rcpps', 0), name: 'rcpps' };
  const single = (value: number) => (state: CpuState) => {
    state.xmm(0).set(new Uint8Array(Float32Array.of(value).buffer));
  };
  expect(compareResults(of, halted(of, single(1)), halted(of, single(1 + 2 ** -12)))).toEqual([]);
  expect(compareResults(of, halted(of, single(1)), halted(of, single(1.01)))).toHaveLength(1);
});

test('forms that leave flags undefined stay out of sequences', () => {
  expect(leavesUndefined('mul Ev')).toBe(true);
  expect(leavesUndefined('add Ev,Gv')).toBe(false);
});
