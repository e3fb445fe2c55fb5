/**
 * A port of an AHCI adapter, with the drive on its link: registers, and commands from a list in guest memory.
 *
 * Commands are begun and ended by the I/O thread, one after another in the order in which slots come round. A queued
 * command leaves its slot when it is begun and is active until its data has been moved.
 *
 * AHCI 1.3, 3.3 "Port Registers", chapter 5 "Data Transfer Operation" and chapter 6 "Error Reporting and Recovery".
 */
import { type Arena, layout, type View } from '../../../memory/layout.ts';
import type { Segment } from '../../../memory/physical-memory.ts';
import type { Device } from '../../device.ts';
import type { AtaAction, AtaDrive, Task } from '../ata/ata-drive.ts';
import { SECTOR } from '../ata/ata-drive.ts';
import { store, trim } from '../ata/disk-commands.ts';
import { ErrorBit, Reason, Status } from '../ata/registers.ts';
import type { BlockBackend, BlockDevice } from '../block.ts';
import type { DmaMemory } from '../../dma.ts';
import type { IoSlot } from '../io-slots.ts';
import { CommandSlot } from './command-slot.ts';
import { deviceBitsFrame, parseHostFrame, pioSetupFrame, registerFrame, type Registers } from './frames.ts';
import { Detection, Interrupt, Port, PortCommand, Received, SataError, SLOTS } from './registers.ts';

const portLayout = layout('ahci-port', 1, {
  /** Low and high words. */
  commandList: ['u32', 2],
  frames: ['u32', 2],
  interruptStatus: 'u32',
  interruptEnable: 'u32',
  command: 'u32',
  taskFile: 'u32',
  signature: 'u32',
  sataControl: 'u32',
  sataError: 'u32',
  active: 'u32',
  issued: 'u32',
  /** The slot looked at last. */
  slot: 'u8',
  /** A command has failed: none is begun until the list is stopped. */
  halted: 'u8',
  /** The drive's first frame after a reset has not been received yet. */
  greets: 'u8',
  /** Software holds the drive in reset. */
  softReset: 'u8',
});

/** What of the registers says what kind of drive it is, after a reset (ATA/ATAPI-6, 9.12). */
const SIGNATURE = { Disk: 0x0000_0101, Packet: 0xeb14_0101 } as const;

const READY = Status.Ready | Status.Seek;

/** No drive has said anything (3.3.8, 3.3.9). */
const NO_TASK_FILE = 0x7f;
const NO_SIGNATURE = 0xffff_ffff;

/** Data of a command. */
type Transfer =
  | {
      readonly kind: 'read' | 'write';
      readonly position: number;
      readonly length: number;
      readonly forced: boolean;
    }
  | { readonly kind: 'trim' }
  | { readonly kind: 'flush' };

/** A command that the I/O thread is at work on. */
interface Work {
  readonly slot: CommandSlot;
  readonly index: number;
  readonly task: Task;
  readonly transfer: Transfer;
  readonly regions: readonly Segment[];
  /** Of a queued command. */
  readonly tag: number | undefined;
  /** First sector, for what is said of a failure. */
  readonly sector: number;
  readonly pio: boolean;
  readonly turn: number;
}

export interface PortWires {
  readonly drive: AtaDrive;
  readonly memory: DmaMemory;
  readonly slot: IoSlot;
  /** Whether the adapter may reach memory. */
  readonly busMaster: () => boolean;
  /** Interrupts are there that are enabled, or may not be there any more. */
  readonly interrupted: () => void;
}

export class AhciPort implements Device, BlockDevice {
  readonly name: string;
  readonly slot: IoSlot;
  readonly #wires: PortWires;
  readonly #at: View<typeof portLayout.fields>;

  constructor(name: string, arena: Arena, wires: PortWires) {
    this.name = name;
    this.slot = wires.slot;
    this.#wires = wires;
    this.#at = arena.place(portLayout);
  }

  /** Power-on, or a reset of the adapter (10.4.3): the drive's settings are the drive's. */
  reset(): void {
    const at = this.#at;
    this.slot.callOff();
    at.commandList.fill(0);
    at.frames.fill(0);
    at.interruptStatus = 0;
    at.interruptEnable = 0;
    at.command = PortCommand.SpinUp | PortCommand.PowerOn;
    at.sataControl = 0;
    at.sataError = 0;
    at.slot = SLOTS - 1;
    at.softReset = 0;
    this.#stop();
    this.#linkReset();
  }

  /** Whether an enabled interrupt is there. */
  get pending(): boolean {
    return (this.#interrupts & this.#at.interruptEnable) !== 0;
  }

  /** What has been issued may go on: the adapter may reach memory now. */
  look(): void {
    if (this.#at.issued !== 0) this.slot.ring();
  }

  /** @param offset of a 4-byte register from the port's first */
  read(offset: number): number {
    const at = this.#at;
    switch (offset) {
      case Port.CommandList:
        return at.commandList[0];
      case Port.CommandListUpper:
        return at.commandList[1];
      case Port.Frames:
        return at.frames[0];
      case Port.FramesUpper:
        return at.frames[1];
      case Port.InterruptStatus:
        return this.#interrupts >>> 0;
      case Port.InterruptEnable:
        return at.interruptEnable;
      case Port.Command:
        return at.command;
      case Port.TaskFile:
        return at.taskFile;
      case Port.Signature:
        return at.signature;
      case Port.SataStatus:
        return this.#sataStatus;
      case Port.SataControl:
        return at.sataControl;
      case Port.SataError:
        return at.sataError;
      case Port.SataActive:
        return at.active;
      case Port.CommandIssue:
        return at.issued;
      default:
        return 0;
    }
  }

  write(offset: number, value: number): void {
    const at = this.#at;
    switch (offset) {
      case Port.CommandList:
        at.commandList[0] = value & ~0x3ff;
        break;
      case Port.CommandListUpper:
        at.commandList[1] = value;
        break;
      case Port.Frames:
        at.frames[0] = value & ~0xff;
        break;
      case Port.FramesUpper:
        at.frames[1] = value;
        break;
      case Port.InterruptStatus:
        at.interruptStatus &= ~value;
        this.#wires.interrupted();
        break;
      case Port.InterruptEnable:
        at.interruptEnable = value;
        this.#wires.interrupted();
        break;
      case Port.Command:
        this.#writeCommand(value);
        break;
      case Port.SataControl:
        this.#writeSataControl(value);
        break;
      case Port.SataError:
        at.sataError &= ~value;
        this.#wires.interrupted();
        break;
      case Port.SataActive:
        if ((at.command & PortCommand.Start) !== 0) at.active |= value;
        break;
      case Port.CommandIssue:
        if ((at.command & PortCommand.Start) === 0) break;
        at.issued |= value;
        this.slot.ring();
    }
  }

  /** Interrupts, with those that are nothing but what SATA error says. */
  get #interrupts(): number {
    const { interruptStatus, sataError } = this.#at;
    const connect = (sataError & SataError.Exchanged) !== 0 ? Interrupt.Connect : 0;
    const phyReady = (sataError & SataError.PhyReady) !== 0 ? Interrupt.PhyReady : 0;
    return interruptStatus | connect | phyReady;
  }

  /** 3.3.10: power state, speed, and whether there is a drive. */
  get #sataStatus(): number {
    const { sataControl } = this.#at;
    const detection = sataControl & 0xf;
    if (detection === Detection.Offline) return Detection.Offline;
    if (detection === Detection.Reset) return Detection.None;
    const speed = ((sataControl >> 4) & 0xf) === 1 ? 1 : 2;
    return 0x100 | (speed << 4) | Detection.Established;
  }

  #writeCommand(value: number): void {
    const at = this.#at;
    const before = at.command;
    const fixed = before & ~PortCommand.Writable;
    let next = fixed | (value & PortCommand.Writable);
    // Frames are received as long as the list is worked on (3.3.7).
    if ((before & PortCommand.Running) !== 0 && (value & PortCommand.Start) !== 0)
      next |= PortCommand.FrameReceive;
    if ((next & PortCommand.FrameReceive) !== 0) next |= PortCommand.FrameRunning;
    else next &= ~(PortCommand.FrameRunning | PortCommand.Start);
    at.command = next;
    if ((value & PortCommand.Override) !== 0) at.taskFile &= ~(Status.Busy | Status.Drq);
    if ((before & PortCommand.FrameReceive) === 0) this.#greet();
    const starts = (next & PortCommand.Start) !== 0;
    if (starts && (before & PortCommand.Start) === 0) {
      at.command |= PortCommand.Running;
      at.slot = SLOTS - 1;
    } else if (!starts && (before & PortCommand.Start) !== 0) {
      this.slot.callOff();
      this.#stop();
    }
  }

  /** The list is not worked on any more, and nothing is left of it (3.3.14). */
  #stop(): void {
    const at = this.#at;
    at.command &= ~(PortCommand.Running | (0x1f << PortCommand.CurrentSlot));
    at.issued = 0;
    at.active = 0;
    at.halted = 0;
  }

  #writeSataControl(value: number): void {
    const at = this.#at;
    const before = at.sataControl & 0xf;
    const after = value & 0xf;
    at.sataControl = value & 0xfff;
    if (after === before) return;
    this.slot.callOff();
    this.#stop();
    if ((at.command & PortCommand.Start) !== 0) at.command |= PortCommand.Running;
    if (after === Detection.None) {
      this.#linkReset();
      at.sataError |= SataError.Exchanged | SataError.PhyReady;
      this.#wires.interrupted();
    } else {
      at.taskFile = NO_TASK_FILE;
      at.greets = 0;
    }
  }

  /** The link has come up: the drive says what it is. */
  #linkReset(): void {
    const at = this.#at;
    this.#wires.drive.softReset();
    at.taskFile = NO_TASK_FILE;
    at.signature = NO_SIGNATURE;
    at.greets = 1;
    this.#greet();
  }

  /** Receives the drive's first frame, once frames are received. */
  #greet(): void {
    const at = this.#at;
    if (at.greets === 0 || (at.command & PortCommand.FrameReceive) === 0) return;
    at.greets = 0;
    const packet = this.#wires.drive.isPacketDevice;
    at.signature = packet ? SIGNATURE.Packet : SIGNATURE.Disk;
    const address = at.signature >>> 8;
    this.#receiveRegisters({ status: packet ? 0 : READY, error: 1, address, device: 0, count: 1 }, false);
  }

  #receive(offset: number, frame: Uint8Array): void {
    const { command, frames } = this.#at;
    if ((command & PortCommand.FrameReceive) === 0) return;
    this.#wires.memory.write(frames[0] + frames[1] * 2 ** 32 + offset, frame);
  }

  #receiveRegisters(registers: Registers, interrupt: boolean): void {
    this.#receive(Received.Register, registerFrame(registers, interrupt));
    this.#at.taskFile = (registers.error << 8) | registers.status;
    if (interrupt) this.#interrupt(Interrupt.Register);
  }

  #interrupt(bits: number): void {
    this.#at.interruptStatus |= bits;
    this.#wires.interrupted();
  }

  serve([backend]: readonly BlockBackend[], locked: <T>(body: () => T) => T): boolean {
    const begun = locked(() => this.#next());
    if (begun === undefined) return false;
    if (begun === 'over') return true;
    const success = backend !== undefined && this.#carryOut(begun, backend);
    this.slot.end();
    locked(() => {
      if (this.slot.current(begun.turn)) this.#finish(begun, success);
    });
    return true;
  }

  /** Begins the next command.
   * @returns undefined where there is none, `over` for one that is over already */
  #next(): Work | 'over' | undefined {
    const at = this.#at;
    const { memory, busMaster } = this.#wires;
    const running = (at.command & PortCommand.Running) !== 0 && at.halted === 0;
    if (!running || at.issued === 0 || !busMaster()) return undefined;
    do at.slot = (at.slot + 1) % SLOTS;
    while ((at.issued & (1 << at.slot)) === 0);
    const index = at.slot;
    at.command = (at.command & ~(0x1f << PortCommand.CurrentSlot)) | (index << PortCommand.CurrentSlot);
    const slot = new CommandSlot(memory, at.commandList[0] + at.commandList[1] * 2 ** 32, index);
    const frame = parseHostFrame(slot.frame);
    if (frame === undefined) {
      at.halted = 1;
      this.#interrupt(Interrupt.InterfaceFatal);
      return 'over';
    }
    if (frame.kind === 'control') {
      at.issued &= ~(1 << index);
      if (!frame.softReset && at.softReset !== 0) this.#linkReset();
      at.softReset = frame.softReset ? 1 : 0;
      return 'over';
    }
    return this.#begin(slot, index, frame.task);
  }

  #begin(slot: CommandSlot, index: number, task: Task): Work | 'over' {
    const at = this.#at;
    const { drive } = this.#wires;
    const action = drive.execute(task);
    const command = { slot, index, task };
    switch (action.kind) {
      case 'done':
        this.#end(command, { address: action.sector ?? addressOf(task), count: action.count ?? task.count });
        return 'over';
      case 'failed':
        this.#fail(
          command,
          action.error,
          action.signature === true ? SIGNATURE.Packet >>> 8 : addressOf(task),
        );
        return 'over';
      case 'reset':
        this.#linkReset();
        at.issued &= ~(1 << index);
        return 'over';
      case 'data':
        this.#give(command, action.bytes, true);
        return 'over';
      case 'packet':
        return this.#packet(command);
      case 'flush':
      case 'trim':
        return this.#work(command, action, action.kind === 'trim' ? SECTOR : 0);
      default: {
        const { kind, sector, count, protocol, forced } = action;
        const transfer: Transfer = { kind, position: sector * SECTOR, length: count * SECTOR, forced };
        const queued = protocol === 'queued';
        if (queued) {
          // The drive has it in its queue, and takes the next.
          at.issued &= ~(1 << index);
          at.taskFile = READY;
        }
        return this.#work(command, transfer, transfer.length, { action, queued });
      }
    }
  }

  #packet(command: Pick<Work, 'slot' | 'index' | 'task'>): Work | 'over' {
    const { drive } = this.#wires.drive;
    if (drive.kind !== 'cdrom') throw new TypeError('a packet for a drive that takes none');
    const result = drive.cdrom.execute(command.slot.packet);
    switch (result.kind) {
      case 'done':
        this.#end(command, { address: 0, count: Reason.Command | Reason.ToHost });
        return 'over';
      case 'failed':
        this.#fail(command, (drive.cdrom.senseKey << 4) | ErrorBit.Abort, 0);
        return 'over';
      case 'data':
        this.#give(command, result.bytes, false);
        return 'over';
      case 'read': {
        const { sectorBytes } = this.#wires.drive;
        const length = result.count * sectorBytes;
        return this.#work(
          command,
          { kind: 'read', position: result.sector * sectorBytes, length, forced: false },
          length,
        );
      }
    }
  }

  /** Has the I/O thread move data.
   * @param bytes of memory that it takes */
  #work(
    command: Pick<Work, 'slot' | 'index' | 'task'>,
    transfer: Transfer,
    bytes: number,
    more?: { readonly action: AtaAction & { kind: 'read' | 'write' }; readonly queued: boolean },
  ): Work | 'over' {
    const queued = more?.queued === true;
    const tag = queued ? (command.task.count >> 3) & 0x1f : undefined;
    const regions = command.slot.regions(bytes);
    if (regions === undefined) {
      this.#at.interruptStatus |= Interrupt.Overflow;
      this.#fail({ ...command, tag }, ErrorBit.Abort, addressOf(command.task));
      return 'over';
    }
    if (!queued) this.#at.taskFile |= Status.Busy;
    const pio = more?.action.protocol === 'pio' && transfer.kind === 'read';
    const sector = more?.action.sector ?? addressOf(command.task);
    return { ...command, transfer, regions, tag, sector, pio, turn: this.slot.begin() };
  }

  #carryOut({ transfer, regions }: Work, backend: BlockBackend): boolean {
    const { memory, drive } = this.#wires;
    if (transfer.kind === 'flush') return backend.flush();
    const access = transfer.kind === 'read' ? 'write' : 'read';
    const pieces = memory.pieces(regions, access);
    if (transfer.kind === 'trim') return trim(drive, backend, pieces);
    if (transfer.kind === 'write') return store(drive, backend, transfer.position, pieces, transfer.forced);
    const success = backend.read(transfer.position, pieces);
    memory.wrote(regions, pieces);
    return success;
  }

  #finish(work: Work, success: boolean): void {
    const { transfer, slot, task, tag, sector, pio } = work;
    const { drive } = this.#wires.drive;
    if (!success) {
      if (drive.kind === 'cdrom') {
        drive.cdrom.failMedium();
        this.#fail(work, (drive.cdrom.senseKey << 4) | ErrorBit.Abort, 0);
      } else {
        this.#fail(work, transfer.kind === 'read' ? ErrorBit.Uncorrectable : ErrorBit.Abort, sector);
      }
      return;
    }
    const moved = transfer.kind === 'flush' ? 0 : transfer.kind === 'trim' ? SECTOR : transfer.length;
    slot.setTransferred(moved);
    if (tag !== undefined) this.#endQueued(tag);
    else if (pio) this.#endPio(work, moved);
    else if (drive.kind === 'cdrom') this.#end(work, { address: 0, count: Reason.Command | Reason.ToHost });
    else this.#end(work, { address: addressOf(task), count: task.count });
  }

  /** Gives the host bytes that are there, as far as it has asked for them, and ends the command. */
  #give(command: Pick<Work, 'slot' | 'index' | 'task'>, bytes: Uint8Array, pio: boolean): void {
    const { memory } = this.#wires;
    const regions = command.slot.regions(bytes.length);
    if (regions === undefined) {
      this.#at.interruptStatus |= Interrupt.Overflow;
      this.#fail(command, ErrorBit.Abort, addressOf(command.task));
      return;
    }
    let from = 0;
    for (const region of regions) {
      memory.write(region.address, bytes.subarray(from, from + region.length));
      from += region.length;
    }
    command.slot.setTransferred(bytes.length);
    if (pio) this.#endPio(command, bytes.length);
    else this.#end(command, { address: 0, count: Reason.Command | Reason.ToHost });
  }

  #end(
    { index, task }: Pick<Work, 'index' | 'task'>,
    { address, count }: Pick<Registers, 'address' | 'count'>,
  ): void {
    this.#at.issued &= ~(1 << index);
    this.#receiveRegisters({ status: READY, error: 0, address, device: task.device, count }, true);
  }

  /** The end of data for the host by PIO: the status comes with the last block's set-up. */
  #endPio({ index, task }: Pick<Work, 'index' | 'task'>, bytes: number): void {
    const at = this.#at;
    at.issued &= ~(1 << index);
    const registers = {
      status: READY | Status.Drq,
      error: 0,
      address: addressOf(task),
      device: task.device,
      count: task.count,
    };
    this.#receive(Received.PioSetup, pioSetupFrame(registers, READY, Math.min(bytes, SECTOR)));
    at.taskFile = READY;
    this.#interrupt(Interrupt.PioSetup);
  }

  #endQueued(tag: number): void {
    const at = this.#at;
    const bit = 2 ** tag;
    at.active &= ~bit;
    this.#receive(Received.DeviceBits, deviceBitsFrame(READY, 0, bit));
    this.#interrupt(Interrupt.DeviceBits);
  }

  /** A command has failed: its slot, or its place in the queue, stays until software stops the list (6.2.2). */
  #fail(
    { task, tag }: Pick<Work, 'task'> & { readonly tag?: number | undefined },
    error: number,
    address: number,
  ): void {
    const at = this.#at;
    const status = READY | Status.Error;
    at.halted = 1;
    if (tag === undefined) {
      this.#receiveRegisters({ status, error, address, device: task.device, count: task.count }, true);
    } else {
      this.#wires.drive.failQueued(tag, address, error);
      this.#receive(Received.DeviceBits, deviceBitsFrame(status, error, 0));
      at.taskFile = (error << 8) | status;
      at.interruptStatus |= Interrupt.DeviceBits;
    }
    this.#interrupt(Interrupt.TaskFile);
  }
}

/** What a command's frame has in the registers of addresses: 48 bits. */
function addressOf({ address, upperAddress }: Task): number {
  return address + upperAddress * 2 ** 24;
}
