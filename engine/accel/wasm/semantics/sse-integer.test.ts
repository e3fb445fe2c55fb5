import { expect, test } from 'vitest';
import { Random } from '../../../base/random.ts';
import { gpr, imm, mmx, SimdMachine, xmm, type TestForm } from './simd-harness.ts';

const filled = (length: number, value: number): number[] => Array.from({ length }, () => value);

/** An element-wise operation: element size in bytes, and the result of two elements as signed numbers. */
type Reference = readonly [size: 1 | 2 | 4, of: (a: number, b: number) => number];

const clamp = (low: number, high: number) => (x: number) => Math.min(high, Math.max(low, x));
const sb = clamp(-128, 127);
const sw = clamp(-32768, 32767);
const ub = clamp(0, 255);
const uw = clamp(0, 65535);
const byte = (x: number) => x & 0xff;
const word = (x: number) => x & 0xffff;

/** What SDM 2 says each does, on elements sign-extended to numbers. */
const ELEMENTWISE: Record<string, Reference> = {
  paddb: [1, (a, b) => a + b],
  paddw: [2, (a, b) => a + b],
  paddd: [4, (a, b) => a + b],
  psubb: [1, (a, b) => a - b],
  psubw: [2, (a, b) => a - b],
  psubd: [4, (a, b) => a - b],
  paddsb: [1, (a, b) => sb(a + b)],
  paddsw: [2, (a, b) => sw(a + b)],
  psubsb: [1, (a, b) => sb(a - b)],
  psubsw: [2, (a, b) => sw(a - b)],
  paddusb: [1, (a, b) => ub(byte(a) + byte(b))],
  paddusw: [2, (a, b) => uw(word(a) + word(b))],
  psubusb: [1, (a, b) => ub(byte(a) - byte(b))],
  psubusw: [2, (a, b) => uw(word(a) - word(b))],
  pavgb: [1, (a, b) => (byte(a) + byte(b) + 1) >> 1],
  pavgw: [2, (a, b) => (word(a) + word(b) + 1) >> 1],
  pminub: [1, (a, b) => Math.min(byte(a), byte(b))],
  pmaxub: [1, (a, b) => Math.max(byte(a), byte(b))],
  pminsw: [2, (a, b) => Math.min(a, b)],
  pmaxsw: [2, (a, b) => Math.max(a, b)],
  pcmpeqb: [1, (a, b) => (a === b ? -1 : 0)],
  pcmpgtw: [2, (a, b) => (a > b ? -1 : 0)],
  pcmpgtd: [4, (a, b) => (a > b ? -1 : 0)],
  pand: [4, (a, b) => a & b],
  pandn: [4, (a, b) => ~a & b],
  por: [4, (a, b) => a | b],
  pxor: [4, (a, b) => a ^ b],
  pmullw: [2, (a, b) => Math.imul(a, b)],
  pmulhw: [2, (a, b) => (a * b) >> 16],
  pmulhuw: [2, (a, b) => Math.floor((word(a) * word(b)) / 65536)],
  // The highest 18 bits of the product are rounded at the last.
  pmulhrsw: [2, (a, b) => (((a * b) >> 14) + 1) >> 1],
  pabsb: [1, (_, b) => Math.abs(b)],
  pabsw: [2, (_, b) => Math.abs(b)],
  pabsd: [4, (_, b) => Math.abs(b)],
  psignb: [1, (a, b) => (b < 0 ? -a : b === 0 ? 0 : a)],
  psignw: [2, (a, b) => (b < 0 ? -a : b === 0 ? 0 : a)],
  psignd: [4, (a, b) => (b < 0 ? -a : b === 0 ? 0 : a)],
};
/** The same of XMM registers only. */
const XMM_ONLY: Record<string, Reference> = {
  pminsb: [1, (a, b) => Math.min(a, b)],
  pmaxsb: [1, (a, b) => Math.max(a, b)],
  pminuw: [2, (a, b) => Math.min(word(a), word(b))],
  pmaxuw: [2, (a, b) => Math.max(word(a), word(b))],
  pminsd: [4, (a, b) => Math.min(a, b)],
  pmaxsd: [4, (a, b) => Math.max(a, b)],
  pminud: [4, (a, b) => Math.min(a >>> 0, b >>> 0)],
  pmaxud: [4, (a, b) => Math.max(a >>> 0, b >>> 0)],
  pmulld: [4, (a, b) => Math.imul(a, b)],
};

const pair = [xmm(1), xmm(2)];
const mmxPair = [mmx(1), mmx(2)];

const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
const get = (bytes: Uint8Array, size: 1 | 2 | 4, i: number): number =>
  size === 1
    ? view(bytes).getInt8(i)
    : size === 2
      ? view(bytes).getInt16(2 * i, true)
      : view(bytes).getInt32(4 * i, true);
function set(bytes: Uint8Array, size: 1 | 2 | 4, i: number, value: number): void {
  if (size === 1) view(bytes).setInt8(i, value);
  else if (size === 2) view(bytes).setInt16(2 * i, value, true);
  else view(bytes).setInt32(4 * i, value, true);
}

/** Random bytes with many at the limits of signed and unsigned elements. */
function randomize(random: Random, bytes: Uint8Array): void {
  for (let i = 0; i < bytes.length; i++)
    bytes[i] = random.oneIn(2) ? random.pick([0, 1, 0x7f, 0x80, 0xff]) : random.next();
  if (random.oneIn(4)) for (let i = 0; i < bytes.length; i += 2) view(bytes).setUint16(i, 0x8000, true);
}

/** A machine with these instructions on XMM1 and XMM2, and on MM1 and MM2. */
function machineOf(names: readonly string[], mmxNames: readonly string[]): SimdMachine {
  const forms: TestForm[] = [
    ...names.map((name) => ({ name, operands: pair })),
    ...mmxNames.map((name) => ({ name: `${name}_mmx`, operands: mmxPair })),
  ];
  return new SimdMachine(forms);
}

test('element-wise instructions do to each element what the manual says, in both register files', () => {
  const names = Object.keys(ELEMENTWISE);
  const machine = machineOf([...names, ...Object.keys(XMM_ONLY)], names);
  const random = new Random(1);
  for (const [name, [size, of]] of [...Object.entries(ELEMENTWISE), ...Object.entries(XMM_ONLY)]) {
    for (let round = 0; round < 50; round++) {
      randomize(random, machine.xmm(1));
      randomize(random, machine.xmm(2));
      const expected = new Uint8Array(16);
      for (let i = 0; i < 16 / size; i++) {
        set(expected, size, i, of(get(machine.xmm(1), size, i), get(machine.xmm(2), size, i)));
      }
      for (const n of [1, 2]) machine.fpr(n).set(machine.xmm(n).subarray(0, 8));
      expect(machine.run(name)).toBe(0);
      expect(machine.xmm(1), name).toEqual(expected);
      if (name in XMM_ONLY) continue;
      expect(machine.run(`${name}_mmx`)).toBe(0);
      expect(machine.fpr(1).subarray(0, 8), `${name} on MMX`).toEqual(expected.subarray(0, 8));
    }
  }
});

/** Sets two operands from lists of words and returns the first after the instruction, as words. */
function onWords(
  machine: SimdMachine,
  name: string,
  a: readonly number[],
  b: readonly number[],
  immediate = 0,
): number[] {
  a.forEach((value, i) => set(machine.xmm(1), 2, i, value));
  b.forEach((value, i) => set(machine.xmm(2), 2, i, value));
  expect(machine.run(name, immediate)).toBe(0);
  return Array.from({ length: 8 }, (_, i) => get(machine.xmm(1), 2, i));
}

test('PMADDWD adds neighbouring products; only four times -32768 wraps (SDM 2, PMADDWD)', () => {
  const machine = machineOf(['pmaddwd'], []);
  const least = -32768;
  onWords(machine, 'pmaddwd', [least, least, 1, 2, 100, -3, 0, 7], [least, least, 3, 4, 100, 5, 9, -1]);
  expect([0, 1, 2, 3].map((i) => get(machine.xmm(1), 4, i))).toEqual([-0x8000_0000, 11, 9985, -7]);
});

test('PMADDUBSW multiplies unsigned by signed bytes and saturates', () => {
  const machine = machineOf(['pmaddubsw'], []);
  machine.xmm(1).set([255, 255, 255, 255, 1, 2]);
  machine.xmm(2).set([127, 127, 128, 128, 3, 0xff]);
  machine.run('pmaddubsw');
  expect([0, 1, 2].map((i) => get(machine.xmm(1), 2, i))).toEqual([32767, -32768, 1]);
});

test('PSADBW sums absolute differences of each half into its low word', () => {
  const machine = machineOf(['psadbw'], []);
  machine.xmm(1).fill(255);
  machine.xmm(2).fill(0, 0, 8).fill(253, 8, 16);
  machine.run('psadbw');
  expect([...new BigUint64Array(machine.xmm(1).slice().buffer)]).toEqual([8n * 255n, 16n]);
});

test('horizontal additions pair neighbours, first operand below (SDM 2, PHADDW, PHADDSW)', () => {
  const machine = machineOf(['phaddw', 'phaddsw', 'phsubw'], []);
  const a = [1, 2, 30000, 30000, -5, 5, 7, 8];
  const b = [10, 20, -30000, -30000, 1, 1, 0, 9];
  expect(onWords(machine, 'phaddw', a, b)).toEqual([3, 60000 - 65536, 0, 15, 30, 65536 - 60000, 2, 9]);
  expect(onWords(machine, 'phaddsw', a, b)).toEqual([3, 32767, 0, 15, 30, -32768, 2, 9]);
  expect(onWords(machine, 'phsubw', a, b)).toEqual([-1, 0, -10, -1, -10, 0, 0, -9]);
});

test('packing saturates signed sources, first operand below', () => {
  const machine = machineOf(['packsswb', 'packuswb'], ['packsswb']);
  const a = [-200, -1, 0, 127, 128, 255, 256, 32767];
  onWords(machine, 'packsswb', a, [1, 2, 3, 4, 5, 6, 7, -32768]);
  expect([...new Int8Array(machine.xmm(1).slice().buffer)]).toEqual([
    -128, -1, 0, 127, 127, 127, 127, 127, 1, 2, 3, 4, 5, 6, 7, -128,
  ]);
  onWords(machine, 'packuswb', a, [1, 2, 3, 4, 5, 6, 7, -32768]);
  expect([...machine.xmm(1)]).toEqual([0, 0, 0, 127, 128, 255, 255, 255, 1, 2, 3, 4, 5, 6, 7, 0]);
  machine.fpr(1).set(new Uint8Array(new Int16Array([300, -300, 1, 2]).buffer));
  machine.fpr(2).set(new Uint8Array(new Int16Array([3, 4, 5, 6]).buffer));
  machine.run('packsswb_mmx');
  expect([...machine.fpr(1).subarray(0, 8)]).toEqual([127, 128, 1, 2, 3, 4, 5, 6]);
});

test('shift counts are the whole low quadword, and at least the width shifts everything out', () => {
  const machine = new SimdMachine([
    { name: 'psllw', operands: pair },
    { name: 'psraw', operands: pair },
    { name: 'psrlq', operands: pair },
    { name: 'psrad', operands: [xmm(1), imm] },
  ]);
  const shift = (name: string, count: bigint): number[] => {
    machine.xmm(2).set(new Uint8Array(new BigUint64Array([count, 99n]).buffer));
    const words = [0x8001, 0x8001, 0x7fff, 1, 2, 3, 4, 0xffff];
    words.forEach((value, i) => set(machine.xmm(1), 2, i, value));
    machine.run(name);
    return Array.from({ length: 8 }, (_, i) => get(machine.xmm(1), 2, i) & 0xffff);
  };
  expect(shift('psllw', 4n)).toEqual([0x10, 0x10, 0xfff0, 0x10, 0x20, 0x30, 0x40, 0xfff0]);
  expect(shift('psllw', 16n)).toEqual(filled(8, 0));
  expect(shift('psllw', 1n << 32n)).toEqual(filled(8, 0));
  expect(shift('psraw', 1n << 63n)).toEqual([0xffff, 0xffff, 0, 0, 0, 0, 0, 0xffff]);
  expect(shift('psrlq', 48n)).toEqual([1, 0, 0, 0, 0xffff, 0, 0, 0]);
  machine.xmm(1).fill(0x80);
  machine.run('psrad', 255);
  expect([...machine.xmm(1)]).toEqual(filled(16, 0xff));
});

test('byte shifts of the whole register; counts above 15 clear it', () => {
  const machine = new SimdMachine([
    { name: 'pslldq', operands: [xmm(1), imm] },
    { name: 'psrldq', operands: [xmm(1), imm] },
  ]);
  for (const count of [0, 1, 7, 15, 16, 200, 255]) {
    const bytes = Array.from({ length: 16 }, (_, i) => i + 1);
    machine.xmm(1).set(bytes);
    machine.run('pslldq', count);
    expect([...machine.xmm(1)]).toEqual(bytes.map((_, i) => bytes[i - count] ?? 0));
    machine.xmm(1).set(bytes);
    machine.run('psrldq', count);
    expect([...machine.xmm(1)]).toEqual(bytes.map((_, i) => bytes[i + count] ?? 0));
  }
});

test('PTEST: ZF where nothing is common, CF where the second lies within the first, others clear', () => {
  const machine = new SimdMachine([{ name: 'ptest', operands: pair }]);
  for (const [a, b, flags] of [
    [0x0f, 0xf0, 0x40],
    [0xff, 0xf0, 0x01],
    [0x3c, 0xf0, 0x00],
    [0x3c, 0x00, 0x41],
  ]) {
    machine.setFlags(-1n, -1);
    machine.xmm(1).fill(a);
    machine.xmm(2).fill(b);
    machine.run('ptest');
    expect(machine.flags()).toBe(flags);
  }
});

test('PHMINPOSUW gives the smallest word and the lowest position it is at', () => {
  const machine = machineOf(['phminposuw'], []);
  const operand = [9, 0xfffe, 5, 7, 5, 0x8000, 5, 6];
  expect(onWords(machine, 'phminposuw', [], operand)).toEqual([5, 2, 0, 0, 0, 0, 0, 0]);
});

test('MPSADBW slides a window from imm[2] over the block at imm[1:0]', () => {
  const machine = new SimdMachine([{ name: 'mpsadbw', operands: [xmm(1), xmm(2), imm] }]);
  const random = new Random(2);
  for (let immediate = 0; immediate < 8; immediate++) {
    randomize(random, machine.xmm(1));
    randomize(random, machine.xmm(2));
    const a = [...machine.xmm(1)];
    const b = [...machine.xmm(2)];
    const from = immediate & 4;
    const block = 4 * (immediate & 3);
    machine.run('mpsadbw', immediate);
    for (let i = 0; i < 8; i++) {
      const sum = [0, 1, 2, 3].reduce((s, j) => s + Math.abs(a[from + i + j] - b[block + j]), 0);
      expect(get(machine.xmm(1), 2, i)).toBe(sum);
    }
  }
});

test('PCLMULQDQ multiplies polynomials over GF(2), of the halves imm[0] and imm[4] choose', () => {
  const machine = new SimdMachine([{ name: 'pclmulqdq', operands: [xmm(1), xmm(2), imm] }]);
  const a = [0x7b5b_5465_7374_5665n, 0x8000_0000_0000_0001n];
  const b = [0xffff_ffff_ffff_ffffn, 0x4869_2853_6861_7929n];
  for (const [immediate, x, y] of [
    [0x00, a[0], b[0]],
    [0x01, a[1], b[0]],
    [0x10, a[0], b[1]],
    [0xff, a[1], b[1]],
  ] as const) {
    let product = 0n;
    for (let i = 0n; i < 64n; i++) if ((y >> i) & 1n) product ^= x << i;
    machine.xmm(1).set(new Uint8Array(new BigUint64Array(a).buffer));
    machine.xmm(2).set(new Uint8Array(new BigUint64Array(b).buffer));
    machine.run('pclmulqdq', immediate);
    const [low, high] = new BigUint64Array(machine.xmm(1).slice().buffer);
    expect((high << 64n) | low).toBe(product);
  }
});

test('PMOVMSKB collects top bits, zero-extended into the whole general register', () => {
  const machine = new SimdMachine([{ name: 'pmovmskb', operands: [gpr(3), xmm(1)] }]);
  machine.xmm(1).set([0x80, 0, 0xff, 0x7f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80]);
  machine.setGpr(3, -1n);
  machine.run('pmovmskb');
  expect(machine.gpr(3)).toBe(0x8005n);
});
