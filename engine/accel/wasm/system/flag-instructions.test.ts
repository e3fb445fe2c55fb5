import { expect, test } from 'vitest';
import { Flag } from '../../../vcpu/state.ts';
import { Outcome, Vector } from './cpu.ts';
import { enterProtectedMode, fakeCpu, faultOf, run } from './fake-cpu.ts';
import { ALL_FLAGS, readFlags, writeFlags } from './flags.ts';

const GP = [Vector.GP, 0];

test('flags are kept as what they follow from, and read back as they were written (SDM 1, 3.4.3)', () => {
  const { state } = fakeCpu();
  expect(readFlags(state)).toBe(2);
  const arithmetic = [Flag.CF, Flag.PF, Flag.AF, Flag.ZF, Flag.SF, Flag.OF];
  for (let n = 0; n < 64; n++) {
    const word = arithmetic.reduce((sum, flag, i) => ((n >> i) & 1 ? sum | flag : sum), 0);
    writeFlags(state, word);
    expect(readFlags(state)).toBe(word | 2);
  }
  writeFlags(state, ~0);
  expect(readFlags(state)).toBe(ALL_FLAGS | 2);
  writeFlags(state, 0, Flag.ZF);
  expect(readFlags(state)).toBe((ALL_FLAGS & ~Flag.ZF) | 2);
});

test('flags follow from results as emitted code leaves them', () => {
  const { state } = fakeCpu();
  state.flagsRes = -1n;
  state.flagsAux = 0xc000_0008;
  expect(readFlags(state)).toBe(2 | Flag.SF | Flag.PF | Flag.CF | Flag.AF);
  state.flagsRes = -0x8000_0000n;
  state.flagsAux = 0x4000_0000;
  expect(readFlags(state)).toBe(2 | Flag.SF | Flag.PF | Flag.OF);
});

test('CLI and STI: #GP(0) above IOPL, VIF with CR4.PVI at CPL 3 (SDM 2, table 3-7)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu, 3);
  const { state } = cpu;
  expect(faultOf(() => run(cpu, 'cli_slow'))).toEqual(GP);
  expect(faultOf(() => run(cpu, 'sti_slow'))).toEqual(GP);
  state.cr4 = 2n;
  run(cpu, 'sti_slow');
  expect(state.flagsSys).toBe(Flag.VIF);
  run(cpu, 'cli_slow');
  expect(state.flagsSys).toBe(0);
  state.flagsSys = Flag.VIP;
  expect(faultOf(() => run(cpu, 'sti_slow'))).toEqual(GP);
  state.flagsSys = Flag.IOPL;
  expect(run(cpu, 'sti_slow')).toBe(Outcome.Changed);
  expect([state.flagsSys, state.interruptShadow]).toEqual([Flag.IOPL | Flag.IF, 1]);
});

test('virtual-8086 mode: CLI needs IOPL 3, or CR4.VME and then works on VIF (SDM 3A, 21.3.3.3)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu, 3);
  const { state } = cpu;
  state.flagsSys = Flag.VM | Flag.VIF;
  expect(faultOf(() => run(cpu, 'cli_slow'))).toEqual(GP);
  state.cr4 = 1n;
  run(cpu, 'cli_slow');
  expect(state.flagsSys).toBe(Flag.VM);
});

test('PUSHF and POPF below IOPL 3 in virtual-8086 mode show VIF as IF under VME (SDM 2, PUSHF, POPF)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu, 3);
  const { state } = cpu;
  state.flagsSys = Flag.VM | Flag.VIF;
  expect(faultOf(() => run(cpu, 'pushf_slow', { size: 2 }))).toEqual(GP);
  expect(faultOf(() => run(cpu, 'popf_slow', { size: 2 }))).toEqual(GP);
  state.cr4 = 1n;
  run(cpu, 'pushf_slow', { size: 2 });
  expect(cpu.linear.view.getUint16(0x8ffe, true)).toBe(0x3202);
  expect(faultOf(() => run(cpu, 'pushf_slow', { size: 4 }))).toEqual(GP);
  cpu.linear.view.setUint16(0x8ffe, 0x0001, true);
  run(cpu, 'popf_slow', { size: 2 });
  expect([state.flagsSys, state.gpr[4], readFlags(state) & 1]).toEqual([Flag.VM, 0x9000n, 1]);
  state.flagsSys |= Flag.VIP;
  state.gpr[4] = 0x8ffen;
  cpu.linear.view.setUint16(0x8ffe, Flag.IF, true);
  expect(faultOf(() => run(cpu, 'popf_slow', { size: 2 }))).toEqual(GP);
});

test('POPF at CPL 3 leaves IOPL, and IF above it; RF is cleared (SDM 2, POPF)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu, 3);
  cpu.state.flagsSys = Flag.RF;
  cpu.linear.view.setUint32(0x9000, 0x7fffd7, true);
  run(cpu, 'popf_slow');
  expect(cpu.state.flagsSys).toBe(Flag.TF | Flag.DF | Flag.NT | Flag.AC | Flag.ID);
});
