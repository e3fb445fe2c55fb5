/**
 * The SMBIOS tables: what the machine calls itself, its processors and its memory, for firmware to place.
 *
 * System Management BIOS Reference Specification 2.8 (DSP0134), 5.2.1 "SMBIOS Structure Table Entry Point" and
 * chapter 7. The BIOS describes itself (type 0).
 */
import type { CpuTopology } from '../api/topology.ts';
import { ascii, concat, u16, u32, u8 } from './acpi/bytes.ts';

/** What the tables say. */
export interface SmbiosMachine {
  readonly topology: CpuTopology;
  /** Bytes of RAM below 4 GiB and above. */
  readonly low: number;
  readonly high: number;
}

export interface Smbios {
  /** The entry point, for 32-bit addresses; whoever places the tables sets their address and both checksums. */
  readonly anchor: Uint8Array;
  readonly tables: Uint8Array;
}

const MIB = 0x10_0000;
const GIB = 0x4000_0000;

/** Handles of structures that others refer to. */
const HANDLE = { Chassis: 0x300, Processor: 0x400, Array: 0x1000, Device: 0x1100, Mapped: 0x1300 } as const;

/** Values of enumerations: "other", "unknown", and a check result of "safe". */
const OTHER = 1;
const UNKNOWN = 2;
const SAFE = 3;

/** Builds the tables. */
export function buildSmbios(machine: SmbiosMachine): Smbios {
  const structures = [
    system(),
    chassis(),
    ...Array.from({ length: machine.topology.sockets }, (_, socket) => processor(socket, machine.topology)),
    memoryArray(machine),
    memoryDevice(machine),
    mappedRange(0, 0, machine.low),
    ...(machine.high > 0 ? [mappedRange(1, 4 * GIB, machine.high)] : []),
    structure(32, 0x2000, [0, 0, 0, 0, 0, 0, 0]), // no error detected at boot
    structure(127, 0x7f00, []),
  ];
  const tables = concat(...structures);
  const largest = Math.max(...structures.map(({ length }) => length));
  const anchor = concat(
    ascii('_SM_'), [0, 0x1f, 2, 8], u16(largest), [0, 0, 0, 0, 0, 0],
    ascii('_DMI_'), [0], u16(tables.length), u32(0), u16(structures.length), [0x28],
  ); // prettier-ignore
  return { anchor, tables };
}

/** A structure: header, formatted part, strings (6.1.2, 6.1.3). */
function structure(
  type: number,
  handle: number,
  fields: Uint8Array | readonly number[],
  ...strings: string[]
): Uint8Array {
  const text = strings.length === 0 ? [0] : concat(...strings.map((each) => concat(ascii(each), [0])));
  return concat(u8(type), u8(4 + fields.length), u16(handle), fields, text, [0]);
}

/** 7.2; without a UUID: all ones says that it can be set. */
function system(): Uint8Array {
  const uuid = new Uint8Array(16).fill(0);
  const fields = concat([1, 2, 0, 0], uuid, [6, 0, 0]); // woken by the power switch
  return structure(1, 0x100, fields, 'Guesthouse', 'Guesthouse PC (i440FX)');
}

/** 7.4. */
function chassis(): Uint8Array {
  const fields = concat([1, OTHER, 0, 0, 0, SAFE, SAFE, SAFE, UNKNOWN], u32(0), [0, 0, 0, 0]);
  return structure(3, HANDLE.Chassis, fields, 'Guesthouse');
}

/** 7.5: one socket, with what is in it. */
function processor(socket: number, { cores, threads }: CpuTopology): Uint8Array {
  const none = u16(0xffff);
  const fields = concat(
    [1, 3, OTHER, 2], new Uint8Array(8), // socket, central processor, family, maker, identity
    [0, 0], u16(0), u16(2000), u16(2000), [0x41, OTHER], // enabled
    none, none, none, [0, 0, 0], u8(cores), u8(cores), u8(cores * threads), u16(0x0c), u16(OTHER),
  ); // prettier-ignore
  return structure(4, HANDLE.Processor + socket, fields, `CPU ${socket}`, 'Guesthouse');
}

/** 7.17. */
function memoryArray({ low, high }: SmbiosMachine): Uint8Array {
  const fields = concat([OTHER, SAFE, 6], u32((low + high) / 1024), u16(0xfffe), u16(1));
  return structure(16, HANDLE.Array, fields);
}

/** 7.18. */
function memoryDevice({ low, high }: SmbiosMachine): Uint8Array {
  const fields = concat(
    u16(HANDLE.Array), u16(0xfffe), u16(0xffff), u16(0xffff), u16(Math.round((low + high) / MIB)),
    [9, 0, 1, 0, 7], u16(UNKNOWN), u16(0), [2, 0, 0, 0, 0], u32(0), u16(0), // DIMM, RAM
    u16(0), u16(0), u16(0),
  ); // prettier-ignore
  return structure(17, HANDLE.Device, fields, 'DIMM 0', 'Guesthouse');
}

/** 7.20: a range of addresses in KiB, both ends inclusive. */
function mappedRange(index: number, start: number, bytes: number): Uint8Array {
  const fields = concat(u32(start / 1024), u32((start + bytes) / 1024 - 1), u16(HANDLE.Array), [1]);
  return structure(19, HANDLE.Mapped + index, fields);
}
