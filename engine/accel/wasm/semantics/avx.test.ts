import { expect, test } from 'vitest';
import { imm, mem, MEMORY, SimdMachine, xmm } from './simd-harness.ts';
import type { VexForm } from './vex.ts';

const two: VexForm = { bytes: 32, separate: false, narrow: false };
const three: VexForm = { bytes: 32, separate: true, narrow: false };
const machine = new SimdMachine([
  { name: 'paddd', operands: [xmm(1), xmm(2), xmm(3)], vex: three },
  { name: 'addss', operands: [xmm(1), xmm(2), xmm(3)], vex: { ...three, bytes: 16 } },
  { name: 'movups', operands: [mem, xmm(2)], vex: two },
  { name: 'cvtpd2ps', operands: [xmm(1), xmm(2)], vex: { ...two, narrow: true } },
  { name: 'divps', operands: [xmm(1), xmm(2), xmm(3)], vex: three },
  { name: 'vperm2f128', operands: [xmm(1), xmm(2), xmm(3), imm], vex: three },
  { name: 'vpgatherdq', operands: [xmm(1), mem, xmm(2), xmm(3)], vex: three, constant: 4 },
  { name: 'vzeroupper', operands: [], vex: { ...two, bytes: 16 } },
]);

/** The whole of YMM n, live. */
function ymm(n: number): Uint8Array {
  const low = machine.xmm(n);
  return machine.bytes.subarray(low.byteOffset, low.byteOffset + 32);
}
const singles = (n: number, ...values: number[]): void =>
  ymm(n).set(new Uint8Array(Float32Array.from(values).buffer));
const dwords = (n: number): number[] => [...new Int32Array(ymm(n).slice().buffer)];
const setDwords = (n: number, ...values: number[]): void =>
  ymm(n).set(new Uint8Array(Int32Array.from(values).buffer));

test('three operands on both lanes', () => {
  setDwords(2, 1, 2, 3, 4, 5, 6, 7, 8);
  setDwords(3, 10, 20, 30, 40, 50, 60, 70, 80);
  expect(machine.run('paddd')).toBe(0);
  expect(dwords(1)).toEqual([11, 22, 33, 44, 55, 66, 77, 88]);
});

test('a scalar result goes with the rest of the first source, the upper lane cleared', () => {
  ymm(1).fill(0xff);
  singles(2, 1, 2, 3, 4, 5, 6, 7, 8);
  singles(3, 0.5);
  expect(machine.run('addss')).toBe(0);
  expect([...new Float32Array(ymm(1).slice().buffer)]).toEqual([1.5, 2, 3, 4, 0, 0, 0, 0]);
});

test('a store of 32 bytes needs no alignment', () => {
  setDwords(2, 1, 2, 3, 4, 5, 6, 7, 8);
  expect(machine.run('movups', 0, MEMORY + 3)).toBe(0);
  expect(machine.memory(32, MEMORY + 3)).toEqual(ymm(2));
});

test('a narrowing conversion joins both lanes', () => {
  ymm(1).fill(0xff);
  ymm(2).set(new Uint8Array(Float64Array.of(1, -2, 3.5, 4).buffer));
  expect(machine.run('cvtpd2ps')).toBe(0);
  expect([...new Float32Array(ymm(1).slice().buffer)]).toEqual([1, -2, 3.5, 4, 0, 0, 0, 0]);
});

test('exceptions of both lanes are reported, and leave the destination alone where one is not masked', () => {
  setDwords(1, 1, 2, 3, 4, 5, 6, 7, 8);
  singles(2, 0, 1, 1, 1, 1, 1, 1, 1);
  singles(3, 0, 1, 1, 1, 1, 1, 1, 0);
  machine.mxcsr = 0x1f80 & ~0x200; // ZM
  expect(machine.run('divps')).not.toBe(0);
  expect(machine.mxcsr & 0x3f).toBe(0b101); // IE of the lower lane, ZE of the upper
  expect(dwords(1)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  machine.mxcsr = 0x1f80;
});

test('lanes chosen from two registers, or zero', () => {
  setDwords(2, 1, 1, 1, 1, 2, 2, 2, 2);
  setDwords(3, 3, 3, 3, 3, 4, 4, 4, 4);
  expect(machine.run('vperm2f128', 0x13)).toBe(0);
  expect(dwords(1)).toEqual([4, 4, 4, 4, 2, 2, 2, 2]);
  expect(machine.run('vperm2f128', 0x82)).toBe(0);
  expect(dwords(1)).toEqual([3, 3, 3, 3, 0, 0, 0, 0]);
});

test('a gather loads what its mask says and clears the mask', () => {
  const values = new DataView(machine.bytes.buffer, MEMORY, 64);
  for (let i = 0; i < 8; i++) values.setBigUint64(8 * i, BigInt(100 + i), true);
  setDwords(1, 9, 9, 9, 9, 9, 9, 9, 9);
  setDwords(2, 0, -1, 0, 0, 0, -1, 0, -1);
  setDwords(3, 2, 0, 6, 4, 77, 77, 77, 77);
  expect(machine.run('vpgatherdq')).toBe(0);
  expect(dwords(1)).toEqual([101, 0, 9, 9, 103, 0, 102, 0]);
  expect(dwords(2)).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
});

test('VZEROUPPER clears the upper lane of every register', () => {
  for (let n = 0; n < 16; n++) ymm(n).fill(n + 1);
  expect(machine.run('vzeroupper')).toBe(0);
  for (let n = 0; n < 16; n++) {
    expect([...ymm(n)]).toEqual(Array.from({ length: 32 }, (_, i) => (i < 16 ? n + 1 : 0)));
  }
});
