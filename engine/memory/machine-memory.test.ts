import { expect, test } from 'vitest';
import { GuesthouseError } from '../base/errors.ts';
import { MachineMemory, MAX_RAM, NULL_PAGE } from './machine-memory.ts';

const MIB = 0x100000;

function codeOf(body: () => unknown): string | undefined {
  try {
    body();
  } catch (error) {
    return error instanceof GuesthouseError ? error.code : String(error);
  }
  return undefined;
}

test('RAM starts at a 64 KiB boundary behind the null page and the machine area', () => {
  const memory = MachineMemory.create(2 * MIB, 100_000);
  expect(memory.ramBase % 0x10000).toBe(0);
  expect(memory.ramBase).toBeGreaterThanOrEqual(NULL_PAGE + 100_000);
  expect(memory.buffer.byteLength).toBe(memory.ramBase + 2 * MIB);
});

test('an arena stays inside the machine area', () => {
  const memory = MachineMemory.create(MIB, 1000);
  const arena = memory.arena();
  const at = arena.reserve(1000);
  expect(at).toBe(NULL_PAGE);
  expect(() => arena.reserve(0x10000)).toThrow(RangeError);
});

test('a description attaches to the same bytes', () => {
  const memory = MachineMemory.create(MIB, 0);
  const other = new MachineMemory(memory.description);
  memory.bytes[memory.ramBase + 5] = 77;
  expect(other.bytes[other.ramBase + 5]).toBe(77);
});

test('sizes that cannot be are configuration errors', () => {
  expect(codeOf(() => MachineMemory.create(0, 0))).toBe('config');
  expect(codeOf(() => MachineMemory.create(MIB + 1, 0))).toBe('config');
  expect(codeOf(() => MachineMemory.create(MAX_RAM + MIB, 0, 2 ** 40))).toBe('config');
  expect(codeOf(() => MachineMemory.create(MAX_RAM, 600 * MIB, 2 ** 40))).toBe('config');
});

test('more than the host has to spare is refused before anything is reserved', () => {
  expect(codeOf(() => MachineMemory.create(64 * MIB, 0, 32 * MIB))).toBe('resources');
});
