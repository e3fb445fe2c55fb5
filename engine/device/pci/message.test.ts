import { beforeEach, expect, test } from 'vitest';
import { AddressMap } from '../../memory/address-map.ts';
import { Arena } from '../../memory/layout.ts';
import { MmioBus } from '../../memory/mmio-bus.ts';
import { PortBus } from '../../memory/port-bus.ts';
import type { AccessSize } from '../device.ts';
import { Msi } from './msi.ts';
import { Msix } from './msix.ts';
import { memoryBar, mmioBar, portBar, romBar } from './pci-bars.ts';
import { PciFunction } from './pci-function.ts';

const BYTES = 0x10000;

let arena: Arena;
let mmio: MmioBus;
let ports: PortBus;
let map: AddressMap;
let fn: PciFunction;
let sent: Array<[address: number, data: number]> = [];
const send = (address: number, data: number) => void sent.push([address, data]);

beforeEach(() => {
  sent = [];
  arena = new Arena(new SharedArrayBuffer(BYTES), 0, BYTES);
  mmio = new MmioBus(arena);
  ports = new PortBus(arena);
  map = new AddressMap(arena, () => {});
  fn = new PciFunction(arena, { name: 'test', vendorId: 1, deviceId: 2, classCode: 0, interruptPin: 1 });
});

const powerOn = (...devices: Array<{ reset(): void }>) => {
  for (const device of [map, mmio, ports, fn, ...devices]) device.reset();
};

test('6.8.1: MSI sends the chosen word to the chosen address, the low bits telling vectors apart', () => {
  const msi = new Msi(fn, 4, send);
  powerOn();
  const at = fn.capabilityOffset(0);
  expect(fn.configRead(at, 4)).toBe(0x0084_0005);
  expect([msi.enabled, msi.notify(1)]).toEqual([false, false]);
  fn.configWrite(at + 4, 4, 0xfee0_1003);
  fn.configWrite(at + 8, 4, 0x1);
  fn.configWrite(at + 12, 2, 0x4043);
  fn.configWrite(at + 2, 2, 0x0001);
  expect(msi.notify(3)).toBe(true);
  fn.configWrite(at + 2, 2, 0x0021);
  msi.notify(2);
  expect(sent).toEqual([
    [0x1_fee0_1000, 0x4043],
    [0x1_fee0_1000, 0x4042],
  ]);
  expect(() => new Msi(fn, 3, send)).toThrow(RangeError);
});

test('6.8.2: MSI-X sends from its table; what is masked stays pending and is sent later, once', () => {
  const msix = new Msix(arena, fn, { vectors: 40, bar: 1, mmio, send });
  powerOn(msix);
  const at = fn.capabilityOffset(0);
  expect([fn.configRead(at + 2, 2), fn.configRead(at + 4, 4), fn.configRead(at + 8, 4)]).toEqual([
    39, 1, 0x801,
  ]);
  fn.configWrite(0x14, 4, 0xfebf_0000);
  fn.configWrite(4, 2, 2);
  const write = (offset: number, value: number) => mmio.write(0xfebf_0000 + offset, 4, BigInt(value), 0);
  const pending = (word: number) => Number(mmio.read(0xfebf_0800 + 4 * word, 4, 0));
  expect([msix.enabled, msix.notify(33)]).toEqual([false, false]);
  fn.configWrite(at + 2, 2, 0xc000);
  write(33 * 16, 0xfee0_0000);
  write(33 * 16 + 8, 0x51);
  write(33 * 16 + 12, 0);
  expect(msix.notify(33)).toBe(true);
  expect([pending(0), pending(1), sent.length]).toEqual([0, 2, 0]);
  fn.configWrite(at + 2, 2, 0x8000);
  expect(sent).toEqual([[0xfee0_0000, 0x51]]);
  expect(pending(1)).toBe(0);
  write(33 * 16 + 12, 1);
  msix.notify(33);
  msix.notify(33);
  expect(pending(1)).toBe(2);
  write(33 * 16 + 12, 0xffff_fffe);
  expect(sent.length).toBe(2);
  expect(msix.notify(0xffff)).toBe(true);
  expect(Number(mmio.read(0xfebf_0000 + 33 * 16 + 8, 2, 0))).toBe(0x51);
  expect(Number(mmio.read(0xfebf_0000 + 40 * 16, 4, 0))).toBe(0);
});

test('what is behind BARs is where the guest puts it, while the command register lets it be', () => {
  const device = {
    portRead: (offset: number) => 0x10 + offset,
    portWrite() {},
    mmioRead: (offset: number, _size: AccessSize) => 0x80 + offset,
    mmioWrite() {},
  };
  fn.addBar(portBar(ports, 0, 8, device));
  fn.addBar(mmioBar(mmio, { index: 1, size: 16 }, device));
  fn.addBar(memoryBar(map, { index: 2, size: 0x2000, wide: true, prefetchable: true }, 0x5000));
  fn.addBar(romBar(map, 0x1000, 0x3000));
  expect(() => fn.addBar(portBar(ports, 3, 4, device))).toThrow('is taken');
  powerOn();
  expect([fn.configRead(0x10, 4), fn.configRead(0x14, 4), fn.configRead(0x18, 4)]).toEqual([1, 0, 0xc]);
  fn.configWrite(0x10, 4, 0xc000);
  fn.configWrite(0x14, 4, 0xfe00_0000);
  fn.configWrite(0x1c, 4, 0x2);
  fn.configWrite(0x30, 4, 0xfd00_0001);
  expect([ports.read(0xc003, 1), map.resolve(0x20_0000), map.resolve(0xfd000)]).toEqual([0xff, 0, 0]);
  fn.configWrite(4, 2, 3);
  expect(ports.read(0xc003, 1)).toBe(0x13);
  expect(mmio.read(0xfe00_0004, 1, 0)).toBe(0x84n);
  expect([map.resolve(0x20_0000), map.resolve(0x20_0001)]).toEqual([0x5000, 0x6000]);
  expect(map.resolve(0xfd000)).toBe(0x3001);
  fn.configWrite(0x11, 1, 0xd0);
  expect([ports.read(0xc003, 1), ports.read(0xd003, 1)]).toEqual([0xff, 0x13]);
  fn.configWrite(4, 2, 0);
  expect([ports.read(0xd003, 1), map.resolve(0x20_0000), map.resolve(0xfd000)]).toEqual([0xff, 0, 0]);
});
