import { expect, test } from 'vitest';
import { Flag, Seg } from '../../../vcpu/state.ts';
import { GuestFault, Outcome, Vector } from './cpu.ts';
import { Dr6 } from './debug.ts';
import {
  deliverException,
  enterProtectedMode,
  fakeCpu,
  type FakeCpu,
  faultOf,
  GDT,
  IDT,
  run,
  Sel,
  setDescriptor,
  setGate,
  TSS,
} from './fake-cpu.ts';

const NEW = 0x7000;

/** A 32-bit task at NEW, named by Sel.Free, with flat segments of privilege 0. */
function makeTask(cpu: FakeCpu): DataView {
  setDescriptor(cpu, Sel.Free, NEW, 0x67, 0x0089);
  cpu.linear.view.setUint8(GDT + Sel.Tss + 5, 0x8b);
  const task = new DataView(cpu.linear.view.buffer, NEW, 0x68);
  task.setUint32(0x20, 0x4444, true);
  task.setUint32(0x24, 0x2, true);
  for (let n = 0; n < 8; n++) task.setUint32(0x28 + 4 * n, 0x100 + n, true);
  task.setUint32(0x38, 0xb000, true);
  for (let n = 0; n < 6; n++) task.setUint32(0x48 + 4 * n, n === 1 ? Sel.Code0 : Sel.Data0, true);
  return task;
}

const type = (cpu: FakeCpu, selector: number): number => cpu.linear.view.getUint8(GDT + selector + 5);

test('a jump to a TSS saves this task, loads the other and moves the busy bit (SDM 3A, 8.3)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  makeTask(cpu);
  cpu.state.gpr[3] = 0xbeefn;
  expect(run(cpu, 'jmpf', { selector: Sel.Free })).toBe(Outcome.Changed);
  const { state } = cpu;
  expect([state.rip, state.gpr[0], state.gpr[4], state.segSelector[Seg.TR]]).toEqual([
    0x4444n,
    0x100n,
    0xb000n,
    Sel.Free,
  ]);
  expect([type(cpu, Sel.Tss), type(cpu, Sel.Free)]).toEqual([0x89, 0x8b]);
  expect(state.cr0 & 8n).toBe(8n);
  expect([0x20, 0x34, 0x4c].map((at) => cpu.linear.view.getUint32(TSS + at, true))).toEqual([
    0x1002,
    0xbeef,
    Sel.Code0,
  ]);
});

test('a call nests: NT and back link; IRET returns by it (SDM 3A, 8.4)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  makeTask(cpu);
  run(cpu, 'callf', { selector: Sel.Free });
  const { state } = cpu;
  expect(state.flagsSys & Flag.NT).toBe(Flag.NT);
  expect(cpu.linear.view.getUint16(NEW, true)).toBe(Sel.Tss);
  expect([type(cpu, Sel.Tss), type(cpu, Sel.Free)]).toEqual([0x8b, 0x8b]);
  run(cpu, 'iret', { next: 0x5555n });
  expect([state.rip, state.segSelector[Seg.TR], state.flagsSys & Flag.NT]).toEqual([0x1002n, Sel.Tss, 0]);
  expect([type(cpu, Sel.Tss), type(cpu, Sel.Free)]).toEqual([0x8b, 0x89]);
  // The task that was left goes on behind its IRET, with NT clear.
  expect(cpu.linear.view.getUint32(NEW + 0x20, true)).toBe(0x5555);
  expect(cpu.linear.view.getUint32(NEW + 0x24, true) & Flag.NT).toBe(0);
});

test('a busy TSS is #GP, a short one #TS, and nothing has changed (SDM 3A, table 8-1)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  makeTask(cpu);
  expect(faultOf(() => run(cpu, 'jmpf', { selector: Sel.Tss }))).toEqual([Vector.GP, Sel.Tss]);
  setDescriptor(cpu, Sel.Free, NEW, 0x66, 0x0089);
  expect(faultOf(() => run(cpu, 'jmpf', { selector: Sel.Free }))).toEqual([Vector.TS, Sel.Free]);
  expect(cpu.state.segSelector[Seg.TR]).toBe(Sel.Tss);
});

test('a bad segment in the new task is #TS there (SDM 3A, 8.3, table 8-1)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  const task = makeTask(cpu);
  task.setUint32(0x54, Sel.Code0 + 0x100, true);
  setGate(cpu, IDT + 8 * Vector.TS, Sel.Code0, 0x6000, 0x8e);
  expect(run(cpu, 'jmpf', { selector: Sel.Free })).toBe(Outcome.Changed);
  const { state } = cpu;
  expect([state.rip, state.segSelector[Seg.TR], state.gpr[4]]).toEqual([0x6000n, Sel.Free, 0xb000n - 16n]);
  expect(cpu.linear.view.getUint32(0xaff0, true)).toBe((Sel.Code0 + 0x100) & 0xfffc);
  expect(cpu.linear.view.getUint32(0xaff4, true)).toBe(0x4444);
});

test('the T bit raises #DB before the first instruction, with BT in DR6 (SDM 3B, 18.3.1.5)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  makeTask(cpu).setUint16(0x64, 1, true);
  setGate(cpu, IDT + 8, Sel.Code0, 0x6000, 0x8e);
  cpu.state.dr[7] = 0x7ffn;
  run(cpu, 'jmpf', { selector: Sel.Free });
  expect(cpu.state.rip).toBe(0x6000n);
  expect(Number(cpu.state.dr[6]) & Dr6.BT).toBe(Dr6.BT);
  // Local breakpoints end with the task, global ones don't.
  expect(cpu.state.dr[7]).toBe(0x6aan);
});

test('a task gate takes an exception, whose error code goes on the new stack (SDM 3A, 6.12.2)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  makeTask(cpu);
  setGate(cpu, IDT + 8 * Vector.GP, Sel.Free, 0, 0x85);
  cpu.state.rip = 0x1000n;
  deliverException(cpu, new GuestFault(Vector.GP, 0x18));
  expect([cpu.state.rip, cpu.state.gpr[4]]).toEqual([0x4444n, 0xaffcn]);
  expect(cpu.linear.view.getUint32(0xaffc, true)).toBe(0x18);
  // The task that faulted goes on at the instruction, with RF set.
  expect(cpu.linear.view.getUint32(TSS + 0x20, true)).toBe(0x1000);
  expect(cpu.linear.view.getUint32(TSS + 0x24, true) & Flag.RF).toBe(Flag.RF);
});

test('a 16-bit TSS holds words; IRET with a back link that is not busy is #TS (SDM 3A, 8.6)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  makeTask(cpu);
  setDescriptor(cpu, Sel.Free, NEW, 0x2b, 0x0081);
  const task = new DataView(cpu.linear.view.buffer, NEW, 0x2c);
  task.setUint16(0xe, 0x1234, true);
  task.setUint16(0x10, 2, true);
  task.setUint16(0x12, 0xabcd, true);
  task.setUint16(0x1a, 0xb000, true);
  for (let n = 0; n < 4; n++) task.setUint16(0x22 + 2 * n, n === 1 ? Sel.Code0 : Sel.Data0, true);
  task.setUint16(0x2a, 0, true);
  run(cpu, 'callf', { selector: Sel.Free });
  expect([cpu.state.rip, cpu.state.gpr[0] & 0xffffn, cpu.state.segSelector[Seg.FS]]).toEqual([
    0x1234n,
    0xabcdn,
    0,
  ]);
  cpu.linear.view.setUint8(GDT + Sel.Tss + 5, 0x89);
  expect(faultOf(() => run(cpu, 'iret'))).toEqual([Vector.TS, Sel.Tss]);
});
