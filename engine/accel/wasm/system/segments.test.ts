import { expect, test } from 'vitest';
import { Flag, Seg } from '../../../vcpu/state.ts';
import { SegAttr } from '../../../vcpu/segment.ts';
import { Outcome, Vector } from './cpu.ts';
import { gprOffset } from './operands.ts';
import {
  enterLongMode,
  enterProtectedMode,
  fakeCpu,
  faultOf,
  GDT,
  run,
  Sel,
  setDescriptor,
} from './fake-cpu.ts';

const { GP, NP, SS, UD } = Vector;
const AX = gprOffset(0);

/** Loads a segment register with MOV. */
const load = (cpu: ReturnType<typeof fakeCpu>, segment: number, selector: number) => {
  cpu.state.gpr[0] = BigInt(selector);
  return run(cpu, 'mov_to_sreg', { a: segment, b: AX });
};

test('real mode: base is sixteen times the selector, the limit stays (SDM 3A, 21.1.1)', () => {
  const cpu = fakeCpu();
  cpu.state.segLimit[Seg.DS] = 0xffff_ffff;
  load(cpu, Seg.DS, 0x1234);
  expect(cpu.state.segBase[Seg.DS]).toBe(0x12340n);
  expect(cpu.state.segLimit[Seg.DS]).toBe(0xffff_ffff);
  expect(cpu.state.segWriteHi[Seg.DS]).toBe(0xffff_ffff);
});

test('virtual-8086 mode: 64 KiB, privilege 3 (SDM 3A, 21.2.1)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu, 3);
  cpu.state.flagsSys |= Flag.VM;
  load(cpu, Seg.ES, 0xf000);
  expect(cpu.state.segBase[Seg.ES]).toBe(0xf0000n);
  expect(cpu.state.segReadHi[Seg.ES]).toBe(0xffff);
  expect(cpu.state.segAttr[Seg.ES]).toBe(0xf3);
});

test('a data segment is loaded with base, limit and rights, and marked accessed (SDM 3A, 3.4.5.1)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  setDescriptor(cpu, Sel.Free, 0x0123_4000, 0x5fff, 0x4092);
  expect(load(cpu, Seg.FS, Sel.Free)).toBe(Outcome.Changed);
  expect(cpu.state.segBase[Seg.FS]).toBe(0x0123_4000n);
  expect(cpu.state.segLimit[Seg.FS]).toBe(0x5fff);
  expect(cpu.state.segAttr[Seg.FS]).toBe(0x4093);
  expect(cpu.linear.view.getUint8(GDT + Sel.Free + 5)).toBe(0x93);
});

test('an expand-down segment is valid above its limit (SDM 3A, 5.3)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  setDescriptor(cpu, Sel.Free, 0, 0xfff, 0x0096);
  load(cpu, Seg.ES, Sel.Free);
  expect([cpu.state.segWriteLo[Seg.ES], cpu.state.segWriteHi[Seg.ES]]).toEqual([0x1000, 0xffff]);
});

test('a null selector loads anything but CS and SS, and leaves nothing to be accessed (SDM 3A, 3.4.2)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  load(cpu, Seg.DS, 3);
  expect(cpu.state.segSelector[Seg.DS]).toBe(3);
  expect(cpu.state.segAttr[Seg.DS] & SegAttr.Unusable).not.toBe(0);
  expect(cpu.state.segReadHi[Seg.DS] < cpu.state.segReadLo[Seg.DS]).toBe(true);
  expect(faultOf(() => load(cpu, Seg.SS, 0))).toEqual([GP, 0]);
});

test('64-bit mode takes a null SS at the privilege its RPL says, below 3 (SDM 2, MOV)', () => {
  const cpu = fakeCpu();
  enterLongMode(cpu);
  expect(faultOf(() => load(cpu, Seg.SS, 0))).toBe(null);
  expect(faultOf(() => load(cpu, Seg.SS, 1))).toEqual([GP, 0]);
  const user = fakeCpu();
  enterLongMode(user, 3);
  expect(faultOf(() => load(user, Seg.SS, 3))).toEqual([GP, 0]);
});

test.each([
  ['beyond the table', Seg.DS, 0x100, [GP, 0x100]],
  ['execute-only code', Seg.DS, Sel.Free, [GP, Sel.Free]],
  ['a system segment', Seg.DS, Sel.Tss, [GP, Sel.Tss]],
  ['not present', Seg.DS, Sel.Absent, [NP, Sel.Absent]],
  ['SS not present', Seg.SS, Sel.Absent, [SS, Sel.Absent]],
  ['SS read-only', Seg.SS, Sel.ReadOnly, [GP, Sel.ReadOnly]],
  ['SS of another privilege', Seg.SS, Sel.Data1, [GP, Sel.Data1]],
  ['SS with another RPL', Seg.SS, Sel.Data0 | 1, [GP, Sel.Data0]],
  ['SS a code segment', Seg.SS, Sel.Code0, [GP, Sel.Code0]],
  ['LDT that is not loaded', Seg.DS, 0x0c, [GP, 0x0c]],
  ['CS', Seg.CS, Sel.Code0, [UD, undefined]],
  ['register 6', 6, Sel.Data0, [UD, undefined]],
] as const)('refused: %s (SDM 2, MOV; 3A, 5.6)', (_, segment, selector, fault) => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  setDescriptor(cpu, Sel.Free, 0, 0xffff, 0x4098);
  cpu.state.segAttr[Seg.LDTR] = SegAttr.Unusable;
  expect(faultOf(() => load(cpu, segment, selector))).toEqual(fault);
  expect(cpu.state.rip).toBe(0x1000n);
});

test('data of an inner privilege is refused, conforming code is not (SDM 3A, 5.6)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu, 3);
  expect(faultOf(() => load(cpu, Seg.DS, Sel.Data0))).toEqual([GP, Sel.Data0]);
  expect(faultOf(() => load(cpu, Seg.DS, Sel.Data0 | 3))).toEqual([GP, Sel.Data0]);
  expect(faultOf(() => load(cpu, Seg.DS, Sel.Conforming | 3))).toBe(null);
});

test('loading SS holds interrupts back for an instruction (SDM 3A, 6.8.3)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  load(cpu, Seg.SS, Sel.Data0);
  expect(cpu.state.interruptShadow).toBe(2);
});

test('LTR marks the TSS busy in the GDT; a busy one is refused (SDM 2, LTR)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  cpu.state.gpr[0] = BigInt(Sel.Tss);
  run(cpu, 'ltr', { a: AX });
  expect(cpu.linear.view.getUint8(GDT + Sel.Tss + 5)).toBe(0x8b);
  expect(cpu.state.segAttr[Seg.TR] & 0xf).toBe(0xb);
  expect(faultOf(() => run(cpu, 'ltr', { a: AX }))).toEqual([GP, Sel.Tss]);
});

test('in long mode a TSS descriptor has 16 bytes, with a 64-bit base (SDM 3A, 8.2.3)', () => {
  const cpu = fakeCpu();
  enterLongMode(cpu);
  cpu.linear.view.setUint32(GDT + Sel.Tss + 8, 0xffff_8000, true);
  cpu.linear.view.setUint32(GDT + Sel.Tss + 12, 0, true);
  cpu.state.gpr[0] = BigInt(Sel.Tss);
  run(cpu, 'ltr', { a: AX });
  expect(cpu.state.segBase[Seg.TR]).toBe(0xffff_8000_0000_5000n);
  cpu.linear.view.setUint8(GDT + Sel.Tss + 5, 0x89);
  cpu.linear.view.setUint32(GDT + Sel.Tss + 12, 0x0100, true);
  expect(faultOf(() => run(cpu, 'ltr', { a: AX }))).toEqual([GP, Sel.Tss]);
});

test('LLDT: null is fine, a descriptor that is no LDT is not; then TI finds its entries (SDM 2, LLDT)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  cpu.state.gpr[0] = BigInt(Sel.Ldt);
  run(cpu, 'lldt', { a: AX });
  cpu.linear.view.setUint32(0x8008, 0x0000_ffff, true);
  cpu.linear.view.setUint32(0x800c, 0x0040_9200, true);
  expect(faultOf(() => load(cpu, Seg.GS, 0x0c))).toBe(null);
  cpu.state.gpr[0] = BigInt(Sel.Data0);
  expect(faultOf(() => run(cpu, 'lldt', { a: AX }))).toEqual([GP, Sel.Data0]);
  cpu.state.gpr[0] = 0n;
  run(cpu, 'lldt', { a: AX });
  expect(faultOf(() => load(cpu, Seg.GS, 0x0c))).toEqual([GP, 0x0c]);
});

test('LAR and LSL give rights and scaled limit, or clear ZF (SDM 2, LAR and LSL)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  const lookup = (name: string, selector: number) => {
    cpu.state.gpr[0] = BigInt(selector);
    cpu.state.gpr[3] = 0xdeadn;
    run(cpu, name, { a: gprOffset(3), b: AX });
    return [cpu.state.flagsRes === 0n, cpu.state.gpr[3]];
  };
  expect(lookup('lar', Sel.Code0)).toEqual([true, 0x00c0_9a00n]);
  expect(lookup('lsl', Sel.Code0)).toEqual([true, 0xffff_ffffn]);
  expect(lookup('lsl', Sel.Tss)).toEqual([true, 0x20ffn]);
  expect(lookup('lar', 0)).toEqual([false, 0xdeadn]);
  expect(lookup('lar', 0x100)).toEqual([false, 0xdeadn]);
  expect(lookup('lar', Sel.Data0 | 3)).toEqual([false, 0xdeadn]);
  expect(lookup('lar', Sel.Conforming | 3)).toEqual([true, 0x00c0_9e00n]);
});

test('VERR, VERW and ARPL (SDM 2)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  const verify = (name: string, selector: number) => {
    cpu.state.gpr[0] = BigInt(selector);
    run(cpu, name, { a: AX });
    return cpu.state.flagsRes === 0n;
  };
  expect([verify('verr', Sel.Code0), verify('verw', Sel.Code0)]).toEqual([true, false]);
  expect([verify('verr', Sel.ReadOnly), verify('verw', Sel.ReadOnly)]).toEqual([true, false]);
  expect(verify('verr', Sel.Tss)).toBe(false);
  cpu.state.gpr[1] = 3n;
  cpu.state.gpr[0] = 0xaaaa_0011n;
  run(cpu, 'arpl', { a: gprOffset(1), b: AX });
  expect([cpu.state.gpr[0], cpu.state.flagsRes]).toEqual([0xaaaa_0013n, 0n]);
  run(cpu, 'arpl', { a: gprOffset(1), b: AX });
  expect(cpu.state.flagsRes).not.toBe(0n);
});

test('selectors mean nothing in real mode: #UD (SDM 2)', () => {
  const cpu = fakeCpu();
  for (const name of ['lar', 'lsl', 'verr', 'verw', 'arpl', 'sldt', 'str', 'lldt', 'ltr']) {
    expect(faultOf(() => run(cpu, name, { a: AX, b: AX }))).toEqual([UD, undefined]);
  }
});

test('CR4.UMIP hides the tables from CPL 3 (SDM 3A, 2.5)', () => {
  const cpu = fakeCpu();
  enterLongMode(cpu, 3);
  const hidden = ['sldt', 'str', 'smsw'];
  for (const name of hidden) expect(faultOf(() => run(cpu, name, { a: AX }))).toBe(null);
  cpu.state.cr4 |= 1n << 11n;
  for (const name of hidden) expect(faultOf(() => run(cpu, name, { a: AX }))).toEqual([GP, 0]);
  for (const name of ['sgdt', 'sidt']) {
    expect(faultOf(() => run(cpu, name, { memory: true, offset: 0x8000n }))).toEqual([GP, 0]);
  }
});
