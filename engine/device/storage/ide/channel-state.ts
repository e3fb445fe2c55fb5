/**
 * What a channel keeps in the shared memory, and what can be done with its registers alone.
 *
 * ATA/ATAPI-6, clauses 7 to 9.
 */
import { layout, type View } from '../../../memory/layout.ts';
import type { Line } from '../../device.ts';
import { type AtaDrive, SECTOR, type Task } from '../ata/ata-drive.ts';
import { Control, Reason, Register, Status } from '../ata/registers.ts';
import type { DmaMemory } from '../../dma.ts';
import type { IoSlot } from '../io-slots.ts';
import type { BusMaster } from './bus-master.ts';

/** Bytes of the buffer. */
export const BUFFER = 0x1_0000;

/** Bytes of a packet command. */
export const PACKET = 12;

/** What the I/O thread is to do. */
export const Job = {
  None: 0,
  /** Disk to buffer, for PIO. */
  Fill: 1,
  /** Buffer to disk. */
  Drain: 2,
  Flush: 3,
  DmaIn: 4,
  DmaOut: 5,
  /** What is in the buffer to memory. */
  DmaBuffer: 6,
  /** The ranges that memory holds are not needed. */
  Trim: 7,
} as const;

/** How the data register is used now. */
export const Phase = { None: 0, In: 1, Out: 2, Packet: 3 } as const;

export const channelLayout = layout('ide-channel', 1, {
  /** Next sector (of the drive's own size), and how many are left, of the command. */
  sector: 'f64',
  left: 'f64',
  buffer: ['u8', BUFFER],
  /** The part of the buffer that is in use, what of it has passed the data register, and where the block that is
   * being passed ends. */
  filled: 'u32',
  passed: 'u32',
  blockEnd: 'u32',
  packet: ['u8', PACKET],
  /** The task file, and what was in the registers before (48-bit commands). */
  features: 'u8',
  count: 'u8',
  low: 'u8',
  mid: 'u8',
  high: 'u8',
  oldFeatures: 'u8',
  oldCount: 'u8',
  oldLow: 'u8',
  oldMid: 'u8',
  oldHigh: 'u8',
  device: 'u8',
  status: 'u8',
  error: 'u8',
  control: 'u8',
  /** {@link Phase} and {@link Job}. */
  phase: 'u8',
  job: 'u8',
  /** The job waits for the bus master to be started. */
  waitsForDma: 'u8',
  /** The command's addresses are of 48 bits. */
  wide: 'u8',
  /** What the command writes is to be on the disk before it ends. */
  forced: 'u8',
  /** Sectors of a block of the present command. */
  blockSectors: 'u8',
  /** The present command is PACKET; its data goes by DMA; most bytes of a block. */
  isPacket: 'u8',
  packetDma: 'u8',
  byteLimit: 'u32',
  /** INTRQ, whether or not it is enabled. */
  interrupt: 'u8',
});

export type ChannelState = View<typeof channelLayout.fields>;

/** What a channel is wired to. */
export interface IdeWires {
  readonly irq: Line;
  readonly memory: DmaMemory;
  readonly slot: IoSlot;
  readonly busMaster: BusMaster;
  /** First and second drive. */
  readonly drives: readonly (AtaDrive | undefined)[];
}

/** Reads a register that is neither data nor status. */
export function readRegister(at: ChannelState, offset: number): number {
  const highOrder = (at.control & Control.HighOrder) !== 0;
  switch (offset) {
    case Register.Features:
      return at.error;
    case Register.SectorCount:
      return highOrder ? at.oldCount : at.count;
    case Register.LbaLow:
      return highOrder ? at.oldLow : at.low;
    case Register.LbaMid:
      return highOrder ? at.oldMid : at.mid;
    case Register.LbaHigh:
      return highOrder ? at.oldHigh : at.high;
    default:
      return at.device;
  }
}

/** Writes a register that is neither data nor command: those of addresses and counts keep what was there, for
 * 48-bit commands. */
export function writeRegister(at: ChannelState, offset: number, byte: number): void {
  switch (offset) {
    case Register.Features:
      at.oldFeatures = at.features;
      at.features = byte;
      break;
    case Register.SectorCount:
      at.oldCount = at.count;
      at.count = byte;
      break;
    case Register.LbaLow:
      at.oldLow = at.low;
      at.low = byte;
      break;
    case Register.LbaMid:
      at.oldMid = at.mid;
      at.mid = byte;
      break;
    case Register.LbaHigh:
      at.oldHigh = at.high;
      at.high = byte;
      break;
    case Register.Device:
      // Bits 7 and 5 are obsolete and read as ones.
      at.device = byte | 0xa0;
  }
}

/** A command with what the registers hold. */
export function taskOf(at: ChannelState, command: number): Task {
  return {
    command,
    features: at.features | (at.oldFeatures << 8),
    count: at.count | (at.oldCount << 8),
    address: at.low | (at.mid << 8) | (at.high << 16),
    upperAddress: at.oldLow | (at.oldMid << 8) | (at.oldHigh << 16),
    device: at.device,
  };
}

/** Puts the number of a sector into the registers. */
export function putAddress(at: ChannelState, sector: number, wide: boolean): void {
  const byte = (index: number) => Math.floor(sector / 2 ** (8 * index)) % 256;
  at.low = byte(0);
  at.mid = byte(1);
  at.high = byte(2);
  if (wide) {
    at.oldLow = byte(3);
    at.oldMid = byte(4);
    at.oldHigh = byte(5);
  } else {
    at.device = (at.device & 0xf0) | (byte(3) & 0x0f);
  }
}

/** So many sectors of the command are done. */
export function advance(at: ChannelState, sectors: number): void {
  at.sector += sectors;
  at.left -= sectors;
}

/** No command, and nothing left of one. */
export function clearCommand(at: ChannelState): void {
  at.job = Job.None;
  at.phase = Phase.None;
  at.waitsForDma = 0;
  at.isPacket = 0;
  at.packetDma = 0;
  at.byteLimit = 0;
  at.wide = 0;
  at.forced = 0;
  at.left = 0;
  at.filled = 0;
  at.passed = 0;
  at.blockEnd = 0;
  at.blockSectors = 0;
  at.features = 0;
  at.oldFeatures = 0;
  at.oldCount = 0;
  at.oldLow = 0;
  at.oldMid = 0;
  at.oldHigh = 0;
  at.device = 0xa0;
}

/** By the registers' contents after a reset a drive says what it is (9.12). */
export function setSignature(at: ChannelState, isPacketDevice: boolean): void {
  at.count = 1;
  at.low = 1;
  at.mid = isPacketDevice ? 0x14 : 0;
  at.high = isPacketDevice ? 0xeb : 0;
  at.error = 1; // passed
  at.status = isPacketDevice ? 0 : Status.Ready | Status.Seek;
}

/** Bytes of a block of a packet command: the limit, even (9.13: an odd limit is one less). */
export function packetBlock(limit: number): number {
  const even = limit === 0xffff ? 0xfffe : limit & ~1;
  return even === 0 ? 0xfffe : even;
}

/** Offers the host the next block of what is in the buffer. */
export function offerBlock(at: ChannelState): void {
  const block = at.isPacket !== 0 ? packetBlock(at.byteLimit) : at.blockSectors * SECTOR;
  at.blockEnd = Math.min(at.filled, at.passed + block);
  if (at.isPacket !== 0) {
    at.count = Reason.ToHost;
    at.mid = (at.blockEnd - at.passed) & 0xff;
    at.high = (at.blockEnd - at.passed) >> 8;
  }
  at.phase = Phase.In;
  at.job = Job.None;
  at.status = Status.Ready | Status.Seek | Status.Drq;
}

/** How many elements of a size the present block, and a piece of memory, have room for. */
export function elementsOf({ blockEnd, passed }: ChannelState, size: number, { length }: Uint8Array): number {
  return Math.floor(Math.min(length, blockEnd - passed) / size);
}
