import { expect, test } from 'vitest';
import { Flag, Seg } from '../../../vcpu/state.ts';
import { AccessPending, Outcome, Vector } from './cpu.ts';
import { enterProtectedMode, fakeCpu, faultOf, run, TSS } from './fake-cpu.ts';

const GP = [Vector.GP, 0];

test('IN writes AL, AX or EAX; 32 bits clear the upper half of RAX (SDM 2, IN)', () => {
  const cpu = fakeCpu();
  cpu.portValue = 0x8899_aabb;
  cpu.state.gpr[0] = ~0n;
  cpu.state.gpr[2] = 0xffff_0060n;
  run(cpu, 'in_byte');
  expect(cpu.state.gpr[0]).toBe(0xffff_ffff_ffff_ffbbn);
  run(cpu, 'in', { size: 2 });
  expect(cpu.state.gpr[0]).toBe(0xffff_ffff_ffff_aabbn);
  run(cpu, 'in_imm', { size: 8, imm: -1 });
  expect(cpu.state.gpr[0]).toBe(0x8899_aabbn);
  run(cpu, 'out_byte_imm', { imm: -128 });
  run(cpu, 'out', { size: 4 });
  expect(cpu.written).toEqual([
    [0x80, 1, 0xbb],
    [0x60, 4, 0x8899_aabb],
  ]);
});

test('above IOPL the permission map decides (SDM 1, 18.5.2)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu, 3);
  const { state } = cpu;
  const { view } = cpu.linear;
  view.setUint16(TSS + 0x66, 0x68, true);
  state.gpr[2] = 0x61n;
  view.setUint8(TSS + 0x68 + 0xc, 0b1111_0001);
  expect(faultOf(() => run(cpu, 'in_byte'))).toBe(null);
  expect(faultOf(() => run(cpu, 'in', { size: 2 }))).toBe(null);
  // Ports 0x61 to 0x64: the last is closed.
  expect(faultOf(() => run(cpu, 'in', { size: 4 }))).toEqual(GP);
  // Ports 0x67 and 0x68 lie on both sides of a byte boundary.
  view.setUint8(TSS + 0x68 + 0xc, 0x7f);
  view.setUint8(TSS + 0x68 + 0xd, 1);
  state.gpr[2] = 0x67n;
  expect(faultOf(() => run(cpu, 'in_byte'))).toBe(null);
  expect(faultOf(() => run(cpu, 'in', { size: 2 }))).toEqual(GP);
  state.flagsSys = Flag.IOPL;
  expect(faultOf(() => run(cpu, 'in', { size: 2 }))).toBe(null);
  // In virtual-8086 mode IOPL does not matter.
  state.flagsSys |= Flag.VM;
  expect(faultOf(() => run(cpu, 'in', { size: 2 }))).toEqual(GP);
});

test('ports beyond the limit of the TSS are closed; a 16-bit TSS has no map (SDM 1, 18.5.2)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu, 3);
  cpu.linear.view.setUint16(TSS + 0x66, 0x68, true);
  cpu.state.segLimit[Seg.TR] = 0x68;
  expect(faultOf(() => run(cpu, 'in_imm', { imm: 0 }))).toEqual(GP);
  cpu.state.segLimit[Seg.TR] = 0x69;
  expect(faultOf(() => run(cpu, 'in_imm', { imm: 0 }))).toBe(null);
  cpu.state.segAttr[Seg.TR] = 0x83;
  expect(faultOf(() => run(cpu, 'in_imm', { imm: 0 }))).toEqual(GP);
});

test('REP INS commits an element at a time and runs itself again (SDM 2, INS)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  const { state } = cpu;
  cpu.portValue = 0x1234;
  state.gpr[1] = 2n;
  state.gpr[7] = 0xa000n;
  const insw = { size: 2, rep: 1, addressSize: 4 } as const;
  expect(run(cpu, 'ins', insw)).toBe(Outcome.Changed);
  expect([state.rip, state.gpr[1], state.gpr[7]]).toEqual([0x1000n, 1n, 0xa002n]);
  run(cpu, 'ins', insw);
  expect([state.rip, state.gpr[1], state.gpr[7]]).toEqual([0x1002n, 0n, 0xa004n]);
  expect(cpu.linear.view.getUint32(0xa000, true)).toBe(0x1234_1234);
  expect(run(cpu, 'ins', insw)).toBe(Outcome.Next);
});

test('REP INS offers what lies on the page, and goes on behind what was read', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  const { state } = cpu;
  const asked: number[] = [];
  cpu.ports.inBlock = (_port, bytes, count) => {
    asked.push(count);
    return new Uint8Array(Math.min(count, 3) * bytes).fill(0x40 + asked.length);
  };
  state.gpr[1] = 9n;
  state.gpr[7] = 0xaff2n;
  const insw = { size: 2, rep: 1, addressSize: 4 } as const;
  run(cpu, 'ins', insw);
  expect([state.rip, state.gpr[1], state.gpr[7]]).toEqual([0x1000n, 6n, 0xaff8n]);
  run(cpu, 'ins', insw);
  expect([state.rip, state.gpr[1], state.gpr[7]]).toEqual([0x1000n, 3n, 0xaffen]);
  run(cpu, 'ins', insw);
  // Where the next page faults, what was read before is there.
  cpu.linear.absent.add(0xb);
  expect(faultOf(() => run(cpu, 'ins', insw))).toEqual([Vector.PF, 2]);
  expect([state.gpr[1], state.gpr[7]]).toEqual([2n, 0xb000n]);
  expect(asked).toEqual([7, 4, 1]);
  expect(cpu.linear.view.getUint32(0xaff6, true)).toBe(0x4242_4141);
  expect(cpu.linear.view.getUint16(0xaffe, true)).toBe(0x4343);
});

test.each([
  ['downwards', Flag.DF, 0x9000n],
  ['while single-stepping', Flag.TF, 0x9000n],
  ['at the end of the segment', 0, 0xfffen],
])('%s, elements are transferred one at a time', (_name, flags, offset) => {
  const cpu = fakeCpu();
  const { state } = cpu;
  state.flagsSys = flags;
  state.gpr[1] = 4n;
  state.gpr[6] = offset;
  const asked: number[] = [];
  cpu.ports.outBlock = (_port, _bytes, elements) => (asked.push(elements.length), 1);
  run(cpu, 'outs', { size: 2, rep: 1, addressSize: 4 });
  expect([asked, state.gpr[1]]).toEqual([[2], 3n]);
});

test('INS into a page that faults does not read the port (SDM 2, INS)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  cpu.linear.absent.add(0xa);
  cpu.state.gpr[7] = 0xa000n;
  let reads = 0;
  cpu.ports.in = () => reads++;
  expect(faultOf(() => run(cpu, 'ins_byte'))).toEqual([Vector.PF, 2]);
  expect([reads, cpu.state.gpr[7]]).toEqual([0, 0xa000n]);
});

test('OUTS goes down with DF, and wraps at its address size (SDM 2, OUTS)', () => {
  const cpu = fakeCpu();
  enterProtectedMode(cpu);
  cpu.linear.view.setUint8(0, 0x5a);
  cpu.state.gpr[6] = 0xaaaa_0000n;
  cpu.state.gpr[2] = 0n;
  cpu.state.flagsSys = Flag.DF;
  run(cpu, 'outs_byte', { addressSize: 2 });
  expect(cpu.written).toEqual([[0, 1, 0x5a]]);
  expect(cpu.state.gpr[6]).toBe(0xaaaa_ffffn);
});

test('an access that waits for the run loop changes nothing', () => {
  const cpu = fakeCpu();
  cpu.ports.in = () => {
    throw new AccessPending();
  };
  cpu.state.gpr[7] = 5n;
  cpu.state.gpr[1] = 3n;
  expect(() => run(cpu, 'ins_byte', { rep: 1, addressSize: 2 })).toThrow(AccessPending);
  expect([cpu.state.gpr[1], cpu.state.gpr[7], cpu.state.rip]).toEqual([3n, 5n, 0x1000n]);
});
