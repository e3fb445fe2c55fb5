import { beforeEach, expect, test } from 'vitest';
import { Arena } from '../../memory/layout.ts';
import { deviceConformance } from '../conformance.ts';
import { type DmaMemory, FW_CFG_ITEM, FW_CFG_PORTS, FwCfg } from './fw-cfg.ts';

const RAM = 0x1000;

/** Memory of one page; what is beyond takes no writes and reads as ones. */
class Ram implements DmaMemory {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  read(address: number, length: number): Uint8Array {
    const result = new Uint8Array(length).fill(0xff);
    if (address < RAM) result.set(this.bytes.subarray(address, address + length));
    return result;
  }

  write(address: number, data: Uint8Array): void {
    if (address < RAM) this.bytes.set(data.subarray(0, RAM - address), address);
  }

  fill(address: number, length: number, value: number): void {
    if (address < RAM) this.bytes.fill(value, address, Math.min(address + length, RAM));
  }
}

const text = (bytes: Uint8Array) => new TextDecoder('latin1').decode(bytes);

function make(arena: Arena): { device: FwCfg; ram: Ram } {
  const ram = new Ram(new Uint8Array(arena.buffer, arena.reserve(RAM), RAM));
  const device = new FwCfg(arena, ram);
  device.setItem(FW_CFG_ITEM.Cpus, Uint8Array.of(4, 0));
  device.addFile('etc/first', () => new TextEncoder().encode('content'));
  device.addFile('etc/second', Uint8Array.of(1, 2, 3));
  return { device, ram };
}

deviceConformance('fw_cfg', (arena) => {
  const { device } = make(arena);
  return { device, ports: [{ device, length: FW_CFG_PORTS }] };
});

let device: FwCfg;
let ram: Ram;
beforeEach(() => {
  ({ device, ram } = make(new Arena(new SharedArrayBuffer(0x4000), 0, 0x4000)));
  device.reset();
});

const select = (key: number) => device.portWrite(0, 2, key);
const read = (count: number) => Uint8Array.from({ length: count }, () => device.portRead(1, 1));

/** A DMA access by the structure at 0x100. */
function dma(control: number, length: number, target: number): number {
  const view = new DataView(ram.bytes.buffer, ram.bytes.byteOffset);
  view.setUint32(0x100, control);
  view.setUint32(0x104, length);
  view.setBigUint64(0x108, BigInt(target));
  device.portWrite(8, 4, 0x0001_0000); // 0x100 with its bytes swapped
  return view.getUint32(0x100);
}

test('an item is read byte by byte, with zeros after its end, and anew when it is selected again', () => {
  select(FW_CFG_ITEM.Signature);
  expect(text(read(4))).toBe('QEMU');
  expect([...read(2)]).toEqual([0, 0]);
  select(FW_CFG_ITEM.Interface);
  expect([...read(4)]).toEqual([3, 0, 0, 0]);
  select(FW_CFG_ITEM.Cpus);
  expect(device.portRead(1, 2)).toBe(4);
  select(0x7777);
  expect([...read(2)]).toEqual([0, 0]);
});

test('the directory lists files with size and item, big-endian', () => {
  select(FW_CFG_ITEM.Files);
  const directory = read(4 + 128);
  expect([...directory.subarray(0, 4)]).toEqual([0, 0, 0, 2]);
  expect([...directory.subarray(4, 12)]).toEqual([0, 0, 0, 7, 0, 0x20, 0, 0]);
  expect(text(directory.subarray(12, 68)).replaceAll('\0', '')).toBe('etc/first');
  expect([...directory.subarray(68, 76)]).toEqual([0, 0, 0, 3, 0, 0x21, 0, 0]);
  select(0x20);
  expect(text(read(7))).toBe('content');
  expect(() => device.addFile('etc/first', new Uint8Array())).toThrow(RangeError);
  expect(() => device.addFile('x'.repeat(56), new Uint8Array())).toThrow(RangeError);
});

test('DMA selects, skips and copies; zeros follow the end', () => {
  ram.bytes.fill(0xee, 0x200, 0x210);
  expect(dma((0x20 << 16) | 8 | 4, 2, 0)).toBe(0);
  expect(dma(2, 8, 0x200)).toBe(0);
  expect(text(ram.bytes.subarray(0x200, 0x205))).toBe('ntent');
  expect([...ram.bytes.subarray(0x205, 0x209)]).toEqual([0, 0, 0, 0xee]);
  expect(dma(2, 0xffff_ffff, 0x200)).toBe(0);
  expect(ram.bytes[RAM - 1]).toBe(0);
});

test('DMA cannot write items; an absurd address harms nothing', () => {
  expect(dma((0x20 << 16) | 8 | 16, 4, 0x200)).toBe(1);
  select(0x20);
  expect(text(read(7))).toBe('content');
  device.portWrite(4, 4, 0xffff_ffff);
  device.portWrite(8, 4, 0xffff_ffff);
});

test('the DMA register reads as a signature', () => {
  expect([device.portRead(4, 4), device.portRead(8, 4)]).toEqual([0x554d4551, 0x47464320]);
  expect(device.portRead(4, 1)).toBe('Q'.charCodeAt(0));
});
