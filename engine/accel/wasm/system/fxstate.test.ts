import { expect, test } from 'vitest';
import { vcpuLayout, type VcpuState } from '../../../vcpu/state.ts';
import { fxrstor, fxsave, initX87, type StateArea, type StateFormat } from './fxstate.ts';
import { Component, xrstor, xsave } from './xsave.ts';

const LONG: StateFormat = { pointers64: true, registers: 16 };
const LEGACY: StateFormat = { pointers64: false, registers: 8 };
const BOTH = { supervisor: false, compaction: true };

function newState(): VcpuState {
  const state = vcpuLayout.bind(new SharedArrayBuffer(vcpuLayout.size), 0);
  initX87(state);
  state.mxcsr = 0x1f80;
  state.xcr0 = Component.X87 | Component.SSE | Component.AVX;
  return state;
}

/** A state in which every register differs from the others and from its initial value. */
function busyState(): VcpuState {
  const state = newState();
  state.fcw = 0x27f;
  state.fsw = 0x3000 | 0x0141;
  state.ftw = 0xa5;
  state.fop = 0x123;
  state.fip = 0x1122_3344_5566_7788n;
  state.fdp = 0x99aa_bbcc_ddee_ff00n;
  state.fcs = 0x33;
  state.fds = 0x2b;
  state.mxcsr = 0x9fa5;
  for (let i = 0; i < 8; i++) {
    state.fpr[2 * i] = BigInt(i + 1) << 60n;
    state.fpr[2 * i + 1] = BigInt(0x4000 + i);
  }
  for (let i = 0; i < 64; i++) state.ymm[i] = BigInt(i + 1) * 0x0101_0101_0101_0101n;
  return state;
}

/** An area of ones, so that what is not written shows. */
function newArea(): StateArea & { readonly bytes: Uint8Array; readonly view: DataView } {
  const bytes = new Uint8Array(1024).fill(0xff);
  return {
    bytes,
    view: new DataView(bytes.buffer),
    read: (offset, length) => bytes.slice(offset, offset + length),
    write: (offset, data) => bytes.set(data, offset),
  };
}

/** An area whose header is zero, as programs prepare it for XSAVE. */
function preparedArea() {
  const area = newArea();
  area.bytes.fill(0, 512, 576);
  return area;
}

const contents = (state: VcpuState) => ({
  x87: [state.fcw, state.fsw, state.ftw, state.fop, state.fip, state.fdp, [...state.fpr]],
  mxcsr: state.mxcsr,
  ymm: [...state.ymm],
});

test('FXSAVE with 64-bit pointers: SDM 2, table 3-45', () => {
  const area = newArea();
  fxsave(busyState(), area, LONG);
  expect(area.view.getUint16(0, true)).toBe(0x27f);
  expect(area.view.getUint16(2, true)).toBe(0x3141);
  expect(area.view.getUint8(4)).toBe(0xa5);
  expect(area.view.getUint8(5)).toBe(0);
  expect(area.view.getUint16(6, true)).toBe(0x123);
  expect(area.view.getBigUint64(8, true)).toBe(0x1122_3344_5566_7788n);
  expect(area.view.getBigUint64(16, true)).toBe(0x99aa_bbcc_ddee_ff00n);
  expect(area.view.getUint32(24, true)).toBe(0x9fa5);
  expect(area.view.getUint32(28, true)).toBe(0xffff);
  // ST(0) is physical register TOP, here 6.
  expect(area.view.getBigUint64(32, true)).toBe(7n << 60n);
  expect(area.view.getBigUint64(40, true)).toBe(0x4006n);
  expect(area.view.getBigUint64(32 + 16 * 2, true)).toBe(1n << 60n);
  // XMM1 is the lower half of the second vector register.
  expect(area.view.getBigUint64(176, true)).toBe(0x0505_0505_0505_0505n);
  expect(area.bytes.subarray(416).every((byte) => byte === 0xff)).toBe(true);
});

test('FXSAVE with 32-bit pointers has selectors, and outside 64-bit mode eight XMM registers', () => {
  const area = newArea();
  fxsave(busyState(), area, LEGACY);
  expect(area.view.getUint32(8, true)).toBe(0x5566_7788);
  expect(area.view.getUint32(12, true)).toBe(0x33);
  expect(area.view.getUint32(16, true)).toBe(0xddee_ff00);
  expect(area.view.getUint32(20, true)).toBe(0x2b);
  expect(area.bytes.subarray(288, 416).every((byte) => byte === 0xff)).toBe(true);
});

test('FXRSTOR gives back what FXSAVE saved, upper halves of YMM registers excepted', () => {
  const area = newArea();
  const saved = busyState();
  fxsave(saved, area, LONG);
  const state = newState();
  expect(fxrstor(state, area, LONG)).toBe('done');
  for (let i = 0; i < 64; i++) if (i & 2) saved.ymm[i] = 0n;
  expect(contents(state)).toEqual(contents(saved));
});

test('FXRSTOR derives the exception summary from exceptions and masks, and fixes reserved control bits', () => {
  const area = newArea();
  fxsave(newState(), area, LONG);
  for (const [fcw, fsw, expected] of [
    [0x37e, 0x0001, 0x8081],
    [0x37f, 0x8081, 0x0001],
  ] as const) {
    area.view.setUint16(0, fcw | 0xe080, true);
    area.view.setUint16(2, fsw, true);
    const state = newState();
    expect(fxrstor(state, area, LONG)).toBe('done');
    expect([state.fcw, state.fsw]).toEqual([fcw, expected]);
  }
});

test('FXRSTOR raises #GP for reserved bits of MXCSR and changes nothing', () => {
  const area = newArea();
  fxsave(newState(), area, LONG);
  area.view.setUint32(24, 0x1_0000, true);
  const state = busyState();
  expect(fxrstor(state, area, LONG)).toBe('general-protection');
  expect(contents(state)).toEqual(contents(busyState()));
});

test('FXRSTOR reads all 512 bytes before it changes anything', () => {
  const area = newArea();
  fxsave(newState(), area, LONG);
  const state = busyState();
  const read = (offset: number, length: number): Uint8Array => {
    if (offset + length > 416) throw new Error('page fault');
    return area.read(offset, length);
  };
  expect(() => fxrstor(state, { read }, LONG)).toThrow('page fault');
  expect(contents(state)).toEqual(contents(busyState()));
});

test('XSAVE in standard form: XSTATE_BV tells what is in use, other bits of it stay (SDM 1, 13.7)', () => {
  const area = preparedArea();
  area.view.setBigUint64(512, Component.X87 | Component.AVX, true);
  const state = newState();
  state.ymm[0] = 5n;
  xsave(state, area, LONG, Component.SSE | Component.AVX, 'xsave');
  expect(area.view.getBigUint64(512, true)).toBe(Component.X87 | Component.SSE);
  expect(area.view.getBigUint64(520, true)).toBe(0n);
  expect(area.view.getBigUint64(160, true)).toBe(5n);
  // AVX is saved although initial, x87 was not asked for.
  expect(area.view.getBigUint64(576, true)).toBe(0n);
  expect(area.view.getUint16(0, true)).toBe(0xffff);
});

test('XSAVEOPT writes no component in its initial state, but MXCSR (SDM 1, 13.9)', () => {
  const area = preparedArea();
  xsave(newState(), area, LONG, -1n, 'xsaveopt');
  expect(area.view.getBigUint64(512, true)).toBe(0n);
  expect(area.view.getUint16(0, true)).toBe(0xffff);
  expect(area.view.getUint32(24, true)).toBe(0x1f80);
  expect(area.bytes.subarray(576).every((byte) => byte === 0xff)).toBe(true);
});

test('XSAVEC names the requested components in XCOMP_BV; MXCSR belongs to SSE (SDM 1, 13.10)', () => {
  const area = newArea();
  const state = newState();
  xsave(state, area, LONG, -1n, 'xsavec');
  expect(area.view.getBigUint64(512, true)).toBe(0n);
  expect(area.view.getBigUint64(520, true)).toBe((1n << 63n) | 7n);
  expect(area.view.getUint32(24, true)).toBe(0xffff_ffff);
  state.mxcsr = 0x1fa0;
  xsave(state, area, LONG, Component.SSE, 'xsavec');
  expect(area.view.getBigUint64(512, true)).toBe(Component.SSE);
  expect(area.view.getBigUint64(520, true)).toBe((1n << 63n) | 2n);
  expect(area.view.getUint32(24, true)).toBe(0x1fa0);
});

test('only components enabled in XCR0 are saved', () => {
  const area = preparedArea();
  const state = busyState();
  state.xcr0 = Component.X87 | Component.SSE;
  xsave(state, area, LONG, -1n, 'xsave');
  expect(area.view.getBigUint64(512, true)).toBe(3n);
  expect(area.bytes.subarray(576).every((byte) => byte === 0xff)).toBe(true);
});

test.each(['xsave', 'xsaveopt', 'xsavec', 'xsaves'] as const)(
  'XRSTOR gives back what %s saved',
  (instruction) => {
    const area = preparedArea();
    xsave(busyState(), area, LONG, -1n, instruction);
    const state = newState();
    expect(xrstor(state, area, LONG, -1n, BOTH)).toBe('done');
    expect(contents(state)).toEqual(contents(busyState()));
  },
);

test('XRSTOR initialises requested components that are not present, and leaves the others (SDM 1, 13.8)', () => {
  const area = preparedArea();
  xsave(newState(), area, LONG, -1n, 'xsave');
  const state = busyState();
  expect(xrstor(state, area, LONG, Component.X87 | Component.SSE, BOTH)).toBe('done');
  const expected = newState();
  for (let i = 0; i < 64; i++) if (i & 2) expected.ymm[i] = busyState().ymm[i];
  expect(contents(state)).toEqual(contents(expected));
});

test('the standard form restores MXCSR for SSE and AVX whatever XSTATE_BV says; the compacted form for SSE', () => {
  const standard = preparedArea();
  standard.view.setUint32(24, 0x1fbf, true);
  const state = newState();
  expect(xrstor(state, standard, LONG, Component.AVX, BOTH)).toBe('done');
  expect(state.mxcsr).toBe(0x1fbf);
  const compacted = preparedArea();
  compacted.view.setBigUint64(520, (1n << 63n) | 7n, true);
  expect(xrstor(state, compacted, LONG, Component.AVX, BOTH)).toBe('done');
  expect(state.mxcsr).toBe(0x1fbf);
  expect(xrstor(state, compacted, LONG, Component.SSE, BOTH)).toBe('done');
  expect(state.mxcsr).toBe(0x1f80);
});

test('outside 64-bit mode XRSTOR leaves the upper eight registers alone', () => {
  const area = preparedArea();
  const state = busyState();
  expect(xrstor(state, area, LEGACY, Component.AVX | Component.SSE, BOTH)).toBe('general-protection');
  area.view.setUint32(24, 0x1f80, true);
  expect(xrstor(state, area, LEGACY, Component.AVX | Component.SSE, BOTH)).toBe('done');
  expect([...state.ymm.subarray(0, 32)].every((word) => word === 0n)).toBe(true);
  expect([...state.ymm.subarray(32)]).toEqual([...busyState().ymm.subarray(32)]);
});

test.each([
  ['a component in XSTATE_BV that XCR0 does not enable', 512, 8n, BOTH],
  ['a set bit in bytes 23:8 of a standard header', 528, 1n, BOTH],
  ['XCOMP_BV without its bit 63', 520, 2n, BOTH],
  ['a component in XCOMP_BV that XCR0 does not enable', 520, (1n << 63n) | 8n, BOTH],
  ['the compacted form without XSAVEC', 520, (1n << 63n) | 2n, { supervisor: false, compaction: false }],
  ['the standard form for XRSTORS', 512, 2n, { supervisor: true, compaction: true }],
])('XRSTOR raises #GP for %s', (_, offset, value, options) => {
  const area = preparedArea();
  area.view.setUint32(24, 0x1f80, true);
  area.view.setBigUint64(offset, value, true);
  const state = busyState();
  expect(xrstor(state, area, LONG, -1n, options)).toBe('general-protection');
  expect(contents(state)).toEqual(contents(busyState()));
});

test('XRSTOR raises #GP for XSTATE_BV beyond XCOMP_BV, and for the reserved rest of a compacted header', () => {
  for (const [offset, value] of [
    [512, 4n],
    [568, 1n],
  ] as const) {
    const area = preparedArea();
    area.view.setBigUint64(520, (1n << 63n) | 3n, true);
    area.view.setBigUint64(offset, value, true);
    expect(xrstor(newState(), area, LONG, -1n, BOTH)).toBe('general-protection');
  }
});
