/**
 * The machine's disks: which controllers they are on, and where those are.
 */
import type { BlockDevice } from '../device/storage/block.ts';
import { Cdrom } from '../device/storage/cdrom.ts';
import type { Drive } from '../device/storage/ide/channel-state.ts';
import { IdeController } from '../device/storage/ide/ide-controller.ts';
import { IoSlots } from '../device/storage/io-slots.ts';
import { VirtioBlk } from '../device/storage/virtio/virtio-blk.ts';
import { MOST_QUEUES } from '../device/storage/virtio/virtio-pci.ts';
import type { Arena } from '../memory/layout.ts';
import type { MmioBus } from '../memory/mmio-bus.ts';
import type { PhysicalMemory } from '../memory/physical-memory.ts';
import type { PortBus } from '../memory/port-bus.ts';
import { type Chipset, SOUTH_BRIDGE } from './chipset.ts';

/** A disk, as far as the board needs to know. */
export interface DiskPlan {
  readonly bus: 'ide' | 'virtio';
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

/** Drives of the IDE controller. */
export const IDE_DRIVES = 4;

/** Which drives of the IDE controller the disks are, in the order of the plan: hard disks from the first on,
 * CD-ROMs from the second channel's first on.
 * @returns for each drive the number of its disk in the plan */
export function ideDrives(disks: readonly DiskPlan[]): Array<number | undefined> {
  const drives: Array<number | undefined> = Array.from({ length: IDE_DRIVES }, () => undefined);
  const place = (disk: number, order: readonly number[]) => {
    const drive = order.find((each) => drives[each] === undefined);
    if (drive === undefined) throw new RangeError(`more than ${IDE_DRIVES} IDE drives`);
    drives[drive] = disk;
  };
  for (const kind of ['disk', 'cdrom'] as const) {
    for (const [i, { bus, device }] of disks.entries()) {
      if (bus === 'ide' && device === kind) place(i, kind === 'disk' ? [0, 1, 2, 3] : [2, 3, 1, 0]);
    }
  }
  return drives;
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

/** What the controllers are wired to. */
export interface StorageParts {
  readonly chipset: Chipset;
  readonly ports: PortBus;
  readonly mmio: MmioBus;
  readonly memory: PhysicalMemory;
  readonly vcpus: number;
}

export class Storage {
  readonly slots: IoSlots;
  /** Every device with an I/O thread's half. */
  readonly served: readonly ServedDevice[];
  /** The CD-ROM drive that a disk of the plan is, where it is one. */
  readonly cdroms: ReadonlyMap<number, Cdrom>;
  /** There where a drive is on it. */
  readonly ide: IdeController | undefined;
  /** By number in the plan. */
  readonly #virtio = new Map<number, VirtioBlk>();

  /** Puts the controllers on the board. */
  constructor(
    arena: Arena,
    disks: readonly DiskPlan[],
    { chipset, ports, mmio, memory, vcpus }: StorageParts,
  ) {
    this.slots = new IoSlots(arena);
    const cdroms = new Map<number, Cdrom>();
    for (const [i, { device, bytes }] of disks.entries()) {
      if (device === 'cdrom') cdroms.set(i, new Cdrom(`cdrom${i}`, arena, bytes));
    }
    this.cdroms = cdroms;
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
