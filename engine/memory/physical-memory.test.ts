import { expect, test } from 'vitest';
import { AddressMap, RangeKind } from './address-map.ts';
import { DirtyLog } from './dirty-log.ts';
import { MachineMemory } from './machine-memory.ts';
import { PhysicalMemory } from './physical-memory.ts';
import { Runs } from './runs.ts';

function setUp() {
  const memory = MachineMemory.create(0x10000, 0x20000);
  const arena = memory.arena();
  const map = new AddressMap(arena, () => {});
  const dirty = new DirtyLog(arena, 16, () => {});
  const writes: Array<[address: number, bytes: number]> = [];
  const physical = new PhysicalMemory(memory, map, dirty, (at, bytes) =>
    writes.push([at - memory.ramBase, bytes]),
  );
  const rom = arena.reserve(4096, 4096);
  // RAM pages 0 and 1 in swapped order, so that neighbours in physical memory are not in the shared one.
  map.define({ kind: RangeKind.Ram, start: 0, size: 4096, address: memory.ramBase + 4096, enabled: true });
  map.define({ kind: RangeKind.Ram, start: 4096, size: 4096, address: memory.ramBase, enabled: true });
  map.define({ kind: RangeKind.Rom, start: 8192, size: 4096, address: rom, enabled: true });
  map.reset();
  memory.bytes.fill(0x5a, rom, rom + 4096);
  return { memory, physical, dirty, rom, writes };
}

test('numbers are little-endian, across pages too', () => {
  const { physical } = setUp();
  physical.writeU64(4092, 0x1122334455667788n);
  expect(physical.readU64(4092)).toBe(0x1122334455667788n);
  expect(physical.readU32(4094)).toBe(0x33445566);
  expect(physical.readU16(4095)).toBe(0x4455);
  expect(physical.readU8(4096)).toBe(0x44);
  physical.writeU32(16, 0xfedcba98);
  expect(physical.readU32(16)).toBe(0xfedcba98);
  physical.writeU16(16, 0x1234);
  expect([...physical.read(16, 4)]).toEqual([0x34, 0x12, 0xdc, 0xfe]);
});

test('what is not memory reads as ones and takes nothing', () => {
  const { physical, writes } = setUp();
  expect(physical.readU64(2 ** 52 - 8)).toBe(0xffffffffffffffffn);
  expect(physical.readU32(0x100000)).toBe(0xffffffff);
  physical.writeU32(0x100000, 1);
  physical.fill(0x100000, 100_000, 1);
  expect(writes).toEqual([]);
});

test('ROM reads as its image and takes no writes; neighbouring RAM does', () => {
  const { physical, memory, rom } = setUp();
  physical.write(8190, Uint8Array.of(1, 2, 3, 4));
  expect([...physical.read(8190, 4)]).toEqual([1, 2, 0x5a, 0x5a]);
  expect(memory.bytes[rom]).toBe(0x5a);
  expect(physical.isRam(4096, 4096)).toBe(true);
  expect(physical.isRam(4096, 4097)).toBe(false);
});

test('writes mark the pages of RAM they touch and are told', () => {
  const { physical, dirty, writes } = setUp();
  dirty.enable(0, 16);
  physical.writeU8(0, 1);
  expect(dirty.collect(0, 16)).toEqual([1]);
  physical.fill(4000, 200, 0);
  expect(dirty.collect(0, 16)).toEqual([0, 1]);
  // Each page's part, where it lies from the start of RAM.
  expect(writes).toEqual([
    [4096, 1],
    [8096, 96],
    [0, 104],
  ]);
});

test('pieces are where the bytes are, in the order of their segments', () => {
  const { physical, memory, dirty, writes } = setUp();
  dirty.enable(0, 16);
  const segments = [
    { address: 4090, length: 10 },
    { address: 100, length: 0 },
    { address: 50, length: 5 },
    { address: 55, length: 5 },
  ];
  physical.write(4090, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10));
  dirty.collect(0, 16);
  writes.length = 0;
  const pieces = physical.pieces(segments, 'write');
  if (!(pieces instanceof Runs)) throw new Error('all of it is memory');
  expect(Array.from({ length: pieces.count }, (_, run) => [pieces.start(run), pieces.length(run)])).toEqual([
    [memory.ramBase + 4096 + 4090, 6],
    [memory.ramBase, 4],
    [memory.ramBase + 4096 + 50, 10],
  ]);
  expect(pieces.views().flatMap((view) => [...view].slice(0, 6))).toEqual([
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 0, 0, 0, 0, 0,
  ]);
  physical.wrote(segments, pieces);
  expect(writes).toEqual([
    [4096 + 4090, 6],
    [0, 4],
    [4096 + 50, 10],
  ]);
  expect(dirty.collect(0, 16)).toEqual([0, 1]);
});

test('in place of what is not memory, or not to be written, pieces are bytes that belong to nobody', () => {
  const { physical, memory, rom, writes } = setUp();
  const segments = [
    { address: 8188, length: 8 },
    { address: 2 ** 40, length: 4 },
  ];
  const bytes = (access: 'read' | 'write') => {
    const pieces = physical.pieces(segments, access);
    return pieces instanceof Runs ? pieces.views() : pieces;
  };
  const ones = [0xff, 0xff, 0xff, 0xff];
  expect(bytes('read').map((view) => [...view])).toEqual([[0, 0, 0, 0], [0x5a, 0x5a, 0x5a, 0x5a], ones]);
  const written = bytes('write');
  expect(written.map((view) => [...view])).toEqual([[0, 0, 0, 0], ones, ones]);
  for (const view of written) view.fill(3);
  physical.wrote(segments, written);
  expect(writes).toEqual([[4092, 4]]);
  expect(memory.bytes[rom]).toBe(0x5a);
  expect(physical.readU32(8188)).toBe(0x03030303);
});
