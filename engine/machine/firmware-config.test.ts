import { expect, test } from 'vitest';
import { le } from './acpi/bytes.ts';
import type { AcpiBoard } from './acpi/board.ts';
import { acpiFiles } from './acpi/loader.ts';
import { buildAcpi } from './acpi/tables.ts';
import { buildSmbios } from './smbios.ts';

const board: Omit<AcpiBoard, 'base'> = {
  apicIds: [0, 1],
  pciHole: { start: 0xc000_0000, end: 0xfec0_0000 },
  pmBase: 0x600,
  serialPorts: [{ port: 0x3f8, irq: 4 }],
  hpet: { address: 0xfed0_0000, capabilities: 0x8086_a201 },
  localApicAddress: 0xfee0_0000,
  ioApic: { id: 0, address: 0xfec0_0000 },
  ps2Mouse: false,
  vga: false,
};

const sum = (bytes: Uint8Array) => bytes.reduce((total, byte) => (total + byte) & 0xff, 0);

/** Does what firmware does with the loader's commands, with the files at addresses of its choice. */
function load(files: ReturnType<typeof acpiFiles>, at: Record<string, number>): Map<number, Uint8Array> {
  const content: Record<string, Uint8Array> = {
    'etc/acpi/tables': files.tables.slice(),
    'etc/acpi/rsdp': files.rsdp.slice(),
  };
  const allocated: string[] = [];
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).replaceAll('\0', '');
  for (let start = 0; start < files.loader.length; start += 128) {
    const command = files.loader.subarray(start, start + 128);
    const view = new DataView(command.buffer, command.byteOffset);
    const name = text(command.subarray(4, 60));
    const bytes = content[name];
    switch (view.getUint32(0, true)) {
      case 1:
        expect(at[name] % view.getUint32(60, true)).toBe(0);
        allocated.push(name);
        break;
      case 2: {
        const target = text(command.subarray(60, 116));
        const offset = view.getUint32(116, true);
        const size = command[120];
        const field = new DataView(bytes.buffer, bytes.byteOffset + offset);
        bytes.set(le(field.getUint32(0, true) + at[target], size), offset);
        break;
      }
      case 3: {
        const offset = view.getUint32(60, true);
        const from = view.getUint32(64, true);
        bytes[offset] -= sum(bytes.subarray(from, from + view.getUint32(68, true)));
        break;
      }
      default:
        throw new Error('an unknown command');
    }
  }
  expect(allocated.sort()).toEqual(Object.keys(at).sort());
  return new Map(Object.entries(at).map(([name, address]) => [address, content[name]]));
}

test('tables that firmware has placed are those that are built for that place', () => {
  const files = acpiFiles(buildAcpi({ ...board, base: 0 }));
  const placed = load(files, { 'etc/acpi/rsdp': 0xf_5a40, 'etc/acpi/tables': 0xf_5a80 });
  const built = buildAcpi({ ...board, base: 0xf_5a40 });
  const expected = new Uint8Array(built.end - 0xf_5a40);
  for (const { address, bytes } of built.blobs) expected.set(bytes, address - 0xf_5a40);
  expect(placed.get(0xf_5a40)).toEqual(expected.slice(0, 36));
  expect(placed.get(0xf_5a80)).toEqual(expected.subarray(64));

  const elsewhere = load(files, { 'etc/acpi/rsdp': 0xf_0010, 'etc/acpi/tables': 0x7ffe_0040 });
  const rsdp = elsewhere.get(0xf_0010) ?? new Uint8Array();
  expect([sum(rsdp), sum(rsdp.subarray(0, 20))]).toEqual([0, 0]);
  const xsdt = Number(new DataView(rsdp.buffer, rsdp.byteOffset).getBigUint64(24, true));
  const tables = elsewhere.get(0x7ffe_0040) ?? new Uint8Array();
  expect(new TextDecoder().decode(tables.subarray(xsdt - 0x7ffe_0040, xsdt - 0x7ffe_0040 + 4))).toBe('XSDT');
});

test('DSP0134 6.1: SMBIOS structures follow each other, each with its strings, to the end marker', () => {
  const { anchor, tables } = buildSmbios({
    topology: { sockets: 2, cores: 3, threads: 2 },
    low: 0xc000_0000,
    high: 0x2000_0000,
  });
  expect(anchor.length).toBe(0x1f);
  const view = new DataView(anchor.buffer);
  const types: number[] = [];
  const processors: number[][] = [];
  let largest = 0;
  for (let at = 0; at < tables.length;) {
    const start = at;
    types.push(tables[at]);
    if (tables[at] === 4) processors.push([...tables.subarray(at + 0x23, at + 0x26)]);
    at += tables[at + 1];
    while (tables[at] !== 0 || tables[at + 1] !== 0) at++;
    at += 2;
    largest = Math.max(largest, at - start);
  }
  expect(types).toEqual([1, 3, 4, 4, 16, 17, 19, 19, 32, 127]);
  // 7.5: cores, cores enabled and threads of each socket.
  expect(processors).toEqual([
    [3, 3, 6],
    [3, 3, 6],
  ]);
  expect([view.getUint16(8, true), view.getUint16(22, true), view.getUint16(28, true)]).toEqual([
    largest,
    tables.length,
    types.length,
  ]);
  // Table lengths of version 2.8: processor 2Ah, memory device 28h.
  expect([tables[1], tables[tables.length - 5]]).toEqual([0x1b, 4]);
});
