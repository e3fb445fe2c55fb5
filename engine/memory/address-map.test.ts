import { expect, test } from 'vitest';
import { AddressMap, MAP_SLOTS, RangeKind } from './address-map.ts';
import { Arena } from './layout.ts';

const K = 1024;

function setUp() {
  const buffer = new SharedArrayBuffer(64 * K);
  let changes = 0;
  const attach = () => new AddressMap(new Arena(buffer, 0, buffer.byteLength), () => changes++);
  return { attach, map: attach(), changes: () => changes };
}

const ram = (start: number, size: number, address: number) =>
  ({ kind: RangeKind.Ram, start, size, address, enabled: true }) as const;

test('a range appears at reset, and pages outside it are not memory', () => {
  const { map } = setUp();
  map.define(ram(16 * K, 8 * K, 0x100000));
  expect(map.resolve(4)).toBe(0);
  map.reset();
  expect(map.resolve(3)).toBe(0);
  expect(map.resolve(4)).toBe(0x100000);
  expect(map.resolve(5)).toBe(0x101000);
  expect(map.resolve(6)).toBe(0);
  expect(map.resolve(2 ** 40 - 1)).toBe(0);
});

test('ROM is marked read-only in bit 0', () => {
  const { map } = setUp();
  map.define({ ...ram(0, 8 * K, 0x20000), kind: RangeKind.Rom });
  map.reset();
  expect(map.resolve(1)).toBe(0x21001);
});

test('the range defined later wins where two overlap', () => {
  const { map } = setUp();
  map.define(ram(0, 64 * K, 0x100000));
  map.define({ ...ram(16 * K, 4 * K, 0x80000), kind: RangeKind.Rom });
  map.define({ ...ram(32 * K, 4 * K, 0), kind: RangeKind.Mmio });
  map.reset();
  expect([3, 4, 5, 7, 8, 9].map((page) => map.resolve(page))).toEqual([
    0x103000, 0x80001, 0x105000, 0x107000, 0, 0x109000,
  ]);
});

test('addresses above 2 GiB stay unsigned', () => {
  const { map } = setUp();
  map.define(ram(4 * 2 ** 30, 2 ** 30, 3 * 2 ** 30));
  map.reset();
  expect(map.resolve(2 ** 20 + 7)).toBe(3 * 2 ** 30 + 7 * 4096);
});

test('a change is seen by other threads that attached before, raises the generation and is told', () => {
  const { attach, map, changes } = setUp();
  const other = attach();
  const range = map.define(ram(0, 4 * K, 0x10000));
  other.define(ram(0, 4 * K, 0x10000));
  map.reset();
  expect(other.resolve(0)).toBe(0x10000);
  const before = map.generation;
  range.change({ start: 8 * K, kind: RangeKind.Rom });
  expect(map.generation).not.toBe(before);
  expect(changes()).toBe(2);
  expect(other.resolve(0)).toBe(0);
  expect(other.resolve(2)).toBe(0x10001);
  range.change({ enabled: false });
  expect(other.resolve(2)).toBe(0);
  map.reset();
  expect(other.resolve(0)).toBe(0x10000);
});

test('adjacent RAM is listed as one stretch, ROM is not listed', () => {
  const { map } = setUp();
  map.define(ram(0, 8 * K, 0x10000));
  map.define(ram(8 * K, 8 * K, 0x40000));
  map.define({ ...ram(16 * K, 4 * K, 0x80000), kind: RangeKind.Rom });
  map.define(ram(64 * K, 4 * K, 0x90000));
  map.reset();
  expect(map.ram()).toEqual([
    { start: 0, size: 16 * K },
    { start: 64 * K, size: 4 * K },
  ]);
});

test('it holds 64 ranges, of whole pages', () => {
  const { map } = setUp();
  for (let i = 0; i < MAP_SLOTS; i++) map.define(ram(i * 8 * K, 4 * K, 0x100000 + i * 4 * K));
  expect(() => map.define(ram(0, 4 * K, 0))).toThrow(RangeError);
  map.reset();
  for (let i = 0; i < MAP_SLOTS; i++) expect(map.resolve(i * 2)).toBe(0x100000 + i * 4 * K);
  expect(() => setUp().map.define(ram(0, 100, 0))).toThrow(RangeError);
});

test('memory is listed in order of address, without what lies beneath, each range by itself', () => {
  const { map } = setUp();
  map.define(ram(0, 64 * K, 0x100000));
  map.define({ ...ram(16 * K, 4 * K, 0x80000), kind: RangeKind.Rom });
  map.define({ ...ram(32 * K, 4 * K, 0), kind: RangeKind.Mmio });
  map.define(ram(64 * K, 4 * K, 0x200000));
  map.reset();
  expect(map.memory()).toEqual([
    { start: 0, size: 16 * K, address: 0x100000, readOnly: false },
    { start: 16 * K, size: 4 * K, address: 0x80000, readOnly: true },
    { start: 20 * K, size: 12 * K, address: 0x105000, readOnly: false },
    { start: 36 * K, size: 28 * K, address: 0x109000, readOnly: false },
    { start: 64 * K, size: 4 * K, address: 0x200000, readOnly: false },
  ]);
});
