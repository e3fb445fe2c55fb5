import { expect, test } from 'vitest';
import { Activity, Flag, Seg } from '../../../vcpu/state.ts';
import { GuestFault, Outcome, Vector } from './cpu.ts';
import { gprOffset } from './operands.ts';
import {
  deliverException,
  deliverWhole,
  enterLongMode,
  enterProtectedMode,
  fakeCpu,
  type FakeCpu,
  faultOf,
  IDT,
  run,
  Sel,
  setGate,
  TSS,
} from './fake-cpu.ts';

const { DF, GP, NP, PF, TS } = Vector;

/** Gate of a vector in an IDT of 8-byte entries, and of 16-byte ones. */
const gate32 = (cpu: FakeCpu, vector: number, type: number, selector: number = Sel.Code0) =>
  setGate(cpu, IDT + 8 * vector, selector, 0x4000 + vector, type);
const gate64 = (cpu: FakeCpu, vector: number, type: number, ist = 0, selector: number = Sel.Code64) => {
  setGate(cpu, IDT + 16 * vector, selector, 0x4000 + vector, type, ist);
  cpu.linear.view.setUint32(IDT + 16 * vector + 8, 0, true);
};
const frame32 = (cpu: FakeCpu, count: number): number[] =>
  Array.from({ length: count }, (_, i) => cpu.linear.view.getUint32(Number(cpu.state.gpr[4]) + 4 * i, true));
const frame64 = (cpu: FakeCpu, count: number): bigint[] =>
  Array.from({ length: count }, (_, i) =>
    cpu.linear.view.getBigUint64(Number(cpu.state.gpr[4]) + 8 * i, true),
  );

test('real mode goes through the vector table and clears IF and TF (SDM 3A, 21.1.4)', () => {
  const cpu = fakeCpu();
  const { state } = cpu;
  state.rip = 0x123n;
  state.gpr[4] = 0x8000n;
  state.flagsSys = Flag.IF | Flag.TF;
  cpu.linear.view.setUint32(0x20 * 4, 0x2000_0040, true);
  deliverWhole(cpu, { vector: 0x20, kind: 'external' });
  expect([state.segBase[Seg.CS], state.rip, state.flagsSys]).toEqual([0x20000n, 0x40n, 0]);
  expect([0, 2, 4].map((at) => cpu.linear.view.getUint16(0x7ffa + at, true))).toEqual([0x123, 0xf000, 0x302]);
});

test('an interrupt gate clears IF, a trap gate does not (SDM 3A, 6.12.1.3)', () => {
  for (const [type, expected] of [
    [0x8e, 0],
    [0x8f, Flag.IF],
  ] as const) {
    const cpu = fakeCpu();
    enterProtectedMode(cpu);
    cpu.state.flagsSys = Flag.IF;
    gate32(cpu, 0x30, type);
    deliverWhole(cpu, { vector: 0x30, kind: 'external' });
    expect(cpu.state.flagsSys & Flag.IF).toBe(expected);
    expect(cpu.state.rip).toBe(0x4030n);
  }
});

test('a fault pushes RF set and its error code (SDM 3B, 18.3.1.1; 3A, 6.13)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  gate32(cpu, GP, 0x8e);
  cpu.state.rip = 0x1000n;
  deliverException(cpu, new GuestFault(GP, 0x18));
  expect(frame32(cpu, 4)).toEqual([0x18, 0x1000, Sel.Code0, 0x1_0002]);
  expect(cpu.state.flagsSys & Flag.RF).toBe(0);
});

test('from CPL 3 the stack comes from the TSS (SDM 3A, 6.12.1)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu, 3);
  cpu.linear.view.setUint32(TSS + 4, 0xa000, true);
  cpu.linear.view.setUint16(TSS + 8, Sel.Data0, true);
  gate32(cpu, 0x30, 0x8e);
  cpu.state.rip = 0x1000n;
  deliverWhole(cpu, { vector: 0x30, kind: 'external' });
  expect(cpu.state.cpl).toBe(0);
  expect(frame32(cpu, 5)).toEqual([0x1000, Sel.Code3, 2, 0x9000, Sel.Data3]);
});

test('INT n needs a gate that CPL may use; INT1 and hardware do not (SDM 3A, 6.12.1.1)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu, 3);
  cpu.linear.view.setUint32(TSS + 4, 0xa000, true);
  cpu.linear.view.setUint16(TSS + 8, Sel.Data0, true);
  gate32(cpu, 0x30, 0x8e);
  gate32(cpu, 1, 0x8e);
  expect(faultOf(() => run(cpu, 'int', { imm: 0x30 }))).toEqual([GP, 0x30 * 8 + 2]);
  expect(run(cpu, 'int1')).toBe(Outcome.Changed);
  expect(cpu.state.rip).toBe(0x4001n);
});

test('a gate that is not present is #NP with IDT and EXT in the error code (SDM 3A, 6.13)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  gate32(cpu, 0x30, 0x0e);
  gate32(cpu, NP, 0x8e);
  deliverWhole(cpu, { vector: 0x30, kind: 'external' });
  expect(cpu.state.rip).toBe(BigInt(0x4000 + NP));
  expect(frame32(cpu, 1)).toEqual([0x30 * 8 + 3]);
});

test('two contributory exceptions make a double fault, with error code 0 (SDM 3A, table 6-5)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  gate32(cpu, GP, 0x0e);
  gate32(cpu, DF, 0x8e);
  deliverException(cpu, new GuestFault(GP, 0));
  expect(cpu.state.rip).toBe(BigInt(0x4000 + DF));
  expect(frame32(cpu, 1)).toEqual([0]);
});

test('a page fault after #GP is delivered as it is, one after a page fault doubles (SDM 3A, table 6-5)', () => {
  const cpu = fakeCpu();
  enterLongMode(cpu);
  // The first two handlers have stacks on a page that is missing; the third has not.
  cpu.linear.absent.add(0xc);
  cpu.linear.view.setBigUint64(TSS + 0x24, 0xd000n, true);
  cpu.linear.view.setBigUint64(TSS + 0x2c, 0xf000n, true);
  gate64(cpu, GP, 0x8e, 1);
  gate64(cpu, PF, 0x8e, 2);
  gate64(cpu, DF, 0x8e, 2);
  deliverException(cpu, new GuestFault(GP, 0));
  expect(cpu.state.rip).toBe(BigInt(0x4000 + PF));
  expect(cpu.state.cr2).toBe(0xcff8n);
  expect(frame64(cpu, 1)).toEqual([2n]);
  gate64(cpu, PF, 0x8e, 1);
  deliverException(cpu, new GuestFault(PF, 0));
  expect(cpu.state.rip).toBe(BigInt(0x4000 + DF));
});

test('a fault while delivering a double fault shuts the processor down (SDM 3A, 6.15)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  expect(deliverException(cpu, new GuestFault(GP, 0))).toBe(Outcome.Shutdown);
  expect(cpu.state.activity).toBe(Activity.Shutdown);
});

test('64-bit mode pushes SS:RSP always and aligns the frame to 16 bytes (SDM 3A, 6.14.2)', () => {
  const cpu = fakeCpu();
  enterLongMode(cpu);
  cpu.state.gpr[4] = 0x9007n;
  cpu.state.rip = 0x1000n;
  gate64(cpu, PF, 0x8e);
  deliverException(cpu, new GuestFault(PF, 5));
  expect(cpu.state.gpr[4]).toBe(0x9000n - 48n);
  expect(frame64(cpu, 6)).toEqual([5n, 0x1000n, BigInt(Sel.Code64), 0x1_0002n, 0x9007n, BigInt(Sel.Data0)]);
  expect(cpu.state.segSelector[Seg.SS]).toBe(Sel.Data0);
});

test('from CPL 3 RSP comes from the TSS and SS is null; an IST entry goes before both (SDM 3A, 6.14.4)', () => {
  const cpu = fakeCpu();
  enterLongMode(cpu, 3);
  cpu.linear.view.setBigUint64(TSS + 4, 0xb000n, true);
  cpu.linear.view.setBigUint64(TSS + 0x24 + 16, 0xd000n, true);
  gate64(cpu, 0x30, 0x8e);
  gate64(cpu, 0x31, 0x8e, 3);
  deliverWhole(cpu, { vector: 0x30, kind: 'external' });
  expect([cpu.state.gpr[4], cpu.state.segSelector[Seg.SS], cpu.state.cpl]).toEqual([0xb000n - 40n, 0, 0]);
  deliverWhole(cpu, { vector: 0x31, kind: 'external' });
  expect(cpu.state.gpr[4]).toBe(0xd000n - 40n);
});

test('in long mode the handler must be 64-bit code: #GP(selector) (SDM 3A, 6.14.1)', () => {
  const cpu = fakeCpu();
  enterLongMode(cpu);
  gate64(cpu, 0x30, 0xee, 0, Sel.Code0);
  expect(faultOf(() => run(cpu, 'int', { imm: 0x30 }))).toEqual([GP, Sel.Code0]);
  gate64(cpu, 0x30, 0xe5);
  expect(faultOf(() => run(cpu, 'int', { imm: 0x30 }))).toEqual([GP, 0x30 * 8 + 2]);
});

test('an NMI blocks further ones until IRET (SDM 3A, 6.7.1)', () => {
  const cpu = fakeCpu();
  enterLongMode(cpu);
  gate64(cpu, 2, 0x8e);
  deliverWhole(cpu, { vector: 2, kind: 'external' });
  expect(cpu.state.nmiBlocked).toBe(1);
  run(cpu, 'iret', { size: 8 });
  expect(cpu.state.nmiBlocked).toBe(0);
});

test('an interrupt in virtual-8086 mode saves the data segments and makes them null (SDM 3A, 21.3.1.1)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu, 3);
  const { state } = cpu;
  cpu.linear.view.setUint32(TSS + 4, 0xa000, true);
  cpu.linear.view.setUint16(TSS + 8, Sel.Data0, true);
  gate32(cpu, 0x30, 0xee);
  state.flagsSys = Flag.VM | Flag.IOPL;
  [1, 2, 3, 4, 5, 6].forEach((value, segment) => (state.segSelector[segment] = value));
  run(cpu, 'int', { imm: 0x30 });
  expect(frame32(cpu, 9)).toEqual([0x1002, 2, 0x2_3002, 0x9000, 3, 1, 4, 5, 6]);
  expect([state.cpl, state.flagsSys & Flag.VM, state.segSelector[Seg.GS]]).toEqual([0, 0, 0]);
});

test('INT n below IOPL 3 in virtual-8086 mode is #GP(0), unless its redirection bit is clear (SDM 3A, 21.3.3)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu, 3);
  const { state } = cpu;
  state.flagsSys = Flag.VM | Flag.VIF;
  expect(faultOf(() => run(cpu, 'int', { imm: 0x10 }))).toEqual([GP, 0]);
  state.cr4 = 1n;
  cpu.linear.view.setUint16(TSS + 0x66, 0x88, true);
  cpu.linear.view.setUint32(0x40, 0x3000_0050, true);
  run(cpu, 'int', { imm: 0x10 });
  expect([state.segSelector[Seg.CS], state.rip, state.flagsSys]).toEqual([0x3000, 0x50n, Flag.VM]);
  // The saved image shows VIF as IF, and IOPL 3.
  expect(cpu.linear.view.getUint16(Number(state.gpr[4]) + 4, true)).toBe(0x3202);
  cpu.linear.view.setUint8(TSS + 0x68 + 2, 1);
  expect(faultOf(() => run(cpu, 'int', { imm: 0x10 }))).toEqual([GP, 0]);
});

test('BOUND raises #BR outside its bounds, INTO only with OF (SDM 2)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  cpu.linear.view.setInt32(0x8000, -5, true);
  cpu.linear.view.setInt32(0x8004, 7, true);
  const bound = (index: number) => {
    cpu.state.gpr[0] = BigInt.asUintN(32, BigInt(index));
    return faultOf(() => run(cpu, 'bound', { a: gprOffset(0), memory: true, offset: 0x8000n }));
  };
  expect([bound(-5), bound(7)]).toEqual([null, null]);
  expect([bound(-6), bound(8)]).toEqual([
    [Vector.BR, undefined],
    [Vector.BR, undefined],
  ]);
  expect(run(cpu, 'into')).toBe(Outcome.Next);
});

test('a selector fault while an exception is delivered carries EXT; with INT n it does not (SDM 3A, 6.13)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu, 3);
  cpu.linear.view.setUint16(TSS + 8, Sel.Data1, true);
  gate32(cpu, 0x30, 0xee);
  expect(faultOf(() => run(cpu, 'int', { imm: 0x30 }))).toEqual([TS, Sel.Data1]);
});
