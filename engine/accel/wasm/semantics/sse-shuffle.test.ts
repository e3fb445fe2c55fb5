import { expect, test } from 'vitest';
import { gpr, imm, mem, mmx, SimdMachine, xmm, type TestForm } from './simd-harness.ts';

const A = Array.from({ length: 16 }, (_, i) => i + 0x10);
const B = Array.from({ length: 16 }, (_, i) => i + 0xa0);

/** Elements `size` bytes wide of both operands, as the manual numbers them. */
const element = (of: readonly number[], size: number, n: number): readonly number[] =>
  of.slice(n * size, n * size + size);
const bits = (immediate: number, low: number, width: number): number =>
  (immediate >> low) & ((1 << width) - 1);
const concat = (count: number, of: (i: number) => readonly number[]): number[] =>
  Array.from({ length: count }, (_, i) => of(i)).flat();

/** The result of two operands and an immediate (SDM 2). */
const BY_IMMEDIATE: Record<string, (immediate: number) => number[]> = {
  pshufd: (k) => concat(4, (i) => element(B, 4, bits(k, 2 * i, 2))),
  pshuflw: (k) => concat(8, (i) => element(B, 2, i < 4 ? bits(k, 2 * i, 2) : i)),
  pshufhw: (k) => concat(8, (i) => element(B, 2, i < 4 ? i : 4 + bits(k, 2 * (i - 4), 2))),
  shufps: (k) => concat(4, (i) => element(i < 2 ? A : B, 4, bits(k, 2 * i, 2))),
  shufpd: (k) => concat(2, (i) => element(i < 1 ? A : B, 8, bits(k, i, 1))),
  palignr: (k) => Array.from({ length: 16 }, (_, i) => [...B, ...A][i + k] ?? 0),
  pblendw: (k) => concat(8, (i) => element(bits(k, i, 1) ? B : A, 2, i)),
  blendps: (k) => concat(4, (i) => element(bits(k, i, 1) ? B : A, 4, i)),
  blendpd: (k) => concat(2, (i) => element(bits(k, i, 1) ? B : A, 8, i)),
  insertps: (k) =>
    concat(4, (i) => {
      if (bits(k, i, 1)) return [0, 0, 0, 0];
      return i === bits(k, 4, 2) ? element(B, 4, bits(k, 6, 2)) : element(A, 4, i);
    }),
};

test.each(Object.entries(BY_IMMEDIATE))(
  '%s for every immediate, known when emitted or not',
  (name, expected) => {
    const operands = [xmm(1), xmm(2), imm];
    const all = Array.from({ length: 256 }, (_, k): TestForm => ({ name, operands, constant: k }));
    const machine = new SimdMachine([{ name, operands }, ...all]);
    for (let k = 0; k < 256; k++) {
      for (const form of [0, 1 + k]) {
        machine.xmm(1).set(A);
        machine.xmm(2).set(B);
        expect(machine.runForm(form, k)).toBe(0);
        expect([...machine.xmm(1)], `imm ${k}`).toEqual(expected(k));
      }
    }
  },
);

test('PSHUFW and PALIGNR on MMX registers', () => {
  const machine = new SimdMachine([
    { name: 'pshufw', operands: [mmx(1), mmx(2), imm] },
    { name: 'palignr_mmx', operands: [mmx(1), mmx(2), imm] },
  ]);
  const a = A.slice(0, 8);
  const b = B.slice(0, 8);
  for (let k = 0; k < 256; k++) {
    machine.fpr(1).set(a);
    machine.fpr(2).set(b);
    machine.run('pshufw', k);
    expect([...machine.fpr(1).subarray(0, 8)]).toEqual(concat(4, (i) => element(b, 2, bits(k, 2 * i, 2))));
    machine.fpr(1).set(a);
    machine.run('palignr_mmx', k);
    expect([...machine.fpr(1).subarray(0, 8)]).toEqual(
      Array.from({ length: 8 }, (_, i) => [...b, ...a][i + k] ?? 0),
    );
  }
});

test('PSHUFB takes the low bits of each index and gives zero for its top bit (SDM 2, PSHUFB)', () => {
  const machine = new SimdMachine([
    { name: 'pshufb', operands: [xmm(1), xmm(2)] },
    { name: 'pshufb_mmx', operands: [mmx(1), mmx(2)] },
  ]);
  const index = [0, 15, 16, 0x7f, 0x80, 0xff, 3, 0x43, 1, 1, 2, 2, 4, 5, 6, 7];
  machine.xmm(1).set(A);
  machine.xmm(2).set(index);
  machine.run('pshufb');
  expect([...machine.xmm(1)]).toEqual(index.map((i) => (i & 0x80 ? 0 : A[i & 15])));
  machine.fpr(1).set(A.slice(0, 8));
  machine.fpr(2).set(index.slice(0, 8));
  machine.run('pshufb_mmx');
  expect([...machine.fpr(1).subarray(0, 8)]).toEqual(index.slice(0, 8).map((i) => (i & 0x80 ? 0 : A[i & 7])));
});

test('variable blends go by the top bits of the elements of XMM0', () => {
  const names = [
    ['pblendvb', 1],
    ['blendvps', 4],
    ['blendvpd', 8],
  ] as const;
  const machine = new SimdMachine(names.map(([name]) => ({ name, operands: [xmm(1), xmm(2)] })));
  const mask = Array.from({ length: 16 }, (_, i) => (i % 3 === 0 ? 0x80 : 0x7f));
  for (const [name, size] of names) {
    machine.xmm(0).set(mask);
    machine.xmm(1).set(A);
    machine.xmm(2).set(B);
    machine.run(name);
    const top = (i: number) => mask[i * size + size - 1] & 0x80;
    expect([...machine.xmm(1)]).toEqual(concat(16 / size, (i) => element(top(i) ? B : A, size, i)));
  }
});

test('extraction zero-extends into the general register, and takes the position modulo the elements', () => {
  const forms: TestForm[] = [
    { name: 'pextrb', operands: [gpr(0), xmm(1), imm] },
    { name: 'pextrw', operands: [gpr(0), xmm(1), imm] },
    { name: 'pextrd', operands: [gpr(0), xmm(1), imm], size: 4 },
    { name: 'pextrd', operands: [gpr(0), xmm(1), imm], size: 8 },
  ];
  for (let k = 0; k < 20; k++) {
    const known = forms.map((form) => ({ ...form, constant: k }));
    const machine = new SimdMachine([...forms, ...known]);
    machine.xmm(1).set(A);
    [1, 2, 4, 8, 1, 2, 4, 8].forEach((size, i) => {
      machine.setGpr(0, -1n);
      machine.runForm(i, k);
      const expected = element(A, size, k % (16 / size)).reduceRight(
        (n, byte) => (n << 8n) | BigInt(byte),
        0n,
      );
      expect(machine.gpr(0)).toBe(expected);
    });
  }
});

test('extraction to memory stores the element and no more', () => {
  const machine = new SimdMachine([{ name: 'pextrb', operands: [mem, xmm(1), imm] }]);
  machine.xmm(1).set(A);
  machine.memory(4).fill(0xee);
  machine.run('pextrb', 5);
  expect([...machine.memory(4)]).toEqual([A[5], 0xee, 0xee, 0xee]);
});

test('insertion replaces one element', () => {
  const forms: TestForm[] = [
    { name: 'pinsrb', operands: [xmm(1), gpr(0), imm] },
    { name: 'pinsrw', operands: [xmm(1), gpr(0), imm] },
    { name: 'pinsrd', operands: [xmm(1), gpr(0), imm], size: 4 },
    { name: 'pinsrd', operands: [xmm(1), gpr(0), imm], size: 8 },
  ];
  const machine = new SimdMachine(forms);
  const value = [1, 2, 3, 4, 5, 6, 7, 8];
  machine.setGpr(0, 0x0807_0605_0403_0201n);
  [1, 2, 4, 8].forEach((size, form) => {
    for (let k = 0; k < 20; k++) {
      machine.xmm(1).set(A);
      machine.runForm(form, k);
      const at = k % (16 / size);
      expect([...machine.xmm(1)]).toEqual(
        concat(16 / size, (i) => (i === at ? value.slice(0, size) : element(A, size, i))),
      );
    }
  });
});

test('widening moves sign- or zero-extend the low elements', () => {
  const machine = new SimdMachine([
    { name: 'pmovsxbw', operands: [xmm(1), xmm(2)] },
    { name: 'pmovzxbq', operands: [xmm(1), mem] },
    { name: 'pmovsxwd', operands: [xmm(1), mem] },
  ]);
  machine.xmm(2).set([0x80, 0x7f, 0xff, 1]);
  machine.run('pmovsxbw');
  expect([...new Int16Array(machine.xmm(1).slice().buffer)].slice(0, 4)).toEqual([-128, 127, -1, 1]);
  machine.memory(16).set([0x80, 0xff, 0x55, 0, 0xfe, 0xff]);
  machine.run('pmovzxbq');
  expect([...new BigUint64Array(machine.xmm(1).slice().buffer)]).toEqual([0x80n, 0xffn]);
  machine.run('pmovsxwd');
  expect([...new Int32Array(machine.xmm(1).slice().buffer)].slice(0, 3)).toEqual([-128, 0x55, -2]);
});
