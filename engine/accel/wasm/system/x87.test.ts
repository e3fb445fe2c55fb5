import { expect, test } from 'vitest';
import { Flag } from '../../../vcpu/state.ts';
import { FloatFlag } from '../float/format.ts';
import { StatusWord } from '../semantics/x87-registers.ts';
import { enterProtectedMode, fakeCpu, faultOf, run, type FakeCpu } from './fake-cpu.ts';
import { Cr0 } from './registers.ts';
import { readStack, writeStack } from './x87-stack.ts';

const AT = 0x1_0000;
const memory = { memory: true, offset: BigInt(AT) } as const;
const words = (cpu: FakeCpu, count: number): number[] =>
  Array.from({ length: count }, (_, i) => cpu.linear.view.getUint16(AT + 2 * i, true));

/** Protected mode, TOP 5, ST(0) = 1, ST(1) = 0, ST(2) a denormal, the rest empty, pointers set. */
function prepared(): FakeCpu {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  const { state } = cpu;
  state.fcw = 0x37f;
  state.fsw = 5 << 11;
  state.ftw = 0;
  writeStack(state, 0, { significand: 1n << 63n, signExponent: 0x3fff });
  writeStack(state, 1, { significand: 0n, signExponent: 0x8000 });
  writeStack(state, 2, { significand: 1n, signExponent: 0 });
  state.fop = 0x5a7;
  state.fip = 0x1234_5678n;
  state.fcs = 0x08;
  state.fdp = 0x9abc_def0n;
  state.fds = 0x10;
  return cpu;
}

// Physical registers 5, 6 and 7: valid, zero, special; the others empty.
const TAGS = 0b10_01_00_11_11_11_11_11;

test('FNSTENV in 32-bit protected format, and what it leaves masked (SDM 1, figure 8-9)', () => {
  const cpu = prepared();
  cpu.state.fcw = 0x340;
  cpu.state.fsw |= FloatFlag.ZE | StatusWord.ES | StatusWord.Busy;
  run(cpu, 'fnstenv', memory);
  const ones = 0xffff;
  expect(words(cpu, 14)).toEqual([
    0x340, ones, 0xa884, ones, TAGS, ones, 0x5678, 0x1234, 0x08, 0x5a7, 0xdef0, 0x9abc, 0x10, ones,
  ]); // prettier-ignore
  expect([cpu.state.fcw, cpu.state.fsw]).toEqual([0x37f, 0x2804]);
});

test('FNSTENV in 16-bit protected format (SDM 1, figure 8-11)', () => {
  const cpu = prepared();
  run(cpu, 'fnstenv', { ...memory, size: 2 });
  expect(words(cpu, 7)).toEqual([0x37f, 0x2800, TAGS, 0x5678, 0x08, 0xdef0, 0x10]);
});

test('in real mode linear addresses and the opcode are stored (SDM 1, figures 8-10 and 8-12)', () => {
  const cpu = prepared();
  const { state } = cpu;
  state.cr0 = 0x10n;
  state.fip = 0x5678n;
  state.fcs = 0x1000;
  state.fdp = 0x0010n;
  state.fds = 0xffff;
  run(cpu, 'fnstenv', { ...memory, size: 2 });
  expect(words(cpu, 7)).toEqual([0x37f, 0x2800, TAGS, 0x5678, 0x15a7, 0x0000, 0x0000]);
  run(cpu, 'fnstenv', memory);
  expect(words(cpu, 14).slice(6)).toEqual([0x5678, 0xffff, 0x15a7, 0, 0x0000, 0xffff, 0x0000, 0x0001]);
});

test('FLDENV takes tags as empty or not, and what is unmasked becomes pending (SDM 2, FLDENV)', () => {
  const cpu = prepared();
  run(cpu, 'fnstenv', memory);
  cpu.linear.view.setUint16(AT, 0x37b, true);
  cpu.linear.view.setUint16(AT + 4, (3 << 11) | FloatFlag.ZE, true);
  cpu.linear.view.setUint16(AT + 8, 0x3fff, true);
  run(cpu, 'fldenv', memory);
  const { state } = cpu;
  expect([state.fcw, state.fsw, state.ftw]).toEqual([0x37b, 0x9884, 0x80]);
  expect([state.fop, state.fip, state.fcs, state.fdp, state.fds]).toEqual([
    0x5a7, 0x1234_5678n, 0x08, 0x9abc_def0n, 0x10,
  ]); // prettier-ignore
});

test('FNSAVE stores the registers from ST(0) on and initialises; FRSTOR brings all back', () => {
  const cpu = prepared();
  const { state } = cpu;
  const before = [state.fcw, state.fsw, state.ftw, state.fip, ...state.fpr.slice(10, 16)];
  run(cpu, 'fnsave', memory);
  expect(cpu.linear.view.getBigUint64(AT + 28, true)).toBe(1n << 63n);
  expect(cpu.linear.view.getUint16(AT + 36, true)).toBe(0x3fff);
  expect([state.fcw, state.fsw, state.ftw, state.fip]).toEqual([0x37f, 0, 0, 0n]);
  state.fpr.fill(7n);
  run(cpu, 'frstor', memory);
  expect([state.fcw, state.fsw, state.ftw, state.fip, ...state.fpr.slice(10, 16)]).toEqual(before);
});

test('waiting instructions report a pending exception first, the others do not (SDM 1, 8.7)', () => {
  const cpu = prepared();
  const { state } = cpu;
  state.cr0 |= BigInt(Cr0.NE);
  state.fsw |= StatusWord.ES | StatusWord.Busy | FloatFlag.IE;
  state.fcw = 0x37e;
  for (const name of ['fldenv', 'frstor', 'fsin', 'fyl2x', 'fptan']) {
    expect(faultOf(() => run(cpu, name, memory))).toEqual([16, undefined]);
  }
  expect(faultOf(() => run(cpu, 'fnstenv', memory))).toBeNull();
  state.fsw |= StatusWord.ES;
  state.cr0 &= ~BigInt(Cr0.NE);
  expect(faultOf(() => run(cpu, 'fsin'))).toEqual([16, undefined]);
  // IGNNE# lets it pass, for as long as the exception is there.
  state.ignne = 1;
  expect(faultOf(() => run(cpu, 'fsin'))).toBeNull();
  run(cpu, 'fnsave', memory);
  expect(state.ignne).toBe(0);
});

test('FSIN beyond 2^63 sets C2 and changes nothing; FPTAN pushes 1.0 (SDM 2, FSIN, FPTAN)', () => {
  const cpu = prepared();
  const { state } = cpu;
  const huge = { significand: 1n << 63n, signExponent: 0x3fff + 63 };
  writeStack(state, 0, huge);
  run(cpu, 'fsin');
  expect([readStack(state, 0), state.fsw]).toEqual([huge, 0x2800 | FloatFlag.C2]);
  writeStack(state, 0, { significand: 0n, signExponent: 0 });
  run(cpu, 'fptan');
  expect(readStack(state, 0)).toEqual({ significand: 1n << 63n, signExponent: 0x3fff });
  expect(state.fsw).toBe(4 << 11);
});

test('FYL2X pops, and an empty ST(1) underflows (SDM 1, 8.5.1.1)', () => {
  const cpu = prepared();
  const { state } = cpu;
  state.ftw = 0x20;
  run(cpu, 'fyl2x');
  expect(readStack(state, 0).signExponent).toBe(0xffff);
  expect([state.fsw, state.ftw]).toEqual([(6 << 11) | FloatFlag.IE | StatusWord.SF, 0x40]);
});

test('virtual-8086 mode has the real format', () => {
  const cpu = prepared();
  cpu.state.flagsSys |= Flag.VM;
  cpu.state.fip = 0n;
  cpu.state.fcs = 0x1234;
  run(cpu, 'fnstenv', { ...memory, size: 2 });
  expect(words(cpu, 5).slice(3)).toEqual([0x2340, 0x15a7]);
});
