import { expect, test } from 'vitest';
import { imm, SimdMachine, xmm } from './simd-harness.ts';

const bytes = (hex: string): number[] => hex.match(/../g)!.map((byte) => Number.parseInt(byte, 16));
const text = (of: Uint8Array): string => [...of].map((byte) => byte.toString(16).padStart(2, '0')).join('');

const pair = [xmm(1), xmm(2)];
const machine = new SimdMachine([
  { name: 'aesenc', operands: pair },
  { name: 'aesenclast', operands: pair },
  { name: 'aesdec', operands: pair },
  { name: 'aesdeclast', operands: pair },
  { name: 'aesimc', operands: pair },
  { name: 'aeskeygenassist', operands: [...pair, imm] },
]);

function run(name: string, state: string, operand: string, immediate = 0): string {
  machine.xmm(1).set(bytes(state));
  machine.xmm(2).set(bytes(operand));
  expect(machine.run(name, immediate)).toBe(0);
  return text(machine.xmm(1));
}

/** FIPS 197, appendix B: the round keys of 2b7e1516 28aed2a6 abf71588 09cf4f3c. */
const ROUND_KEYS = [
  '2b7e151628aed2a6abf7158809cf4f3c',
  'a0fafe1788542cb123a339392a6c7605',
  'f2c295f27a96b9435935807a7359f67f',
  '3d80477d4716fe3e1e237e446d7a883b',
  'ef44a541a8525b7fb671253bdb0bad00',
  'd4d1c6f87c839d87caf2b8bc11f915bc',
  '6d88a37a110b3efddbf98641ca0093fd',
  '4e54f70e5f5fc9f384a64fb24ea6dc4f',
  'ead27321b58dbad2312bf5607f8d292f',
  'ac7766f319fadc2128d12941575c006e',
  'd014f9a8c9ee2589e13f0cc8b6630ca6',
];
const PLAIN = '3243f6a8885a308d313198a2e0370734';
const CIPHER = '3925841d02dc09fbdc118597196a0b32';

const xor = (a: string, b: string): string => {
  const other = bytes(b);
  return text(Uint8Array.from(bytes(a), (byte, i) => byte ^ other[i]));
};

test('AESENC and AESENCLAST encrypt the example of FIPS 197, appendix B', () => {
  let state = xor(PLAIN, ROUND_KEYS[0]);
  for (const key of ROUND_KEYS.slice(1, 10)) state = run('aesenc', state, key);
  expect(run('aesenclast', state, ROUND_KEYS[10])).toBe(CIPHER);
});

test('AESDEC and AESDECLAST decrypt it with the keys that AESIMC transforms (SDM 1, 12.13.2)', () => {
  let state = xor(CIPHER, ROUND_KEYS[10]);
  for (const key of ROUND_KEYS.slice(1, 10).toReversed()) {
    state = run('aesdec', state, run('aesimc', PLAIN, key));
  }
  expect(run('aesdeclast', state, ROUND_KEYS[0])).toBe(PLAIN);
});

test('AESKEYGENASSIST: SubWord of doublewords 1 and 3, and each rotated with the round constant', () => {
  // FIPS 197, appendix A.1: SubWord(RotWord(09cf4f3c)) = 8a84eb01, before the round constant.
  const result = run('aeskeygenassist', PLAIN, ROUND_KEYS[0], 0x36);
  expect(result.slice(16, 24)).toBe('018a84eb');
  expect(result.slice(24, 32)).toBe('bc84eb01');
  // SubWord(28aed2a6) = 34e4b524.
  expect(result.slice(0, 8)).toBe('34e4b524');
  expect(result.slice(8, 16)).toBe('d2b52434');
});
