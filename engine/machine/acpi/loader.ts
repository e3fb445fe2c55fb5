/**
 * The ACPI tables as firmware takes them from the configuration device: the RSDP and the tables as files that may
 * lie anywhere, and a script by which the firmware places them, mends the pointers between them, and their
 * checksums.
 *
 * QEMU's table loader, "etc/table-loader": commands of 128 bytes, numbers little-endian, file names of 56 bytes.
 */
import type { AcpiTables } from './board.ts';
import { ascii, concat, le, u32 } from './bytes.ts';
import { TABLES_AFTER_RSDP } from './tables.ts';

export const LOADER_FILE = {
  Loader: 'etc/table-loader',
  Tables: 'etc/acpi/tables',
  Rsdp: 'etc/acpi/rsdp',
} as const;

const COMMAND = { Allocate: 1, AddPointer: 2, AddChecksum: 3 } as const;

/** Where a file is to lie: anywhere below 4 GiB, or where the BIOS keeps what is searched for. */
const ZONE = { High: 1, FirmwareSegment: 2 } as const;

const COMMAND_BYTES = 128;
const NAME_BYTES = 56;

/** What the files hold. */
export interface AcpiFiles {
  readonly loader: Uint8Array;
  readonly tables: Uint8Array;
  readonly rsdp: Uint8Array;
}

/** Makes the files of tables that were built for any address. */
export function acpiFiles(acpi: AcpiTables): AcpiFiles {
  const { rsdpAddress, end } = acpi;
  const origin = rsdpAddress + TABLES_AFTER_RSDP;
  const all = new Uint8Array(end - rsdpAddress);
  for (const { address, bytes } of acpi.blobs) all.set(bytes, address - rsdpAddress);
  const view = new DataView(all.buffer);
  const commands = [
    command(COMMAND.Allocate, fileName(LOADER_FILE.Rsdp), u32(16), [ZONE.FirmwareSegment]),
    command(COMMAND.Allocate, fileName(LOADER_FILE.Tables), u32(64), [ZONE.High]),
  ];
  /** The file that an address is in, and the offset in it. */
  const place = (address: number) =>
    address < origin
      ? { file: LOADER_FILE.Rsdp, offset: address - rsdpAddress }
      : { file: LOADER_FILE.Tables, offset: address - origin };

  for (const { address, bytes } of acpi.pointers) {
    // What is in the field is the target's offset in its file; the firmware adds where that file lies.
    const at = address - rsdpAddress;
    all.set(le(view.getUint32(at, true) - origin, bytes), at);
    const { file, offset } = place(address);
    commands.push(
      command(COMMAND.AddPointer, fileName(file), fileName(LOADER_FILE.Tables), u32(offset), [bytes]),
    );
  }
  for (const { address, start, length } of acpi.checksums) {
    const { file, offset } = place(address);
    const fields = [u32(offset), u32(place(start).offset), u32(length)];
    commands.push(command(COMMAND.AddChecksum, fileName(file), ...fields));
  }
  return {
    loader: concat(...commands),
    tables: all.subarray(TABLES_AFTER_RSDP),
    rsdp: all.subarray(0, TABLES_AFTER_RSDP).slice(0, acpi.blobs[0].bytes.length),
  };
}

function fileName(name: string): Uint8Array {
  const bytes = new Uint8Array(NAME_BYTES);
  bytes.set(ascii(name));
  return bytes;
}

function command(code: number, ...fields: ReadonlyArray<Uint8Array | readonly number[]>): Uint8Array {
  const bytes = new Uint8Array(COMMAND_BYTES);
  bytes.set(concat(u32(code), ...fields));
  return bytes;
}
