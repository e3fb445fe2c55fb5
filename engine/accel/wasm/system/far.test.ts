import { expect, test } from 'vitest';
import { Flag, Seg } from '../../../vcpu/state.ts';
import { loadSegment } from '../../../vcpu/segment.ts';
import { Outcome, Vector } from './cpu.ts';
import {
  enterLongMode,
  enterProtectedMode,
  fakeCpu,
  type FakeCpu,
  faultOf,
  GDT,
  run,
  Sel,
  setDescriptor,
  setGate,
  TSS,
} from './fake-cpu.ts';

const { GP, NP, TS } = Vector;

/** The doublewords at the top of the stack. */
const stack32 = (cpu: FakeCpu, count: number): number[] =>
  Array.from({ length: count }, (_, i) => cpu.linear.view.getUint32(Number(cpu.state.gpr[4]) + 4 * i, true));
const stack64 = (cpu: FakeCpu, count: number): bigint[] =>
  Array.from({ length: count }, (_, i) =>
    cpu.linear.view.getBigUint64(Number(cpu.state.gpr[4]) + 8 * i, true),
  );

/** A stack for privilege 0 in the 32-bit TSS. */
function setInnerStack(cpu: FakeCpu): void {
  cpu.linear.view.setUint32(TSS + 4, 0xa000, true);
  cpu.linear.view.setUint16(TSS + 8, Sel.Data0, true);
}

test('a far jump in real mode loads CS and IP (SDM 2, JMP)', () => {
  const cpu = fakeCpu();
  expect(run(cpu, 'jmpf', { size: 2, selector: 0x1000, imm: 0x234 })).toBe(Outcome.Changed);
  expect([cpu.state.segBase[Seg.CS], cpu.state.rip]).toEqual([0x10000n, 0x234n]);
  expect(faultOf(() => run(cpu, 'jmpf', { size: 4, selector: 0x1000, imm: 0x1_0000 }))).toEqual([GP, 0]);
});

test('a far call in real mode pushes CS and IP, RETF takes them back (SDM 2, CALL and RET)', () => {
  const cpu = fakeCpu();
  cpu.state.gpr[4] = 0x8000n;
  run(cpu, 'callf', { size: 2, selector: 0x1000, imm: 0x20 });
  expect(stack32(cpu, 1)).toEqual([0xf000_1002]);
  run(cpu, 'retf', { size: 2 });
  expect([cpu.state.segSelector[Seg.CS], cpu.state.rip, cpu.state.gpr[4]]).toEqual([
    0xf000,
    0x1002n,
    0x8000n,
  ]);
});

test.each([
  ['null', 0, [GP, 0]],
  ['beyond the table', 0x100, [GP, 0x100]],
  ['data', Sel.Data0, [GP, Sel.Data0]],
  ['code of another privilege', Sel.Code1, [GP, Sel.Code1]],
  ['RPL above CPL', Sel.Code0 | 3, [GP, Sel.Code0]],
  ['code not present', Sel.Free, [NP, Sel.Free]],
] as const)('a jump refused: %s (SDM 2, JMP)', (_, selector, fault) => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  setDescriptor(cpu, Sel.Free, 0, 0xffff, 0x401a);
  expect(faultOf(() => run(cpu, 'jmpf', { selector, imm: 0 }))).toEqual(fault);
});

test('a jump beyond the limit of the new segment is #GP(0) (SDM 2, JMP)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  setDescriptor(cpu, Sel.Free, 0, 0xffff, 0x409a);
  expect(faultOf(() => run(cpu, 'jmpf', { selector: Sel.Free, imm: 0x1_0000 }))).toEqual([GP, 0]);
  expect(cpu.state.segSelector[Seg.CS]).toBe(Sel.Code0);
});

test('a call gate to an inner privilege switches stacks and copies parameters (SDM 3A, 5.8.5)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu, 3);
  setInnerStack(cpu);
  setGate(cpu, GDT + Sel.Free, Sel.Code0, 0x4567, 0xec, 2);
  cpu.linear.view.setUint32(0x9000, 0x1111, true);
  cpu.linear.view.setUint32(0x9004, 0x2222, true);
  run(cpu, 'callf', { selector: Sel.Free | 3, imm: 0x9999 });
  const { state } = cpu;
  expect([state.cpl, state.segSelector[Seg.CS], state.segSelector[Seg.SS]]).toEqual([
    0,
    Sel.Code0,
    Sel.Data0,
  ]);
  expect([state.rip, state.gpr[4]]).toEqual([0x4567n, 0xa000n - 24n]);
  expect(stack32(cpu, 6)).toEqual([0x1002, Sel.Code3, 0x1111, 0x2222, 0x9000, Sel.Data3]);
  // RETF 8 drops the parameters on both stacks and what the outer privilege may not keep.
  run(cpu, 'retf_imm', { imm: 8 });
  expect([state.cpl, state.rip, state.gpr[4], state.segSelector[Seg.SS]]).toEqual([
    3,
    0x1002n,
    0x9008n,
    Sel.Data3,
  ]);
});

test('a call gate that CPL or RPL may not use is #GP(gate) (SDM 3A, 5.8.4)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu, 3);
  setGate(cpu, GDT + Sel.Free, Sel.Code0, 0x4567, 0x8c);
  expect(faultOf(() => run(cpu, 'callf', { selector: Sel.Free }))).toEqual([GP, Sel.Free]);
  setGate(cpu, GDT + Sel.Free, Sel.Code0, 0x4567, 0x6c);
  expect(faultOf(() => run(cpu, 'callf', { selector: Sel.Free }))).toEqual([NP, Sel.Free]);
});

test('a stack switch with a bad SS in the TSS is #TS(SS); a short TSS #TS(TR) (SDM 2, CALL)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu, 3);
  setInnerStack(cpu);
  setGate(cpu, GDT + Sel.Free, Sel.Code0, 0x4567, 0xec);
  cpu.linear.view.setUint16(TSS + 8, Sel.Data1, true);
  expect(faultOf(() => run(cpu, 'callf', { selector: Sel.Free }))).toEqual([TS, Sel.Data1 & ~3]);
  cpu.state.segLimit[Seg.TR] = 8;
  expect(faultOf(() => run(cpu, 'callf', { selector: Sel.Free }))).toEqual([TS, Sel.Tss]);
  expect(cpu.state.cpl).toBe(3);
});

test('a 64-bit call gate takes RSP from the TSS, leaves SS null and pushes quadwords (SDM 3A, 5.8.5.1)', () => {
  const cpu = fakeCpu();
  enterLongMode(cpu, 3);
  cpu.linear.view.setBigUint64(TSS + 4, 0xb000n, true);
  setGate(cpu, GDT + Sel.Free, Sel.Code64, 0x4567, 0xec);
  cpu.linear.view.setUint32(GDT + Sel.Free + 8, 0x1234, true);
  run(cpu, 'callf', { selector: Sel.Free });
  const { state } = cpu;
  expect([state.rip, state.cpl, state.segSelector[Seg.SS]]).toEqual([0x1234_0000_4567n, 0, 0]);
  expect(stack64(cpu, 4)).toEqual([0x1002n, BigInt(Sel.User64), 0x9000n, BigInt(Sel.Data3)]);
});

test('long mode refuses TSS and task gates in far transfers (SDM 3A, 8.7)', () => {
  const cpu = fakeCpu();
  enterLongMode(cpu);
  expect(faultOf(() => run(cpu, 'jmpf', { selector: Sel.Tss }))).toEqual([GP, Sel.Tss]);
});

test('a segment with L and D is refused in long mode (SDM 3A, 5.2.1)', () => {
  const cpu = fakeCpu();
  enterLongMode(cpu);
  setDescriptor(cpu, Sel.Free, 0, 0xffff_ffff, 0xe09a);
  expect(faultOf(() => run(cpu, 'jmpf', { selector: Sel.Free }))).toEqual([GP, Sel.Free]);
});

test('IRET loads flags by privilege: IOPL needs CPL 0, IF needs CPL <= IOPL (SDM 2, IRET)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu, 3);
  const frame = (flags: number) => {
    cpu.state.gpr[4] = 0x9000n;
    [0x777, Sel.Code3, flags].forEach((word, i) => cpu.linear.view.setUint32(0x9000 + 4 * i, word, true));
  };
  frame(0x3ed7);
  run(cpu, 'iret');
  expect(cpu.state.flagsSys & (Flag.IF | Flag.IOPL)).toBe(0);
  expect([cpu.state.rip, cpu.state.gpr[4]]).toEqual([0x777n, 0x900cn]);
  expect(cpu.state.flagsAux >>> 31).toBe(1);
});

test('IRET in 64-bit mode always pops SS:RSP; a null SS will do below CPL 3 (SDM 3A, 6.14.3)', () => {
  const cpu = fakeCpu();
  enterLongMode(cpu);
  const words = [0x777n, BigInt(Sel.Code64), 0x202n, 0xc000n, 0n];
  words.forEach((word, i) => cpu.linear.view.setBigUint64(0x9000 + 8 * i, word, true));
  cpu.state.nmiBlocked = 1;
  run(cpu, 'iret', { size: 8 });
  expect([cpu.state.gpr[4], cpu.state.segSelector[Seg.SS], cpu.state.nmiBlocked]).toEqual([0xc000n, 0, 0]);
  cpu.state.flagsSys |= Flag.NT;
  expect(faultOf(() => run(cpu, 'iret', { size: 8 }))).toEqual([GP, 0]);
});

test('IRET to an outer privilege makes inner data segments null (SDM 2, IRET)', () => {
  const cpu = fakeCpu();
  enterLongMode(cpu);
  loadSegment(cpu.state, Seg.ES, { selector: Sel.Data3, base: 0n, limit: 0xffff_ffff, attr: 0xc0f3 });
  const words = [0x777n, BigInt(Sel.User64), 0x202n, 0xc000n, BigInt(Sel.Data3)];
  words.forEach((word, i) => cpu.linear.view.setBigUint64(0x9000 + 8 * i, word, true));
  run(cpu, 'iret', { size: 8 });
  expect(cpu.state.cpl).toBe(3);
  expect([cpu.state.segSelector[Seg.DS], cpu.state.segSelector[Seg.ES]]).toEqual([0, Sel.Data3]);
});

test('IRET from CPL 0 with VM set enters virtual-8086 mode (SDM 3A, 21.2.5)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  const words = [0x100, 0x2000, 0x2_3202, 0xfff0, 0x3000, 1, 2, 3, 4];
  words.forEach((word, i) => cpu.linear.view.setUint32(0x9000 + 4 * i, word, true));
  run(cpu, 'iret');
  const { state } = cpu;
  expect([state.cpl, state.flagsSys & Flag.VM, state.segBase[Seg.CS]]).toEqual([3, Flag.VM, 0x20000n]);
  expect(Array.from(state.segSelector.subarray(0, 6))).toEqual([1, 0x2000, 0x3000, 2, 3, 4]);
  expect(state.gpr[4]).toBe(0xfff0n);
});
