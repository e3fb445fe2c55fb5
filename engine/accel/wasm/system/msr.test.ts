import { expect, test } from 'vitest';
import { Seg } from '../../../vcpu/state.ts';
import { Outcome, Vector } from './cpu.ts';
import { CpuModel } from './cpuid.ts';
import { enterLongMode, fakeCpu, faultOf, run } from './fake-cpu.ts';
import { MsrNumber, readMsr, writeMsr } from './msr.ts';

const GP = [Vector.GP, 0];

test('RDMSR and WRMSR go by ECX and EDX:EAX (SDM 2)', () => {
  const cpu = fakeCpu();
  enterLongMode(cpu);
  cpu.state.gpr[0] = 0xffff_ffff_1234_5678n;
  cpu.state.gpr[1] = BigInt(MsrNumber.Lstar);
  cpu.state.gpr[2] = 0xffff_8000n;
  expect(run(cpu, 'wrmsr')).toBe(Outcome.Changed);
  expect(cpu.state.lstar).toBe(0xffff_8000_1234_5678n);
  run(cpu, 'rdmsr');
  expect([cpu.state.gpr[0], cpu.state.gpr[2]]).toEqual([0x1234_5678n, 0xffff_8000n]);
});

test('the bases of FS and GS are segment bases, and do not end a block (SDM 4)', () => {
  const cpu = fakeCpu();
  enterLongMode(cpu);
  cpu.state.gpr[1] = BigInt(MsrNumber.GsBase);
  cpu.state.gpr[0] = 0x1000n;
  cpu.state.gpr[2] = 0n;
  expect(run(cpu, 'wrmsr')).toBe(Outcome.Next);
  expect(cpu.state.segBase[Seg.GS]).toBe(0x1000n);
  cpu.state.kernelGsBase = 0x2000n;
  expect(readMsr(cpu, MsrNumber.KernelGsBase)).toBe(0x2000n);
});

test.each([
  ['a base that is not canonical', MsrNumber.FsBase, 1n << 47n],
  ['an LSTAR that is not canonical', MsrNumber.Lstar, 1n << 63n],
  ['an EFER bit that does not exist', MsrNumber.Efer, 1n << 16n],
  ['EFER.SVME, which is not offered', MsrNumber.Efer, 1n << 12n],
  ['a PAT type that does not exist', MsrNumber.Pat, 2n],
  ['TSC_AUX beyond 32 bits', MsrNumber.TscAux, 1n << 32n],
  ['an MTRR type that does not exist', 0x2ff, 2n],
  ['reserved bits of MTRR_DEF_TYPE', 0x2ff, 0x100n],
  ['a fixed MTRR with a bad type', 0x250, 0x0700n],
  ['a variable MTRR base beyond the physical width', 0x200, 1n << 40n],
  ['a variable MTRR mask with reserved bits', 0x201, 0x400n],
  ['MTRRCAP, which is read-only', 0xfe, 0n],
  ['MCG_CAP, which is read-only', MsrNumber.McgCap, 0n],
  ['IA32_XSS: there are no supervisor components', MsrNumber.Xss, 1n],
  ['a register that does not exist', 0x1234, 0n],
] as const)('refused: %s (SDM 4; APM 2, appendix A)', (_, number, value) => {
  const cpu = fakeCpu();
  enterLongMode(cpu);
  expect(faultOf(() => writeMsr(cpu, number, value))).toEqual(GP);
});

test('registers of features that are not offered are not there', () => {
  const cpu = fakeCpu(new CpuModel('x86-64-v1', [], ['rdtscp', 'tsc_deadline']));
  for (const number of [
    MsrNumber.TscAdjust,
    MsrNumber.TscAux,
    MsrNumber.TscDeadline,
    MsrNumber.Xss,
    0x800,
    0x4321,
  ]) {
    expect(faultOf(() => readMsr(cpu, number))).toEqual(GP);
  }
});

test('EFER.LME cannot change while paging is on, LMA is read-only (APM 2, 3.1.7)', () => {
  const cpu = fakeCpu();
  enterLongMode(cpu);
  const efer = readMsr(cpu, MsrNumber.Efer);
  expect(faultOf(() => writeMsr(cpu, MsrNumber.Efer, efer & ~0x100n))).toEqual(GP);
  writeMsr(cpu, MsrNumber.Efer, (efer & ~0x400n) | 0x800n);
  expect(readMsr(cpu, MsrNumber.Efer)).toBe(efer | 0x800n);
  expect(cpu.flushes).toEqual(['all']);
});

test('writing the TSC moves TSC_ADJUST by as much, and the other way round (SDM 3B, 18.17.3)', () => {
  const cpu = fakeCpu();
  cpu.tsc = 1000n;
  cpu.deadline = 77n;
  writeMsr(cpu, MsrNumber.Tsc, 5000n);
  expect([readMsr(cpu, MsrNumber.Tsc), readMsr(cpu, MsrNumber.TscAdjust)]).toEqual([5000n, 4000n]);
  writeMsr(cpu, MsrNumber.TscAdjust, 0n);
  expect(readMsr(cpu, MsrNumber.Tsc)).toBe(1000n);
  expect(cpu.deadline).toBe(77n);
});

test('MTRRs hold what is valid (SDM 3A, 12.11)', () => {
  const cpu = fakeCpu();
  writeMsr(cpu, 0x2ff, 0xc06n);
  writeMsr(cpu, 0x26f, 0x0506_0506_0506_0506n);
  writeMsr(cpu, 0x20f, 0xff_ffff_f800n);
  expect([0xfe, 0x2ff, 0x26f, 0x20f].map((n) => readMsr(cpu, n))).toEqual([
    0x508n,
    0xc06n,
    0x0506_0506_0506_0506n,
    0xff_ffff_f800n,
  ]);
});

test('OS-visible workarounds: none, with erratum 400 among those answered for (APM 2, appendix A)', () => {
  const cpu = fakeCpu(new CpuModel('x86-64-v1'));
  expect(cpu.model.cpuid(0x8000_0001, 0, cpu.state, cpu.topology)[2] & (1 << 9)).not.toBe(0);
  expect(readMsr(cpu, MsrNumber.OsvwLength)).toBeGreaterThanOrEqual(2n);
  expect(readMsr(cpu, MsrNumber.OsvwStatus)).toBe(0n);
  const without = fakeCpu(new CpuModel('max', [], ['osvw']));
  expect(faultOf(() => readMsr(without, MsrNumber.OsvwLength))).toEqual(GP);
});
