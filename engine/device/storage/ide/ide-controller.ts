/**
 * The IDE function of the PIIX3 (82371SB function 1): two channels at the PC's usual ports and interrupts, with bus
 * mastering.
 *
 * Intel 82371SB data sheet, 2.3 "PCI configuration registers, IDE interface (function 1)".
 */
import type { Arena } from '../../../memory/layout.ts';
import type { BusRange } from '../../../memory/bus-ranges.ts';
import type { PortBus } from '../../../memory/port-bus.ts';
import type { AccessSize, Device, Line, PortDevice } from '../../device.ts';
import { portBar } from '../../pci/pci-bars.ts';
import { PciCommand, PciFunction } from '../../pci/pci-function.ts';
import { AtaDrive, type Drive } from '../ata/ata-drive.ts';
import type { DmaMemory } from '../../dma.ts';
import type { IoSlots } from '../io-slots.ts';
import { BUS_MASTER_PORTS, BusMaster } from './bus-master.ts';
import { IdeChannel } from './channel.ts';

/** Ports and interrupts of the channels. */
const CHANNELS = [
  { name: 'ide0', command: 0x1f0, control: 0x3f6, irq: 14 },
  { name: 'ide1', command: 0x170, control: 0x376, irq: 15 },
] as const;

/** IDE timing registers, a word for each channel: bit 15 lets its ports be decoded (2.3.9). */
export const IDE_TIMING = 0x40;
const DECODE = 0x80;

const BUS_MASTER_BAR = 4;

export interface IdeParts {
  readonly ports: PortBus;
  readonly memory: DmaMemory;
  readonly slots: IoSlots;
  /** The line of an ISA interrupt. */
  readonly interrupt: (irq: number) => Line;
  /** First and second drive of the first channel, then of the second. */
  readonly drives: readonly (Drive | undefined)[];
}

export class IdeController extends PciFunction {
  readonly channels: readonly IdeChannel[];
  readonly busMasters: readonly BusMaster[];
  /** What is to be reset with the function. */
  readonly devices: readonly Device[];
  readonly #ranges: ReadonlyArray<readonly BusRange[]>;

  constructor(arena: Arena, { ports, memory, slots, interrupt, drives }: IdeParts) {
    super(arena, {
      name: 'piix3-ide',
      vendorId: 0x8086,
      deviceId: 0x7010,
      classCode: 0x01_01_80, // bus master; both channels at the usual ports
      decodes: ['io'],
      registers: [{ offset: IDE_TIMING, initial: [0, 0, 0, 0, 0], writable: [0xff, 0xf3, 0xff, 0xf3, 0xff] }],
    });
    const busMasters = CHANNELS.map(({ name }) => new BusMaster(`${name}-bus-master`, arena));
    this.busMasters = busMasters;
    const onCables = drives.map((drive, i) =>
      drive === undefined ? undefined : new AtaDrive(`ide-drive${i}`, arena, drive, 'parallel'),
    );
    this.channels = CHANNELS.map(
      ({ name, irq }, i) =>
        new IdeChannel(name, arena, {
          irq: interrupt(irq),
          memory,
          slot: slots.slot(),
          busMaster: busMasters[i],
          drives: onCables.slice(2 * i, 2 * i + 2),
        }),
    );
    this.devices = [...busMasters, ...this.channels];
    this.#ranges = CHANNELS.map(({ command, control }, i) => [
      ports.register(this.channels[i].commandBlock, command, 8, false),
      ports.register(this.channels[i].controlBlock, control, 1, false),
    ]);
    const both: PortDevice = {
      portRead: (offset, size) => busMasters[offset >> 3].portRead(offset & 7, size),
      portWrite: (offset, size, value) => busMasters[offset >> 3].portWrite(offset & 7, size, value),
    };
    this.addBar(portBar(ports, BUS_MASTER_BAR, 2 * BUS_MASTER_PORTS, both));
  }

  override reset(): void {
    super.reset();
    this.#decode();
  }

  protected override configWritten(_offset: number, _size: AccessSize): void {
    this.#decode();
  }

  #decode(): void {
    const io = (this.command & PciCommand.Io) !== 0;
    for (const [i, ranges] of this.#ranges.entries()) {
      const enabled = io && (this.config[IDE_TIMING + 2 * i + 1] & DECODE) !== 0;
      for (const range of ranges) range.change({ enabled });
    }
  }
}
