import { expect, test } from 'vitest';
import { vcpuLayout } from '../../vcpu/state.ts';
import { RunInternal } from './abi.ts';
import { describeInternalError, describeRegisters } from './describe.ts';

const exit = (suberror: number, count: number, fill: (view: DataView) => void = () => {}): string => {
  const view = new DataView(new ArrayBuffer(8 + 16 * 8));
  view.setUint32(RunInternal.offset.suberror, suberror, true);
  view.setUint32(RunInternal.offset.count, count, true);
  fill(view);
  return describeInternalError(view, 0);
};

test('an instruction that KVM cannot emulate is told by its bytes, where KVM gives them', () => {
  const withBytes = exit(1, 4, (view) => {
    view.setBigUint64(RunInternal.offset.flags, 1n, true);
    view.setUint8(RunInternal.offset.size, 3);
    for (const [i, byte] of [0x0f, 0xc7, 0x0a].entries()) view.setUint8(RunInternal.offset.bytes + i, byte);
  });
  expect(withBytes).toBe('KVM cannot emulate an instruction: 0f c7 0a');
  expect(exit(1, 0)).toBe('KVM cannot emulate an instruction');
});

test('other errors are told with what KVM adds, however much it claims to add', () => {
  const text = exit(3, 2, (view) => view.setBigUint64(RunInternal.offset.flags, 0xabn, true));
  expect(text).toBe('KVM met an exit while it delivered an event (ab, 0)');
  expect(exit(77, 0xffff_ffff)).toMatch(/^KVM has an internal error, 77 \((0, ){15}0\)$/);
});

test('registers are one line', () => {
  const state = vcpuLayout.bind(new SharedArrayBuffer(vcpuLayout.size), 0);
  state.rip = 0xfff0n;
  state.segSelector[1] = 0xf000;
  state.gpr[8] = 0x8888n;
  const line = describeRegisters(state);
  expect(line).toMatch(/^cs:rip f000:fff0, rflags/);
  expect(line).toContain('r8 8888');
  expect(line).not.toContain('\n');
});
