/**
 * The ACPI tables of a board: RSDP, RSDT, XSDT, FADT, FACS, DSDT, MADT and HPET.
 *
 * ACPI 6.5, 5.2 "ACPI System Description Tables"; IA-PC HPET Specification 1.0a, 3.2.4.
 */
import { GuesthouseError } from '../../base/errors.ts';
import { PM } from '../../device/power/acpi-pm.ts';
import { ACPI_DISABLE, ACPI_ENABLE } from '../../device/power/apm-control.ts';
import type { AcpiBoard, AcpiPointer, AcpiTables } from './board.ts';
import { ascii, concat, u16, u32, u64, u8 } from './bytes.ts';
import { buildDsdt, PCI_INTERRUPTS } from './dsdt.ts';

const OEM_ID = ascii('GUESTH');
const OEM_TABLE_ID = ascii('GUESTPC ');
const CREATOR_ID = ascii('GSTH');

/** The first table comes so many bytes after the RSDP, where it is as aligned as any of them has to be. */
export const TABLES_AFTER_RSDP = 64;

/** Global system interrupt of the SCI. */
const SCI = 9;

/** Port of SMI_CMD, and of the reset control register with the value that resets the system. */
const SMI_COMMAND = 0xb2;
const RESET_PORT = 0xcf9;
const RESET_VALUE = 0x06;

/** Where in CMOS the century is. */
const CMOS_CENTURY = 0x32;

/** Fixed feature flags (table 5.10). */
const FEATURE = {
  Wbinvd: 1 << 0,
  ProcessorC1: 1 << 2,
  SleepButtonIsNotFixed: 1 << 5,
  RtcWakeIsNotFixed: 1 << 6,
  Timer32Bit: 1 << 8,
  ResetRegister: 1 << 10,
} as const;

/** IA-PC boot architecture flags (table 5.11). */
const BOOT = { LegacyDevices: 1 << 0, Controller8042: 1 << 1, NoVga: 1 << 2 } as const;

/** Interrupt source flags (table 5.26): polarity in bits 0-1, trigger mode in bits 2-3. */
const LEVEL_ACTIVE_HIGH = 0x0d;

/**
 * Builds the tables.
 *
 * @throws GuesthouseError('config') for more vCPUs, or higher APIC ids, than the MADT's entries can name
 */
export function buildAcpi(board: AcpiBoard): AcpiTables {
  const high = board.apicIds.find((id) => !Number.isInteger(id) || id < 0 || id > 254);
  if (high !== undefined || board.apicIds.length === 0 || board.apicIds.length > 255) {
    throw new GuesthouseError(
      'config',
      `ACPI tables for ${board.apicIds.length} vCPUs cannot be built`,
      'use 1 to 255',
    );
  }
  const blobs: Array<{ address: number; bytes: Uint8Array }> = [];
  const pointers: AcpiPointer[] = [];
  let next = board.base + TABLES_AFTER_RSDP;
  const place = (bytes: Uint8Array, align = 16): number => {
    const address = Math.ceil(next / align) * align;
    blobs.push({ address, bytes });
    next = address + bytes.length;
    return address;
  };

  const facs = place(buildFacs(), 64);
  const dsdt = place(table('DSDT', 2, buildDsdt(board)));
  const fadt = place(table('FACP', 6, fadtBody(board, facs, dsdt)));
  pointers.push(
    { address: fadt + FADT.Facs, bytes: 4 },
    { address: fadt + FADT.Dsdt, bytes: 4 },
    { address: fadt + FADT.XDsdt, bytes: 8 },
  );
  const listed = [fadt, place(table('APIC', 5, madtBody(board))), place(table('HPET', 1, hpetBody(board)))];
  const rsdt = place(table('RSDT', 1, concat(...listed.map(u32))));
  const xsdt = place(table('XSDT', 1, concat(...listed.map(u64))));
  for (const index of listed.keys()) {
    pointers.push({ address: rsdt + HEADER_BYTES + 4 * index, bytes: 4 });
    pointers.push({ address: xsdt + HEADER_BYTES + 8 * index, bytes: 8 });
  }
  pointers.push({ address: board.base + RSDP.Rsdt, bytes: 4 }, { address: board.base + RSDP.Xsdt, bytes: 8 });
  const checksums = blobs
    .filter(({ address }) => address !== facs)
    .map(({ address, bytes }) => ({ address: address + CHECKSUM, start: address, length: bytes.length }));
  checksums.push(
    { address: board.base + RSDP.Checksum, start: board.base, length: RSDP_FIRST_BYTES },
    { address: board.base + RSDP.ExtendedChecksum, start: board.base, length: RSDP_BYTES },
  );
  blobs.unshift({ address: board.base, bytes: buildRsdp(rsdt, xsdt) });
  return { rsdpAddress: board.base, blobs, end: next, pointers, checksums };
}

/** Makes the bytes add up to 0 modulo 256 by setting the one at `at`. */
function checksum(bytes: Uint8Array, at: number, length = bytes.length): void {
  bytes[at] = 0;
  bytes[at] = -bytes.subarray(0, length).reduce((sum, byte) => sum + byte, 0);
}

/** A table with its header (5.2.6). */
function table(signature: string, revision: number, body: Uint8Array): Uint8Array {
  const bytes = concat(
    ascii(signature), u32(HEADER_BYTES + body.length), u8(revision), [0], OEM_ID, OEM_TABLE_ID, u32(1), CREATOR_ID, u32(1), body,
  ); // prettier-ignore
  checksum(bytes, CHECKSUM);
  return bytes;
}

/** Bytes of a table's header, and where in it the checksum is. */
const HEADER_BYTES = 36;
const CHECKSUM = 9;

/** Offsets of pointers to other tables in the FADT. */
const FADT = { Facs: 36, Dsdt: 40, XDsdt: 140 } as const;

/** The RSDP's size, that of the part that its first checksum is over, and offsets in it. */
const RSDP_BYTES = 36;
const RSDP_FIRST_BYTES = 20;
const RSDP = { Checksum: 8, Rsdt: 16, Xsdt: 24, ExtendedChecksum: 32 } as const;

/** 5.2.5.3; revision 2, with a checksum over the first 20 bytes and one over all. */
function buildRsdp(rsdt: number, xsdt: number): Uint8Array {
  const bytes = concat(
    ascii('RSD PTR '),
    [0],
    OEM_ID,
    [2],
    u32(rsdt),
    u32(RSDP_BYTES),
    u64(xsdt),
    [0, 0, 0, 0],
  );
  checksum(bytes, RSDP.Checksum, RSDP_FIRST_BYTES);
  checksum(bytes, RSDP.ExtendedChecksum);
  return bytes;
}

/** 5.2.10; no waking vector, no owner of the global lock, version 2. */
function buildFacs(): Uint8Array {
  const bytes = new Uint8Array(64);
  bytes.set(ascii('FACS'), 0);
  bytes.set(u32(bytes.length), 4);
  bytes[32] = 2;
  return bytes;
}

/** Access sizes of a generic address (table 5.1). */
const ACCESS = { Byte: 1, Word: 2, Dword: 3 } as const;

/** A generic address in port space (5.2.3.2); all zero where there is no register. */
function portAddress(port: number, bytes: number, access: number): Uint8Array {
  return concat([1, 8 * bytes, 0, access], u64(port));
}

const NO_ADDRESS = new Uint8Array(12);

/** 5.2.9, revision 6.5: 276 bytes with the header. */
function fadtBody(board: AcpiBoard, facs: number, dsdt: number): Uint8Array {
  const event = board.pmBase + PM.Event;
  const control = board.pmBase + PM.Control;
  const timer = board.pmBase + PM.Timer;
  const gpe0 = board.pmBase + PM.Gpe0;
  const boot = BOOT.LegacyDevices | BOOT.Controller8042 | (board.vga ? 0 : BOOT.NoVga);
  // The power button is a fixed one: its flag is clear.
  const features =
    FEATURE.Wbinvd |
    FEATURE.ProcessorC1 |
    FEATURE.SleepButtonIsNotFixed |
    FEATURE.RtcWakeIsNotFixed |
    FEATURE.Timer32Bit |
    FEATURE.ResetRegister;
  return concat(
    u32(facs), u32(dsdt),
    [0, 1], // reserved; preferred profile: desktop
    u16(SCI), u32(SMI_COMMAND), [ACPI_ENABLE, ACPI_DISABLE, 0, 0],
    u32(event), u32(0), u32(control), u32(0), u32(0), u32(timer), u32(gpe0), u32(0),
    [4, 2, 0, 4, PM.Gpe0Bytes, 0, 0, 0], // lengths of the blocks, GPE1 base, _CST
    u16(0xffff), u16(0xffff), // C2 and C3 latencies: not supported
    u16(0), u16(0), [0, 0], // cache flush, duty cycle
    [0, 0, CMOS_CENTURY],
    u16(boot), [0], u32(features),
    portAddress(RESET_PORT, 1, ACCESS.Byte), [RESET_VALUE],
    u16(0), [5], // Arm boot flags, minor version
    u64(0), u64(dsdt), // the FACS below 4 GiB is given by its 32-bit field alone
    portAddress(event, 4, ACCESS.Word), NO_ADDRESS,
    portAddress(control, 2, ACCESS.Word), NO_ADDRESS,
    NO_ADDRESS,
    portAddress(timer, 4, ACCESS.Dword),
    portAddress(gpe0, PM.Gpe0Bytes, ACCESS.Byte), NO_ADDRESS,
    NO_ADDRESS, NO_ADDRESS, // sleep registers of hardware-reduced ACPI
    u64(0), // hypervisor vendor identity
  ); // prettier-ignore
}

/** Where an ISA interrupt goes, if not to the pin of its number as an edge (5.2.12.5). */
function interruptOverride(source: number, gsi: number, flags: number): Uint8Array {
  return concat([2, 10, 0], u8(source), u32(gsi), u16(flags));
}

/** 5.2.12. */
function madtBody(board: AcpiBoard): Uint8Array {
  return concat(
    u32(board.localApicAddress),
    u32(1), // PCAT_COMPAT: there are 8259s as well
    ...board.apicIds.map((id, uid) => concat([0, 8], u8(uid), u8(id), u32(1))),
    concat([1, 12], u8(board.ioApic.id), [0], u32(board.ioApic.address), u32(0)),
    interruptOverride(0, 2, 0), // the PIT is wired to pin 2, as ever since the first IOAPIC
    interruptOverride(SCI, SCI, LEVEL_ACTIVE_HIGH),
    ...PCI_INTERRUPTS.map((line) => interruptOverride(line, line, LEVEL_ACTIVE_HIGH)),
    concat([4, 6, 0xff], u16(0), [1]), // NMI at LINT1 of every processor
  );
}

/** IA-PC HPET 1.0a, 3.2.4. */
function hpetBody(board: AcpiBoard): Uint8Array {
  const address = concat([0, 64, 0, 0], u64(board.hpet.address));
  return concat(u32(board.hpet.capabilities), address, [0], u16(0x80), [0]);
}
