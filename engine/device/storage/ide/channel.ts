/**
 * An IDE channel: the task file that its two drives share, and the command one of them carries out.
 *
 * What takes time is noted as a job and done by the I/O thread ({@link IdeChannel.serve}); the channel is busy
 * meanwhile. Data of PIO commands passes through a buffer in the shared memory.
 *
 * ATA/ATAPI-6, clauses 7 to 9.
 */
import type { Arena } from '../../../memory/layout.ts';
import type { AccessSize, Device, PortDevice } from '../../device.ts';
import type { BlockBackend, BlockDevice } from '../block.ts';
import { CD_SECTOR } from '../cdrom.ts';
import type { IoSlot } from '../io-slots.ts';
import { carryOut } from './channel-jobs.ts';
import {
  advance,
  BUFFER,
  channelLayout,
  clearCommand,
  elementsOf,
  currentGeometry,
  identify,
  initializeParameters,
  setSignature,
  type ChannelState,
  type Drive,
  geometryOf,
  type IdeWires,
  Job,
  offerBlock,
  PACKET,
  Phase,
  putAddress,
  readRegister,
  SECTOR,
  setFeatures,
  takeAddress,
  writeRegister,
} from './channel-state.ts';
import {
  Command,
  Control,
  Device as DeviceBit,
  ErrorBit,
  LBA28_SECTORS,
  MOST_MULTIPLE,
  NO_RETRY,
  POWER_COMMANDS,
  Reason,
  Register,
  Status,
  WIDE_COMMANDS,
} from './registers.ts';

export class IdeChannel implements Device, BlockDevice {
  readonly name: string;
  readonly slot: IoSlot;
  readonly #at: ChannelState;
  readonly #wires: IdeWires;

  constructor(name: string, arena: Arena, wires: IdeWires) {
    this.name = name;
    this.#at = arena.place(channelLayout);
    this.#wires = wires;
    this.slot = wires.slot;
    wires.busMaster.onStart = () => this.#dmaStarted();
    wires.busMaster.onStop = () => this.#dmaStopped();
  }

  reset(): void {
    const at = this.#at;
    this.slot.callOff();
    at.control = 0;
    at.device = 0;
    at.buffer.fill(0);
    at.packet.fill(0);
    at.sector = 0;
    for (const [i, drive] of this.#wires.drives.entries()) {
      const { cylinders, heads, sectors } = geometryOf(drive);
      at.geometry.set([cylinders, heads, sectors], i * 3);
      at.writeCache[i] = 1;
    }
    at.multiple.fill(0);
    at.transferMode.fill(0);
    this.#softReset();
  }

  /** The command block's eight ports. */
  readonly commandBlock: PortDevice = {
    portRead: (offset, size) => this.#read(offset, size),
    portWrite: (offset, size, value) => this.#write(offset, size, value),
    portReadBlock: (offset, size, into) => (offset === Register.Data ? this.#readBlock(size, into) : 0),
    portWriteBlock: (offset, size, from) => (offset === Register.Data ? this.#writeBlock(size, from) : 0),
  };

  /** The control block's one port: alternate status, and device control. */
  readonly controlBlock: PortDevice = {
    portRead: () => (this.#drive === undefined ? 0 : this.#at.status),
    portWrite: (_offset, _size, value) => this.#writeControl(value & 0xff),
  };

  /** The drive that is selected. */
  get #unit(): 0 | 1 {
    return (this.#at.device & DeviceBit.Second) !== 0 ? 1 : 0;
  }

  get #drive(): Drive | undefined {
    return this.#wires.drives[this.#unit];
  }

  #read(offset: number, size: AccessSize): number {
    const at = this.#at;
    // With no drive at all the bus reads as its pull-down on bit 7 leaves it; the other drive answers for one.
    if (this.#wires.drives.every((drive) => drive === undefined)) return offset === 0 ? 0xffff : 0x7f;
    if (offset === Register.Data) return this.#readData(size);
    if (offset !== Register.Command) return readRegister(at, offset);
    if (this.#drive === undefined) return 0;
    this.#setInterrupt(false);
    return at.status;
  }

  #write(offset: number, size: AccessSize, value: number): void {
    const at = this.#at;
    if (offset === Register.Data) {
      this.#writeData(size, value);
      return;
    }
    const byte = value & 0xff;
    if (offset !== Register.Command) at.control &= ~Control.HighOrder;
    // Registers are not to be written while a command is at work (7.2); the reset command is.
    const busy = (at.status & (Status.Busy | Status.Drq)) !== 0;
    if (busy && !(offset === Register.Command && byte === Command.DeviceReset)) return;
    if (offset !== Register.Command) writeRegister(at, offset, byte);
    else if (this.#drive !== undefined || byte === Command.Diagnostic) this.#command(byte);
  }

  #writeControl(value: number): void {
    const at = this.#at;
    const before = at.control;
    at.control = value;
    if ((value & Control.SoftReset) !== 0 && (before & Control.SoftReset) === 0) {
      this.slot.callOff();
      this.#softReset();
      at.status = Status.Busy;
    } else if ((value & Control.SoftReset) === 0 && (before & Control.SoftReset) !== 0) {
      this.#softReset();
    }
    this.#driveIrq();
  }

  /** After a reset of any kind: no command, and the signatures by which drives say what they are (9.12). */
  #softReset(): void {
    const at = this.#at;
    clearCommand(at);
    this.#wires.busMaster.abort();
    this.#signature();
    this.#setInterrupt(false);
  }

  #signature(): void {
    setSignature(this.#at, this.#drive?.kind === 'cdrom');
  }

  #setInterrupt(level: boolean): void {
    this.#at.interrupt = level ? 1 : 0;
    if (level) this.#wires.busMaster.interrupted();
    this.#driveIrq();
  }

  /** Drives INTRQ as nIEN lets it. */
  #driveIrq(): void {
    this.#wires.irq(this.#at.interrupt !== 0 && (this.#at.control & Control.NoInterrupt) === 0);
  }

  #command(code: number): void {
    const at = this.#at;
    const drive = this.#drive;
    this.#setInterrupt(false);
    at.error = 0;
    at.isPacket = 0;
    at.waitsForDma = 0;
    at.phase = Phase.None;
    at.blockSectors = 1;
    if (code === Command.Diagnostic) {
      at.device &= ~DeviceBit.Second;
      this.#signature();
      this.#setInterrupt(true);
    } else if (drive?.kind === 'cdrom') {
      this.#cdromCommand(code, drive);
    } else if (drive !== undefined) {
      this.#diskCommand(NO_RETRY.has(code) ? code & ~1 : code, drive);
    }
  }

  #diskCommand(code: number, drive: Drive & { kind: 'disk' }): void {
    const at = this.#at;
    const unit = this.#unit;
    const sectors = Math.floor(drive.bytes / SECTOR);
    const wide = WIDE_COMMANDS.has(code);
    switch (code) {
      case Command.ReadSectors:
      case Command.ReadSectorsExt:
        if (this.#address(wide, sectors)) this.#job(Job.Fill);
        return;
      case Command.ReadMultiple:
      case Command.ReadMultipleExt:
        if (this.#blocks(unit) && this.#address(wide, sectors)) this.#job(Job.Fill);
        return;
      case Command.WriteSectors:
      case Command.WriteSectorsExt:
        if (this.#mayWrite(drive) && this.#address(wide, sectors)) this.#beginOut();
        return;
      case Command.WriteMultiple:
      case Command.WriteMultipleExt:
      case Command.WriteMultipleFuaExt:
        if (this.#mayWrite(drive) && this.#blocks(unit) && this.#address(wide, sectors)) this.#beginOut();
        return;
      case Command.ReadDma:
      case Command.ReadDmaExt:
        if (this.#address(wide, sectors)) this.#dma(Job.DmaIn);
        return;
      case Command.WriteDma:
      case Command.WriteDmaExt:
      case Command.WriteDmaFuaExt:
        if (this.#mayWrite(drive) && this.#address(wide, sectors)) this.#dma(Job.DmaOut);
        return;
      case Command.DataSetManagement:
        at.left = at.count | (at.oldCount << 8);
        if ((at.features & 1) === 0 || at.left !== 1) this.#abort();
        else if (this.#mayWrite(drive)) this.#dma(Job.Trim);
        return;
      case Command.Flush:
      case Command.FlushExt:
        this.#job(Job.Flush);
        return;
      case Command.Verify:
      case Command.VerifyExt:
        if (this.#address(wide, sectors)) this.#succeed();
        return;
      case Command.Identify:
        this.#present(identify(at, unit, drive));
        return;
      case Command.SetMultiple: {
        const { count } = at;
        if (count > MOST_MULTIPLE || (count & (count - 1)) !== 0) this.#abort();
        else {
          at.multiple[unit] = count;
          this.#succeed();
        }
        return;
      }
      case Command.InitializeParameters:
        if (initializeParameters(at, unit, sectors)) this.#succeed();
        else this.#abort();
        return;
      case Command.ReadNativeMax:
      case Command.ReadNativeMaxExt:
        putAddress(at, (wide ? sectors : Math.min(sectors, LBA28_SECTORS)) - 1, wide);
        this.#succeed();
        return;
      case Command.Seek:
        this.#succeed();
        return;
      default:
        // 10h to 1Fh were RECALIBRATE of drives that had something to calibrate.
        if ((code & 0xf0) === 0x10) this.#succeed();
        else this.#anyCommand(code, unit);
    }
  }

  #cdromCommand(code: number, drive: Drive & { kind: 'cdrom' }): void {
    const at = this.#at;
    switch (code) {
      case Command.Packet:
        at.isPacket = 1;
        at.packetDma = at.features & 1;
        at.byteLimit = at.mid | (at.high << 8);
        at.phase = Phase.Packet;
        at.count = Reason.Command;
        at.passed = 0;
        at.blockEnd = PACKET;
        at.status = Status.Ready | Status.Seek | Status.Drq;
        return;
      case Command.IdentifyPacket:
        this.#present(identify(at, this.#unit, drive));
        return;
      case Command.DeviceReset:
        this.slot.callOff();
        at.job = Job.None;
        at.phase = Phase.None;
        this.#wires.busMaster.abort();
        this.#signature();
        return;
      case Command.Identify:
      case Command.ReadSectors:
        // How software that knows disks only finds out (9.12).
        this.#signature();
        this.#abort();
        return;
      default:
        this.#anyCommand(code, this.#unit);
    }
  }

  /** Commands that both kinds have. */
  #anyCommand(code: number, unit: 0 | 1): void {
    const at = this.#at;
    const checksPower = code === Command.CheckPower || code === 0x98;
    if (checksPower) at.count = 0xff; // active
    const known = checksPower || POWER_COMMANDS.has(code);
    if (known || (code === Command.SetFeatures && setFeatures(at, unit))) this.#succeed();
    else this.#abort();
  }

  /** Sectors of a block become those of SET MULTIPLE. @returns false, and aborts, where that was not set */
  #blocks(unit: 0 | 1): boolean {
    this.#at.blockSectors = this.#at.multiple[unit];
    if (this.#at.blockSectors !== 0) return true;
    this.#abort();
    return false;
  }

  /**
   * Takes the address and count of sectors out of the registers.
   *
   * @returns false, and fails the command, where they are beyond the end of the disk
   */
  #address(wide: boolean, sectors: number): boolean {
    const at = this.#at;
    takeAddress(at, currentGeometry(at, this.#unit), wide);
    if (at.sector >= 0 && at.sector + at.left <= sectors) return true;
    this.#fail(ErrorBit.IdNotFound | ErrorBit.Abort);
    return false;
  }

  #succeed(): void {
    this.#at.job = Job.None;
    this.#at.phase = Phase.None;
    this.#at.status = Status.Ready | Status.Seek;
    if (this.#at.isPacket !== 0) this.#at.count = Reason.Command | Reason.ToHost;
    this.#setInterrupt(true);
  }

  #abort(): void {
    this.#fail(ErrorBit.Abort);
  }

  #fail(error: number): void {
    const at = this.#at;
    at.job = Job.None;
    at.phase = Phase.None;
    at.waitsForDma = 0;
    at.error = error;
    at.status = Status.Ready | Status.Seek | Status.Error;
    if (at.isPacket !== 0) at.count = Reason.Command | Reason.ToHost;
    this.#setInterrupt(true);
  }

  /** Has the I/O thread do something; busy until it is done. */
  #job(job: number): void {
    this.#at.job = job;
    this.#at.status = Status.Busy;
    this.slot.ring();
  }

  /** Waits for the bus master, then has the I/O thread transfer. */
  #dma(job: number): void {
    const at = this.#at;
    at.job = job;
    at.status = Status.Ready | Status.Seek | Status.Drq;
    at.waitsForDma = 1;
    if (this.#wires.busMaster.started) this.#dmaStarted();
  }

  #dmaStarted(): void {
    const at = this.#at;
    if (at.waitsForDma === 0) return;
    at.waitsForDma = 0;
    at.status = Status.Busy;
    this.slot.ring();
  }

  /** The guest has taken the start bit away in the middle of a transfer. */
  #dmaStopped(): void {
    const { job } = this.#at;
    if (job !== Job.DmaIn && job !== Job.DmaOut && job !== Job.DmaBuffer && job !== Job.Trim) return;
    if (this.#at.waitsForDma !== 0) return;
    this.slot.callOff();
    this.#abort();
  }

  /** Data of a PIO command that is in the buffer, for the guest: a block, with an interrupt. */
  #present(bytes: Uint8Array): void {
    const at = this.#at;
    at.buffer.set(bytes);
    at.filled = bytes.length;
    at.left = 0;
    at.passed = 0;
    this.#nextBlockIn();
  }

  #nextBlockIn(): void {
    offerBlock(this.#at);
    this.#setInterrupt(true);
  }

  #readData(size: AccessSize): number {
    const at = this.#at;
    if (at.phase !== Phase.In) return 0;
    let value = 0;
    for (let i = 0; i < size && at.passed < at.blockEnd; i++) value |= at.buffer[at.passed++] << (8 * i);
    if (at.passed === at.blockEnd) this.#blockRead();
    return value >>> 0;
  }

  /** Reads data words as far as the block goes: with its end the drive's interrupt may come. */
  #readBlock(size: AccessSize, into: Uint8Array): number {
    const at = this.#at;
    const elements = at.phase === Phase.In ? elementsOf(at, size, into) : 0;
    into.set(at.buffer.subarray(at.passed, at.passed + elements * size));
    at.passed += elements * size;
    if (elements > 0 && at.passed === at.blockEnd) this.#blockRead();
    return elements;
  }

  #blockRead(): void {
    const at = this.#at;
    if (at.passed < at.filled) {
      this.#nextBlockIn();
    } else if (at.left > 0) {
      at.phase = Phase.None;
      this.#job(Job.Fill);
    } else {
      at.phase = Phase.None;
      at.status = Status.Ready | Status.Seek;
      // A packet command ends with an interrupt of its own, others with that of the last block.
      if (at.isPacket !== 0) this.#succeed();
    }
  }

  /** @returns false, and aborts, where the disk is write-protected */
  #mayWrite({ writable }: Drive & { kind: 'disk' }): boolean {
    if (!writable) this.#abort();
    return writable;
  }

  /** The first block of a write is asked for without an interrupt. */
  #beginOut(): void {
    const at = this.#at;
    at.passed = 0;
    at.filled = Math.min(at.left * SECTOR, BUFFER);
    this.#nextBlockOut();
  }

  #nextBlockOut(): void {
    const at = this.#at;
    at.blockEnd = Math.min(at.filled, at.passed + at.blockSectors * SECTOR);
    at.phase = Phase.Out;
    at.job = Job.None;
    at.status = Status.Ready | Status.Seek | Status.Drq;
  }

  #writeData(size: AccessSize, value: number): void {
    const at = this.#at;
    if (at.phase === Phase.Packet) {
      for (let i = 0; i < size && at.passed < PACKET; i++) at.packet[at.passed++] = value >>> (8 * i);
      if (at.passed === PACKET) this.#packet();
    } else if (at.phase === Phase.Out) {
      for (let i = 0; i < size && at.passed < at.blockEnd; i++) at.buffer[at.passed++] = value >>> (8 * i);
      if (at.passed === at.blockEnd) this.#blockWritten();
    }
  }

  #writeBlock(size: AccessSize, from: Uint8Array): number {
    const at = this.#at;
    const elements = at.phase === Phase.Out ? elementsOf(at, size, from) : 0;
    at.buffer.set(from.subarray(0, elements * size), at.passed);
    at.passed += elements * size;
    if (elements > 0 && at.passed === at.blockEnd) this.#blockWritten();
    return elements;
  }

  #blockWritten(): void {
    const at = this.#at;
    if (at.passed < at.filled) {
      this.#nextBlockOut();
      this.#setInterrupt(true);
    } else {
      at.phase = Phase.None;
      this.#job(Job.Drain);
    }
  }

  #packet(): void {
    const at = this.#at;
    const drive = this.#drive;
    if (drive?.kind !== 'cdrom') return;
    at.phase = Phase.None;
    const result = drive.cdrom.execute(at.packet);
    switch (result.kind) {
      case 'done':
        this.#succeed();
        break;
      case 'failed':
        this.#fail((drive.cdrom.senseKey << 4) | ErrorBit.Abort);
        break;
      case 'data':
        if (at.packetDma === 0) {
          this.#present(result.bytes);
          break;
        }
        at.buffer.set(result.bytes);
        at.filled = result.bytes.length;
        at.left = 0;
        this.#dma(Job.DmaBuffer);
        break;
      case 'read':
        at.sector = result.sector;
        at.left = result.count;
        if (at.packetDma !== 0) this.#dma(Job.DmaIn);
        else this.#job(Job.Fill);
    }
  }

  serve(backends: readonly BlockBackend[], locked: <T>(body: () => T) => T): boolean {
    const begun = locked(() => {
      const { job, waitsForDma } = this.#at;
      return job === Job.None || waitsForDma !== 0
        ? undefined
        : { job, unit: this.#unit, turn: this.slot.begin() };
    });
    if (begun === undefined) return false;
    const { job, unit, turn } = begun;
    const backend = backends[unit];
    const success = backend !== undefined && carryOut(this.#at, this.#wires, job, unit, backend);
    this.slot.end();
    locked(() => {
      if (this.slot.current(turn)) this.#finish(job, success);
    });
    return true;
  }

  /** The job is done: what comes next of the command. */
  #finish(job: number, success: boolean): void {
    const at = this.#at;
    const drive = this.#drive;
    if (!success) {
      this.#wires.busMaster.finish(false);
      if (drive?.kind === 'cdrom') {
        drive.cdrom.failMedium();
        this.#fail((drive.cdrom.senseKey << 4) | ErrorBit.Abort);
      } else {
        putAddress(at, at.sector, at.wide !== 0);
        this.#fail(job === Job.Fill || job === Job.DmaIn ? ErrorBit.Uncorrectable : ErrorBit.Abort);
      }
      return;
    }
    switch (job) {
      case Job.Fill: {
        const sectors = at.filled / (drive?.kind === 'cdrom' ? CD_SECTOR : SECTOR);
        advance(at, sectors);
        at.passed = 0;
        this.#nextBlockIn();
        break;
      }
      case Job.Drain:
        advance(at, at.filled / SECTOR);
        if (at.left === 0) this.#succeed();
        else {
          at.passed = 0;
          at.filled = Math.min(at.left * SECTOR, BUFFER);
          this.#nextBlockOut();
          this.#setInterrupt(true);
        }
        break;
      case Job.DmaIn:
      case Job.DmaOut:
        advance(at, at.left);
        this.#wires.busMaster.finish(true);
        this.#succeed();
        break;
      case Job.DmaBuffer:
      case Job.Trim:
        this.#wires.busMaster.finish(true);
        this.#succeed();
        break;
      default:
        this.#succeed();
    }
  }
}
