import { expect, test } from 'vitest';
import { Flag } from '../../../vcpu/state.ts';
import { Vector } from './cpu.ts';
import { dataBreakpoint, Dr6, instructionBreakpoint, ioBreakpoint } from './debug.ts';
import {
  deliverException,
  enterLongMode,
  enterProtectedMode,
  fakeCpu,
  type FakeCpu,
  faultOf,
  IDT,
  run,
  Sel,
  setGate,
} from './fake-cpu.ts';
import { gprOffset } from './operands.ts';

const B = gprOffset(3);

function write(cpu: FakeCpu, number: number, value: bigint): readonly [number, number | undefined] | null {
  cpu.state.gpr[3] = value;
  return faultOf(() => run(cpu, 'mov_to_dr', { a: number, b: B }));
}

const dr6 = (cpu: FakeCpu): number => Number(cpu.state.dr[6]);

test('an instruction breakpoint matches its address, unless RF is set (SDM 3B, 18.3.1.1)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  write(cpu, 0, 0x1234n);
  expect(instructionBreakpoint(cpu, 0x1234n)).toBe(false);
  write(cpu, 7, 2n);
  expect(instructionBreakpoint(cpu, 0x1235n)).toBe(false);
  expect(instructionBreakpoint(cpu, 0x1234n)).toBe(true);
  expect(dr6(cpu) & 0xf).toBe(1);
  cpu.state.flagsSys |= Flag.RF;
  expect(instructionBreakpoint(cpu, 0x1234n)).toBe(false);
});

test('data breakpoints watch aligned ranges, for writes or for both (SDM 3B, 18.2.5)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  write(cpu, 1, 0x1006n);
  // Breakpoint 1: writes, 4 bytes, so 0x1004 to 0x1007.
  write(cpu, 7, (1n << 2n) | (0xdn << 20n));
  expect(dataBreakpoint(cpu, 0x1004n, 1, false)).toBe(false);
  expect(dataBreakpoint(cpu, 0x1000n, 4, true)).toBe(false);
  expect(dataBreakpoint(cpu, 0x1008n, 4, true)).toBe(false);
  expect(dataBreakpoint(cpu, 0x1001n, 4, true)).toBe(true);
  expect(dr6(cpu) & 0xf).toBe(2);
  write(cpu, 7, (1n << 2n) | (0xfn << 20n));
  expect(dataBreakpoint(cpu, 0x1004n, 1, false)).toBe(true);
});

test('an 8-byte breakpoint (SDM 3B, 18.2.4)', () => {
  const cpu = fakeCpu();
  enterLongMode(cpu);
  write(cpu, 2, 0xffff_8000_0000_1000n);
  write(cpu, 7, (1n << 5n) | (0xbn << 24n));
  expect(dataBreakpoint(cpu, 0xffff_8000_0000_1007n, 1, true)).toBe(true);
  expect(dataBreakpoint(cpu, 0xffff_8000_0000_1008n, 1, true)).toBe(false);
});

test('I/O breakpoints need CR4.DE (SDM 3B, 18.2.5)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  write(cpu, 0, 0x60n);
  write(cpu, 7, 1n | (2n << 16n));
  expect(ioBreakpoint(cpu, 0x60, 1)).toBe(false);
  cpu.state.cr4 = 8n;
  expect(ioBreakpoint(cpu, 0x60, 1)).toBe(true);
});

test('a breakpoint that is not enabled shows in DR6 beside one that is (SDM 3B, 18.2.3)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  for (const n of [0, 1]) write(cpu, n, 0x1000n);
  write(cpu, 7, 1n);
  instructionBreakpoint(cpu, 0x1000n);
  expect(dr6(cpu) & 0xf).toBe(3);
});

test('DR4 and DR5 are DR6 and DR7 unless CR4.DE is set (SDM 3B, 18.2.2)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  write(cpu, 5, 0x3ffn);
  expect(cpu.state.dr[7]).toBe(0x7ffn);
  cpu.state.cr4 = 8n;
  expect(write(cpu, 5, 0n)).toEqual([Vector.UD, undefined]);
  expect(write(cpu, 4, 0n)).toEqual([Vector.UD, undefined]);
});

test('the fixed bits of DR6 and DR7 stay; upper halves must be zero (SDM 3B, 18.2.3, 18.2.4, 18.2.6)', () => {
  const cpu = fakeCpu();
  enterLongMode(cpu);
  write(cpu, 6, 0n);
  expect(cpu.state.dr[6]).toBe(0xffff_0ff0n);
  write(cpu, 7, 0xffff_ffffn & ~0x2000n);
  expect(cpu.state.dr[7]).toBe(0xffff_07ffn);
  expect(write(cpu, 7, 1n << 32n)).toEqual([Vector.GP, 0]);
  expect(write(cpu, 6, 1n << 63n)).toEqual([Vector.GP, 0]);
});

test('general detect: an access faults with BD, and the handler finds GD clear (SDM 3B, 18.2.4)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  setGate(cpu, IDT + 8, Sel.Code0, 0x4000, 0x8e);
  write(cpu, 7, 0x2000n);
  expect(faultOf(() => run(cpu, 'mov_from_dr', { a: 0, b: B }))).toEqual([Vector.DB, undefined]);
  expect(dr6(cpu) & Dr6.BD).toBe(Dr6.BD);
  const fault = { vector: Vector.DB, errorCode: undefined };
  deliverException(cpu, fault);
  expect(Number(cpu.state.dr[7]) & 0x2000).toBe(0);
});
