import { expect, test } from 'vitest';
import { Flag, Seg } from '../../../vcpu/state.ts';
import { Vector } from './cpu.ts';
import { enterLongMode, enterProtectedMode, fakeCpu, type FakeCpu, faultOf, run } from './fake-cpu.ts';
import { readFlags } from './flags.ts';

/** Selector, base, limit, rights of CS and SS, and CPL. */
const mode = ({ state }: FakeCpu) =>
  [Seg.CS, Seg.SS].map((n) => [state.segSelector[n], state.segBase[n], state.segLimit[n], state.segAttr[n]]);

test('SYSCALL in 64-bit mode saves RIP and RFLAGS and goes to LSTAR (APM 3, SYSCALL)', () => {
  const cpu = fakeCpu();
  enterLongMode(cpu, 3);
  const { state } = cpu;
  state.star = 0x0023_0010_0000_0000n;
  state.lstar = 0xffff_8000_0000_1000n;
  state.sfmask = BigInt(Flag.IF | Flag.TF);
  state.flagsSys = Flag.IF | Flag.AC | Flag.RF;
  run(cpu, 'syscall_slow', { next: 0x4002n });
  expect([state.rip, state.gpr[1], state.gpr[11]]).toEqual([0xffff_8000_0000_1000n, 0x4002n, 0x4_0202n]);
  expect(readFlags(state)).toBe(2 | Flag.AC);
  expect(state.cpl).toBe(0);
  expect(mode(cpu)).toEqual([
    [0x10, 0n, 0xffff_ffff, 0xa09b],
    [0x18, 0n, 0xffff_ffff, 0xc093],
  ]);
});

test('SYSRET goes back to 64-bit or compatibility code at CPL 3 (APM 3, SYSRET)', () => {
  const cpu = fakeCpu();
  enterLongMode(cpu);
  const { state } = cpu;
  state.star = 0x0023_0010_0000_0000n;
  state.gpr[1] = 0xffff_ffff_0000_4002n;
  state.gpr[11] = 0x3_7fd7n;
  run(cpu, 'sysret_slow', { size: 8 });
  expect([state.rip, state.cpl, readFlags(state)]).toEqual([0xffff_ffff_0000_4002n, 3, 0x7fd7]);
  expect(mode(cpu).map(([selector, , , attr]) => [selector, attr])).toEqual([
    [0x33, 0xa0fb],
    [0x2b, 0xc0f3],
  ]);
  enterLongMode(cpu);
  state.gpr[1] = 0xffff_ffff_0000_4002n;
  run(cpu, 'sysret_slow', { size: 4 });
  expect([state.rip, state.segSelector[Seg.CS], state.segAttr[Seg.CS]]).toEqual([0x4002n, 0x23, 0xc0fb]);
});

test('SYSCALL works outside long mode: EIP from STAR, IF cleared (APM 3, SYSCALL)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu, 3);
  const { state } = cpu;
  expect(faultOf(() => run(cpu, 'syscall_slow'))).toEqual([Vector.UD, undefined]);
  state.efer = 1n;
  state.star = 0x0023_0010_0012_3456n;
  state.flagsSys = Flag.IF;
  run(cpu, 'syscall_slow');
  expect([state.rip, state.gpr[1], state.flagsSys, state.cpl]).toEqual([0x12_3456n, 0x1002n, 0, 0]);
  expect(state.segAttr[Seg.CS]).toBe(0xc09b);
  run(cpu, 'sysret_slow');
  expect([state.rip, state.cpl, state.segSelector[Seg.CS], state.flagsSys]).toEqual([
    0x1002n,
    3,
    0x23,
    Flag.IF,
  ]);
});

test('SYSENTER and SYSEXIT (SDM 2): #UD in long mode, as AMD has it', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu, 3);
  const { state } = cpu;
  expect(faultOf(() => run(cpu, 'sysenter'))).toEqual([Vector.GP, 0]);
  state.sysenterCs = 0x10n;
  state.sysenterEsp = 0x7000n;
  state.sysenterEip = 0x8000n;
  state.flagsSys = Flag.IF;
  run(cpu, 'sysenter');
  expect([state.rip, state.gpr[4], state.cpl, state.flagsSys]).toEqual([0x8000n, 0x7000n, 0, 0]);
  state.gpr[1] = 0x1111n;
  state.gpr[2] = 0x2222n;
  run(cpu, 'sysexit');
  expect([state.rip, state.gpr[4], state.cpl]).toEqual([0x2222n, 0x1111n, 3]);
  expect([state.segSelector[Seg.CS], state.segSelector[Seg.SS]]).toEqual([0x23, 0x2b]);
  expect(faultOf(() => run(cpu, 'sysexit'))).toEqual([Vector.GP, 0]);
  enterLongMode(cpu);
  expect(faultOf(() => run(cpu, 'sysenter'))).toEqual([Vector.UD, undefined]);
  expect(faultOf(() => run(cpu, 'sysexit'))).toEqual([Vector.UD, undefined]);
});
