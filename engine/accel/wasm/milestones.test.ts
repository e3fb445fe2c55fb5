import { expect, test } from 'vitest';
import { Milestone } from '../../vcpu/boot-timeline.ts';
import { Flag, Seg } from '../../vcpu/state.ts';
import { AWAITED, reached } from './milestones.ts';
import { fakeCpu } from './system/fake-cpu.ts';

/** The names of those that a state shows. */
function shown({ state }: ReturnType<typeof fakeCpu>): string[] {
  const found = reached(state);
  expect(found & ~AWAITED).toBe(0);
  return Object.entries(Milestone).flatMap(([name, milestone]) =>
    ((found >> milestone) & 1) !== 0 ? [name] : [],
  );
}

test('a boot sector, by whatever segment it is reached', () => {
  const cpu = fakeCpu();
  cpu.state.cr0 = 0x10n;
  cpu.state.segBase[Seg.CS] = 0n;
  cpu.state.rip = 0x7c00n;
  expect(shown(cpu)).toEqual(['Loader']);
  cpu.state.segBase[Seg.CS] = 0x7c00n;
  expect(shown(cpu)).toEqual([]);
  cpu.state.rip = 0n;
  expect(shown(cpu)).toEqual(['Loader']);
});

test('modes, a kernel in the upper half, user code', () => {
  const cpu = fakeCpu();
  const { state } = cpu;
  state.cr0 = 0x11n;
  state.rip = 0x7c00n;
  expect(shown(cpu)).toEqual(['ProtectedMode']);
  state.cpl = 3;
  state.flagsSys = Flag.VM;
  expect(shown(cpu)).toEqual(['ProtectedMode']);
  state.flagsSys = 0;
  expect(shown(cpu)).toEqual(['ProtectedMode', 'UserMode']);
  state.efer = 0x500n;
  state.cpl = 0;
  expect(shown(cpu)).toEqual(['ProtectedMode', 'LongMode']);
  state.rip = 0xffff_ffff_8100_0000n;
  expect(shown(cpu)).toEqual(['ProtectedMode', 'Kernel', 'LongMode']);
});
