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
import { type AtaAction, type AtaDrive, SECTOR } from '../ata/ata-drive.ts';
import {
  Command,
  Control,
  Device as DeviceBit,
  ErrorBit,
  Reason,
  Register,
  Status,
} from '../ata/registers.ts';
import type { BlockBackend, BlockDevice } from '../block.ts';
import type { IoSlot } from '../io-slots.ts';
import { carryOut } from './channel-jobs.ts';
import {
  advance,
  BUFFER,
  channelLayout,
  clearCommand,
  elementsOf,
  setSignature,
  type ChannelState,
  type IdeWires,
  Job,
  offerBlock,
  PACKET,
  Phase,
  putAddress,
  readRegister,
  taskOf,
  writeRegister,
} from './channel-state.ts';

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
    for (const drive of this.#wires.drives) drive?.reset();
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

  get #drive(): AtaDrive | undefined {
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
    setSignature(this.#at, this.#drive?.isPacketDevice === true);
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
    } else if (drive !== undefined) {
      this.#begin(drive.execute(taskOf(at, code)));
    }
  }

  /** What a command comes to, as registers show it. */
  #begin(action: AtaAction): void {
    const at = this.#at;
    switch (action.kind) {
      case 'done':
        if (action.sector !== undefined) putAddress(at, action.sector, action.wide === true);
        if (action.count !== undefined) at.count = action.count;
        this.#succeed();
        return;
      case 'failed':
        if (action.signature === true) this.#signature();
        this.#fail(action.error);
        return;
      case 'data':
        this.#present(action.bytes);
        return;
      case 'read':
      case 'write':
        this.#transfer(action);
        return;
      case 'flush':
        this.#job(Job.Flush);
        return;
      case 'trim':
        this.#dma(Job.Trim);
        return;
      case 'packet':
        at.isPacket = 1;
        at.packetDma = action.dma ? 1 : 0;
        at.byteLimit = action.limit;
        at.phase = Phase.Packet;
        at.count = Reason.Command;
        at.passed = 0;
        at.blockEnd = PACKET;
        at.status = Status.Ready | Status.Seek | Status.Drq;
        return;
      case 'reset':
        this.slot.callOff();
        at.job = Job.None;
        at.phase = Phase.None;
        this.#wires.busMaster.abort();
        this.#signature();
    }
  }

  #transfer({
    kind,
    sector,
    count,
    wide,
    protocol,
    block,
    forced,
  }: AtaAction & { kind: 'read' | 'write' }): void {
    const at = this.#at;
    at.sector = sector;
    at.left = count;
    at.wide = wide ? 1 : 0;
    at.forced = forced ? 1 : 0;
    at.blockSectors = block;
    if (protocol !== 'pio') this.#dma(kind === 'read' ? Job.DmaIn : Job.DmaOut);
    else if (kind === 'read') this.#job(Job.Fill);
    else this.#beginOut();
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
    const drive = this.#drive?.drive;
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
    const drive = this.#wires.drives[unit];
    const success =
      backend !== undefined && drive !== undefined && carryOut(this.#at, this.#wires, job, drive, backend);
    this.slot.end();
    locked(() => {
      if (this.slot.current(turn)) this.#finish(job, success);
    });
    return true;
  }

  /** The job is done: what comes next of the command. */
  #finish(job: number, success: boolean): void {
    const at = this.#at;
    const drive = this.#drive?.drive;
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
      case Job.Fill:
        advance(at, at.filled / (this.#drive?.sectorBytes ?? SECTOR));
        at.passed = 0;
        this.#nextBlockIn();
        break;
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
