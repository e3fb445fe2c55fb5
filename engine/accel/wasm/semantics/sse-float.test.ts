import { expect, test } from 'vitest';
import { Random } from '../../../base/random.ts';
import { gpr, imm, SimdMachine, xmm } from './simd-harness.ts';

const pair = [xmm(1), xmm(2)];
const names = [
  'addss', 'addsd', 'addps', 'addpd', 'subsd', 'subss', 'mulsd', 'mulss', 'divsd', 'divss', 'divps', 'sqrtsd', 'sqrtps',
  'minsd', 'maxsd', 'minps', 'comisd', 'ucomisd', 'cvtsd2ss', 'cvtss2sd', 'cvtpd2ps', 'cvtps2dq', 'cvttps2dq', 'cvtdq2ps',
  'cvtdq2pd', 'haddps', 'hsubpd', 'addsubps', 'rcpps', 'rsqrtss',
]; // prettier-ignore
const machine = new SimdMachine([
  ...names.map((name) => ({ name, operands: pair })),
  ...['cmpsd_xmm', 'cmpps', 'roundsd', 'roundps', 'dpps', 'dppd'].map((name) => ({
    name,
    operands: [...pair, imm],
  })),
  { name: 'cvtsd2si', operands: [gpr(0), xmm(2)], size: 4 },
  { name: 'cvttsd2si', operands: [gpr(0), xmm(2)], size: 8 },
  { name: 'cvtsi2ss', operands: [xmm(1), gpr(0)], size: 4 },
]);

/** MXCSR flags. */
const [IE, DE, ZE, OE, UE, PE] = [1, 2, 4, 8, 16, 32];
const DAZ = 0x40;
const FTZ = 0x8000;
const DEFAULT = 0x1f80;
/** MXCSR with the mask of `flag` clear. */
const unmasking = (flag: number): number => DEFAULT & ~(flag << 7);
const XM = 19;
const UD = 6;

const doubles = (n: number) => new Float64Array(machine.xmm(n).slice().buffer);
const singles = (n: number) => new Float32Array(machine.xmm(n).slice().buffer);
const setDoubles = (n: number, ...values: number[]) =>
  machine.xmm(n).set(new Uint8Array(new Float64Array(values).buffer));
const setSingles = (n: number, ...values: number[]) =>
  machine.xmm(n).set(new Uint8Array(new Float32Array(values).buffer));
const setBits64 = (n: number, ...values: bigint[]) =>
  machine.xmm(n).set(new Uint8Array(new BigUint64Array(values).buffer));
const bits64 = (n: number) => new BigUint64Array(machine.xmm(n).slice().buffer);

const QNAN = 0x7ff8_0000_0000_0001n;
const SNAN = 0x7ff0_0000_0000_0001n;
const ONE = 0x3ff0_0000_0000_0000n;
const LEAST = 1n;

/** Runs with a fresh MXCSR; gives the vector and the flags raised. */
function flagsOf(name: string, immediate = 0, mxcsr = DEFAULT): readonly [vector: number, flags: number] {
  machine.mxcsr = mxcsr;
  machine.setField32('cr4', 0x600);
  const vector = machine.run(name, immediate);
  return [vector, machine.mxcsr & 0x3f];
}

test('scalar operations change the low element only', () => {
  setDoubles(1, 1.5, 7);
  setDoubles(2, 2.25, 9);
  expect(flagsOf('addsd')).toEqual([0, 0]);
  expect([...doubles(1)]).toEqual([3.75, 7]);
  setSingles(1, 1, 2, 3, 4);
  setSingles(2, 10, 20, 30, 40);
  machine.run('addss');
  expect([...singles(1)]).toEqual([11, 2, 3, 4]);
  machine.run('addps');
  expect([...singles(1)]).toEqual([21, 22, 33, 44]);
});

test('exceptions are reported in MXCSR and stay (SDM 1, 10.2.3.1, 11.5.2)', () => {
  for (const [name, a, b, flags] of [
    ['addsd', 1, 2 ** -60, PE],
    ['mulsd', 2 ** 1023, 2, OE | PE],
    ['mulsd', 2 ** -1022 * 1.25, 2 ** -51, UE | PE],
    ['mulsd', 2 ** -1000, 2 ** -50, 0], // tiny but exact
    ['divsd', 1, 0, ZE],
    ['divsd', 0, 0, IE],
    ['subsd', Infinity, Infinity, IE],
    ['addsd', 2 ** -1074, 1, DE | PE],
    ['sqrtsd', 0, -1, IE],
    ['sqrtsd', 0, 4, 0],
    ['mulsd', 0, 3, 0],
  ] as const) {
    setDoubles(1, a, 0);
    setDoubles(2, b, 0);
    expect(flagsOf(name), `${name} ${a} ${b}`).toEqual([0, flags]);
    expect(flagsOf(name === 'sqrtsd' ? name : 'subsd', 0, DEFAULT | 0x3f)[1]).toBe(0x3f);
  }
});

test('an exception that is not masked leaves the destination; #XM, or #UD without CR4.OSXMMEXCPT', () => {
  setDoubles(1, 1, 2);
  setDoubles(2, 0, 0);
  expect(flagsOf('divsd', 0, unmasking(ZE))).toEqual([XM, ZE]);
  expect([...doubles(1)]).toEqual([1, 2]);
  machine.mxcsr = unmasking(ZE);
  machine.setField32('cr4', 0x200);
  expect(machine.run('divsd')).toBe(UD);
});

test('packed: all elements are computed first, and IE, DE or ZE of one hides what follows rounding (SDM 1, 11.5.3)', () => {
  setSingles(1, 1, 1, 1, 3e38);
  setSingles(2, 3, 0, 7, 1e-3);
  expect(flagsOf('divps')).toEqual([0, ZE | OE | PE]);
  setSingles(1, 1, 1, 1, 3e38);
  expect(flagsOf('divps', 0, unmasking(ZE))).toEqual([XM, ZE]);
  expect([...singles(1)]).toEqual([1, 1, 1, Math.fround(3e38)]);
  expect(flagsOf('divps', 0, unmasking(OE))).toEqual([XM, ZE | OE | PE]);
});

test('NaNs: the first operand if it is one, made quiet, else the second (SDM 1, table 4-7)', () => {
  for (const [a, b, result, flags] of [
    [QNAN, ONE, QNAN, 0],
    [ONE, QNAN | 2n, QNAN | 2n, 0],
    [SNAN, QNAN | 2n, QNAN, IE],
    [QNAN, SNAN, QNAN, IE],
  ] as const) {
    setBits64(1, a, 0n);
    setBits64(2, b, 0n);
    expect(flagsOf('addsd')).toEqual([0, flags]);
    expect(bits64(1)[0]).toBe(result);
  }
  // Invalid operations give the negative quiet NaN.
  setDoubles(1, Infinity, 0);
  setDoubles(2, -Infinity, 0);
  machine.run('addsd');
  expect(bits64(1)[0]).toBe(0xfff8_0000_0000_0000n);
});

test('DAZ takes denormals for zeros without DE; FTZ makes tiny results zero with UE and PE', () => {
  setBits64(1, LEAST, 0n);
  setDoubles(2, 0, 0);
  expect(flagsOf('addsd', 0, DEFAULT | DAZ)).toEqual([0, 0]);
  expect(bits64(1)[0]).toBe(0n);
  setDoubles(1, 2 ** -1000, 0);
  setDoubles(2, -(2 ** -50), 0);
  expect(flagsOf('mulsd', 0, DEFAULT | FTZ)).toEqual([0, UE | PE]);
  expect(bits64(1)[0]).toBe(1n << 63n);
});

test('rounding control', () => {
  for (const [control, result] of [
    [0, 1],
    [1, 1],
    [2, 1 + 2 ** -52],
    [3, 1],
  ] as const) {
    setDoubles(1, 1, 0);
    setDoubles(2, 2 ** -60, 0);
    flagsOf('addsd', 0, DEFAULT | PE | (control << 13));
    expect(doubles(1)[0]).toBe(result);
  }
});

test('the native path and the library agree: results do not depend on whether PE was set before', () => {
  const random = new Random(4);
  for (const name of [
    'addss',
    'addsd',
    'addps',
    'addpd',
    'mulsd',
    'mulss',
    'divss',
    'divsd',
    'divps',
    'sqrtps',
    'sqrtsd',
    'haddps',
    'hsubpd',
    'addsubps',
    'dpps',
    'dppd',
    'cvtsd2ss',
    'cvtpd2ps',
    'cvtps2dq',
    'cvtdq2ps',
  ]) {
    // prettier-ignore
    for (let round = 0; round < 200; round++) {
      const value = () => (random.next() - 2 ** 31) * 2 ** (random.below(60) - 40);
      const fill = random.oneIn(2) ? setSingles : setDoubles;
      const a = [value(), value(), value(), value()].slice(0, fill === setSingles ? 4 : 2);
      const b = a.map(value);
      fill(1, ...a);
      fill(2, ...b);
      flagsOf(name, 0xff, DEFAULT);
      const [exact, flags] = [machine.xmm(1).slice(), machine.mxcsr];
      fill(1, ...a);
      flagsOf(name, 0xff, DEFAULT | PE);
      expect(machine.xmm(1), `${name} ${a.join()} ${b.join()}`).toEqual(exact);
      expect(machine.mxcsr).toBe(flags | PE);
    }
  }
});

test('MINSD and MAXSD give the second operand for NaNs and for two zeros; any NaN is invalid', () => {
  for (const [name, a, b, result, flags] of [
    ['minsd', 1, 2, 1, 0],
    ['maxsd', 1, 2, 2, 0],
    ['minsd', 0, -0, -0, 0],
    ['maxsd', -0, 0, 0, 0],
    ['minsd', NaN, 5, 5, IE],
    ['maxsd', 5, NaN, NaN, IE],
  ] as const) {
    setDoubles(1, a, 0);
    setDoubles(2, b, 0);
    expect(flagsOf(name)).toEqual([0, flags]);
    expect(doubles(1)[0]).toBe(result);
  }
});

test('COMISD and UCOMISD set ZF, PF and CF, and differ in quiet NaNs', () => {
  const [CF, UNORDERED, ZF] = [1, 0x45, 0x40];
  for (const [a, b, flags, ie] of [
    [1, 2, CF, 0],
    [2, 1, 0, 0],
    [0, -0, ZF, 0],
    [Infinity, Infinity, ZF, 0],
    [NaN, 1, UNORDERED, IE],
  ] as const) {
    setDoubles(1, a, 0);
    setDoubles(2, b, 0);
    machine.setFlags(-1n, -1);
    expect(flagsOf('comisd')).toEqual([0, ie]);
    expect(machine.flags()).toBe(flags);
    expect(flagsOf('ucomisd')).toEqual([0, 0]);
    expect(machine.flags()).toBe(flags);
  }
  setBits64(2, SNAN, 0n);
  expect(flagsOf('ucomisd')).toEqual([0, IE]);
});

test('CMPSD: eight predicates, of which less-than and less-or-equal and their negations mind quiet NaNs', () => {
  const relations = [
    [1, 2, [false, true, true, false]],
    [2, 2, [true, false, true, false]],
    [2, 1, [false, false, false, false]],
    [NaN, 1, [false, false, false, true]],
  ] as const;
  for (const [a, b, holds] of relations) {
    for (let predicate = 0; predicate < 16; predicate++) {
      setDoubles(1, a, 3);
      setDoubles(2, b, 4);
      const signaling = [1, 2].includes(predicate & 3) && Number.isNaN(a);
      expect(flagsOf('cmpsd_xmm', predicate)).toEqual([0, signaling ? IE : 0]);
      const expected = holds[predicate & 3] !== ((predicate & 4) !== 0);
      expect(bits64(1)[0]).toBe(expected ? 0xffff_ffff_ffff_ffffn : 0n);
      expect(doubles(1)[1]).toBe(3);
    }
  }
});

test('conversion to integers: rounded or truncated, integer indefinite with IE where it does not fit', () => {
  for (const [name, value, result, flags] of [
    ['cvtsd2si', 2.5, 2n, PE],
    ['cvtsd2si', -3, 0xffff_fffdn, 0],
    ['cvtsd2si', 2 ** 31, 0x8000_0000n, IE],
    ['cvtsd2si', -(2 ** 31), 0x8000_0000n, 0],
    ['cvtsd2si', NaN, 0x8000_0000n, IE],
    ['cvttsd2si', -2.9, 0xffff_ffff_ffff_fffen, PE],
    ['cvttsd2si', 2 ** 62, 1n << 62n, 0],
    ['cvttsd2si', -(2 ** 63), 1n << 63n, 0],
    ['cvttsd2si', 2 ** 63, 1n << 63n, IE],
    ['cvttsd2si', 2 ** -1074, 0n, PE], // a denormal raises no DE here
  ] as const) {
    setDoubles(2, value, 0);
    for (const before of [0, PE]) {
      machine.setGpr(0, -1n);
      expect(flagsOf(name, 0, DEFAULT | before), `${name} ${value}`).toEqual([0, flags | before]);
      expect(machine.gpr(0)).toBe(result);
    }
  }
});

test('conversion between precisions and from integers', () => {
  setSingles(2, 1.5, -2, 0, 0);
  expect(flagsOf('cvtss2sd')).toEqual([0, 0]);
  expect(doubles(1)[0]).toBe(1.5);
  setDoubles(2, 0.1, 0);
  expect(flagsOf('cvtsd2ss')).toEqual([0, PE]);
  expect(singles(1)[0]).toBe(Math.fround(0.1));
  setDoubles(2, 1e300, -1);
  expect(flagsOf('cvtpd2ps')).toEqual([0, OE | PE]);
  expect([...singles(1)]).toEqual([Infinity, -1, 0, 0]);
  machine.setGpr(0, 0x0100_0001n);
  expect(flagsOf('cvtsi2ss')).toEqual([0, PE]);
  expect(singles(1)[0]).toBe(0x0100_0000);
});

test('ROUNDSD: rounding by the immediate or by MXCSR, PE suppressed by imm[3], no DE', () => {
  for (const [immediate, value, result, flags, mxcsr] of [
    [0, 2.5, 2, PE, DEFAULT],
    [1, -0.5, -1, PE, DEFAULT],
    [2, -0.5, -0, PE, DEFAULT],
    [3, 1.75, 1, PE, DEFAULT],
    [8, 2.5, 2, 0, DEFAULT],
    [4, 1.25, 2, PE, DEFAULT | (2 << 13)],
    [2, 2 ** -1074, 1, PE, DEFAULT],
    [11, 3, 3, 0, DEFAULT],
  ] as const) {
    for (const before of [0, PE]) {
      setDoubles(2, value, 0);
      expect(flagsOf('roundsd', immediate, mxcsr | before)).toEqual([0, flags | before]);
      expect(doubles(1)[0]).toBe(result);
    }
  }
});

test('DPPS multiplies the elements of imm[7:4] and gives the sum to those of imm[3:0]', () => {
  setSingles(1, 1, 2, 3, Infinity);
  setSingles(2, 10, 100, 1000, 0);
  expect(flagsOf('dpps', 0x75)).toEqual([0, 0]);
  expect([...singles(1)]).toEqual([3210, 0, 3210, 0]);
  setSingles(1, 1, 2, 3, Infinity);
  expect(flagsOf('dpps', 0xff)).toEqual([0, IE]);
});

test('approximations are good to 1.5 × 2^-12, raise nothing, and take denormals for zeros (SDM 2, RCPPS)', () => {
  setSingles(2, 3, -0.7, 2 ** -140, -Infinity);
  expect(flagsOf('rcpps')).toEqual([0, 0]);
  const [a, b, c, d] = singles(1);
  expect(Math.abs(a * 3 - 1)).toBeLessThan(1.5 * 2 ** -12);
  expect(Math.abs(b * -0.7 - 1)).toBeLessThan(1.5 * 2 ** -12);
  expect([c, d]).toEqual([Infinity, -0]);
  setSingles(2, -4, 0, 0, 0);
  expect(flagsOf('rsqrtss')).toEqual([0, 0]);
  expect(new Uint32Array(machine.xmm(1).slice().buffer)[0]).toBe(0xffc0_0000);
});
