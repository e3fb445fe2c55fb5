import { beforeEach, describe, expect, test } from 'vitest';
import type { Random } from '../../../base/random.ts';
import { Arena } from '../../../memory/layout.ts';
import { PortBus } from '../../../memory/port-bus.ts';
import { deviceConformance, TestWorld } from '../../conformance.ts';
import { PciCommand, PciRegister } from '../../pci/pci-function.ts';
import type { Drive } from '../ata/ata-drive.ts';
import { Command, Register, Status } from '../ata/registers.ts';
import type { BlockBackend } from '../block.ts';
import { Cdrom } from '../cdrom.ts';
import { IoSlots } from '../io-slots.ts';
import { TestDisk, TestMemory } from '../test-disk.ts';

import { IDE_TIMING, IdeController } from './ide-controller.ts';

const MEMORY = 0x4_0000;
const DISK = 4 * 2 ** 20;
const DISC = 2 ** 20;

const PRIMARY = 0x1f0;
const SECONDARY = 0x170;
const CONTROL = 0x206;
const BUS_MASTER = 0xc000;

const lock = <T>(body: () => T): T => body();

function make(arena: Arena, world: TestWorld) {
  const memory = new TestMemory(new Uint8Array(arena.buffer, arena.reserve(MEMORY), MEMORY));
  const diskBytes = new Uint8Array(arena.buffer, arena.reserve(DISK), DISK);
  // Where devices are and how often they were called off is not theirs.
  const outside = new Arena(new SharedArrayBuffer(0x4000), 0, 0x4000);
  const ports = new PortBus(outside);
  const cdrom = new Cdrom('cdrom', arena, DISC);
  const disk: Drive = { kind: 'disk', bytes: DISK, writable: true, serial: 'S1' };
  const drives = [
    disk,
    { ...disk, writable: false },
    { kind: 'cdrom' as const, cdrom, serial: 'S3' },
    undefined,
  ];
  const controller = new IdeController(arena, {
    ports,
    memory,
    slots: new IoSlots(outside),
    interrupt: (irq) => world.line(`irq${irq}`),
    drives,
  });
  const image = new TestDisk(diskBytes);
  const disc = new TestDisk(DISC);
  const backends: BlockBackend[][] = [[image, image], [disc]];
  /** What the I/O thread does. */
  const serve = () => {
    let any = false;
    for (const [i, channel] of controller.channels.entries())
      while (channel.serve(backends[i], lock)) any = true;
    return any;
  };
  const reset = () => {
    ports.reset();
    controller.reset();
    for (const device of [...controller.devices, cdrom]) device.reset();
  };
  return { memory, ports, controller, cdrom, image, disc, serve, reset };
}

deviceConformance(
  'IDE',
  (arena, world) => {
    const { controller, memory, image, serve, reset } = make(arena, world);
    const blocks = controller.channels.map(({ commandBlock }) => commandBlock);
    const controls = controller.channels.map(({ controlBlock }) => controlBlock);
    const commands = Object.values(Command);
    return {
      device: {
        name: 'ide',
        reset() {
          reset();
          memory.bytes.fill(0);
          image.bytes.fill(0);
        },
      },
      ports: [
        ...blocks.map((device) => ({ device, length: 8 })),
        ...controls.map((device) => ({ device, length: 1 })),
        ...controller.busMasters.map((device) => ({ device, length: 8 })),
      ],
      stimuli: [
        serve,
        serve,
        (random: Random) => random.pick(blocks).portWrite(7, 1, random.pick(commands)),
        (random: Random) => random.pick(blocks).portWrite(6, 1, random.pick([0x40, 0xe0, 0xf0])),
        (random: Random) => {
          const opcode = random.pick([0x12, 0x1b, 0x28, 0x43, 0x46, 0x4a, 0x5a]);
          for (let i = 0; i < 6; i++) blocks[1].portWrite(0, 2, i === 0 ? opcode : random.below(3));
        },
      ],
    };
  },
  { bytes: 0x50_0000 },
);

let world: TestWorld;
let rig: ReturnType<typeof make>;

beforeEach(() => {
  world = new TestWorld();
  rig = make(new Arena(new SharedArrayBuffer(0x50_0000), 0, 0x50_0000), world);
  rig.cdrom.install();
  rig.reset();
  rig.controller.configWrite(IDE_TIMING, 4, 0x8000_8000);
  rig.controller.configWrite(PciRegister.Bar0 + 16, 4, BUS_MASTER);
  rig.controller.configWrite(PciRegister.Command, 2, PciCommand.Io | PciCommand.BusMaster);
  rig.image.bytes.forEach((_, i, all) => (all[i] = (i >> 9) ^ i));
  rig.disc.bytes.forEach((_, i, all) => (all[i] = (i >> 11) + i));
  world.journal.length = 0;
});

const read = (port: number, size: 1 | 2 | 4 = 1) => rig.ports.read(port, size);
const write = (port: number, value: number, size: 1 | 2 | 4 = 1) => rig.ports.write(port, size, value);

/** Gives a command with a 28-bit address. */
function command(code: number, sector = 0, count = 1, base = PRIMARY, device = 0xe0): void {
  write(base + Register.Device, device | ((sector >> 24) & 15));
  write(base + Register.SectorCount, count & 0xff);
  write(base + Register.LbaLow, sector & 0xff);
  write(base + Register.LbaMid, (sector >> 8) & 0xff);
  write(base + Register.LbaHigh, (sector >> 16) & 0xff);
  write(base + Register.Command, code);
}

/** Gives a command with a 48-bit address. */
function wideCommand(code: number, sector: number, count: number): void {
  write(PRIMARY + Register.Device, 0x40);
  for (const shift of [24, 0]) {
    write(PRIMARY + Register.SectorCount, (count >> (shift === 24 ? 8 : 0)) & 0xff);
    const part = Math.floor(sector / 2 ** shift) % 2 ** 24;
    write(PRIMARY + Register.LbaLow, part & 0xff);
    write(PRIMARY + Register.LbaMid, (part >> 8) & 0xff);
    write(PRIMARY + Register.LbaHigh, (part >> 16) & 0xff);
  }
  write(PRIMARY + Register.Command, code);
}

const status = (base = PRIMARY) => read(base + Register.Command);
const READY = Status.Ready | Status.Seek;

/** Reads by PIO, a block whenever one is asked for. */
function readPio(bytes: number, base = PRIMARY, perBlock = 512): Uint8Array {
  const data = new Uint8Array(bytes);
  for (let at = 0; at < bytes;) {
    rig.serve();
    expect(status(base)).toBe(READY | Status.Drq);
    for (let i = 0; i < perBlock && at < bytes; i += 4, at += 4) {
      new DataView(data.buffer).setUint32(at, read(base, 4), true);
    }
  }
  return data;
}

/** The same as {@link readPio}, with many elements at a time. */
function readPioBlocks(bytes: number, size: 2 | 4): Uint8Array {
  const data = new Uint8Array(bytes);
  for (let at = 0; at < bytes;) {
    rig.serve();
    const done = rig.ports.readBlock(PRIMARY, size, data.subarray(at));
    expect(done).toBeGreaterThan(0);
    at += done * size;
  }
  return data;
}

function writePio(data: Uint8Array): void {
  for (let at = 0; at < data.length; at += 512) {
    rig.serve();
    expect(status()).toBe(READY | Status.Drq);
    for (let i = 0; i < 512; i += 2) write(PRIMARY, data[at + i] | (data[at + i + 1] << 8), 2);
  }
  rig.serve();
}

/** A PRD table at 0x1000, and the bus master started. */
function busMaster(
  regions: ReadonlyArray<readonly [address: number, bytes: number]>,
  toMemory: boolean,
  base = 0,
): void {
  for (const [i, [address, bytes]] of regions.entries()) {
    rig.memory.view.setUint32(0x1000 + 8 * i, address, true);
    rig.memory.view.setUint16(0x1004 + 8 * i, bytes & 0xffff, true);
    rig.memory.view.setUint16(0x1006 + 8 * i, i === regions.length - 1 ? 0x8000 : 0, true);
  }
  write(BUS_MASTER + base + 4, 0x1000, 4);
  write(BUS_MASTER + base + 2, 6);
  write(BUS_MASTER + base, toMemory ? 9 : 1);
}

describe('a disk', () => {
  test('says what it is', () => {
    command(Command.Identify);
    const words = new Uint16Array(readPio(512).buffer);
    expect(words[60] | (words[61] << 16)).toBe(DISK / 512);
    expect(words[100] | (words[101] << 16)).toBe(DISK / 512);
    const model = Array.from(words.subarray(27, 47), (word) =>
      String.fromCharCode(word >> 8, word & 0xff),
    ).join('');
    expect(model.trim()).toBe('GUESTHOUSE DISK');
    expect(words[83] & 0x2400).toBe(0x2400);
    expect(world.journal).toContain('irq14=1');
  });

  test('PIO: sectors come with an interrupt each, more than the buffer holds', () => {
    command(Command.ReadSectors, 3, 200);
    expect(status()).toBe(Status.Busy);
    expect(readPio(200 * 512)).toEqual(rig.image.bytes.slice(3 * 512, 203 * 512));
    expect(status()).toBe(READY);
    expect(world.journal.filter((line) => line === 'irq14=1').length).toBe(200);
    expect(rig.image.journal).toEqual(['read 1536+65536', 'read 67072+36864']);
  });

  test('PIO: elements transferred together are those that would have come one by one', () => {
    command(Command.ReadSectors, 3, 200);
    expect(readPioBlocks(200 * 512, 4)).toEqual(rig.image.bytes.slice(3 * 512, 203 * 512));
    expect(status()).toBe(READY);
    expect(world.journal.filter((line) => line === 'irq14=1').length).toBe(200);

    const data = new Uint8Array(150 * 512).map((_, i) => i * 7);
    command(Command.WriteSectors, 5, 150);
    for (let at = 0; at < data.length; at += 512) {
      rig.serve();
      // No more than to the end of the sector, where the drive looks at it.
      expect(rig.ports.writeBlock(PRIMARY, 2, data.subarray(at))).toBe(256);
    }
    rig.serve();
    expect(status()).toBe(READY);
    expect(rig.image.bytes.slice(5 * 512, 155 * 512)).toEqual(data);
    expect([rig.ports.readBlock(PRIMARY, 2, data), rig.ports.writeBlock(PRIMARY + 1, 1, data)]).toEqual([
      0, 0,
    ]);
  });

  test('PIO: sectors are written, and the last interrupt says that they are', () => {
    const data = new Uint8Array(150 * 512).map((_, i) => i * 7);
    command(Command.WriteSectors, 5, 150);
    writePio(data);
    expect(status()).toBe(READY);
    expect(rig.image.bytes.slice(5 * 512, 155 * 512)).toEqual(data);
  });

  test('blocks of SET MULTIPLE', () => {
    command(Command.ReadMultiple, 0, 8);
    expect(status() & Status.Error).toBe(Status.Error);
    command(Command.SetMultiple, 0, 8);
    expect(status()).toBe(READY);
    command(Command.SetMultiple, 0, 7);
    expect(status() & Status.Error).toBe(Status.Error);
    world.journal.length = 0;
    command(Command.ReadMultiple, 16, 20);
    expect(readPio(20 * 512, PRIMARY, 8 * 512)).toEqual(rig.image.bytes.slice(16 * 512, 36 * 512));
    expect(world.journal.filter((line) => line === 'irq14=1').length).toBe(3);
  });

  test.each([
    [Command.ReadDma, false],
    [Command.ReadDmaExt, true],
  ])('DMA %i into memory, in pieces', (code, wide) => {
    if (wide) wideCommand(code, 64, 16);
    else command(code, 64, 16);
    expect(status() & Status.Busy).toBe(0);
    busMaster([[0x2000, 0x600], [0x8000, 0x1a00]], true); // prettier-ignore
    expect(read(BUS_MASTER + 2) & 1).toBe(1);
    rig.serve();
    const expected = rig.image.bytes.slice(64 * 512, 80 * 512);
    expect(rig.memory.bytes.slice(0x2000, 0x2600)).toEqual(expected.slice(0, 0x600));
    expect(rig.memory.bytes.slice(0x8000, 0x9a00)).toEqual(expected.slice(0x600));
    expect(read(BUS_MASTER + 2)).toBe(4);
    expect(world.journal.at(-1)).toBe('irq14=1');
    expect(status()).toBe(READY);
    expect(world.journal.at(-1)).toBe('irq14=0');
  });

  test('DMA out of memory, with the bus master started first', () => {
    rig.memory.bytes.fill(0x5a, 0x3000, 0x3400);
    busMaster([[0x3000, 0x400]], false);
    wideCommand(Command.WriteDmaExt, 100, 2);
    rig.serve();
    expect(status()).toBe(READY);
    expect(rig.image.bytes.slice(51200, 52224).every((byte) => byte === 0x5a)).toBe(true);
  });

  test('flushes, trims, verifies', () => {
    command(Command.FlushExt);
    expect(status()).toBe(Status.Busy);
    rig.serve();
    expect(status()).toBe(READY);
    rig.memory.bytes.fill(0, 0x3000, 0x3200);
    rig.memory.view.setUint32(0x3000, 8, true);
    rig.memory.view.setUint16(0x3006, 16, true);
    write(PRIMARY + Register.Features, 1);
    busMaster([[0x3000, 0x200]], false);
    wideCommand(Command.DataSetManagement, 0, 1);
    rig.serve();
    expect(status()).toBe(READY);
    expect(rig.image.journal).toEqual(['flush', 'discard 4096+8192']);
    command(Command.Verify, DISK / 512 - 1, 1);
    expect(status()).toBe(READY);
    command(Command.Verify, DISK / 512 - 1, 2);
    expect(status() & Status.Error).toBe(Status.Error);
  });

  test('with the write cache off a write ends when it is on the disk', () => {
    write(PRIMARY + Register.Features, 0x82);
    command(Command.SetFeatures);
    command(Command.WriteSectors, 0, 1);
    writePio(new Uint8Array(512));
    expect(rig.image.journal).toEqual(['write 0+512', 'flush']);
  });

  test('what cannot be done is an error: beyond the end, write-protected, the host fails, unknown', () => {
    const failed = () => [status() & Status.Error, read(PRIMARY + Register.Features)];
    command(Command.ReadSectors, DISK / 512, 1);
    expect(failed()).toEqual([1, 0x14]);
    command(Command.WriteSectors, 0, 1, PRIMARY, 0xf0);
    expect(failed()).toEqual([1, 4]);
    command(0x55);
    expect(failed()).toEqual([1, 4]);
    rig.image.broken = true;
    command(Command.ReadSectors, 77, 1);
    rig.serve();
    expect(failed()).toEqual([1, 0x40]);
    expect(read(PRIMARY + Register.LbaLow)).toBe(77);
    command(Command.ReadDma, 0, 1);
    busMaster([[0x2000, 0x200]], true);
    rig.serve();
    expect(failed()).toEqual([1, 0x40]);
    expect(read(BUS_MASTER + 2) & 7).toBe(6);
  });

  test('a table that describes too little, or nothing, ends the command in an error', () => {
    command(Command.ReadDma, 0, 16);
    busMaster([[0x2000, 0x200]], true);
    rig.serve();
    expect(status() & Status.Error).toBe(1);
    command(Command.ReadDma, 0, 16);
    write(BUS_MASTER, 0);
    write(BUS_MASTER + 4, 0xffff_fff0, 4);
    write(BUS_MASTER, 9);
    rig.serve();
    expect(status() & (Status.Busy | Status.Drq)).toBe(0);
  });

  test('a soft reset calls a command off, and nIEN keeps the interrupt in', () => {
    command(Command.ReadSectors, 0, 1);
    write(PRIMARY + CONTROL, 4);
    expect(read(PRIMARY + CONTROL)).toBe(Status.Busy);
    write(PRIMARY + CONTROL, 2);
    rig.serve();
    expect(read(PRIMARY + CONTROL)).toBe(READY);
    expect([read(PRIMARY + 2), read(PRIMARY + 3), read(PRIMARY + 4), read(PRIMARY + 5)]).toEqual([
      1, 1, 0, 0,
    ]);
    world.journal.length = 0;
    command(Command.Identify);
    expect(world.journal).not.toContain('irq14=1');
  });

  test('ports that are not decoded, and channels without drives, read as nothing', () => {
    rig.controller.configWrite(IDE_TIMING, 4, 0);
    expect(read(PRIMARY + 7)).toBe(0xff);
    rig.controller.configWrite(IDE_TIMING, 4, 0x8000_8000);
    write(SECONDARY + Register.Device, 0xf0);
    expect(status(SECONDARY)).toBe(0);
  });
});

/** Sends a packet, and gives back what comes of it by PIO. */
function packet(bytes: readonly number[], length: number, limit = 0xfffe): Uint8Array {
  write(SECONDARY + Register.Device, 0xa0);
  write(SECONDARY + Register.Features, 0);
  write(SECONDARY + Register.LbaMid, limit & 0xff);
  write(SECONDARY + Register.LbaHigh, limit >> 8);
  write(SECONDARY + Register.Command, Command.Packet);
  expect(status(SECONDARY)).toBe(READY | Status.Drq);
  for (let i = 0; i < 12; i += 2) write(SECONDARY, (bytes[i] ?? 0) | ((bytes[i + 1] ?? 0) << 8), 2);
  const data: number[] = [];
  for (;;) {
    rig.serve();
    if ((status(SECONDARY) & Status.Drq) === 0) break;
    expect(read(SECONDARY + Register.SectorCount)).toBe(2);
    const block = read(SECONDARY + Register.LbaMid) | (read(SECONDARY + Register.LbaHigh) << 8);
    expect(block).toBeLessThanOrEqual(limit);
    for (let i = 0; i < block; i += 2) {
      const word = read(SECONDARY, 2);
      data.push(word & 0xff, word >> 8);
    }
  }
  expect(read(SECONDARY + Register.SectorCount)).toBe(3);
  return Uint8Array.from(data.slice(0, length));
}

const sense = () => {
  const bytes = packet([3, 0, 0, 0, 18], 18);
  return [bytes[2], bytes[12], bytes[13]];
};
const failed = () => (status(SECONDARY) & Status.Error) !== 0;

describe('a CD-ROM drive', () => {
  test('is found by its signature and says what it is', () => {
    write(SECONDARY + Register.Device, 0xa0);
    write(SECONDARY + Register.Command, Command.Identify);
    expect(failed()).toBe(true);
    expect([read(SECONDARY + 4), read(SECONDARY + 5)]).toEqual([0x14, 0xeb]);
    write(SECONDARY + Register.Command, Command.IdentifyPacket);
    expect(new Uint16Array(readPio(512, SECONDARY).buffer)[0]).toBe(0x85c0);
    const inquiry = packet([0x12, 0, 0, 0, 36], 36);
    expect(inquiry.slice(0, 2)).toEqual(Uint8Array.of(5, 0x80));
    expect(new TextDecoder().decode(inquiry.slice(8, 22))).toBe('GUESTHSECD-ROM');
  });

  test('reads sectors by PIO in blocks as large as the host likes, and by DMA', () => {
    const capacity = new DataView(packet([0x25], 8).buffer);
    expect([capacity.getUint32(0), capacity.getUint32(4)]).toEqual([DISC / 2048 - 1, 2048]);
    const data = packet([0x28, 0, 0, 0, 0, 7, 0, 0, 40], 40 * 2048, 4096);
    expect(data).toEqual(rig.disc.bytes.slice(7 * 2048, 47 * 2048));

    write(SECONDARY + Register.Features, 1);
    write(SECONDARY + Register.Command, Command.Packet);
    const read12 = [0xa8, 0, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0];
    for (let i = 0; i < 12; i += 2) write(SECONDARY, read12[i] | (read12[i + 1] << 8), 2);
    busMaster([[0x8000, 4096]], true, 8);
    rig.serve();
    expect(rig.memory.bytes.slice(0x8000, 0x9000)).toEqual(rig.disc.bytes.slice(3 * 2048, 5 * 2048));
    expect(status(SECONDARY)).toBe(READY);
  });

  test('beyond the end, a broken host and unknown commands leave their sense', () => {
    packet([0x28, 0, 0, 0, 0xff, 0, 0, 0, 1], 0);
    expect(failed()).toBe(true);
    expect(sense()).toEqual([5, 0x21, 0]);
    rig.disc.broken = true;
    packet([0x28, 0, 0, 0, 0, 0, 0, 0, 1], 0);
    expect(failed()).toBe(true);
    expect(sense()).toEqual([3, 0x11, 0]);
    packet([0xf7], 0);
    expect(sense()).toEqual([5, 0x20, 0]);
  });

  test('the table of contents: one data track, and the lead-out', () => {
    const toc = packet([0x43, 0, 0, 0, 0, 0, 0, 0, 100], 20);
    expect(toc.slice(0, 8)).toEqual(Uint8Array.of(0, 18, 1, 1, 0, 0x14, 1, 0));
    expect(new DataView(toc.buffer).getUint32(16)).toBe(DISC / 2048);
    const msf = packet([0x43, 2, 0, 0, 0, 0, 0xaa, 0, 100], 12);
    const frames = DISC / 2048 + 150;
    expect(msf.slice(8)).toEqual(Uint8Array.of(0, 0, Math.floor(frames / 75), frames % 75));
  });

  test('configuration, capabilities', () => {
    const configuration = packet([0x46, 0, 0, 0, 0, 0, 0, 1, 0], 256);
    expect((configuration[6] << 8) | configuration[7]).toBe(8); // CD-ROM
    expect(packet([0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 64], 64)[8]).toBe(0x2a);
  });

  test('eject, lock, and a change of discs, of which the guest is told', () => {
    packet([0x1e, 0, 0, 0, 1], 0);
    packet([0x1b, 0, 0, 0, 2], 0);
    expect(failed()).toBe(true);
    expect(sense()).toEqual([5, 0x53, 2]);
    packet([0x1e], 0);
    packet([0x1b, 0, 0, 0, 2], 0);
    expect(failed()).toBe(false);
    packet([0], 0);
    expect(sense()).toEqual([2, 0x3a, 2]);
    const event = () => [...packet([0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8], 8)].slice(4, 6);
    expect(event()).toEqual([3, 1]);
    expect(event()).toEqual([0, 1]);

    rig.cdrom.change(DISC / 2);
    expect(event()).toEqual([2, 2]);
    packet([0], 0);
    expect(sense()).toEqual([6, 0x28, 0]);
    packet([0], 0);
    expect(failed()).toBe(false);
    expect(new DataView(packet([0x25], 8).buffer).getUint32(0)).toBe(DISC / 4096 - 1);
    rig.cdrom.change(0);
    packet([0], 0);
    packet([0], 0);
    expect(sense()).toEqual([2, 0x3a, 1]);
  });
});
