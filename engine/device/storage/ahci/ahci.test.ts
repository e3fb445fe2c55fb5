import { beforeEach, describe, expect, test } from 'vitest';
import { viewsOf } from '../../../backend/image/buffers.ts';
import type { Random } from '../../../base/random.ts';
import { Arena } from '../../../memory/layout.ts';
import { MmioBus } from '../../../memory/mmio-bus.ts';
import { deviceConformance, TestWorld } from '../../conformance.ts';
import { PciCommand } from '../../pci/pci-function.ts';
import type { Drive } from '../ata/ata-drive.ts';
import { Command } from '../ata/registers.ts';
import { Cdrom } from '../cdrom.ts';
import { IoSlots } from '../io-slots.ts';
import { TestDisk, TestMemory } from '../test-disk.ts';
import { AhciController } from './ahci-controller.ts';
import { Control, Hba, Interrupt, Port, PORT_BYTES, PortCommand, PORTS } from './registers.ts';

const MEMORY = 0x8_0000;
const DISK = 4 * 2 ** 20;
const DISC = 2 ** 20;
const ARENA = MEMORY + DISK + 0x1_0000;

/** Where the driver below puts things. */
const LIST = 0x1000;
const FRAMES = 0x2000;
const TABLES = 0x4000;
const DATA = 0x1_0000;

/** The disk, one that is write-protected, and the CD-ROM drive. */
const PORT = { Disk: 0, Protected: 1, Cdrom: 2 } as const;

const lock = <T>(body: () => T): T => body();

function make(arena: Arena, world: TestWorld) {
  const memory = new TestMemory(new Uint8Array(arena.buffer, arena.reserve(MEMORY), MEMORY));
  const image = new TestDisk(new Uint8Array(arena.buffer, arena.reserve(DISK), DISK));
  // Where devices are and how often they were called off is not theirs.
  const outside = new Arena(new SharedArrayBuffer(0x4000), 0, 0x4000);
  const cdrom = new Cdrom('cdrom', arena, DISC);
  const disk: Drive = { kind: 'disk', bytes: DISK, writable: true, serial: 'S1' };
  const controller = new AhciController(arena, {
    mmio: new MmioBus(outside),
    memory,
    slots: new IoSlots(outside),
    send: (address, data) => world.log(`message ${address.toString(16)} ${data}`),
    drives: [disk, { ...disk, writable: false }, { kind: 'cdrom', cdrom, serial: 'S3' }],
  });
  controller.connectInterrupt(world.line('intx'));
  const disc = new TestDisk(DISC);
  const backends = [image, image, disc];
  /** What the I/O thread does. */
  const serve = () => {
    let any = false;
    for (const [i, port] of controller.ports.entries()) while (port.serve([backends[i]], lock)) any = true;
    return any;
  };
  const reset = () => {
    controller.reset();
    for (const device of [...controller.devices, cdrom]) device.reset();
  };
  return { memory, controller, cdrom, image, disc, serve, reset };
}

deviceConformance(
  'AHCI',
  (arena, world) => {
    const { controller, memory, image, serve, reset } = make(arena, world);
    const { registers } = controller;
    const set = (port: number, offset: number, value: number) =>
      registers.mmioWrite(PORTS + port * PORT_BYTES + offset, 4, value, 0);
    const codes = Object.values(Command);
    return {
      device: {
        name: 'ahci',
        reset() {
          reset();
          memory.bytes.fill(0);
          image.bytes.fill(0);
        },
      },
      mmio: [{ device: registers, length: 0x400 }],
      stimuli: [
        serve,
        serve,
        (random: Random) => controller.configRead(random.below(256), random.pick([1, 2, 4])),
        (random: Random) => controller.configWrite(random.below(256), random.pick([1, 2, 4]), random.next()),
        // A driver that has got as far as to have a command list, and commands that are not all nonsense.
        (random: Random) => {
          const port = random.below(3);
          controller.configWrite(4, 2, PciCommand.Memory | PciCommand.BusMaster);
          set(port, Port.CommandList, LIST);
          set(port, Port.Frames, FRAMES);
          set(port, Port.InterruptEnable, random.next());
          set(port, Port.Command, PortCommand.FrameReceive);
          set(port, Port.Command, PortCommand.FrameReceive | PortCommand.Start);
          for (let i = 0; i < 8; i++) {
            memory.view.setUint32(LIST + i * 32, random.oneIn(4) ? random.next() : 0x0003_0005, true);
            memory.view.setUint32(LIST + i * 32 + 8, TABLES + i * 0x100, true);
            const table = TABLES + i * 0x100;
            memory.bytes.set([0x27, random.oneIn(8) ? 0 : 0x80, random.pick(codes), random.below(4)], table);
            for (let byte = 4; byte < 16; byte++)
              memory.bytes[table + byte] = random.oneIn(3) ? random.below(9) : 0;
            for (let byte = 0; byte < 12; byte++)
              memory.bytes[table + 0x40 + byte] = random.pick([0, 1, 0x28, 0x43]);
            for (let entry = 0; entry < 3; entry++) {
              memory.view.setUint32(table + 0x80 + entry * 16, DATA + random.below(0x1000), true);
              memory.view.setUint32(table + 0x8c + entry * 16, random.oneIn(8) ? random.next() : 0xfff, true);
            }
          }
          set(port, Port.SataActive, random.below(256));
          set(port, Port.CommandIssue, random.below(256));
        },
      ],
    };
  },
  { bytes: ARENA },
);

let world: TestWorld;
let rig: ReturnType<typeof make>;

/** @param port undefined for the adapter's own registers */
const read = (offset: number, port?: number): number =>
  rig.controller.registers.mmioRead(offset + (port === undefined ? 0 : PORTS + port * PORT_BYTES), 4, 0);
const write = (offset: number, value: number, port?: number): void =>
  rig.controller.registers.mmioWrite(
    offset + (port === undefined ? 0 : PORTS + port * PORT_BYTES),
    4,
    value >>> 0,
    0,
  );

beforeEach(() => {
  world = new TestWorld();
  rig = make(new Arena(new SharedArrayBuffer(ARENA), 0, ARENA), world);
  rig.cdrom.install();
  rig.reset();
  rig.controller.configWrite(4, 2, PciCommand.Memory | PciCommand.BusMaster);
  rig.image.bytes.forEach((_, i, all) => (all[i] = (i >> 9) ^ i));
  rig.disc.bytes.forEach((_, i, all) => (all[i] = (i >> 11) + i));
  write(Hba.Control, Control.InterruptEnable);
  for (const port of Object.values(PORT)) start(port);
  world.journal.length = 0;
});

/** Starts a port as drivers do. */
function start(port: number): void {
  write(Port.CommandList, LIST + port * 0x400, port);
  write(Port.Frames, FRAMES + port * 0x100, port);
  write(Port.Command, PortCommand.FrameReceive, port);
  write(Port.SataError, 0xffff_ffff, port);
  write(Port.InterruptStatus, 0xffff_ffff, port);
  write(Port.InterruptEnable, 0xffff_ffff, port);
  write(Port.Command, PortCommand.FrameReceive | PortCommand.Start, port);
}

function restart(port: number): void {
  write(Port.Command, PortCommand.FrameReceive, port);
  write(Port.InterruptStatus, 0xffff_ffff, port);
  write(Port.Command, PortCommand.FrameReceive | PortCommand.Start, port);
}

interface Given {
  readonly port?: number;
  readonly slot?: number;
  readonly sector?: number;
  readonly count?: number;
  readonly features?: number;
  readonly device?: number;
  readonly packet?: readonly number[];
  /** Memory for data: addresses and bytes. */
  readonly regions?: ReadonlyArray<readonly [address: number, bytes: number]>;
}

/** Writes a command into its slot. */
function prepare(code: number, given: Given = {}): void {
  const {
    port = 0,
    slot = 0,
    sector = 0,
    count = 1,
    features = 0,
    device = 0x40,
    packet = [],
    regions = [],
  } = given;
  const { view, bytes } = rig.memory;
  const header = LIST + port * 0x400 + slot * 32;
  const table = TABLES + slot * 0x200;
  view.setUint32(header, 5 | (regions.length << 16), true);
  view.setUint32(header + 4, 0xdead, true);
  view.setUint32(header + 8, table, true);
  view.setUint32(header + 12, 0, true);
  const byte = (index: number) => Math.floor(sector / 2 ** (8 * index)) % 256;
  bytes.set([0x27, 0x80, code, features & 0xff, byte(0), byte(1), byte(2), device], table);
  bytes.set([byte(3), byte(4), byte(5), features >> 8, count & 0xff, count >> 8, 0, 0], table + 8);
  bytes.fill(0, table + 0x40, table + 0x50);
  bytes.set(packet, table + 0x40);
  for (const [i, [address, length]] of regions.entries()) {
    view.setUint32(table + 0x80 + i * 16, address, true);
    view.setUint32(table + 0x84 + i * 16, 0, true);
    view.setUint32(table + 0x8c + i * 16, length - 1, true);
  }
}

/** Gives a command, and has it carried out. @returns the port's interrupts */
function command(code: number, given: Given = {}): number {
  const { port = 0, slot = 0 } = given;
  prepare(code, given);
  write(Port.CommandIssue, 1 << slot, port);
  rig.serve();
  return read(Port.InterruptStatus, port);
}

/** READ and WRITE FPDMA QUEUED. */
function prepareQueued(code: number, slot: number, given: Given): void {
  prepare(code, { ...given, slot, features: given.count ?? 1, count: slot << 3 });
}

const transferred = (slot = 0, port = 0): number =>
  rig.memory.view.getUint32(LIST + port * 0x400 + slot * 32 + 4, true);
const data = (bytes: number, at = DATA): Uint8Array => rig.memory.bytes.slice(at, at + bytes);

describe('the adapter', () => {
  test('says what it is, and what is on its ports', () => {
    expect(rig.controller.configRead(0, 4)).toBe(0x2922_8086);
    expect(read(Hba.Version)).toBe(0x1_0300);
    expect(read(Hba.PortsImplemented)).toBe(7);
    expect(read(Hba.Capabilities) & 0x1f).toBe(2);
    expect(read(Hba.Control)).toBe(0x8000_0002);
    expect(read(Port.Signature, PORT.Disk)).toBe(0x101);
    expect(read(Port.Signature, PORT.Cdrom)).toBe(0xeb14_0101);
    for (const port of Object.values(PORT)) expect(read(Port.SataStatus, port)).toBe(0x123);
    expect(read(0x100 + 3 * PORT_BYTES + Port.SataStatus)).toBe(0);
  });

  test('a reset takes everything back but the drives', () => {
    write(Hba.Control, Control.Reset);
    expect(read(Hba.Control)).toBe(0x8000_0000);
    expect(read(Port.CommandList, 0)).toBe(0);
    // Nothing is known of the drive until frames are received.
    expect(read(Port.Signature, 0)).toBe(0xffff_ffff);
    expect(read(Port.TaskFile, 0)).toBe(0x7f);
    start(0);
    expect(read(Port.Signature, 0)).toBe(0x101);
    expect(read(Port.TaskFile, 0)).toBe(0x150);
  });

  test('interrupts by its pin as long as there is one, until port and adapter are told', () => {
    command(Command.Flush);
    expect(world.journal.at(-1)).toBe('intx=1');
    expect(read(Hba.InterruptStatus)).toBe(1);
    write(Hba.InterruptStatus, 1);
    // The port still has it.
    expect(read(Hba.InterruptStatus)).toBe(1);
    write(Port.InterruptStatus, Interrupt.Register, 0);
    write(Hba.InterruptStatus, 1);
    expect(read(Hba.InterruptStatus)).toBe(0);
    expect(world.journal.at(-1)).toBe('intx=0');
  });

  test('interrupts by message, one for each event, and none while they are not enabled', () => {
    const capability = rig.controller.capabilityOffset(0);
    rig.controller.configWrite(capability + 4, 4, 0xfee0_0000);
    rig.controller.configWrite(capability + 12, 2, 0x41);
    rig.controller.configWrite(capability + 2, 2, 1);
    world.journal.length = 0;
    command(Command.Flush);
    expect(world.journal).toEqual(['message fee00000 65']);
    write(Port.InterruptStatus, Interrupt.Register, 0);
    write(Hba.InterruptStatus, 1);
    write(Port.InterruptEnable, 0, 0);
    command(Command.Flush);
    expect(world.journal.filter((each) => each.startsWith('message'))).toHaveLength(1);
  });

  test('reaches no memory until it may', () => {
    rig.controller.configWrite(4, 2, PciCommand.Memory);
    expect(command(Command.Flush)).toBe(0);
    expect(read(Port.CommandIssue, 0)).toBe(1);
    rig.controller.configWrite(4, 2, PciCommand.Memory | PciCommand.BusMaster);
    rig.serve();
    expect(read(Port.CommandIssue, 0)).toBe(0);
  });
});

describe('commands', () => {
  test('IDENTIFY comes by a PIO set-up frame, whose end has the status', () => {
    const interrupts = command(Command.Identify, { regions: [[DATA, 512]] });
    expect(interrupts).toBe(Interrupt.PioSetup);
    const words = new DataView(data(512).buffer);
    expect(words.getUint32(200, true)).toBe(DISK / 512);
    // 32 deep, with a queue, on a serial link.
    expect([words.getUint16(150, true), words.getUint16(152, true), words.getUint16(186, true)]).toEqual([
      31, 0x106, 0,
    ]);
    const frame = rig.memory.bytes.slice(FRAMES + 0x20, FRAMES + 0x34);
    expect([frame[0], frame[1], frame[2], frame[15], frame[17]]).toEqual([0x5f, 0x60, 0x58, 0x50, 2]);
    expect(transferred()).toBe(512);
    expect(read(Port.TaskFile, 0)).toBe(0x50);
  });

  test('sectors come by DMA into pieces of memory, and go from them', () => {
    const regions = [[DATA, 512], [DATA + 0x1000, 1024], [DATA + 0x3000, 4096]] as const; // prettier-ignore
    expect(command(Command.ReadDmaExt, { sector: 100, count: 8, regions })).toBe(Interrupt.Register);
    const wanted = rig.image.bytes.slice(51_200, 51_200 + 4096);
    expect(data(512)).toEqual(wanted.subarray(0, 512));
    expect(data(1024, DATA + 0x1000)).toEqual(wanted.subarray(512, 1536));
    expect(data(2560, DATA + 0x3000)).toEqual(wanted.subarray(1536));
    expect(transferred()).toBe(4096);
    write(Port.InterruptStatus, 0xffff_ffff, 0);
    expect(command(Command.WriteDmaExt, { sector: 200, count: 8, regions })).toBe(Interrupt.Register);
    expect(rig.image.bytes.slice(102_400, 102_400 + 4096)).toEqual(wanted);
    expect(rig.image.journal.at(-1)).toBe('write 102400+4096');
  });

  test('what is forced is on the disk before the command ends; FLUSH has all there', () => {
    command(Command.WriteDmaFuaExt, { regions: [[DATA, 512]] });
    command(Command.FlushExt);
    expect(rig.image.journal).toEqual(['write 0+512', 'flush', 'flush']);
  });

  test('TRIM discards ranges', () => {
    rig.memory.view.setUint32(DATA, 16, true);
    rig.memory.view.setUint16(DATA + 6, 8, true);
    command(Command.DataSetManagement, { features: 1, regions: [[DATA, 512]] });
    expect(rig.image.journal).toEqual(['discard 8192+4096']);
  });

  test('one that fails stays in its slot, and nothing goes on until the list is stopped', () => {
    prepare(Command.Flush, { slot: 5 });
    const interrupts = command(Command.WriteDmaExt, {
      port: PORT.Protected,
      slot: 3,
      regions: [[DATA, 512]],
    });
    expect(interrupts).toBe((Interrupt.TaskFile | Interrupt.Register) >>> 0);
    expect(read(Port.TaskFile, PORT.Protected)).toBe(0x0451);
    expect(read(Port.CommandIssue, PORT.Protected)).toBe(8);
    expect((read(Port.Command, PORT.Protected) >> 8) & 0x1f).toBe(3);
    prepare(Command.Flush, { port: PORT.Protected, slot: 4 });
    write(Port.CommandIssue, 16, PORT.Protected);
    expect(rig.serve()).toBe(false);
    restart(PORT.Protected);
    expect(read(Port.CommandIssue, PORT.Protected)).toBe(0);
    expect(command(Command.Flush, { port: PORT.Protected, slot: 4 })).toBe(Interrupt.Register);
  });

  test('sectors beyond the end, and memory that is less than the data, are errors', () => {
    command(Command.ReadDmaExt, { sector: DISK / 512, regions: [[DATA, 512]] });
    expect(read(Port.TaskFile, 0)).toBe(0x1451);
    restart(0);
    const interrupts = command(Command.ReadDmaExt, { count: 8, regions: [[DATA, 512]] });
    expect(interrupts & Interrupt.Overflow).not.toBe(0);
    expect(rig.image.journal).toEqual([]);
  });

  test('a host that fails is an error of the drive', () => {
    rig.image.broken = true;
    command(Command.ReadDmaExt, { sector: 7, regions: [[DATA, 512]] });
    expect(read(Port.TaskFile, 0)).toBe(0x4051);
    expect(rig.memory.bytes[FRAMES + 0x44]).toBe(7);
  });

  test('a frame that is no command stops the port', () => {
    prepare(Command.Flush);
    rig.memory.bytes[TABLES] = 0x46;
    write(Port.CommandIssue, 1, 0);
    rig.serve();
    expect(read(Port.InterruptStatus, 0)).toBe(Interrupt.InterfaceFatal);
  });
});

describe('the queue', () => {
  test('queued commands leave their slots at once, and end one by one', () => {
    for (const slot of [1, 4, 31]) {
      prepareQueued(Command.ReadFpdmaQueued, slot, {
        sector: slot * 8,
        count: 8,
        regions: [[DATA + slot * 4096, 4096]],
      });
    }
    const slots = ((1 << 1) | (1 << 4) | (1 << 31)) >>> 0;
    write(Port.SataActive, slots, 0);
    write(Port.CommandIssue, slots, 0);
    expect(rig.controller.ports[0].serve([rig.image], lock)).toBe(true);
    expect(read(Port.SataActive, 0)).toBe((slots & ~2) >>> 0);
    rig.serve();
    expect([read(Port.SataActive, 0), read(Port.CommandIssue, 0)]).toEqual([0, 0]);
    expect(read(Port.InterruptStatus, 0)).toBe(Interrupt.DeviceBits);
    for (const slot of [1, 4, 31]) {
      const wanted = rig.image.bytes.slice(slot * 4096, slot * 4096 + 4096);
      expect(data(4096, DATA + slot * 4096)).toEqual(wanted);
    }
    const frame = rig.memory.bytes.slice(FRAMES + 0x58, FRAMES + 0x60);
    expect([...frame]).toEqual([0xa1, 0x40, 0x50, 0, 0, 0, 0, 0x80]);
  });

  test('what is written forced is flushed', () => {
    prepareQueued(Command.WriteFpdmaQueued, 0, { device: 0xc0, regions: [[DATA, 512]] });
    write(Port.SataActive, 1, 0);
    write(Port.CommandIssue, 1, 0);
    rig.serve();
    expect(rig.image.journal).toEqual(['write 0+512', 'flush']);
  });

  test('one that fails is told by the log, and others are refused until that was read', () => {
    rig.image.broken = true;
    prepareQueued(Command.ReadFpdmaQueued, 6, { sector: 0x1234, regions: [[DATA, 512]] });
    write(Port.SataActive, 64, 0);
    write(Port.CommandIssue, 64, 0);
    rig.serve();
    expect(read(Port.InterruptStatus, 0) & Interrupt.TaskFile).not.toBe(0);
    expect(read(Port.SataActive, 0)).toBe(64);
    rig.image.broken = false;
    restart(0);
    expect(read(Port.SataActive, 0)).toBe(0);
    command(Command.Flush);
    expect(read(Port.TaskFile, 0)).toBe(0x0451);
    restart(0);
    command(Command.ReadLogExt, { sector: 0x10, regions: [[DATA, 512]] });
    const page = data(512);
    expect([page[0], page[2], page[3], page[4], page[5]]).toEqual([6, 0x41, 0x40, 0x34, 0x12]);
    expect(page.reduce((sum, byte) => sum + byte, 0) % 256).toBe(0);
    write(Port.InterruptStatus, 0xffff_ffff, 0);
    expect(command(Command.Flush)).toBe(Interrupt.Register);
  });
});

describe('packet devices', () => {
  const packet = (...bytes: number[]) => ({ port: PORT.Cdrom, packet: bytes });

  test('a disc is read by packets', () => {
    command(Command.Packet, { ...packet(0), features: 1 });
    restart(PORT.Cdrom);
    const regions = [[DATA, 4096]] as const;
    const interrupts = command(Command.Packet, {
      ...packet(0x28, 0, 0, 0, 0, 5, 0, 0, 2),
      features: 1,
      regions,
    });
    expect(interrupts).toBe(Interrupt.Register);
    expect(data(4096)).toEqual(rig.disc.bytes.slice(10_240, 10_240 + 4096));
    expect(transferred(0, PORT.Cdrom)).toBe(4096);
  });

  test('fewer bytes than there is room for are counted', () => {
    command(Command.Packet, { ...packet(0x12, 0, 0, 0, 96), regions: [[DATA, 96]] });
    expect(transferred(0, PORT.Cdrom)).toBe(36);
    expect(String.fromCharCode(...data(8, DATA + 8))).toBe('GUESTHSE');
  });

  test('a drive without a disc says so, with a sense key in the error register', () => {
    rig.cdrom.change(0);
    command(Command.Packet, packet(0));
    restart(PORT.Cdrom);
    command(Command.Packet, packet(0));
    expect(read(Port.TaskFile, PORT.Cdrom)).toBe(0x2451);
  });
});

describe('resets', () => {
  /** Gives a frame that is no command: device control. */
  function control(softReset: boolean): void {
    prepare(0);
    rig.memory.bytes[TABLES + 1] = 0;
    rig.memory.bytes[TABLES + 15] = softReset ? 4 : 0;
    write(Port.CommandIssue, 1, 0);
    rig.serve();
  }

  test('a soft reset brings the drive’s signature', () => {
    command(Command.Identify, { regions: [[DATA, 512]] });
    rig.memory.bytes.fill(0, FRAMES, FRAMES + 0x100);
    control(true);
    expect(rig.memory.bytes[FRAMES + 0x40]).toBe(0);
    control(false);
    expect(rig.memory.bytes.slice(FRAMES + 0x40, FRAMES + 0x45)).toEqual(Uint8Array.of(0x34, 0, 0x50, 1, 1));
    expect(read(Port.CommandIssue, 0)).toBe(0);
  });

  test('a reset of the link takes the drive away and brings it back, with an interrupt', () => {
    write(Port.Command, PortCommand.FrameReceive, 0);
    write(Port.SataControl, 1, 0);
    expect([read(Port.SataStatus, 0), read(Port.TaskFile, 0)]).toEqual([0, 0x7f]);
    write(Port.SataControl, 0, 0);
    expect([read(Port.SataStatus, 0), read(Port.TaskFile, 0)]).toEqual([0x123, 0x150]);
    const wanted = Interrupt.Connect | Interrupt.PhyReady;
    expect(read(Port.InterruptStatus, 0)).toBe(wanted);
    write(Port.InterruptStatus, 0xffff_ffff, 0);
    expect(read(Port.InterruptStatus, 0)).toBe(wanted);
    write(Port.SataError, 0xffff_ffff, 0);
    expect(read(Port.InterruptStatus, 0)).toBe(0);
  });

  test('stopping the list calls off what is at work', () => {
    prepare(Command.ReadDmaExt, { regions: [[DATA, 512]] });
    write(Port.CommandIssue, 1, 0);
    rig.image.read = (at, into) => {
      expect(at).toBe(0);
      viewsOf(into)[0]!.fill(1);
      // Meanwhile, on another thread; here the work ends first.
      rig.controller.ports[0].slot.end();
      write(Port.Command, PortCommand.FrameReceive, 0);
      return true;
    };
    rig.serve();
    expect(read(Port.InterruptStatus, 0)).toBe(0);
    expect(transferred()).toBe(0xdead);
  });
});
