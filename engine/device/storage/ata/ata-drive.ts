/**
 * A drive as its ATA commands have it, whatever carries them: an IDE channel's registers, or the frames of a serial
 * link. It says what a command comes to; moving data, and telling the host, is its controller's.
 *
 * ATA/ATAPI-6, clause 8 "Command descriptions"; for the serial link's own commands ATA8-ACS, clause 7.
 */
import { type Arena, layout, type View } from '../../../memory/layout.ts';
import type { Device } from '../../device.ts';
import { CD_SECTOR, type Cdrom } from '../cdrom.ts';
import { defaultGeometry, type Geometry, identifyCdrom, identifyDisk } from './identify.ts';
import { LOG_PAGE, logDirectory, QUEUED_ERROR_LOG, queuedErrorLog } from './logs.ts';
import {
  Command,
  Device as DeviceBit,
  ErrorBit,
  LBA28_SECTORS,
  MOST_MULTIPLE,
  NO_RETRY,
  POWER_COMMANDS,
  Status,
  WIDE_COMMANDS,
} from './registers.ts';

/** Bytes of a disk's sector. */
export const SECTOR = 512;

/** What a drive is. */
export type Drive =
  | { readonly kind: 'disk'; readonly bytes: number; readonly writable: boolean; readonly serial: string }
  | { readonly kind: 'cdrom'; readonly cdrom: Cdrom; readonly serial: string };

/** What is on a cable with it: two drives and a bus master, or a serial link. */
export type Attachment = 'parallel' | 'serial';

/** A command with its registers: those of addresses and counts with what was in them before, as 48-bit commands
 * have it. */
export interface Task {
  readonly command: number;
  /** 16 bits. */
  readonly features: number;
  /** 16 bits. */
  readonly count: number;
  /** LBA low, mid and high: 24 bits, and the 24 that were there before. */
  readonly address: number;
  readonly upperAddress: number;
  readonly device: number;
}

/** How a command's data goes: through the data register, by DMA, or by DMA when its turn in the queue comes. */
export type Protocol = 'pio' | 'dma' | 'queued';

/** What a command comes to. Sectors are the drive's own. */
export type AtaAction =
  /** Nothing more. The address or count registers then hold what is given. */
  | { readonly kind: 'done'; readonly sector?: number; readonly wide?: boolean; readonly count?: number }
  | {
      readonly kind: 'failed';
      /** Bits of the error register. */
      readonly error: number;
      /** The registers say what kind of drive it is (9.12). */
      readonly signature?: boolean;
    }
  /** Bytes for the host, through the data register: a whole number of sectors. */
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  | {
      readonly kind: 'read' | 'write';
      readonly sector: number;
      readonly count: number;
      /** Addresses are of 48 bits. */
      readonly wide: boolean;
      readonly protocol: Protocol;
      /** Sectors of a DRQ block. */
      readonly block: number;
      /** What is written is on the disk before the command ends. */
      readonly forced: boolean;
    }
  | { readonly kind: 'flush' }
  /** A sector of ranges comes by DMA: they are not needed. */
  | { readonly kind: 'trim' }
  /** A packet is to follow, and then perhaps data: by DMA, or in blocks of so many bytes at most. */
  | { readonly kind: 'packet'; readonly dma: boolean; readonly limit: number }
  | { readonly kind: 'reset' };

const driveLayout = layout('ata-drive', 1, {
  /** First sector of the queued command that has failed. */
  failedSector: 'f64',
  /** Cylinders, heads and sectors set by software that counts in them. */
  geometry: ['u32', 3],
  /** Sectors of a block of READ/WRITE MULTIPLE; 0 where it is not set. */
  multiple: 'u8',
  /** As SET FEATURES has it. */
  transferMode: 'u8',
  writeCache: 'u8',
  /** A queued command has failed, and the log of it was not read yet; its tag and error. */
  queueFailed: 'u8',
  failedTag: 'u8',
  failedError: 'u8',
});

const DONE: AtaAction = { kind: 'done' };
const ABORTED: AtaAction = { kind: 'failed', error: ErrorBit.Abort };

export class AtaDrive implements Device {
  readonly name: string;
  readonly drive: Drive;
  readonly #attachment: Attachment;
  readonly #at: View<typeof driveLayout.fields>;

  constructor(name: string, arena: Arena, drive: Drive, attachment: Attachment) {
    this.name = name;
    this.drive = drive;
    this.#attachment = attachment;
    this.#at = arena.place(driveLayout);
  }

  /** Power-on. */
  reset(): void {
    const at = this.#at;
    const { cylinders, heads, sectors } =
      this.drive.kind === 'disk' ? defaultGeometry(this.sectors) : { cylinders: 0, heads: 0, sectors: 0 };
    at.geometry.set([cylinders, heads, sectors]);
    at.multiple = 0;
    at.transferMode = 0;
    at.writeCache = 1;
    this.softReset();
  }

  /** A reset by software, or by the link: settings stay. */
  softReset(): void {
    const at = this.#at;
    at.queueFailed = 0;
    at.failedTag = 0;
    at.failedError = 0;
    at.failedSector = 0;
  }

  get isPacketDevice(): boolean {
    return this.drive.kind === 'cdrom';
  }

  /** Bytes of a sector as the drive's reads count them. */
  get sectorBytes(): number {
    return this.isPacketDevice ? CD_SECTOR : SECTOR;
  }

  /** Sectors of a disk. */
  get sectors(): number {
    return this.drive.kind === 'disk' ? Math.floor(this.drive.bytes / SECTOR) : 0;
  }

  /** Whether a write may end before it is on the disk. */
  get writeCache(): boolean {
    return this.#at.writeCache !== 0;
  }

  /** A queued command has failed: no other is taken until the log of it was read (ATA8-ACS, 4.15.3).
   * @param error bits of the error register */
  failQueued(tag: number, sector: number, error: number): void {
    const at = this.#at;
    at.queueFailed = 1;
    at.failedTag = tag;
    at.failedSector = sector;
    at.failedError = error;
  }

  /** Begins a command. */
  execute(task: Task): AtaAction {
    const { drive } = this;
    const readsLog = task.command === Command.ReadLogExt;
    if (this.#at.queueFailed !== 0 && !readsLog) return ABORTED;
    return drive.kind === 'cdrom' ? this.#cdromCommand(task, drive) : this.#diskCommand(task, drive);
  }

  #diskCommand(task: Task, drive: Drive & { kind: 'disk' }): AtaAction {
    const code = NO_RETRY.has(task.command) ? task.command & ~1 : task.command;
    const wide = WIDE_COMMANDS.has(code);
    const { sectors } = this;
    switch (code) {
      case Command.ReadSectors:
      case Command.ReadSectorsExt:
        return this.#transfer('read', task, wide, 'pio');
      case Command.ReadMultiple:
      case Command.ReadMultipleExt:
        return this.#multiple('read', task, wide);
      case Command.WriteSectors:
      case Command.WriteSectorsExt:
        return this.#transfer('write', task, wide, 'pio');
      case Command.WriteMultiple:
      case Command.WriteMultipleExt:
      case Command.WriteMultipleFuaExt:
        return this.#multiple('write', task, wide, code === Command.WriteMultipleFuaExt);
      case Command.ReadDma:
      case Command.ReadDmaExt:
        return this.#transfer('read', task, wide, 'dma');
      case Command.WriteDma:
      case Command.WriteDmaExt:
      case Command.WriteDmaFuaExt:
        return this.#transfer('write', task, wide, 'dma', { forced: code === Command.WriteDmaFuaExt });
      case Command.ReadFpdmaQueued:
      case Command.WriteFpdmaQueued:
        return this.#queued(code === Command.ReadFpdmaQueued ? 'read' : 'write', task);
      case Command.ReadLogExt:
        return this.#readLog(task);
      case Command.DataSetManagement:
        return (task.features & 1) !== 0 && task.count === 1 && drive.writable ? { kind: 'trim' } : ABORTED;
      case Command.Flush:
      case Command.FlushExt:
        return { kind: 'flush' };
      case Command.Verify:
      case Command.VerifyExt: {
        const action = this.#transfer('read', task, wide, 'pio');
        return action.kind === 'read' ? DONE : action;
      }
      case Command.Identify:
        return { kind: 'data', bytes: this.#identify() };
      case Command.SetMultiple: {
        const count = task.count & 0xff;
        if (count > MOST_MULTIPLE || (count & (count - 1)) !== 0) return ABORTED;
        this.#at.multiple = count;
        return DONE;
      }
      case Command.InitializeParameters:
        return this.#initializeParameters(task) ? DONE : ABORTED;
      case Command.ReadNativeMax:
      case Command.ReadNativeMaxExt:
        return { kind: 'done', sector: (wide ? sectors : Math.min(sectors, LBA28_SECTORS)) - 1, wide };
      case Command.Seek:
        return DONE;
      default:
        // 10h to 1Fh were RECALIBRATE of drives that had something to calibrate.
        return (code & 0xf0) === 0x10 ? DONE : this.#anyCommand(task);
    }
  }

  #cdromCommand(task: Task, drive: Drive & { kind: 'cdrom' }): AtaAction {
    switch (task.command) {
      case Command.Packet:
        return { kind: 'packet', dma: (task.features & 1) !== 0, limit: (task.address >>> 8) & 0xffff };
      case Command.IdentifyPacket:
        return { kind: 'data', bytes: identifyCdrom({ ...this.#facts(), serial: drive.serial }) };
      case Command.DeviceReset:
        return { kind: 'reset' };
      case Command.Identify:
      case Command.ReadSectors:
        // How software that knows disks only finds out (9.12).
        return { kind: 'failed', error: ErrorBit.Abort, signature: true };
      default:
        return this.#anyCommand(task);
    }
  }

  /** Commands that both kinds have. */
  #anyCommand(task: Task): AtaAction {
    const { command } = task;
    if (command === Command.CheckPower || command === 0x98) return { kind: 'done', count: 0xff }; // active
    const done = POWER_COMMANDS.has(command) || (command === Command.SetFeatures && this.#setFeatures(task));
    return done ? DONE : ABORTED;
  }

  /** READ and WRITE MULTIPLE: blocks of as many sectors as SET MULTIPLE has said. */
  #multiple(kind: 'read' | 'write', task: Task, wide: boolean, forced = false): AtaAction {
    const block = this.#at.multiple;
    return block === 0 ? ABORTED : this.#transfer(kind, task, wide, 'pio', { block, forced });
  }

  #transfer(
    kind: 'read' | 'write',
    task: Task,
    wide: boolean,
    protocol: Protocol,
    { block = 1, forced = false } = {},
  ): AtaAction {
    const count = wide ? task.count : task.count & 0xff;
    return this.#sectors(kind, {
      sector: this.#sectorOf(task, wide),
      count: count !== 0 ? count : wide ? 65536 : 256,
      wide,
      protocol,
      block,
      forced,
    });
  }

  /** READ and WRITE FPDMA QUEUED (ATA8-ACS, 7.20 and 7.65): the count is in the features, the count has the tag. */
  #queued(kind: 'read' | 'write', task: Task): AtaAction {
    if (this.#attachment !== 'serial') return ABORTED;
    return this.#sectors(kind, {
      sector: this.#sectorOf(task, true),
      count: task.features !== 0 ? task.features : 65536,
      wide: true,
      protocol: 'queued',
      block: 1,
      forced: (task.device & DeviceBit.Forced) !== 0,
    });
  }

  /** Sectors of the disk, where they are there and may be written. */
  #sectors(kind: 'read' | 'write', range: Omit<AtaAction & { kind: 'read' | 'write' }, 'kind'>): AtaAction {
    const { drive } = this;
    if (kind === 'write' && drive.kind === 'disk' && !drive.writable) return ABORTED;
    const { sector, count } = range;
    if (sector < 0 || sector + count > this.sectors)
      return { kind: 'failed', error: ErrorBit.IdNotFound | ErrorBit.Abort };
    return { kind, ...range };
  }

  #sectorOf({ address, upperAddress, device }: Task, wide: boolean): number {
    if (wide) return address + upperAddress * 2 ** 24;
    if ((device & DeviceBit.Lba) !== 0) return address + (device & 0x0f) * 2 ** 24;
    const [, heads, sectors] = this.#at.geometry;
    const track = (address >>> 8) * heads + (device & 0x0f);
    return track * sectors + (address & 0xff) - 1;
  }

  /** INITIALIZE DEVICE PARAMETERS (ATA-5, 8.16): how software wants sectors to be counted.
   * @returns false for what is impossible */
  #initializeParameters({ count, device }: Task): boolean {
    const sectors = count & 0xff;
    const heads = (device & 0x0f) + 1;
    if (sectors === 0) return false;
    this.#at.geometry.set([Math.min(65535, Math.floor(this.sectors / (heads * sectors))), heads, sectors]);
    return true;
  }

  /** SET FEATURES (8.46): transfer modes and the write cache are kept; what needs nothing done is agreed to.
   * @returns false for what is not known */
  #setFeatures({ features, count }: Task): boolean {
    const at = this.#at;
    switch (features & 0xff) {
      case 0x02:
        at.writeCache = 1;
        return true;
      case 0x82:
        at.writeCache = 0;
        return true;
      case 0x03: {
        const value = count & 0xff;
        const [kind, mode] = [value >> 3, value & 7];
        if (kind > 1) at.transferMode = value;
        return kind <= 1 || (kind === 4 && mode <= 2) || (kind === 8 && mode <= 5);
      }
      // Power management, read look-ahead, acoustics, what a soft reset reverts: on and off.
      case 0x05:
      case 0x42:
      case 0x55:
      case 0x66:
      case 0x85:
      case 0xaa:
      case 0xc2:
      case 0xcc:
        return true;
      default:
        return false;
    }
  }

  /** READ LOG EXT (7.47): which logs there are, and what has failed of the queue. */
  #readLog({ address, count }: Task): AtaAction {
    if (this.#attachment !== 'serial' || count !== 1) return ABORTED;
    const at = this.#at;
    // Log in the low byte; its page in the two above, of which there is the first alone.
    if (address === 0) return { kind: 'data', bytes: logDirectory() };
    if (address !== QUEUED_ERROR_LOG) return ABORTED;
    const { failedTag, failedError, failedSector, queueFailed } = at;
    at.queueFailed = 0;
    if (queueFailed === 0) return { kind: 'data', bytes: new Uint8Array(LOG_PAGE) };
    const status = Status.Ready | Status.Error;
    return {
      kind: 'data',
      bytes: queuedErrorLog({ tag: failedTag, status, error: failedError, sector: failedSector }),
    };
  }

  #facts() {
    const { serial } = this.drive;
    return { serial, transferMode: this.#at.transferMode, serialLink: this.#attachment === 'serial' };
  }

  #identify(): Uint8Array {
    const { sectors } = this;
    const [cylinders, heads, perTrack] = this.#at.geometry;
    const current: Geometry = { cylinders, heads, sectors: perTrack };
    return identifyDisk({
      ...this.#facts(),
      sectors,
      geometry: defaultGeometry(sectors),
      current,
      multiple: this.#at.multiple,
      writeCache: this.writeCache,
    });
  }
}
