/**
 * The machine's disks: which controllers they are on, and where those are.
 */
import type { DiskBus } from '../api/config.ts';
import { ideDrives } from '../api/disk-targets.ts';
import { AhciController } from '../device/storage/ahci/ahci-controller.ts';
import type { BlockDevice } from '../device/storage/block.ts';
import { BlockCounters } from '../device/storage/block-counters.ts';
import { Cdrom } from '../device/storage/cdrom.ts';
import type { Drive } from '../device/storage/ata/ata-drive.ts';
import { IdeController } from '../device/storage/ide/ide-controller.ts';
import { IoSlots } from '../device/storage/io-slots.ts';
import { VirtioBlk } from '../device/storage/virtio-blk.ts';
import { MOST_QUEUES } from '../device/virtio/virtio-pci.ts';
import type { Arena } from '../memory/layout.ts';
import type { MmioBus } from '../memory/mmio-bus.ts';
import type { PhysicalMemory } from '../memory/physical-memory.ts';
import type { PortBus } from '../memory/port-bus.ts';
import { type Chipset, SOUTH_BRIDGE } from './chipset.ts';

/** A disk, as far as the board needs to know. */
export interface DiskPlan {
  readonly bus: DiskBus;
  readonly device: 'disk' | 'cdrom';
  /** Bytes of the image; 0 for a drive without a disc. */
  readonly bytes: number;
  readonly writable: boolean;
  /** Up to 20 characters of ASCII. */
  readonly serial: string;
}

/** A device with an I/O thread's half, and the disks that belong to it: by drive, numbers in the plan. */
export interface ServedDevice {
  readonly device: BlockDevice;
  readonly disks: ReadonlyArray<number | undefined>;
}

/** Bytes of the machine area that the controllers and drives need. */
export function storageBytes(disks: readonly DiskPlan[]): number {
  return IDE_BYTES + disks.length * DISK_BYTES;
}

/** The IDE controller: two channels with a buffer of 64 KiB each, and their registers. */
const IDE_BYTES = 0x2_1000;
const DISK_BYTES = 0x1000;

/** Where virtio disks are on bus 0: from this device on, one each. */
const FIRST_VIRTIO_SLOT = 8;

/** Where the AHCI controller is. */
const AHCI_SLOT = { device: 3, function: 0 } as const;

/** What the controllers are wired to. */
export interface StorageParts {
  readonly chipset: Chipset;
  readonly ports: PortBus;
  readonly mmio: MmioBus;
  readonly memory: PhysicalMemory;
  readonly vcpus: number;
  /** Runs something once this thread does not hold the device lock any more. */
  readonly afterwards: (body: () => void) => void;
}

export class Storage {
  readonly slots: IoSlots;
  /** Every device with an I/O thread's half. */
  readonly served: readonly ServedDevice[];
  /** The CD-ROM drive that a disk of the plan is, where it is one. */
  readonly cdroms: ReadonlyMap<number, Cdrom>;
  /** What each disk of the plan has moved; written by the I/O thread. */
  readonly counters: readonly BlockCounters[];
  /** There where a drive is on it. */
  readonly ide: IdeController | undefined;
  readonly ahci: AhciController | undefined;
  /** By number in the plan. */
  readonly #virtio = new Map<number, VirtioBlk>();

  /** Puts the controllers on the board. */
  constructor(
    arena: Arena,
    disks: readonly DiskPlan[],
    { chipset, ports, mmio, memory, vcpus, afterwards }: StorageParts,
  ) {
    this.slots = new IoSlots(arena, afterwards);
    const cdroms = new Map<number, Cdrom>();
    for (const [i, { device, bytes }] of disks.entries()) {
      if (device === 'cdrom')
        cdroms.set(i, new Cdrom(`cdrom${i}`, arena, bytes, () => this.slots.mediumMoved()));
    }
    this.cdroms = cdroms;
    this.counters = disks.map(() => new BlockCounters(arena));
    for (const cdrom of cdroms.values()) chipset.addDevice(cdrom);

    const served: ServedDevice[] = [];
    const drives = ideDrives(disks);
    if (drives.some((disk) => disk !== undefined)) {
      this.ide = new IdeController(arena, {
        ports,
        memory,
        slots: this.slots,
        interrupt: (irq) => chipset.connectInterrupt(irq),
        drives: drives.map((disk) =>
          disk === undefined ? undefined : driveOf(disks[disk], cdroms.get(disk)),
        ),
      });
      chipset.addPciDevice(SOUTH_BRIDGE.ide, this.ide, ...this.ide.devices);
      for (const [i, device] of this.ide.channels.entries()) {
        served.push({ device, disks: drives.slice(2 * i, 2 * i + 2) });
      }
    }
    const sata = [...disks.keys()].filter((disk) => disks[disk].bus === 'sata');
    if (sata.length > 0) {
      this.ahci = new AhciController(arena, {
        mmio,
        memory,
        slots: this.slots,
        send: chipset.sendMessage,
        drives: sata.map((disk) => driveOf(disks[disk], cdroms.get(disk))),
      });
      chipset.addPciDevice(AHCI_SLOT, this.ahci, ...this.ahci.devices);
      for (const [i, device] of this.ahci.ports.entries()) served.push({ device, disks: [sata[i]] });
    }
    for (const [disk, plan] of disks.entries()) {
      if (plan.bus !== 'virtio') continue;
      const device = new VirtioBlk(arena, {
        name: `virtio-blk${disk}`,
        bytes: plan.bytes,
        writable: plan.writable,
        serial: plan.serial,
        // One for each vCPU, so that none waits for another's.
        queues: Math.min(vcpus, MOST_QUEUES),
        memory,
        mmio,
        send: chipset.sendMessage,
        slot: this.slots.slot(),
      });
      const slot = { device: FIRST_VIRTIO_SLOT + this.#virtio.size, function: 0 };
      chipset.addPciDevice(slot, device.fn, device.fn.msix, device);
      this.#virtio.set(disk, device);
      served.push({ device, disks: [disk] });
    }
    this.served = served;
  }

  /** What is done once, by the thread that has made the memory. */
  install(): void {
    for (const cdrom of this.cdroms.values()) cdrom.install();
    for (const device of this.#virtio.values()) device.install();
  }
}

function driveOf(plan: DiskPlan, cdrom: Cdrom | undefined): Drive {
  const { bytes, writable, serial } = plan;
  return cdrom === undefined ? { kind: 'disk', bytes, writable, serial } : { kind: 'cdrom', cdrom, serial };
}
