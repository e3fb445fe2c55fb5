import { beforeEach, expect, test } from 'vitest';
import { Arena } from '../../memory/layout.ts';
import type { AccessSize } from '../device.ts';
import { HostBridge } from './host-bridge.ts';
import { IsaBridge, pirqOf } from './isa-bridge.ts';
import { PciBus, PciConfigPorts } from './pci-bus.ts';
import { PciFunction, ROM_BAR } from './pci-function.ts';

let bus: PciBus;
let ports: PciConfigPorts;
let bridge: HostBridge;
let isa: IsaBridge;
let fn: PciFunction;
let placed: string[] = [];
let isaLines: Map<number, boolean>;
let passedBy: number[] = [];
let routed = 0;

beforeEach(() => {
  placed = [];
  isaLines = new Map();
  passedBy = [];
  routed = 0;
  const arena = new Arena(new SharedArrayBuffer(16384), 0, 16384);
  const place = (name: string) => (address: number, enabled: boolean) =>
    void placed.push(enabled ? `${name}@${address.toString(16)}` : `${name} off`);
  bridge = new HostBridge(arena, () => routed++);
  isa = new IsaBridge(arena, (irq, level) => isaLines.set(irq, level));
  bus = new PciBus((device, pin) => isa.pin(device, pin));
  ports = new PciConfigPorts(arena, bus, {
    portRead: () => 0x42,
    portWrite: (_offset, _size, value) => void passedBy.push(value),
  });
  fn = new PciFunction(arena, {
    name: 'test',
    vendorId: 0x1234,
    deviceId: 0x5678,
    classCode: 0x01_02_03,
    revision: 4,
    subsystemVendorId: 0x1af4,
    subsystemId: 0x1100,
    interruptPin: 1,
    bars: [
      { index: 0, kind: 'io', size: 0x20, place: place('io') },
      { index: 1, kind: 'memory32', size: 0x1000, place: place('mem') },
      { index: 2, kind: 'memory64', size: 2 ** 33, prefetchable: true, place: place('big') },
      { index: ROM_BAR, kind: 'rom', size: 0x10000, place: place('rom') },
    ],
    capabilities: [
      { id: 0x09, body: Uint8Array.of(0x05, 1, 2), writable: Uint8Array.of(0, 0xff, 0) },
      { id: 0x11, body: new Uint8Array(10) },
    ],
  });
  bus.attach({ device: 0, function: 0 }, bridge);
  bus.attach({ device: 1, function: 0 }, isa);
  bus.attach({ device: 3, function: 0 }, fn);
  for (const device of [bridge, isa, fn, ports]) device.reset();
  placed = [];
});

const select = (device: number, register: number, extra = 0) =>
  ports.portWrite(0, 4, (0x8000_0000 | extra | (device << 11) | (register & 0xfc)) >>> 0);
const read = (device: number, register: number, size: AccessSize = 4) => {
  select(device, register);
  return ports.portRead(4 + (register & 3), size);
};
const write = (device: number, register: number, size: AccessSize, value: number) => {
  select(device, register);
  ports.portWrite(4 + (register & 3), size, value);
};

/** A BAR after all ones were written to it. */
const sized = (register: number) => {
  write(3, register, 4, 0xffff_ffff);
  return read(3, register);
};

test('mechanism 1: byte, word and dword accesses select their lanes', () => {
  expect(read(3, 0)).toBe(0x5678_1234);
  expect(read(3, 2, 2)).toBe(0x5678);
  expect([read(3, 8, 1), read(3, 9, 1), read(3, 10, 1), read(3, 11, 1)]).toEqual([4, 3, 2, 1]);
  expect(read(3, 0x2c)).toBe(0x1100_1af4);
});

test('absent devices, other buses and a disabled window read all ones', () => {
  expect(read(7, 0)).toBe(0xffff_ffff);
  select(3, 0, 1 << 16);
  expect(ports.portRead(4, 2)).toBe(0xffff);
  ports.portWrite(0, 4, 3 << 11);
  expect(ports.portRead(4, 4)).toBe(0xffff_ffff);
});

test('the address register takes dwords only; bytes at 0xCF9 pass to the reset control register', () => {
  select(3, 0x10);
  ports.portWrite(0, 1, 0xff);
  ports.portWrite(0, 2, 0xffff);
  expect(ports.portRead(0, 4)).toBe(0x8000_1810);
  ports.portWrite(1, 1, 6);
  expect(passedBy).toEqual([6]);
  expect(ports.portRead(1, 1)).toBe(0x42);
  ports.portWrite(0, 4, 0xffff_ffff);
  expect(ports.portRead(0, 4)).toBe(0x80ff_fffc);
});

test('an access that leaves the data window reads ones outside and is lost there', () => {
  select(3, 0);
  expect(ports.portRead(7, 2)).toBe(0xff56);
  ports.portWrite(7, 4, 0xffff_ffff);
  expect(read(3, 0)).toBe(0x5678_1234);
});

test('6.2.5.1: BARs are sized by writing all ones', () => {
  expect(sized(0x10)).toBe(0xffff_ffe1);
  expect(sized(0x14)).toBe(0xffff_f000);
  expect(sized(0x18)).toBe(0x0000_000c);
  expect(sized(0x1c)).toBe(0xffff_fffe);
  expect(sized(0x20)).toBe(0);
  expect(sized(0x30)).toBe(0xffff_0001);
});

test('a BAR is decoded while the command register allows, and follows its address', () => {
  write(3, 0x10, 4, 0xc041);
  write(3, 0x14, 4, 0xfebf_1000);
  expect(placed).toEqual([]);
  write(3, 0x04, 2, 0x0003);
  expect(placed).toEqual(['io@c040', 'mem@febf1000']);
  write(3, 0x15, 1, 0x20);
  expect(placed.at(-1)).toBe('mem@febf2000');
  write(3, 0x14, 4, 0xffff_ffff);
  expect(placed.at(-1)).toBe('mem off');
  write(3, 0x04, 2, 0x0000);
  expect(placed.at(-1)).toBe('io off');
});

test('a 64-bit BAR above 4 GiB, and the ROM with its own enable bit', () => {
  write(3, 0x04, 2, 2);
  write(3, 0x1c, 4, 0x4);
  expect(placed).toEqual(['big@400000000']);
  write(3, 0x30, 4, 0xfeb0_0000);
  expect(placed.length).toBe(1);
  write(3, 0x30, 4, 0xfeb0_0001);
  expect(placed.at(-1)).toBe('rom@feb00000');
  write(3, 0x1c, 4, 0xffff_ffff);
  expect(placed.at(-1)).toBe('big off');
});

test('reset unmaps what was mapped and restores the registers', () => {
  write(3, 0x10, 4, 0xc041);
  write(3, 0x04, 2, 1);
  fn.reset();
  expect(placed).toContain('io off');
  expect([read(3, 4, 2), read(3, 0x10)]).toEqual([0, 1]);
});

test('read-only registers stay as they are; the interrupt line is a scratch register', () => {
  write(3, 0x00, 4, 0);
  write(3, 0x08, 4, 0);
  write(3, 0x3c, 4, 0xffff_ffff);
  expect([read(3, 0), read(3, 8), read(3, 0x3c)]).toEqual([0x5678_1234, 0x0102_0304, 0x0000_01ff]);
  write(3, 0x04, 2, 0xffff);
  expect(read(3, 4, 2)).toBe(0x0547);
});

test('6.7: the capability list is linked from the pointer, and status bit 4 tells of it', () => {
  expect(read(3, 6, 2) & 0x10).toBe(0x10);
  expect(read(0, 6, 2) & 0x10).toBe(0);
  expect(read(3, 0x34, 1)).toBe(0x40);
  expect([read(3, 0x40, 1), read(3, 0x41, 1), read(3, 0x42, 1)]).toEqual([0x09, 0x48, 0x05]);
  expect([read(3, 0x48, 1), read(3, 0x49, 1)]).toEqual([0x11, 0x00]);
  expect([fn.capabilityOffset(0), fn.capabilityOffset(1)]).toEqual([0x40, 0x48]);
  write(3, 0x40, 4, 0xffff_ffff);
  expect([read(3, 0x40), read(3, 0x44, 1)]).toEqual([0xff05_4809, 2]);
});

test('header type bit 7 appears when a device has a second function', () => {
  expect(read(1, 0x0e, 1)).toBe(0);
  bus.attach({ device: 1, function: 1 }, fn);
  expect(read(1, 0x0e, 1)).toBe(0x80);
  expect(read(1, 0x0c)).toBe(0x0080_0000);
});

test('PIRQ routing: the pin drives the ISA interrupt of its route register while that is enabled', () => {
  const pirq = pirqOf(3, 1);
  expect(pirq).toBe(2);
  expect(read(1, 0x60)).toBe(0x8080_8080);
  fn.intx(true);
  expect([...isaLines.values()].includes(true)).toBe(false);
  write(1, 0x60 + pirq, 1, 11);
  expect(isaLines.get(11)).toBe(true);
  write(1, 0x60 + pirq, 1, 10);
  expect([isaLines.get(11), isaLines.get(10)]).toEqual([false, true]);
  isa.pin(7, 1)(true); // device 7's INTA# shares PIRQC#
  fn.intx(false);
  expect(isaLines.get(10)).toBe(true);
  isa.pin(7, 1)(false);
  expect(isaLines.get(10)).toBe(false);
  fn.intx(true);
  write(1, 0x60 + pirq, 1, 8); // reserved
  expect(isaLines.get(8)).toBe(undefined);
});

test('command bit 10 holds INTx back, status bit 3 shows it all the same', () => {
  write(1, 0x62, 1, 5);
  fn.intx(true);
  expect(isaLines.get(5)).toBe(true);
  write(3, 4, 2, 0x400);
  expect(isaLines.get(5)).toBe(false);
  expect(read(3, 6, 2) & 8).toBe(8);
});

test('82441FX 3.2.17: PAM says where each range below 1 MiB goes', () => {
  expect(read(0, 0)).toBe(0x1237_8086);
  expect(bridge.pamRanges().length).toBe(13);
  expect(bridge.pamRanges().some((range) => range.readRam || range.writeRam)).toBe(false);
  const before = routed;
  write(0, 0x59, 1, 0xff);
  write(0, 0x5a, 1, 0x12);
  expect(routed).toBe(before + 2);
  const ranges = bridge.pamRanges();
  expect(ranges[12]).toEqual({ start: 0xf0000, size: 0x10000, readRam: true, writeRam: true });
  expect(ranges[0]).toEqual({ start: 0xc0000, size: 0x4000, readRam: false, writeRam: true });
  expect(ranges[1]).toEqual({ start: 0xc4000, size: 0x4000, readRam: true, writeRam: false });
  expect(read(0, 0x59, 1)).toBe(0x30);
});

test('82441FX 3.2.21: SMRAM control can be locked', () => {
  write(0, 0x72, 1, 0x48);
  expect(bridge.smram()).toEqual({ enabled: true, open: true, closed: false });
  write(0, 0x72, 1, 0x18);
  write(0, 0x72, 1, 0x40);
  expect(bridge.smram()).toEqual({ enabled: true, open: false, closed: false });
});

test('fuzz: no access to the ports throws or leaves its width', () => {
  let seed = 1;
  const random = () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0);
  for (let i = 0; i < 20000; i++) {
    const size = ([1, 2, 4] as const)[random() % 3];
    const offset = (random() >>> 8) % 8;
    if (random() & 0x100) ports.portWrite(0, 4, (0x8000_0000 | (random() & 0x1fff)) >>> 0);
    ports.portWrite(offset, size, random());
    expect(ports.portRead(offset, size)).toBeLessThan(2 ** (8 * size));
  }
});
