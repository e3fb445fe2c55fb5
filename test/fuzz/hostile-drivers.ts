/**
 * What drivers that mean harm do with devices that read guest memory or are looked at by the host: descriptors that
 * loop or point anywhere, absurd sizes, modes of no sense. Unlike single accesses these get far into the devices, as
 * most of what a driver has to do first is done right.
 */
import type { Random } from '../../engine/base/random.ts';
import { FW_CFG_PORT } from '../../engine/device/firmware/fw-cfg.ts';
import { VirtioTablet } from '../../engine/device/input/virtio-tablet.ts';
import { PciCommand, PciRegister } from '../../engine/device/pci/pci-function.ts';
import { VirtioBlk } from '../../engine/device/storage/virtio-blk.ts';
import { VBE_PORT } from '../../engine/device/video/vbe-ports.ts';
import type { Screen } from '../../engine/device/video/screen.ts';
import { VBE_MOST } from '../../engine/device/video/vga-state.ts';
import { Feature, type VirtioPci, VirtioStatus } from '../../engine/device/virtio/virtio-pci.ts';
import type { Board } from '../../engine/machine/board.ts';
import { edge32, edge64 } from './guest-code.ts';
import { HostileUsbDriver } from './hostile-usb.ts';

/** Sectors of the image behind each disk: none is made larger. */
const IMAGE_SECTORS = 2048;

/** Where the IDE controller's bus-master registers are put. */
const BUS_MASTER_PORT = 0xc000;
const BUS_MASTER_BAR = 0x20;

/** Offsets of the virtio common configuration (Virtio 1.2, 4.1.4.3). */
const Common = {
  DriverFeatureSelect: 0x08, DriverFeature: 0x0c, Status: 0x14, QueueSelect: 0x16, QueueSize: 0x18, QueueEnable: 0x1c,
  Descriptors: 0x20, Available: 0x28, Used: 0x30,
} as const; // prettier-ignore
const NOTIFY = 0x3000;

/** Index ports of the VGA, each with its data port behind it, and how many registers there are. */
const VGA_INDEXED = [
  [0x3c4, 5],
  [0x3ce, 9],
  [0x3d4, 25],
] as const;

/** A descriptor of a virtqueue (Virtio 1.2, 2.7.5). */
interface Descriptor {
  readonly address: bigint;
  readonly length: number;
  readonly flags: number;
  readonly next: number;
}

export class HostileDrivers {
  readonly #board: Board;
  readonly #ramBytes: number;
  readonly #note: (what: string) => void;
  readonly #serveDisks: () => void;
  readonly #screen: Screen;
  readonly #usb: HostileUsbDriver | undefined;

  /** @param note told what is about to be done, @param serveDisks does what the I/O thread does */
  constructor(board: Board, ramBytes: number, note: (what: string) => void, serveDisks: () => void) {
    const screen = board.createScreen();
    if (screen === undefined) throw new Error('there is no display adapter');
    this.#board = board;
    this.#ramBytes = ramBytes;
    this.#note = note;
    this.#serveDisks = serveDisks;
    this.#screen = screen;
    const { usb, tablet, physical } = board;
    if (usb !== undefined && tablet !== undefined)
      this.#usb = new HostileUsbDriver({ usb, tablet, physical }, ramBytes, (random) => this.#place(random));
  }

  /** An address that is in memory, mostly; else at its end, or nowhere. */
  #place(random: Random): number {
    switch (random.below(8)) {
      case 0:
        return Number(edge64(random) & 0xf_ffff_ffff_ffffn);
      case 1:
        return this.#ramBytes - random.below(32);
      default:
        return random.below(this.#ramBytes) & ~(random.oneIn(4) ? 0 : 0xf);
    }
  }

  /** A DMA access of the firmware configuration device. */
  fwCfg(random: Random): void {
    const { physical, ports } = this.#board;
    const at = this.#place(random);
    const bytes = new DataView(new ArrayBuffer(16));
    bytes.setUint32(0, (random.below(0x60) << 16) | random.below(64));
    bytes.setUint32(4, random.oneIn(64) ? edge32(random) : random.below(0x1_0000));
    bytes.setBigUint64(8, random.oneIn(8) ? random.next64() : BigInt(this.#place(random)));
    this.#note(`fw_cfg DMA ${Buffer.from(bytes.buffer).toString('hex')} at ${at.toString(16)}`);
    physical.write(at, new Uint8Array(bytes.buffer));
    ports.write(FW_CFG_PORT + 4, 4, swap(Math.floor(at / 2 ** 32)));
    ports.write(FW_CFG_PORT + 8, 4, swap(at % 2 ** 32));
  }

  /** A bus-master transfer of an IDE channel by a table of regions. */
  busMaster(random: Random): void {
    const { ports, physical, storage } = this.#board;
    const { ide } = storage;
    if (ide === undefined) throw new Error('there is no IDE controller');
    for (const at of [0x41, 0x43]) ide.configWrite(at, 1, 0x80);
    ide.configWrite(BUS_MASTER_BAR, 4, BUS_MASTER_PORT);
    ide.configWrite(PciRegister.Command, 2, PciCommand.Io | PciCommand.BusMaster);
    const channel = random.below(2);
    const command = channel === 0 ? 0x1f0 : 0x170;
    const master = BUS_MASTER_PORT + 8 * channel;
    const table = this.#place(random) % 2 ** 32;
    const entries = Array.from({ length: 8 }, (_, i) => [
      this.#place(random),
      (random.oneIn(4) ? edge32(random) : random.below(0x1_0000)) | (i === 7 ? 0x8000_0000 : 0),
    ]);
    physical.write(table & ~3, new Uint8Array(new Uint32Array(entries.flat()).buffer));
    ports.write(master + 4, 4, table);
    ports.write(command + 6, 1, 0xe0 | (random.oneIn(8) ? random.below(32) : 0));
    for (let i = 2; i < 6; i++) ports.write(command + i, 1, random.below(random.oneIn(4) ? 256 : 4));
    const code = random.pick([0xc8, 0xca, 0x25, 0x35, 0xa0, 0x20]);
    this.#note(`bus-master transfer, command ${code.toString(16)}`);
    const toMemory = random.oneIn(8) ? random.below(2) : code === 0xc8 || code === 0x25 ? 8 : 0;
    ports.write(master, 1, toMemory);
    ports.write(command + 7, 1, code);
    if (code === 0xa0) {
      const packet = [random.pick([0x28, 0xa8, 0xbe, 0x12, 0x43, random.below(256)])];
      for (let i = 0; i < 6; i++) ports.write(command, 2, (packet.shift() ?? 0) | (random.below(4) << 8));
    }
    ports.write(master, 1, toMemory | 1);
    if (random.oneIn(8)) ports.write(master, 1, 0);
    this.#serveDisks();
    ports.read(master + 2, 1);
    ports.read(command + 7, 1);
  }

  /** Queues of a virtio device: set up as they should be, with descriptors that are anything. */
  virtio(random: Random): void {
    const { storage, tablet, physical } = this.#board;
    const disk = storage.served.map(({ device }) => device).find((device) => device instanceof VirtioBlk);
    if (disk === undefined || tablet === undefined) throw new Error('there is no virtio device');
    const onDisk = !(tablet instanceof VirtioTablet) || random.oneIn(2);
    const fn = onDisk ? disk.fn : tablet.fn;
    this.#note(`virtio queues of ${onDisk ? 'a disk' : 'the tablet'}`);
    const size = 2 ** (2 + random.below(4));
    const [descriptors, available, used] = [0, 0, 0].map(() => this.#place(random));
    const queue = this.#setUp(fn, random, size, { descriptors, available, used });
    // Chains of three, as requests of a disk are: what is read, data, what is written; in most places.
    for (let i = 0; i < size; i++) {
      const odd = random.oneIn(12);
      const part = i % 3;
      const indirect = random.oneIn(16);
      const address = this.#place(random);
      if (part === 0) physical.write(address, this.#request(random));
      this.#descriptor(descriptors + 16 * i, {
        address: odd ? random.next64() : BigInt(address),
        length: odd ? edge32(random) : indirect ? 64 : [16, 512 * random.below(9), 1][part],
        flags: odd || indirect ? random.below(8) : [1, random.pick([1, 3]), 2][part],
        next: random.oneIn(16) ? random.below(size + 1) : i + 1,
      });
    }
    const heads = new Uint16Array(2 + size + 1).map(() =>
      random.oneIn(16) ? random.below(size + 9) : 3 * random.below(size / 3),
    );
    heads[1] = random.oneIn(8) ? random.below(0x1_0000) : random.below(size + 1);
    physical.write(available, new Uint8Array(heads.buffer));
    fn.structures.mmioWrite(NOTIFY + 4 * queue, 2, queue, 0);
    for (let i = 0; i < 4; i++) tablet.point(random.below(0x8000), random.below(0x8000), random.below(5) - 2, random.below(8)); // prettier-ignore
    if (onDisk && random.oneIn(8)) disk.resize(512 * random.below(IMAGE_SECTORS + 1));
    this.#serveDisks();
    for (let offset = 0; offset < 0x3000; offset += random.pick([4, 0x100, 0x400])) {
      const value = fn.structures.mmioRead(offset, 4, 0);
      if (!Number.isInteger(value) || value < 0 || value >= 2 ** 32)
        throw new Error(`structure ${offset} is ${value}`);
    }
  }

  /** The header of a request (Virtio 1.2, 5.2.6). */
  #request(random: Random): Uint8Array {
    const header = new DataView(new ArrayBuffer(16));
    header.setUint32(0, random.oneIn(8) ? edge32(random) : random.pick([0, 1, 4, 8, 11, 13]), true);
    header.setBigUint64(8, random.oneIn(8) ? random.next64() : BigInt(random.below(2048)), true);
    return new Uint8Array(header.buffer);
  }

  #descriptor(at: number, { address, length, flags, next }: Descriptor): void {
    const bytes = new DataView(new ArrayBuffer(16));
    bytes.setBigUint64(0, address, true);
    bytes.setUint32(8, length, true);
    bytes.setUint16(12, flags, true);
    bytes.setUint16(14, next, true);
    this.#board.physical.write(at, new Uint8Array(bytes.buffer));
  }

  /** What a driver does before it uses a queue. @returns which one that is */
  #setUp(
    { structures }: VirtioPci,
    random: Random,
    size: number,
    at: Readonly<Record<'descriptors' | 'available' | 'used', number>>,
  ): number {
    const set = (offset: number, bytes: 1 | 2 | 4, value: number) =>
      structures.mmioWrite(offset, bytes, value, 0);
    const queue = random.below(2);
    const wanted = random.oneIn(2) ? 0xffff_ffff : 1 << Feature.IndirectDescriptors;
    set(Common.Status, 1, 0);
    set(Common.Status, 1, VirtioStatus.Acknowledge | VirtioStatus.Driver);
    for (const [word, features] of [wanted, 1].entries()) {
      set(Common.DriverFeatureSelect, 4, word);
      set(Common.DriverFeature, 4, features >>> 0);
    }
    set(Common.Status, 1, VirtioStatus.Acknowledge | VirtioStatus.Driver | VirtioStatus.FeaturesOk);
    set(Common.QueueSelect, 2, queue);
    set(Common.QueueSize, 2, size);
    for (const [offset, address] of [
      [Common.Descriptors, at.descriptors],
      [Common.Available, at.available],
      [Common.Used, at.used],
    ] as const) {
      set(offset, 4, address % 2 ** 32);
      set(offset + 4, 4, Math.floor(address / 2 ** 32));
    }
    set(Common.QueueEnable, 2, 1);
    set(Common.Status, 1, 0x0f);
    return queue;
  }

  /** Rings and contexts of the USB controller, on a board that has it. */
  usb(random: Random): void {
    this.#note('USB');
    this.#usb?.run(random);
  }

  /** Registers of the display adapter, then a look at what it shows. */
  display(random: Random): void {
    const { ports, mmio } = this.#board;
    this.#note('display registers');
    const vbe = (index: number, value: number): void => {
      ports.write(VBE_PORT, 2, index);
      ports.write(VBE_PORT + 1, 2, value);
    };
    if (random.oneIn(2)) {
      vbe(4, 0);
      vbe(1, random.oneIn(4) ? edge32(random) & 0xffff : 8 * random.below(321));
      vbe(2, random.oneIn(4) ? edge32(random) & 0xffff : random.below(1700));
      vbe(3, random.pick([0, 4, 8, 15, 16, 24, 32, 33]));
      vbe(4, random.oneIn(4) ? random.below(0x1_0000) : 0x41);
      for (let i = random.below(4); i > 0; i--) vbe(5 + random.below(5), edge32(random) & 0xffff);
    } else vbe(4, 0);
    ports.read(0x3da, 1);
    for (let i = random.below(21); i > 0; i--) {
      ports.write(0x3c0, 1, random.below(32));
      ports.write(0x3c0, 1, random.below(256));
    }
    ports.write(0x3c0, 1, 0x20);
    ports.write(0x3c2, 1, random.below(256) | 1);
    // Registers 0 to 7 of the CRT controller can be written.
    ports.write(0x3d4, 2, 0x11);
    for (const [port, count] of VGA_INDEXED) {
      for (let i = random.below(count); i > 0; i--) ports.write(port, 2, random.below(count) | (random.below(256) << 8)); // prettier-ignore
    }
    for (let i = 0; i < 16; i++) {
      const address = 0xa_0000 + random.below(0x2_0000);
      mmio.write(address, random.pick([1, 2, 4]), BigInt(random.next() & 0xff), 0);
      mmio.read(address, 1, 0);
    }
    this.#note('a look at the screen');
    this.#look();
  }

  #look(): void {
    const screen = this.#screen;
    const { damage } = screen.update();
    const { width, height, pixels } = screen;
    if (width < 1 || height < 1 || width > VBE_MOST.width || height > VBE_MOST.height)
      throw new Error(`a screen of ${width}×${height}`);
    if (pixels.length !== width * height) throw new Error(`${pixels.length} pixels of ${width}×${height}`);
    for (const { x, y, ...size } of damage.take({ x: 0, y: 0, width, height })) {
      if (x < 0 || y < 0 || x + size.width > width || y + size.height > height)
        throw new Error(`damage outside of the screen, at ${x},${y}`);
    }
    const text = screen.text();
    if (text?.some((row) => typeof row !== 'string' || row.includes('undefined')) === true)
      throw new Error('text that is none');
  }
}

/** A number as a big-endian port takes it. */
function swap(value: number): number {
  return (((value & 0xff) << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0;
}
