import { expect, test } from 'vitest';
import type { AccessSize, MmioDevice, PortDevice } from '../device/device.ts';
import { Arena } from './layout.ts';
import { MmioBus } from './mmio-bus.ts';
import { PortBus } from './port-bus.ts';

const arena = () => new Arena(new SharedArrayBuffer(16384), 0, 16384);

/** Remembers accesses; reads give the offset in every byte. */
class Probe implements PortDevice, MmioDevice {
  readonly seen: string[] = [];
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
  portRead(offset: number, size: AccessSize): number {
    this.seen.push(`r${size}@${offset}`);
    return 0xa0a0a0a0 | (offset * 0x01010101);
  }
  portWrite(offset: number, size: AccessSize, value: number): void {
    this.seen.push(`w${size}@${offset}=${value.toString(16)}`);
  }
  mmioRead(offset: number, size: AccessSize, vcpu: number): number {
    this.seen.push(`r${size}@${offset} by ${vcpu}`);
    return 0xa0a0a0a0 | (offset * 0x01010101);
  }
  mmioWrite(offset: number, size: AccessSize, value: number, vcpu: number): void {
    this.seen.push(`w${size}@${offset}=${value.toString(16)} by ${vcpu}`);
  }
}

class Wide extends Probe {
  mmioRead64(offset: number): bigint {
    this.seen.push(`r8@${offset}`);
    return -1n - BigInt(offset);
  }
  mmioWrite64(offset: number, value: bigint): void {
    this.seen.push(`w8@${offset}=${value.toString(16)}`);
  }
}

test('ports that nobody decodes read as all ones', () => {
  const bus = new PortBus(arena());
  bus.reset();
  expect([bus.read(0x80, 1), bus.read(0x80, 2), bus.read(0x80, 4)]).toEqual([0xff, 0xffff, 0xffffffff]);
  bus.write(0x80, 4, 1);
});

test('a device sees offsets from its first port, and values of the access size', () => {
  const bus = new PortBus(arena());
  const probe = new Probe('a');
  bus.register(probe, 0x3f8, 8);
  bus.reset();
  expect(bus.read(0x3fa, 1)).toBe(0xa2);
  expect(bus.read(0x3f8, 4)).toBe(0xa0a0a0a0);
  bus.write(0x3fc, 2, 0x12345678);
  expect(probe.seen).toEqual(['r1@2', 'r4@0', 'w2@4=5678']);
});

test('elements of a block go to a device that takes them, and to no other', () => {
  const bus = new PortBus(arena());
  const plain = new Probe('a');
  const device = Object.assign(new Probe('b'), {
    portReadBlock: (offset: number, size: AccessSize, into: Uint8Array) => (
      into.fill(offset, 0, 2 * size),
      2
    ),
    portWriteBlock: (offset: number, size: AccessSize, from: Uint8Array) => {
      device.seen.push(`${from.length / size} at ${offset}`);
      return from.length / size;
    },
  });
  bus.register(plain, 0x1f8, 8);
  bus.register(device, 0x1f0, 8);
  bus.reset();
  const block = new Uint8Array(8);
  expect(bus.readBlock(0x1f3, 2, block)).toBe(2);
  expect([...block]).toEqual([3, 3, 3, 3, 0, 0, 0, 0]);
  expect(bus.writeBlock(0x1f0, 4, block)).toBe(2);
  expect(device.seen).toEqual(['2 at 0']);
  expect([
    bus.readBlock(0x1f8, 2, block),
    bus.writeBlock(0x1f7, 2, block),
    bus.readBlock(0, 1, block),
  ]).toEqual([0, 0, 0]);
  expect(plain.seen).toEqual([]);
});

test('a port access across two devices is split, and what lies beyond is all ones', () => {
  const bus = new PortBus(arena());
  const [a, b] = [new Probe('a'), new Probe('b')];
  bus.register(a, 0x70, 2);
  bus.register(b, 0x72, 1);
  bus.reset();
  expect(bus.read(0x70, 4)).toBe(0xffa0a0a0);
  bus.write(0x71, 2, 0xbeef);
  expect(a.seen).toEqual(['r2@0', 'w1@1=ef']);
  expect(b.seen).toEqual(['r1@0', 'w1@0=be']);
});

test('ports wrap at 64 Ki, later devices come first, ranges move and return at reset', () => {
  const bus = new PortBus(arena());
  const [a, b] = [new Probe('a'), new Probe('b')];
  bus.register(a, 0xfffe, 2);
  const range = bus.register(b, 0x100, 4);
  bus.register(b, 0xffff, 1, false);
  bus.reset();
  expect(bus.read(0xffff, 2)).toBe(0xffa1);
  range.change({ start: 0x200 });
  expect(bus.read(0x100, 1)).toBe(0xff);
  expect(bus.read(0x201, 1)).toBe(0xa1);
  bus.reset();
  expect(bus.read(0x101, 1)).toBe(0xa1);
  expect(a.seen).toEqual(['r1@1']);
});

test('memory that nobody decodes reads as all ones', () => {
  const bus = new MmioBus(arena());
  bus.reset();
  expect(bus.read(0xd0000000, 8, 0)).toBe(0xffffffffffffffffn);
  expect(bus.read(0xd0000001, 1, 0)).toBe(0xffn);
  bus.write(0xd0000000, 8, 1n, 0);
});

test('8-byte accesses are split for a device of 32-bit registers only', () => {
  const bus = new MmioBus(arena());
  const [narrow, wide] = [new Probe('narrow'), new Wide('wide')];
  bus.register(narrow, 0x1000, 0x100);
  bus.register(wide, 0x2000, 0x100);
  bus.reset();
  expect(bus.read(0x1000, 8, 3)).toBe(0xa4a4a4a4a0a0a0a0n);
  bus.write(0x1008, 8, 0x1122334455667788n, 3);
  expect(narrow.seen).toEqual(['r4@0 by 3', 'r4@4 by 3', 'w4@8=55667788 by 3', 'w4@12=11223344 by 3']);
  expect(bus.read(0x2008, 8, 0)).toBe(0xfffffffffffffff7n);
  bus.write(0x2000, 8, -1n, 0);
  bus.read(0x2004, 8, 0);
  expect(wide.seen).toEqual(['r8@8', 'w8@0=ffffffffffffffff', 'r4@4 by 0', 'r4@8 by 0']);
});

test('no device is given an access that leaves its range', () => {
  const bus = new MmioBus(arena());
  const [a, b] = [new Probe('a'), new Probe('b')];
  bus.register(a, 0x1000, 0x10);
  bus.register(b, 0x1010, 0x10);
  bus.reset();
  expect(bus.read(0x100e, 4, 0)).toBe(0xa0a0aeaen);
  bus.write(0x100f, 2, 0xbeefn, 1);
  expect(a.seen).toEqual(['r2@14 by 0', 'w1@15=ef by 1']);
  expect(b.seen).toEqual(['r2@0 by 0', 'w1@0=be by 1']);
  expect(bus.read(0xffc, 8, 0)).toBe(0xa0a0a0a0ffffffffn);
});
