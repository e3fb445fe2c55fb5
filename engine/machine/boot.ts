/**
 * How a machine begins in a kernel that is loaded directly.
 *
 * Direct boot does what firmware would have done before the kernel: opens the RAM below 1 MiB, lets the PIC
 * through the local APIC, sets up the keyboard controller and the serial ports, routes PCI interrupts, and
 * leaves the ACPI tables.
 */
import { type BootFile, readBootFile } from '../backend/boot-file.ts';
import type { AcpiTables } from './acpi/board.ts';
import { buildAcpi } from './acpi/tables.ts';
import { PIRQ_ROUTE } from '../device/pci/isa-bridge.ts';
import { PciCommand, PciRegister } from '../device/pci/pci-function.ts';
import { PM_REGISTER } from '../device/pci/pm-function.ts';
import { IDE_TIMING, type IdeController } from '../device/storage/ide/ide-controller.ts';
import { E820, type E820Entry, type GuestMemory } from './boot/guest-memory.ts';
import { applyEntry } from './boot/entry.ts';
import { loadKernel } from './boot/detect.ts';
import type { Board } from './board.ts';
import { HPET_BASE, IOAPIC_BASE, LAPIC_BASE, PM_BASE, SERIAL_PORTS } from './chipset.ts';
import { HIGH_RAM_START, LOW_RAM_END, splitRam } from './memory-map.ts';

/** Where the ACPI tables go: a guest looks for the RSDP from here on (ACPI 6.5, 5.2.5.1). */
const TABLES = 0xe0000;

/** The extended BIOS data area, by custom the last KiB below 640 KiB. */
const EBDA = 0x9fc00;

const MIB = 0x100000;

/** Config space of the host bridge: PAM0 … PAM6 (82441FX data sheet, 3.2.17), and all of it as RAM. */
const PAM0 = 0x59;
const PAM_RAM = [0x30, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33];

/** Where PIRQA# … PIRQD# go. */
const PIRQ_IRQS = [10, 10, 11, 11];

/** Edge/level control of interrupts 8 … 15: the SCI (9) and the PCI interrupts are levels. */
const LEVEL_IRQS = (1 << (9 - 8)) | (1 << (10 - 8)) | (1 << (11 - 8));

/** Virtual wire mode, by local APIC register: the spurious-interrupt vector with the APIC enabled, LINT0 as
 * ExtINT and LINT1 as NMI (MultiProcessor Specification 1.4, 3.6.2.2). */
const VIRTUAL_WIRE = [
  { offset: 0x0f0, value: 0x1ff },
  { offset: 0x350, value: 0x700 },
  { offset: 0x360, value: 0x400 },
] as const;

/** UART registers: 8 data bits, no parity, 1 stop bit (PC16550D data sheet, line control register). */
const UART_LCR = 3;
const EIGHT_BITS = 0x03;

/**
 * Loads the kernel and puts the bootstrap processor at its entry.
 *
 * @throws GuesthouseError where the kernel or a module cannot be read, is not what it should be, or does not fit
 */
export function bootDirectly(board: Board, kernel: BootFile): void {
  const { hostBridge, isaBridge, pmFunction, i8042, pic, lapics, serial } = board.chipset;
  for (const [i, value] of PAM_RAM.entries()) hostBridge.configWrite(PAM0 + i, 1, value);
  for (const [i, irq] of PIRQ_IRQS.entries()) isaBridge.configWrite(PIRQ_ROUTE + i, 1, irq);
  pmFunction.configWrite(PM_REGISTER.PmBase, 4, PM_BASE);
  pmFunction.configWrite(PM_REGISTER.PmRegMisc, 1, 1);
  enableIde(board.storage.ide);
  pic.elcr.portWrite(1, 1, LEVEL_IRQS);
  for (const { offset, value } of VIRTUAL_WIRE) lapics.mmioWrite(offset, 4, value, 0);
  i8042.initialize();
  for (const { uart } of serial) uart.portWrite(UART_LCR, 1, EIGHT_BITS);

  const { images } = board.options;
  const tables = acpiTables(board, TABLES);
  for (const { address, bytes } of tables.blobs) board.physical.write(address, bytes);
  const initrd = images.initrd === null ? [] : [images.initrd];
  const loaded = loadKernel(guestMemory(board), {
    kernel: readBootFile(kernel),
    modules: [...initrd, ...images.modules].map((file) => ({ bytes: readBootFile(file) })),
    commandLine: images.commandLine,
    rsdpAddress: tables.rsdpAddress,
  });
  applyEntry(board.states[0], loaded.entry);
}

/** The board's ACPI tables, built for addresses from `base` on. */
export function acpiTables(board: Board, base: number): AcpiTables {
  return buildAcpi({
    base,
    apicIds: board.states.map((_, index) => board.topology.apicId(index)),
    pciHole: { start: LOW_RAM_END, end: IOAPIC_BASE },
    pmBase: PM_BASE,
    serialPorts: SERIAL_PORTS.slice(0, board.serial.length),
    hpet: { address: HPET_BASE, capabilities: board.chipset.hpet.mmioRead(0, 4, 0) },
    localApicAddress: LAPIC_BASE,
    ioApic: { id: 0, address: IOAPIC_BASE },
    ps2Mouse: board.chipset.mouse !== undefined,
    vga: board.vga !== undefined,
  });
}

/** The RAM as loaders see it, with the system address map. */
function guestMemory({ memory, physical }: Board): GuestMemory {
  const { low, high } = splitRam(memory.ramBytes);
  const e820: E820Entry[] = [
    { base: 0, length: EBDA, type: E820.Usable },
    { base: EBDA, length: 0xa0000 - EBDA, type: E820.Reserved },
    { base: TABLES, length: MIB - TABLES, type: E820.Reserved },
  ];
  if (low > MIB) e820.push({ base: MIB, length: low - MIB, type: E820.Usable });
  if (high > 0) e820.push({ base: HIGH_RAM_START, length: high, type: E820.Usable });
  return {
    size: low,
    e820,
    write: (address, bytes) => physical.write(address, bytes),
    read: (address, length) => physical.read(address, length),
  };
}

/** Both channels answer at their ports, as firmware leaves them. */
function enableIde(ide: IdeController | undefined): void {
  for (const high of [1, 3]) ide?.configWrite(IDE_TIMING + high, 1, 0x80);
  ide?.configWrite(PciRegister.Command, 2, PciCommand.Io);
}
