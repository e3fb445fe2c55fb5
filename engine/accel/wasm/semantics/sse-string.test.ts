import { expect, test } from 'vitest';
import { Random } from '../../../base/random.ts';
import { imm, SimdMachine, xmm } from './simd-harness.ts';

const filled = (length: number, value: number): number[] => Array.from({ length }, () => value);

const operands = [xmm(1), xmm(2), imm];
const machine = new SimdMachine([
  { name: 'pcmpistri', operands },
  { name: 'pcmpistrm', operands },
  { name: 'pcmpestri', operands, size: 4 },
  { name: 'pcmpestri', operands, size: 8 },
  { name: 'pcmpestrm', operands, size: 4 },
]);
const [IMPLICIT_INDEX, IMPLICIT_MASK, EXPLICIT_INDEX, EXPLICIT_INDEX_64, EXPLICIT_MASK] = [0, 1, 2, 3, 4];

const CF = 1;
const ZF = 1 << 6;
const SF = 1 << 7;
const OF = 1 << 11;

/** Byte strings, the rest of the registers zero. */
function strings(a: string, b: string): void {
  for (const [n, text] of [
    [1, a],
    [2, b],
  ] as const) {
    machine.xmm(n).fill(0).set(Buffer.from(text, 'latin1').subarray(0, 16));
  }
}
const ecx = (): number => Number(machine.gpr(1));

test('equal any: the first character that is one of a set', () => {
  strings(' \t', 'hello world');
  machine.runForm(IMPLICIT_INDEX, 0x00);
  expect([ecx(), machine.flags()]).toEqual([5, CF | ZF | SF]);
  strings('xyz', 'hello world 1234');
  machine.runForm(IMPLICIT_INDEX, 0x00);
  expect([ecx(), machine.flags()]).toEqual([16, SF]);
});

test('ranges: letters, by pairs of bounds; the most significant index with imm[6]', () => {
  strings('azAZ', '12 ab,CD 3');
  machine.runForm(IMPLICIT_INDEX, 0x04);
  expect(ecx()).toBe(3);
  machine.runForm(IMPLICIT_INDEX, 0x44);
  expect(ecx()).toBe(7);
});

test('equal each: where strings differ, with negative polarity; ended strings are equal', () => {
  strings('same', 'same');
  machine.runForm(IMPLICIT_INDEX, 0x18);
  expect([ecx(), machine.flags()]).toEqual([16, ZF | SF]);
  strings('sane', 'same');
  machine.runForm(IMPLICIT_INDEX, 0x18);
  expect([ecx(), machine.flags()]).toEqual([2, CF | ZF | SF]);
  strings('sames', 'same');
  machine.runForm(IMPLICIT_INDEX, 0x18);
  expect(ecx()).toBe(4);
});

test('equal ordered: where a substring starts, also where only its beginning fits', () => {
  strings('lo w', 'hello world');
  machine.runForm(IMPLICIT_INDEX, 0x0c);
  expect(ecx()).toBe(3);
  strings('xyz', '0123456789abcdxy');
  machine.runForm(IMPLICIT_INDEX, 0x0c);
  expect(ecx()).toBe(14);
  strings('', 'abc');
  machine.runForm(IMPLICIT_INDEX, 0x0c);
  expect([ecx(), machine.flags()]).toEqual([0, CF | ZF | SF | OF]);
});

test('masks: bits, or whole elements with imm[6]; masked negative polarity spares invalid elements', () => {
  strings('b', 'abcb');
  machine.runForm(IMPLICIT_MASK, 0x00);
  expect([...machine.xmm(0)]).toEqual([0b1010, ...filled(15, 0)]);
  machine.runForm(IMPLICIT_MASK, 0x70);
  expect([...machine.xmm(0)]).toEqual([255, 0, 255, 0, ...filled(12, 0)]);
});

test('explicit lengths are magnitudes of EAX and EDX, of RAX and RDX with REX.W, at most the elements there are', () => {
  machine.xmm(1).fill(0);
  machine.xmm(2).fill(0);
  machine.setGpr(0, 0xffff_ffff_0000_0000n | BigInt(2 ** 32 - 3));
  machine.setGpr(2, 0x1_0000_0005n);
  machine.runForm(EXPLICIT_MASK, 0x08);
  // Equal each: 0-2 are equal, 3 and 4 are valid in the second alone, from 5 on both have ended.
  expect([machine.xmm(0)[0], machine.xmm(0)[1]]).toEqual([0b1110_0111, 0xff]);
  machine.setGpr(2, 0x1_0000_0000n);
  machine.runForm(EXPLICIT_INDEX, 0x08);
  expect(machine.flags() & ZF).toBe(ZF);
  machine.runForm(EXPLICIT_INDEX_64, 0x08);
  expect(machine.flags() & ZF).toBe(0);
});

/** The definition of SDM 2, 4.1.6 and table 4-7, comparison by comparison. */
function reference(a: number[], b: number[], lengthA: number, lengthB: number, control: number): number {
  const n = a.length;
  const aggregation = (control >> 2) & 3;
  let result = 0;
  for (let j = 0; j < n; j++) {
    const validB = j < lengthB;
    let bit: boolean;
    if (aggregation === 0) bit = validB && a.some((x, i) => i < lengthA && x === b[j]);
    else if (aggregation === 1) {
      bit = validB && a.some((x, i) => i % 2 === 0 && i + 1 < lengthA && b[j] >= x && b[j] <= a[i + 1]);
    } else if (aggregation === 2) bit = j < lengthA && validB ? a[j] === b[j] : j >= lengthA && !validB;
    else {
      bit = true;
      for (let i = 0; i + j < n; i++) if (i < lengthA) bit &&= i + j < lengthB && a[i] === b[i + j];
    }
    const negated = control & 0x10 && (!(control & 0x20) || validB);
    if (negated ? !bit : bit) result |= 1 << j;
  }
  return result;
}

test('all control bytes on random strings, against the definition', () => {
  const random = new Random(3);
  for (let round = 0; round < 40; round++) {
    for (let control = 0; control < 64; control++) {
      for (const n of [1, 2]) {
        for (let i = 0; i < 16; i++)
          machine.xmm(n)[i] = random.oneIn(8) ? 0 : random.pick([1, 2, 3, 0x80, 0xff]);
      }
      const elements = (n: number): number[] => {
        const { buffer } = machine.xmm(n).slice();
        const types = [Uint8Array, Uint16Array, Int8Array, Int16Array] as const;
        return [...new types[control & 3](buffer)];
      };
      const [a, b] = [elements(1), elements(2)];
      const length = (of: number[]): number => (of.includes(0) ? of.indexOf(0) : of.length);
      const expected = reference(a, b, length(a), length(b), control);
      machine.runForm(IMPLICIT_MASK, control);
      expect(machine.xmm(0)[0] | (machine.xmm(0)[1] << 8), `control ${control}`).toBe(expected);
      const flags =
        (expected !== 0 ? CF : 0) |
        (length(b) < b.length ? ZF : 0) |
        (length(a) < a.length ? SF : 0) |
        (expected & 1 ? OF : 0);
      expect(machine.flags()).toBe(flags);
    }
  }
});
