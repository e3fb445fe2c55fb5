/** The system instructions that are emitted, in all tiers: Intel SDM 2, each instruction. */
import { describe, expect, test } from 'vitest';
import { Seg, VcpuEvent } from '../../vcpu/state.ts';
import { ExitReason } from '../contract.ts';
import { bareMachine, CODE, NO_INTERRUPTS } from './bare-machine.ts';

const HLT = 0xf4;
const RAX = 0, RCX = 1, RDX = 2, RBX = 3; // prettier-ignore
const TSD = 4n;
const FSGSBASE = 1n << 16n;

describe.each(['0', '1', 'eager'])('tier %s', (tier) => {
  const ticks = 0x1_2345_6789_abcdn;
  const machine = () => {
    const m = bareMachine(NO_INTERRUPTS, { tier, readTsc: () => ticks });
    // Exceptions end in a triple fault, which leaves RIP where they were raised.
    m.state.idtrLimit = 0;
    return m;
  };
  type Machine = ReturnType<typeof machine>;
  let at = CODE;
  /** Runs code, each time at a place of its own. @returns the exit that it ends with */
  const run = (m: Machine, ...code: readonly number[]): ExitReason => {
    at += 64;
    m.load([...code, HLT], at);
    return m.run();
  };
  const raises = (m: Machine, ...code: readonly number[]): boolean =>
    run(m, ...code) === ExitReason.Shutdown && m.state.rip === BigInt(at);

  test('RDTSC and RDTSCP: the TSC with its offset, 32 bits in each register', () => {
    const m = machine();
    m.state.tscOffset = 0xf_0000_0000n;
    m.state.tscAux = 77n;
    m.state.gpr.fill(-1n);
    expect(run(m, 0x0f, 0x31)).toBe(ExitReason.Halt);
    const tsc = ticks + 0xf_0000_0000n;
    const halves = [tsc & 0xffff_ffffn, tsc >> 32n];
    expect([m.state.gpr[RAX], m.state.gpr[RDX]]).toEqual(halves);
    m.state.gpr.fill(-1n);
    expect(run(m, 0x0f, 0x01, 0xf9)).toBe(ExitReason.Halt);
    expect([m.state.gpr[RAX], m.state.gpr[RDX], m.state.gpr[RCX]]).toEqual([...halves, 77n]);
  });

  test('an offset below zero', () => {
    const m = machine();
    m.state.tscOffset = -ticks - 1n;
    run(m, 0x0f, 0x31);
    expect([m.state.gpr[RAX], m.state.gpr[RDX]]).toEqual([0xffff_ffffn, 0xffff_ffffn]);
  });

  test('CR4.TSD keeps the TSC from CPL 3, and from no other code', () => {
    const m = machine();
    m.state.cr4 |= TSD;
    expect(run(m, 0x0f, 0x31)).toBe(ExitReason.Halt);
    m.state.cpl = 3;
    expect(raises(m, 0x0f, 0x31)).toBe(true);
    m.state.cpl = 3;
    expect(raises(m, 0x0f, 0x01, 0xf9)).toBe(true);
  });

  test.each([
    ['RDTSC', [0x0f, 0x31]],
    ['RDTSCP', [0x0f, 0x01, 0xf9]],
  ])('what %s has shown to be due comes before the next instruction', (_, code) => {
    const m = bareMachine(NO_INTERRUPTS, {
      tier,
      readTsc: () => {
        m.state.events = VcpuEvent.Kick;
        return ticks;
      },
    });
    // Then inc ebx.
    m.load([...code, 0xff, 0xc3, HLT]);
    expect(m.cpu.run()).toBe(ExitReason.Interrupted);
    expect([m.state.rip, m.state.gpr[3]]).toEqual([BigInt(CODE + code.length), 0n]);
    expect(m.state.gpr[RAX]).toBe(ticks & 0xffff_ffffn);
  });

  test('and an interrupt with it, also where STI was what let it through last (SDM 2, STI)', () => {
    const seen: bigint[] = [];
    const m = bareMachine(
      {
        ...NO_INTERRUPTS,
        acknowledge: () => {
          seen.push(m.state.gpr[RBX] & 0xffff_ffffn);
          m.state.events = 0;
          return -1;
        },
      },
      {
        tier,
        readTsc: () => {
          m.state.events |= VcpuEvent.Kick | VcpuEvent.Interrupt;
          return ticks;
        },
      },
    );
    m.state.gpr[RBX] = 0n;
    // sti; nop; rdtsc; inc ebx; cli; hlt
    m.load([0xfb, 0x90, 0x0f, 0x31, 0xff, 0xc3, 0xfa, HLT]);
    expect(m.cpu.run()).toBe(ExitReason.Interrupted);
    m.state.events &= ~VcpuEvent.Kick;
    expect(m.run()).toBe(ExitReason.Halt);
    expect([...seen, m.state.gpr[RBX]]).toEqual([0n, 1n]);
  });

  test('SWAPGS exchanges the bases, at CPL 0', () => {
    const m = machine();
    m.state.segBase[Seg.GS] = 1n << 63n;
    m.state.kernelGsBase = 5n;
    expect(run(m, 0x0f, 0x01, 0xf8)).toBe(ExitReason.Halt);
    expect([m.state.segBase[Seg.GS], m.state.kernelGsBase]).toEqual([5n, 1n << 63n]);
    m.state.cpl = 3;
    expect(raises(m, 0x0f, 0x01, 0xf8)).toBe(true);
    expect(m.state.kernelGsBase).toBe(1n << 63n);
  });

  test.each([
    ['FS', Seg.FS, 0],
    ['GS', Seg.GS, 1],
  ])('the base of %s, read and written', (_, segment, number) => {
    const m = machine();
    m.state.cr4 |= FSGSBASE;
    const read = 0xc0 | (number << 3);
    const write = 0xd0 | (number << 3);
    m.state.segBase[segment] = 0xffff_8123_4567_89abn;
    run(m, 0xf3, 0x48, 0x0f, 0xae, read);
    expect(m.state.gpr[RAX]).toBe(0xffff_8123_4567_89abn);
    run(m, 0xf3, 0x0f, 0xae, read);
    expect(m.state.gpr[RAX]).toBe(0x4567_89abn);
    m.state.gpr[RAX] = 0xffff_8000_0000_0001n;
    run(m, 0xf3, 0x0f, 0xae, write);
    expect(m.state.segBase[segment]).toBe(1n);
    run(m, 0xf3, 0x48, 0x0f, 0xae, write);
    expect(m.state.segBase[segment]).toBe(0xffff_8000_0000_0001n);
    m.state.gpr[RAX] = 0x8000_0000_0000n;
    expect(raises(m, 0xf3, 0x48, 0x0f, 0xae, write)).toBe(true);
    expect(m.state.segBase[segment]).toBe(0xffff_8000_0000_0001n);
    m.state.cr4 &= ~FSGSBASE;
    expect(raises(m, 0xf3, 0x48, 0x0f, 0xae, read)).toBe(true);
  });

  test('MOV from segment registers: zero-extended to 32 and 64 bits, 16 bits alone; REX.R is nothing to it', () => {
    const m = machine();
    m.state.segSelector.set([1, 8, 3, 4, 0xfff5, 6]);
    for (const [segment, selector] of [1, 8, 3, 4, 0xfff5, 6].entries()) {
      const modrm = 0xc0 | (segment << 3);
      m.state.gpr[RAX] = -1n;
      expect(run(m, 0x8c, modrm)).toBe(ExitReason.Halt);
      expect(m.state.gpr[RAX]).toBe(BigInt(selector));
      m.state.gpr[RAX] = -1n;
      run(m, 0x4c, 0x8c, modrm);
      expect(m.state.gpr[RAX]).toBe(BigInt(selector));
      m.state.gpr[RAX] = -1n;
      run(m, 0x66, 0x8c, modrm);
      expect(m.state.gpr[RAX]).toBe(BigInt.asUintN(64, -0x1_0000n | BigInt(selector)));
      // mov [rcx], sreg
      m.state.gpr[RCX] = 0x6000n;
      run(m, 0x44, 0x8c, (segment << 3) | 1);
      expect(m.ram.getUint16(0x6000, true)).toBe(selector);
    }
    expect(raises(m, 0x8c, 0xf0)).toBe(true);
  });
});
