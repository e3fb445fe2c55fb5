/**
 * The PCI transport of virtio devices: configuration structures in a memory BAR, found by capabilities.
 *
 * ```
 * BAR 1  MSI-X table and pending bits
 * BAR 4  0x0000 common configuration   0x1000 ISR status
 *        0x2000 the device's own       0x3000 notifications, 4 bytes a queue
 * ```
 *
 * Virtual I/O Device (VIRTIO) Version 1.2, 4.1 "Virtio Over PCI Bus"; modern interface only.
 */
import { type Arena, layout, type View } from '../../memory/layout.ts';
import type { MmioBus } from '../../memory/mmio-bus.ts';
import { allOnes, readBytes, writeBytes } from '../byte-access.ts';
import type { AccessSize, MmioDevice } from '../device.ts';
import type { MessageSender } from '../pci/msi.ts';
import { Msix } from '../pci/msix.ts';
import { mmioBar } from '../pci/pci-bars.ts';
import { PciFunction } from '../pci/pci-function.ts';
import type { QueuePlace } from './virtqueue.ts';

const VENDOR = 0x1af4;
/** Device ids of the modern interface begin here; the virtio device type is added. */
const MODERN_DEVICE = 0x1040;

/** Queues of a device at most. */
export const MOST_QUEUES = 8;

const BAR = { Msix: 1, Structures: 4 } as const;
const STRUCTURES_BYTES = 0x4000;
const Structure = { Common: 0x0000, Isr: 0x1000, Device: 0x2000, Notify: 0x3000 } as const;

/** Types of structures (4.1.4). */
const CapType = { Common: 1, Notify: 2, Isr: 3, Device: 4, PciAccess: 5 } as const;
const VENDOR_CAPABILITY = 0x09;

/** Device status (2.1). */
export const VirtioStatus = {
  Acknowledge: 1,
  Driver: 2,
  DriverOk: 4,
  FeaturesOk: 8,
  NeedsReset: 64,
  Failed: 128,
} as const;

/** Feature bits that belong to the transport and the queues (6). */
export const Feature = { IndirectDescriptors: 28, EventIndex: 29, Version1: 32 } as const;

/** ISR status (4.1.4.5). */
const Isr = { Queue: 1, Config: 2 } as const;

const NO_VECTOR = 0xffff;

/** Fields of the common configuration (4.1.4.3). */
const Common = {
  DeviceFeatureSelect: 0x00,
  DeviceFeature: 0x04,
  DriverFeatureSelect: 0x08,
  DriverFeature: 0x0c,
  ConfigVector: 0x10,
  Queues: 0x12,
  Status: 0x14,
  Generation: 0x15,
  QueueSelect: 0x16,
  QueueSize: 0x18,
  QueueVector: 0x1a,
  QueueEnable: 0x1c,
  QueueNotifyOffset: 0x1e,
  QueueDescriptors: 0x20,
  QueueDevice: 0x34,
} as const;

const transportLayout = layout('virtio-pci', 1, {
  /** For each queue: low and high words of the addresses of descriptors, available and used ring. */
  addresses: ['u32', MOST_QUEUES * 6],
  driverFeatures: ['u32', 2],
  queueSize: ['u16', MOST_QUEUES],
  queueVector: ['u16', MOST_QUEUES],
  queueEnabled: ['u16', MOST_QUEUES],
  /** The device's counts: chains taken, and chains given back, modulo 65536. */
  taken: ['u16', MOST_QUEUES],
  used: ['u16', MOST_QUEUES],
  deviceFeatureSelect: 'u32',
  driverFeatureSelect: 'u32',
  configVector: 'u16',
  queueSelect: 'u16',
  status: 'u8',
  generation: 'u8',
  isr: 'u8',
});

/** What a virtio device is to its transport. */
export interface VirtioDescription {
  readonly name: string;
  /** Device type (5): 2 is a block device. */
  readonly type: number;
  /** PCI class code, 24 bits. */
  readonly classCode: number;
  /** Offered, beside those of the transport: bit numbers. */
  readonly features: readonly number[];
  readonly queues: number;
  /** Entries of each queue: a power of two. */
  readonly queueSize: number;
  /** Bytes of the device's own configuration, and one of them. */
  readonly configBytes: number;
  readonly configByte: (offset: number) => number;
  /** The driver writes a byte of it; absent where there is nothing to be written. */
  readonly configWrite?: (offset: number, byte: number) => void;
  /** The driver has something in a queue. */
  readonly notified: (queue: number) => void;
  /** The driver starts anew: nothing of what it has handed out may be touched afterwards. */
  readonly callOff: () => void;
}

export interface VirtioWires {
  readonly mmio: MmioBus;
  readonly send: MessageSender;
}

export class VirtioPci extends PciFunction {
  readonly msix: Msix;
  readonly #at: View<typeof transportLayout.fields>;
  readonly #description: VirtioDescription;
  readonly #features: bigint;
  readonly #pciAccess: number;

  constructor(arena: Arena, description: VirtioDescription, { mmio, send }: VirtioWires) {
    super(arena, {
      name: description.name,
      vendorId: VENDOR,
      deviceId: MODERN_DEVICE + description.type,
      classCode: description.classCode,
      revision: 1,
      subsystemVendorId: VENDOR,
      subsystemId: MODERN_DEVICE + description.type,
      interruptPin: 1,
    });
    this.#description = description;
    this.#at = arena.place(transportLayout);
    const features = [...description.features, ...Object.values(Feature)];
    this.#features = features.reduce((all, bit) => all | (1n << BigInt(bit)), 0n);
    // One vector for each queue, and one for changes of the configuration.
    this.msix = new Msix(arena, this, { vectors: description.queues + 1, bar: BAR.Msix, mmio, send });
    this.addBar(mmioBar(mmio, { index: BAR.Structures, size: STRUCTURES_BYTES }, this.structures));
    this.#addStructure(CapType.Common, Structure.Common, 0x38);
    this.#addStructure(CapType.Isr, Structure.Isr, 1);
    this.#addStructure(CapType.Device, Structure.Device, description.configBytes);
    // Offsets of queues are multiplied by 4.
    this.#addStructure(CapType.Notify, Structure.Notify, 4 * description.queues, [4, 0, 0, 0]);
    this.#pciAccess = this.#addStructure(CapType.PciAccess, 0, 0, [0, 0, 0, 0], true);
  }

  override reset(): void {
    super.reset();
    this.#at.generation = 0;
    this.#resetDevice();
  }

  /** 2.1: the driver has written 0 into the status. */
  #resetDevice(): void {
    const at = this.#at;
    this.#description.callOff();
    at.addresses.fill(0);
    at.driverFeatures.fill(0);
    at.queueSize.fill(this.#description.queueSize);
    at.queueVector.fill(NO_VECTOR);
    at.queueEnabled.fill(0);
    at.taken.fill(0);
    at.used.fill(0);
    at.deviceFeatureSelect = 0;
    at.driverFeatureSelect = 0;
    at.configVector = NO_VECTOR;
    at.queueSelect = 0;
    at.status = 0;
    at.isr = 0;
    this.intx(false);
  }

  /** Whether the driver has taken a feature. */
  hasFeature(bit: number): boolean {
    return ((this.#at.driverFeatures[bit >> 5] >>> (bit & 31)) & 1) !== 0;
  }

  /** Where a queue is; undefined while the device must not touch it. */
  queue(index: number): QueuePlace | undefined {
    const { status, queueEnabled, queueSize, addresses } = this.#at;
    const running = (status & VirtioStatus.DriverOk) !== 0 && (status & VirtioStatus.NeedsReset) === 0;
    if (!running || queueEnabled[index] === 0) return undefined;
    const address = (word: number) => addresses[6 * index + word] + addresses[6 * index + word + 1] * 2 ** 32;
    return {
      size: queueSize[index],
      descriptors: address(0),
      available: address(2),
      used: address(4),
      eventIndex: this.hasFeature(Feature.EventIndex),
      indirect: this.hasFeature(Feature.IndirectDescriptors),
    };
  }

  /** The device's counts of a queue. */
  get counts(): { readonly taken: Uint16Array; readonly used: Uint16Array } {
    return this.#at;
  }

  /** A chain was given back, and the driver wants to know. */
  interruptQueue(queue: number): void {
    if (this.msix.notify(this.#at.queueVector[queue])) return;
    this.#at.isr |= Isr.Queue;
    this.intx(true);
  }

  /** The device's configuration has changed. */
  configChanged(): void {
    const at = this.#at;
    at.generation = (at.generation + 1) & 0xff;
    if ((at.status & VirtioStatus.DriverOk) === 0 || this.msix.notify(at.configVector)) return;
    at.isr |= Isr.Config;
    this.intx(true);
  }

  /** The driver has broken the rules: nothing goes on until it resets the device (2.1.2). */
  fail(): void {
    this.#at.status |= VirtioStatus.NeedsReset;
    this.configChanged();
  }

  /** What BAR 4 answers with. */
  readonly structures: MmioDevice = {
    mmioRead: (offset, size) => {
      if (offset < Structure.Isr) return this.#readCommon(offset, size);
      if (offset < Structure.Device) return offset === Structure.Isr ? this.#readIsr() : 0;
      if (offset >= Structure.Notify) return 0;
      const { configBytes, configByte } = this.#description;
      return readBytes(offset - Structure.Device, size, (at) => (at < configBytes ? configByte(at) : 0));
    },
    mmioWrite: (offset, size, value) => {
      if (offset < Structure.Isr) {
        this.#writeCommon(offset, size, value);
      } else if (offset >= Structure.Notify) {
        const queue = (offset - Structure.Notify) >> 2;
        if (queue < this.#description.queues) this.#description.notified(queue);
      } else if (offset >= Structure.Device) {
        const { configBytes, configWrite } = this.#description;
        writeBytes(offset - Structure.Device, size, value, (at, byte) => {
          if (at < configBytes) configWrite?.(at, byte);
        });
      }
    },
  };

  #readIsr(): number {
    const { isr } = this.#at;
    this.#at.isr = 0;
    this.intx(false);
    return isr;
  }

  #readCommon(offset: number, size: AccessSize): number {
    const at = this.#at;
    const queue = at.queueSelect;
    const exists = queue < this.#description.queues;
    if (offset >= Common.QueueDescriptors && offset <= Common.QueueDevice && size === 4) {
      return exists && offset % 4 === 0
        ? at.addresses[6 * queue + ((offset - Common.QueueDescriptors) >> 2)]
        : 0;
    }
    const value = (): number => {
      switch (offset) {
        case Common.DeviceFeatureSelect:
          return at.deviceFeatureSelect;
        case Common.DeviceFeature:
          return Number(
            BigInt.asUintN(32, this.#features >> BigInt(32 * Math.min(at.deviceFeatureSelect, 2))),
          );
        case Common.DriverFeatureSelect:
          return at.driverFeatureSelect;
        case Common.DriverFeature:
          return at.driverFeatures[at.driverFeatureSelect] ?? 0;
        case Common.ConfigVector:
          return at.configVector;
        case Common.Queues:
          return this.#description.queues;
        case Common.Status:
          return at.status;
        case Common.Generation:
          return at.generation;
        case Common.QueueSelect:
          return queue;
        case Common.QueueSize:
          return exists ? at.queueSize[queue] : 0;
        case Common.QueueVector:
          return exists ? at.queueVector[queue] : NO_VECTOR;
        case Common.QueueEnable:
          return exists ? at.queueEnabled[queue] : 0;
        case Common.QueueNotifyOffset:
          return exists ? queue : 0;
        default:
          return 0;
      }
    };
    return (value() & allOnes(size)) >>> 0;
  }

  #writeCommon(offset: number, size: AccessSize, value: number): void {
    const at = this.#at;
    const queue = at.queueSelect;
    const exists = queue < this.#description.queues;
    switch (offset) {
      case Common.DeviceFeatureSelect:
        at.deviceFeatureSelect = value;
        return;
      case Common.DriverFeatureSelect:
        at.driverFeatureSelect = value;
        return;
      case Common.DriverFeature:
        if (at.driverFeatureSelect < 2 && (at.status & VirtioStatus.FeaturesOk) === 0) {
          const offered = Number(BigInt.asUintN(32, this.#features >> BigInt(32 * at.driverFeatureSelect)));
          at.driverFeatures[at.driverFeatureSelect] = value & offered;
        }
        return;
      case Common.ConfigVector:
        at.configVector = this.#vector(value);
        return;
      case Common.Status:
        this.#writeStatus(value & 0xff);
        return;
      case Common.QueueSelect:
        at.queueSelect = value;
        return;
    }
    if (!exists) return;
    if (offset === Common.QueueVector) {
      at.queueVector[queue] = this.#vector(value);
      return;
    }
    // A queue that is enabled stands still (4.1.4.3.2).
    if (at.queueEnabled[queue] !== 0) return;
    if (offset === Common.QueueSize) {
      const possible = value >= 1 && value <= this.#description.queueSize && (value & (value - 1)) === 0;
      if (possible) at.queueSize[queue] = value;
    } else if (offset === Common.QueueEnable) {
      at.queueEnabled[queue] = value & 1;
    } else if (
      offset >= Common.QueueDescriptors &&
      offset <= Common.QueueDevice &&
      size === 4 &&
      offset % 4 === 0
    ) {
      at.addresses[6 * queue + ((offset - Common.QueueDescriptors) >> 2)] = value;
    }
  }

  /** A vector that there is not reads back as none (4.1.5.1.2.1). */
  #vector(value: number): number {
    return value <= this.#description.queues ? value : NO_VECTOR;
  }

  #writeStatus(value: number): void {
    const at = this.#at;
    if (value === 0) {
      this.#resetDevice();
      return;
    }
    let status = (at.status & VirtioStatus.NeedsReset) | value;
    // Without version 1 there is nothing that both understand.
    if (!this.hasFeature(Feature.Version1)) status &= ~VirtioStatus.FeaturesOk;
    at.status = status;
    // What was made available before is looked at now.
    if ((status & VirtioStatus.DriverOk) !== 0) {
      for (let queue = 0; queue < this.#description.queues; queue++) this.#description.notified(queue);
    }
  }

  /** A capability that says where a structure is (4.1.4). @returns its offset in configuration space */
  #addStructure(
    type: number,
    offset: number,
    length: number,
    more: readonly number[] = [],
    writable = false,
  ): number {
    const body = new Uint8Array(14 + more.length);
    const view = new DataView(body.buffer);
    body.set([2 + body.length, type, writable ? 0 : BAR.Structures]);
    view.setUint32(6, offset, true);
    view.setUint32(10, length, true);
    body.set(more, 14);
    const mask = new Uint8Array(body.length);
    if (writable) mask.fill(0xff, 2, 3).fill(0xff, 6, 14);
    return this.addCapability({ id: VENDOR_CAPABILITY, body, writable: mask });
  }

  /** A window in configuration space into a BAR (4.1.4.9), for software that cannot reach that.
   * @returns offset and size of the access that the window makes; undefined for none */
  #window(offset: number, size: AccessSize): number | undefined {
    const at = this.#pciAccess;
    if (offset !== at + 16 || size !== super.configRead(at + 12, 4)) return undefined;
    const target = super.configRead(at + 8, 4);
    const inside = super.configRead(at + 4, 1) === BAR.Structures && target + size <= STRUCTURES_BYTES;
    return inside && target % size === 0 ? target : undefined;
  }

  override configRead(offset: number, size: AccessSize): number {
    const target = this.#window(offset, size);
    if (target === undefined) return super.configRead(offset, size);
    return (this.structures.mmioRead(target, size, 0) & allOnes(size)) >>> 0;
  }

  override configWrite(offset: number, size: AccessSize, value: number): void {
    const target = this.#window(offset, size);
    if (target === undefined) super.configWrite(offset, size, value);
    else this.structures.mmioWrite(target, size, value, 0);
  }
}
