import { expect, test } from 'vitest';
import { deriveSegmentBounds, loadNullSegment, loadSegment, type SegmentBounds } from './segment.ts';
import { Seg, vcpuLayout } from './state.ts';

const allows = (lo: number, hi: number, offset: number) => lo <= offset && offset <= hi;
const reads = (b: SegmentBounds, offset: number) => allows(b.readLo, b.readHi, offset);
const writes = (b: SegmentBounds, offset: number) => allows(b.writeLo, b.writeHi, offset);

test('SDM 3A 5.3: an expand-up data segment holds offsets 0 to the limit', () => {
  const b = deriveSegmentBounds(0x4093, 0xfff);
  expect(reads(b, 0) && reads(b, 0xfff) && writes(b, 0) && writes(b, 0xfff)).toBe(true);
  expect(reads(b, 0x1000) || writes(b, 0x1000)).toBe(false);
});

test('SDM 3A 5.3: an expand-down segment holds limit + 1 to 0xffff, or to 0xffffffff with B', () => {
  const small = deriveSegmentBounds(0x0097, 0xfff);
  expect(reads(small, 0xfff)).toBe(false);
  expect(reads(small, 0x1000) && writes(small, 0xffff)).toBe(true);
  expect(reads(small, 0x1_0000)).toBe(false);
  const big = deriveSegmentBounds(0x4097, 0xfff);
  expect(writes(big, 0xffff_ffff)).toBe(true);
});

test('an expand-down segment whose limit reaches the upper bound holds nothing', () => {
  for (const b of [deriveSegmentBounds(0x4097, 0xffff_ffff), deriveSegmentBounds(0x0097, 0xffff)]) {
    for (const offset of [0, 1, 0xffff, 0x1_0000, 0xffff_ffff]) expect(reads(b, offset)).toBe(false);
  }
});

test('SDM 3A 5.4: read-only data and readable code cannot be written, execute-only code not read', () => {
  const readOnly = deriveSegmentBounds(0x4091, 0xfff);
  expect([reads(readOnly, 0), writes(readOnly, 0)]).toEqual([true, false]);
  const code = deriveSegmentBounds(0x409b, 0xfff);
  expect([reads(code, 0), writes(code, 0)]).toEqual([true, false]);
  const executeOnly = deriveSegmentBounds(0x4099, 0xfff);
  expect([reads(executeOnly, 0), writes(executeOnly, 0)]).toEqual([false, false]);
});

test('a conforming code segment is not taken for an expand-down one', () => {
  const b = deriveSegmentBounds(0x409f, 0xfff);
  expect([reads(b, 0), reads(b, 0x1000)]).toEqual([true, false]);
});

test('unusable, absent and system segments let nothing through', () => {
  for (const attr of [0x1_0000, 0x1_c093, 0x4013, 0x008b, 0x0082]) {
    const b = deriveSegmentBounds(attr, 0xffff_ffff);
    for (const offset of [0, 1, 0xffff_ffff]) expect(reads(b, offset) || writes(b, offset)).toBe(false);
  }
});

test('in real mode every segment, CS too, is readable and writable up to its cached limit', () => {
  const b = deriveSegmentBounds(0x009b, 0xffff, true);
  expect(reads(b, 0xffff) && writes(b, 0xffff)).toBe(true);
  expect(writes(b, 0x1_0000)).toBe(false);
  expect(writes(deriveSegmentBounds(0x0093, 0xffff_ffff, true), 0xffff_ffff)).toBe(true);
});

test('loading a register writes its visible, hidden and derived parts', () => {
  const state = vcpuLayout.bind(new SharedArrayBuffer(vcpuLayout.size), 0);
  loadSegment(state, Seg.DS, { selector: 0x18, base: 0x1000n, limit: 0xffff, attr: 0x0091 });
  expect(state.segSelector[Seg.DS]).toBe(0x18);
  expect(state.segBase[Seg.DS]).toBe(0x1000n);
  expect([state.segLimit[Seg.DS], state.segAttr[Seg.DS]]).toEqual([0xffff, 0x91]);
  expect([state.segReadLo[Seg.DS], state.segReadHi[Seg.DS]]).toEqual([0, 0xffff]);
  expect(state.segWriteHi[Seg.DS] < state.segWriteLo[Seg.DS]).toBe(true);
  loadNullSegment(state);
  expect([state.segBase[Seg.None], state.segWriteHi[Seg.None]]).toEqual([0n, 0xffff_ffff]);
});
