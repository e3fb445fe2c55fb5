import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { GuesthouseError } from '../../base/errors.ts';
import * as aml from './aml.ts';
import type { AcpiBoard } from './board.ts';
import * as resource from './resource.ts';
import { buildAcpi } from './tables.ts';

const board: AcpiBoard = {
  base: 0xe0000,
  apicIds: [0, 1, 2, 3],
  pciHole: { start: 0xc000_0000, end: 0xfec0_0000 },
  pciHole64: { start: 0x80_0000_0000n, end: 0x100_0000_0000n },
  pmBase: 0x600,
  serialPorts: [
    { port: 0x3f8, irq: 4 },
    { port: 0x2f8, irq: 3 },
  ],
  hpet: { address: 0xfed0_0000, capabilities: 0x8086_a201 },
  localApicAddress: 0xfee0_0000,
  ioApic: { id: 0, address: 0xfec0_0000 },
  ps2Mouse: true,
  vga: true,
};

/** The first bytes of a buffer term of `length` bytes. */
const lead = (length: number) => [...aml.buffer(new Uint8Array(length)).subarray(0, 4)];
const bytes = (...values: number[]) => Uint8Array.from(values);
const sum = (data: Uint8Array) => data.reduce((total, byte) => (total + byte) & 0xff, 0);
const text = (data: Uint8Array, at: number, length: number) =>
  String.fromCharCode(...data.subarray(at, at + length));
const view = (data: Uint8Array) => new DataView(data.buffer, data.byteOffset, data.byteLength);

function tables(of: AcpiBoard = board) {
  const built = buildAcpi(of);
  const at = (address: number) => {
    const blob = built.blobs.find((candidate) => candidate.address === address);
    if (blob === undefined) throw new Error(`no table at ${address}`);
    return blob.bytes;
  };
  const rsdp = at(built.rsdpAddress);
  const xsdt = at(Number(view(rsdp).getBigUint64(24, true)));
  const found = new Map<string, Uint8Array>();
  for (let i = 36; i < xsdt.length; i += 8) {
    const listed = at(Number(view(xsdt).getBigUint64(i, true)));
    found.set(text(listed, 0, 4), listed);
  }
  const rsdt = at(view(rsdp).getUint32(16, true));
  const fadt = found.get('FACP') ?? bytes();
  return { built, rsdp, xsdt, rsdt, fadt, found, dsdt: at(view(fadt).getUint32(40, true)), at };
}

test('20.2.4: package lengths take one byte below 64, then up to four', () => {
  expect(lead(1).slice(0, 2)).toEqual([0x11, 3]); // length byte, ByteConst One, one byte
  expect(lead(60).slice(0, 2)).toEqual([0x11, 63]); // 1 + 2 + 60
  expect(lead(61).slice(0, 3)).toEqual([0x11, 0x41, 0x04]); // 2 + 2 + 61 = 65
  expect(lead(5000).slice(0, 4)).toEqual([0x11, 0x80 | (5006 & 15), (5006 >> 4) & 0xff, 5006 >> 12]);
});

test('20.2.2: name strings', () => {
  expect(aml.path('\\')).toEqual(bytes(0x5c, 0));
  expect(aml.path('A')).toEqual(bytes(0x41, 0x5f, 0x5f, 0x5f));
  expect(aml.path('^^_SB')).toEqual(bytes(0x5e, 0x5e, 0x5f, 0x53, 0x42, 0x5f));
  expect([...aml.path('\\_SB.PCI0')].slice(0, 3)).toEqual([0x5c, 0x2e, 0x5f]);
  expect([...aml.path('A.B.C')].slice(0, 3)).toEqual([0x2f, 3, 0x41]);
  for (const wrong of ['', 'lower', 'TOOLONG', '1ABC', 'A..B'])
    expect(() => aml.path(wrong)).toThrow(RangeError);
});

test('20.2.3: integers take the shortest form', () => {
  expect(aml.integer(0)).toEqual(bytes(0));
  expect(aml.integer(1)).toEqual(bytes(1));
  expect(aml.integer(2)).toEqual(bytes(0x0a, 2));
  expect(aml.integer(0x1234)).toEqual(bytes(0x0b, 0x34, 0x12));
  expect(aml.integer(0x8000_0000)).toEqual(bytes(0x0c, 0, 0, 0, 0x80));
  expect(aml.integer(1n << 32n)).toEqual(bytes(0x0e, 0, 0, 0, 0, 1, 0, 0, 0));
  expect(() => aml.integer(-1)).toThrow(RangeError);
});

test('EISA identifiers are compressed: PNP0A03 is 030AD041h', () => {
  expect(aml.eisaId('PNP0A03')).toEqual(bytes(0x0c, 0x41, 0xd0, 0x0a, 0x03));
  expect(() => aml.eisaId('PNPXYZ!')).toThrow(RangeError);
});

test('6.4: resource descriptors have the lengths that their tags announce', () => {
  const large = [
    resource.memory32Fixed(0, 1),
    resource.wordBus(0, 0),
    resource.wordIo(0, 0xcf7),
    resource.dwordMemory(0xc000_0000, 0xfebf_ffff),
    resource.qwordMemory(1n << 40n, (1n << 41n) - 1n),
    resource.sharedInterrupt(5, 10),
  ];
  for (const descriptor of large) expect(view(descriptor).getUint16(1, true)).toBe(descriptor.length - 3);
  for (const descriptor of [resource.io(0x60, 1), resource.irq(1)]) {
    expect(descriptor[0] & 7).toBe(descriptor.length - 1);
  }
  expect(view(resource.sharedInterrupt(7)).getUint32(5, true)).toBe(7);
});

test('5.2.5.3: the RSDP leads to the tables, both checksums are right', () => {
  const { rsdp, built } = tables();
  expect(text(rsdp, 0, 8)).toBe('RSD PTR ');
  expect(rsdp[15]).toBe(2);
  expect([rsdp.length, sum(rsdp), sum(rsdp.subarray(0, 20))]).toEqual([36, 0, 0]);
  expect(built.rsdpAddress % 16).toBe(0);
});

test('every table has its length and a checksum of zero, and none overlaps another', () => {
  const { built, found, dsdt, xsdt, rsdt } = tables();
  expect([...found.keys()]).toEqual(['FACP', 'APIC', 'HPET']);
  for (const table of [...found.values(), dsdt, xsdt, rsdt]) {
    expect(view(table).getUint32(4, true)).toBe(table.length);
    expect(sum(table)).toBe(0);
  }
  const sorted = [...built.blobs].sort((a, b) => a.address - b.address);
  sorted.forEach((blob, i) => {
    const next = sorted[i + 1]?.address ?? built.end;
    expect(blob.address + blob.bytes.length).toBeLessThanOrEqual(next);
  });
});

test('5.2.9: the FADT points at the power-management block, the FACS and the reset register', () => {
  const { fadt, at } = tables();
  const fields = view(fadt);
  expect(fadt.length).toBe(276);
  const facs = fields.getUint32(36, true);
  expect(facs % 64).toBe(0);
  expect(text(at(facs), 0, 4)).toBe('FACS');
  expect(fields.getUint16(46, true)).toBe(9);
  expect([56, 64, 76, 80].map((offset) => fields.getUint32(offset, true))).toEqual([
    0x600, 0x604, 0x608, 0x60c,
  ]);
  expect(fields.getUint32(112, true) & (1 << 20)).toBe(0); // not hardware-reduced
  expect([fadt[116], fadt[117], fields.getBigUint64(120, true), fadt[128]]).toEqual([1, 8, 0xcf9n, 6]);
  expect(fields.getBigUint64(140, true)).toBe(BigInt(fields.getUint32(40, true)));
  expect([fields.getBigUint64(152, true), fields.getBigUint64(212, true)]).toEqual([0x600n, 0x608n]);
});

test('5.2.12: the MADT names every processor, the IOAPIC, the overrides and the NMI', () => {
  const { found } = tables();
  const madt = found.get('APIC') ?? bytes();
  const entries: number[][] = [];
  for (let at = 44; at < madt.length; at += madt[at + 1])
    entries.push([...madt.subarray(at, at + madt[at + 1])]);
  expect(entries.filter(([type]) => type === 0).map((entry) => entry[3])).toEqual([0, 1, 2, 3]);
  expect(entries.find(([type]) => type === 1)).toEqual([1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0]);
  const overrides = entries.filter(([type]) => type === 2).map((entry) => [entry[3], entry[4], entry[8]]);
  expect(overrides).toEqual([
    [0, 2, 0],
    [9, 9, 0x0d],
    [5, 5, 0x0d],
    [10, 10, 0x0d],
    [11, 11, 0x0d],
  ]);
  expect(entries.at(-1)).toEqual([4, 6, 0xff, 0, 0, 1]);
});

test('more vCPUs than the MADT can name are refused', () => {
  for (const apicIds of [[], [255], Array.from({ length: 256 }, (_, i) => i % 200)]) {
    expect(() => buildAcpi({ ...board, apicIds })).toThrow(GuesthouseError);
  }
});

const iasl = spawnSync('iasl', ['-v']).error === undefined;
if (!iasl) console.warn('iasl is not installed: the ACPI tables are not checked by the ACPICA compiler');

test.skipIf(!iasl).each([
  ['four vCPUs', board],
  ['255 vCPUs, no 64-bit window, no mouse', minimal()],
])(
  'the ACPICA compiler disassembles every table and compiles the DSDT again without a word: %s',
  (_, of) => {
    const directory = mkdtempSync(join(tmpdir(), 'acpi-'));
    try {
      const { built } = tables(of);
      for (const { bytes: data } of built.blobs) {
        const signature = text(data, 0, 4);
        if (signature === 'RSD ') continue; // iasl reads no RSDP by itself
        const file = join(directory, `${signature}.aml`);
        writeFileSync(file, data);
        const run = spawnSync('iasl', ['-d', file], { encoding: 'utf8', timeout: 30_000 });
        const said = run.stdout + run.stderr;
        expect(run.status, said).toBe(0);
        expect(said).not.toMatch(/error|warning|invalid|incorrect|unknown/i);
        expect(readFileSync(join(directory, `${signature}.dsl`), 'utf8')).not.toMatch(
          /\/\* .*(invalid|incorrect)/i,
        );
      }
      // Without optimisation (-oa), so that the names stay as they are written.
      const source = join(directory, 'DSDT.dsl');
      const run = spawnSync('iasl', ['-oa', '-p', join(directory, 'again'), source], {
        encoding: 'utf8',
        timeout: 30_000,
      });
      expect(run.status, run.stdout + run.stderr).toBe(0);
      expect(run.stdout).toMatch(/ 0 Errors, 0 Warnings, 0 Remarks/);
      // The compiler's encoding of the same source is ours, but for the creator in the header.
      const again = readFileSync(join(directory, 'again.aml'));
      const ours = readFileSync(join(directory, 'DSDT.aml'));
      expect(again.subarray(36).equals(ours.subarray(36))).toBe(true);
    } finally {
      rmSync(directory, { recursive: true });
    }
  },
  60_000,
);

function minimal(): AcpiBoard {
  const { pciHole64: _, ...rest } = board;
  return {
    ...rest,
    apicIds: Array.from({ length: 255 }, (_value, i) => i),
    ps2Mouse: false,
    serialPorts: [],
  };
}
