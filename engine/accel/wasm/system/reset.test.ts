import { expect, test } from 'vitest';
import { Activity, Seg } from '../../../vcpu/state.ts';
import { CpuModel } from './cpuid.ts';
import { fakeCpu } from './fake-cpu.ts';
import { readFlags } from './flags.ts';
import { initState, resetState } from './reset.ts';

test('after power-up the first instruction is at 0xfffffff0 (SDM 3A, 10.1.4, table 10-1)', () => {
  const { state } = fakeCpu();
  expect([state.segBase[Seg.CS] + state.rip, state.segSelector[Seg.CS]]).toEqual([0xffff_fff0n, 0xf000]);
  expect([readFlags(state), state.cr0, state.gpr[2]]).toEqual([2, 0x6000_0010n, 0x60fb1n]);
  expect([state.dr[6], state.dr[7], state.xcr0, state.mxcsr]).toEqual([0xffff_0ff0n, 0x400n, 1n, 0x1f80]);
  expect([state.idtrLimit, state.apicBase, state.activity]).toEqual([0xffff, 0xfee0_0900n, Activity.Running]);
  expect(state.segWriteHi[Seg.DS]).toBe(0xffff);
});

test('other processors wait for a start-up IPI and are not the bootstrap one (SDM 3A, 10.4)', () => {
  const { state } = fakeCpu(new CpuModel('max'), 3);
  expect([state.activity, state.apicBase, state.index]).toEqual([Activity.WaitForSipi, 0xfee0_0800n, 3]);
});

test('INIT keeps x87, SSE, MSRs, SMBASE and CR0.CD, and resets the rest (SDM 3A, table 10-1)', () => {
  const { state, model } = fakeCpu();
  state.cr0 = 0x8000_0011n;
  state.lstar = 5n;
  state.efer = 0x500n;
  state.mxcsr = 0x1fa0;
  state.smbase = 0xa_0000;
  state.gpr[0] = 1n;
  initState(state, { index: 0, model });
  expect([state.cr0, state.efer, state.gpr[0]]).toEqual([0x10n, 0n, 0n]);
  expect([state.lstar, state.mxcsr, state.smbase]).toEqual([5n, 0x1fa0, 0xa_0000]);
});

test('a reset keeps what has been requested of the processor', () => {
  const { state, model } = fakeCpu();
  state.events = 0x20;
  resetState(state, { index: 0, model });
  expect(state.events).toBe(0x20);
});
