/**
 * What the board tells its firmware through the configuration device and CMOS.
 */
import { FW_CFG_ITEM, type FwCfg } from '../device/firmware/fw-cfg.ts';
import type { Rtc } from '../device/chipset/rtc.ts';
import { ascii, concat, u16, u32, u64 } from './acpi/bytes.ts';
import { acpiFiles, LOADER_FILE } from './acpi/loader.ts';
import type { AcpiTables } from './acpi/board.ts';
import type { Topology } from '../vcpu/topology.ts';
import { E820 } from './boot/guest-memory.ts';
import { HIGH_RAM_START } from './memory-map.ts';
import { buildSmbios } from './smbios.ts';

/** A kind of device that firmware can boot from. */
export type BootKind = 'disk' | 'cdrom' | 'network';

/** How firmware looks for something to boot. */
export interface BootPlan {
  /** Kinds of devices, the first tried first; what is not named is tried last. */
  readonly order: readonly BootKind[];
  /** Milliseconds for which the firmware offers its boot menu; undefined for not at all. */
  readonly menu: number | undefined;
}

/** What there is to say about a machine. */
export interface FirmwareFacts {
  readonly topology: Topology;
  /** Bytes of RAM below 4 GiB, from address 0, and from 4 GiB on. */
  readonly low: number;
  readonly high: number;
  readonly boot: BootPlan;
  /** Devices to boot from, in order, by their Open Firmware paths; where empty, kinds alone decide. */
  readonly bootPaths: () => readonly string[];
  /** Built for any address. */
  readonly acpi: () => AcpiTables;
}

/** CMOS bytes that SeaBIOS and others read (as Bochs laid them out). */
const CMOS = { BootFirst: 0x3d, BootRest: 0x38, Processors: 0x5f } as const;

/** Boot kinds as CMOS numbers them; 1 is the floppy drive. */
const CMOS_KIND: Readonly<Record<BootKind, number>> = { disk: 2, cdrom: 3, network: 4 };

/** Bit 0 of the CMOS byte: the boot sector's signature of a floppy is not asked for. */
const NO_FLOPPY_SIGNATURE = 1;

/** Puts everything that is known before the machine runs into the configuration device. */
export function describeToFirmware(config: FwCfg, facts: FirmwareFacts): void {
  const { low, high, topology, boot } = facts;
  config.setItem(FW_CFG_ITEM.Uuid, new Uint8Array(16));
  config.setItem(FW_CFG_ITEM.RamSize, u64(low + high));
  config.setItem(FW_CFG_ITEM.NoGraphic, u16(0));
  config.setItem(FW_CFG_ITEM.Cpus, u16(topology.vcpus));
  // As QEMU has it: what SeaBIOS takes it for is the range of APIC ids.
  config.setItem(FW_CFG_ITEM.MaxCpus, u16(topology.apicIdLimit));
  config.setItem(FW_CFG_ITEM.BootMenu, u16(boot.menu === undefined ? 0 : 1));
  if (boot.menu !== undefined) config.addFile('etc/boot-menu-wait', u16(Math.min(boot.menu, 0xffff)));

  const usable = (base: number, length: number) => concat(u64(base), u64(length), u32(E820.Usable));
  config.addFile('etc/e820', concat(usable(0, low), ...(high > 0 ? [usable(HIGH_RAM_START, high)] : [])));

  const files = once(() => acpiFiles(facts.acpi()));
  config.addFile(LOADER_FILE.Loader, () => files().loader);
  config.addFile(LOADER_FILE.Tables, () => files().tables);
  config.addFile(LOADER_FILE.Rsdp, () => files().rsdp);

  const smbios = once(() => buildSmbios({ topology, low, high }));
  config.addFile('etc/smbios/smbios-anchor', () => smbios().anchor);
  config.addFile('etc/smbios/smbios-tables', () => smbios().tables);
  config.addFile('bootorder', () => {
    const paths = facts.bootPaths();
    return paths.length === 0 ? new Uint8Array() : concat(ascii(paths.join('\n')), [0]);
  });
}

/** Puts into CMOS what firmware looks for there. At every power-on, after the clock's reset. */
export function describeInCmos(rtc: Rtc, { low, high, topology, boot }: FirmwareFacts): void {
  rtc.setMemorySize(low, high);
  rtc.setByte(CMOS.Processors, topology.vcpus - 1);
  const [first = 0, second = 0, third = 0] = boot.order.map((kind) => CMOS_KIND[kind]);
  rtc.setByte(CMOS.BootFirst, first | (second << 4));
  rtc.setByte(CMOS.BootRest, NO_FLOPPY_SIGNATURE | (third << 4));
}

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}
