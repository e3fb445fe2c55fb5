import { expect, test } from 'vitest';
import { Activity, Flag, Seg } from '../../../vcpu/state.ts';
import { Outcome, Vector } from './cpu.ts';
import { enterLongMode, fakeCpu, faultOf, run, Sel } from './fake-cpu.ts';
import { enterSmm } from './smm.ts';

const AREA = 0x3_fe00;

test('SMI: the state is saved in the AMD64 layout and SMBASE + 0x8000 entered (APM 2, 10.2.3, 10.3)', () => {
  const cpu = fakeCpu();
  enterLongMode(cpu, 3);
  const { state } = cpu;
  state.rip = 0x1234n;
  state.gpr[0] = 0x1111_2222_3333_4444n;
  state.gpr[15] = 15n;
  state.flagsSys = Flag.IF;
  enterSmm(cpu);
  const { view } = cpu.linear;
  expect(view.getUint32(AREA + 0xfc, true)).toBe(0x2_0064);
  expect(view.getUint32(AREA + 0x100, true)).toBe(0x3_0000);
  expect(view.getBigUint64(AREA + 0x1f8, true)).toBe(0x1111_2222_3333_4444n);
  expect(view.getBigUint64(AREA + 0x180, true)).toBe(15n);
  expect(view.getBigUint64(AREA + 0x178, true)).toBe(0x1234n);
  expect(view.getUint16(AREA + 0x10, true)).toBe(Sel.User64);
  expect(view.getUint16(AREA + 0x12, true)).toBe(0xa0fb);
  expect([state.rip, state.segSelector[Seg.CS], state.segBase[Seg.CS]]).toEqual([0x8000n, 0x3000, 0x3_0000n]);
  expect([state.cr4, state.efer, state.flagsSys, state.cpl, state.smm]).toEqual([0n, 0n, 0, 0, 1]);
  expect(Number(state.cr0) & 1).toBe(0);
  expect([state.segLimit[Seg.DS], state.segWriteHi[Seg.DS]]).toEqual([0xffff_ffff, 0xffff_ffff]);
});

test('RSM restores all of it, with SMBASE moved (APM 2, 10.4; SDM 3C, 32.11)', () => {
  const cpu = fakeCpu();
  enterLongMode(cpu, 3);
  const { state } = cpu;
  const before = new Uint8Array(state.gpr.buffer.byteLength);
  state.rip = 0x1234n;
  state.flagsSys = Flag.IF;
  before.set(new Uint8Array(state.gpr.buffer));
  enterSmm(cpu);
  cpu.linear.view.setUint32(AREA + 0x100, 0xa_0000, true);
  expect(run(cpu, 'rsm')).toBe(Outcome.Changed);
  expect(state.smbase).toBe(0xa_0000);
  state.smbase = 0x3_0000;
  expect(new Uint8Array(state.gpr.buffer)).toEqual(new Uint8Array(before.buffer));
});

test('a halted processor halts again unless the handler says otherwise (APM 2, 10.3.8)', () => {
  const cpu = fakeCpu();
  cpu.state.activity = Activity.Halted;
  enterSmm(cpu);
  expect(cpu.state.activity).toBe(Activity.Running);
  expect(run(cpu, 'rsm')).toBe(Outcome.Halt);
  cpu.state.activity = Activity.Halted;
  enterSmm(cpu);
  cpu.linear.view.setUint8(AREA + 0xc9, 0);
  expect(run(cpu, 'rsm')).toBe(Outcome.Changed);
});

test('RSM outside SMM is #UD; with an impossible state it shuts down (SDM 3C, 32.15)', () => {
  const cpu = fakeCpu();
  expect(faultOf(() => run(cpu, 'rsm'))).toEqual([Vector.UD, undefined]);
  enterSmm(cpu);
  cpu.linear.view.setUint32(AREA + 0x158, 0x8000_0010, true);
  expect(run(cpu, 'rsm')).toBe(Outcome.Shutdown);
});

test('NMIs are blocked in SMM, and as before after it (APM 2, 10.3.3)', () => {
  const cpu = fakeCpu();
  enterSmm(cpu);
  expect(cpu.state.nmiBlocked).toBe(1);
  run(cpu, 'rsm');
  expect(cpu.state.nmiBlocked).toBe(0);
});
