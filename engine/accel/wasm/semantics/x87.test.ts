import { beforeEach, expect, test } from 'vitest';
import { parseRows } from '../decode/rows.ts';
import { X87_ROWS } from '../decode/table-x87.ts';
import { FloatFlag } from '../float/format.ts';
import { mem, mmx, SimdMachine, type TestForm } from './simd-harness.ts';
import './index.ts';
import { StatusWord } from './x87-registers.ts';

const { IE, ZE, C0, C1, C2, C3 } = FloatFlag;
const { SF, ES, Busy } = StatusWord;

const FORMS: readonly TestForm[] = parseRows(X87_ROWS)
  .filter((row) => !row.attributes.ts)
  .map((row) => ({
    name: row.name,
    // ST(1), where there is one.
    operands: row.operands.map((o) => (o.where === 'N' ? mmx(1) : mem)),
  }));

const machine = new SimdMachine(FORMS);

const memory = new DataView(machine.bytes.buffer, 16384, 16);
const top = (): number => (machine.field32('fsw') >> 11) & 7;
const st = (i: number): string => {
  const bytes = machine.fpr((top() + i) & 7);
  return Buffer.from(bytes).reverse().toString('hex');
};
const load = (value: number): void => {
  memory.setFloat64(0, value, true);
  expect(machine.run('fld_m64')).toBe(0);
};
const flags = (): number => machine.field32('fsw') & ~StatusWord.Top;

const ONE = '3fff8000000000000000';
const INDEFINITE = 'ffffc000000000000000';

beforeEach(() => {
  machine.run('fninit');
  machine.setField32('cr0', 0x20);
  machine.setField32('events', 0);
});

/** Loads a control word. */
const control = (value: number): void => {
  memory.setUint16(0, value, true);
  machine.run('fldcw');
};

test('every row of the table has a meaning', () => {
  expect(FORMS.length).toBeGreaterThan(120);
});

test('a load pushes: TOP goes down and the register is tagged (SDM 1, 8.1.2)', () => {
  load(1);
  expect([top(), st(0), machine.field32('ftw')]).toEqual([7, ONE, 0x80]);
  load(2);
  expect([top(), st(1), machine.field32('ftw')]).toEqual([6, ONE, 0xc0]);
});

test('a ninth push overflows: IE, SF and C1, and the indefinite where that is masked (SDM 1, 8.5.1.1)', () => {
  for (let i = 0; i < 8; i++) load(i);
  const before = st(0);
  load(9);
  expect([flags(), st(0), top()]).toEqual([IE | SF | C1, INDEFINITE, 7]);
  expect(st(1)).toBe(before);
});

test('unmasked, a stack fault leaves the stack alone and the next waiting instruction raises #MF', () => {
  control(0x37e);
  expect(machine.run('faddp_sti')).toBe(0);
  expect([flags(), top(), machine.field32('ftw')]).toEqual([IE | SF | ES | Busy, 0, 0]);
  expect(machine.run('fnstsw_ax')).toBe(0);
  expect(machine.gpr(0) & 0xffffn).toBe(BigInt(IE | SF | ES | Busy));
  expect(machine.run('fwait')).toBe(16);
  expect(machine.run('fld1')).toBe(16);
  machine.run('fnclex');
  expect([flags(), machine.run('fwait')]).toEqual([0, 0]);
});

test('without CR0.NE IGNNE# lets instructions go on, until the exception has been cleared (SDM 1, 8.7)', () => {
  control(0x37e);
  machine.run('fabs');
  machine.setField32('ignne', 1);
  expect(machine.run('fwait')).toBe(16);
  machine.setField32('cr0', 0);
  expect(machine.run('fwait')).toBe(0);
  expect(machine.field32('ignne')).toBe(1);
  machine.run('fnclex');
  expect(machine.field32('ignne')).toBe(0);
});

test('FLDCW that unmasks a flag already set makes it pending, one that masks it takes that back', () => {
  load(1);
  machine.run('fldz');
  machine.run('fxch');
  machine.run('fdiv_st');
  expect(flags()).toBe(ZE);
  control(0x37b);
  expect(flags()).toBe(ZE | ES | Busy);
  machine.run('fnclex');
  control(0xffff);
  expect(machine.field32('fcw')).toBe(0x1f7f);
});

test('an unmasked exception of the operands keeps a store from being made and from popping (SDM 1, 8.5.1)', () => {
  control(0x37e);
  load(2 ** 40);
  memory.setInt32(0, 0x1234, true);
  machine.run('fistp_m32');
  expect([memory.getInt32(0, true), top(), flags() & 0xff]).toEqual([0x1234, 7, IE | ES]);
  machine.run('fnclex');
  control(0x37f);
  machine.run('fistp_m32');
  expect([memory.getInt32(0, true), top(), flags()]).toEqual([-(2 ** 31), 0, IE]);
});

test('the reversed opcodes subtract the other way round (SDM 2, FSUBR)', () => {
  load(3);
  load(1);
  machine.run('fsubr_sti');
  memory.setFloat64(0, 0, true);
  machine.run('fxch');
  machine.run('fstp_m64');
  // ST(1) = ST(0) - ST(1)
  expect(memory.getFloat64(0, true)).toBe(-2);
});

test('FCOMI sets ZF, PF and CF and clears OF, SF and AF; FCOM sets C3, C2 and C0', () => {
  load(2);
  load(1);
  machine.setFlags(-1n, 0x8000_0008);
  machine.run('fcomi');
  expect(machine.flags()).toBe(1);
  machine.run('fcom_st');
  expect(flags() & (C0 | C2 | C3)).toBe(C0);
  load(Number.NaN);
  machine.run('fucomi');
  expect([machine.flags(), flags() & IE]).toEqual([0x45, 0]);
  machine.run('fcompp');
  expect([flags() & (C0 | C2 | C3 | IE), top()]).toEqual([C0 | C2 | C3 | IE, 7]);
});

test('FXAM tells an empty register and the sign of what is in it (SDM 2, FXAM)', () => {
  machine.run('fxam');
  expect(flags()).toBe(C3 | C0);
  load(-1);
  machine.run('fxam');
  expect(flags()).toBe(C2 | C1);
});

test('constants round as the control word says (SDM 2, FLDPI)', () => {
  machine.run('fldpi');
  expect(st(0)).toBe('4000c90fdaa22168c235');
  control(0x77f);
  machine.run('fldpi');
  expect(st(0)).toBe('4000c90fdaa22168c234');
});

test('FSTP m80 stores ten bytes and changes nothing about a NaN', () => {
  machine.fpr(7).set([1, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x7f]);
  machine.run('fdecstp');
  machine.setField32('ftw', 0x80);
  memory.setUint16(10, 0x5555, true);
  machine.run('fstp_m80');
  expect(machine.memory(12).toHex()).toBe('0100000000000080ff7f5555');
  expect([flags(), machine.field32('ftw')]).toEqual([0, 0]);
});
