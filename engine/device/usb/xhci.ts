/**
 * An xHCI host controller: a PCI function whose root hub has a port of USB 2 for each device, and no others, so that
 * nobody waits for links that stay down.
 *
 * It does something when a register is written and when a device has something to say, and nothing otherwise: the
 * transfer that waits for a pointer to be moved waits on its ring.
 *
 * Whatever is wrong with a ring that an endpoint uses is that endpoint's error; with the command ring or the event ring
 * there is nobody else to tell, and it is the controller's (USBSTS, HCE), which then does nothing until it is reset.
 *
 * eXtensible Host Controller Interface for Universal Serial Bus (xHCI) 1.2.
 */
import { type Arena, layout, type View } from '../../memory/layout.ts';
import type { MmioBus } from '../../memory/mmio-bus.ts';
import { allOnes } from '../byte-access.ts';
import type { AccessSize, Clock, MmioDevice, TimedDevice } from '../device.ts';
import type { DmaMemory } from '../dma.ts';
import type { MessageSender } from '../pci/msi.ts';
import { Msix } from '../pci/msix.ts';
import { mmioBar } from '../pci/pci-bars.ts';
import { PciFunction } from '../pci/pci-function.ts';
import { Commands } from './commands.ts';
import { EndpointState, SlotState } from './contexts.ts';
import { Interrupter } from './interrupter.ts';
import {
  capabilityRegister,
  CommandRing,
  extendedCapabilities,
  Group,
  MOST_SLOTS,
  Op,
  PAGE_SIZE_4K,
  PORT_BYTES,
  REGISTERS_BYTES,
  Runtime,
  UsbCommand,
  UsbStatus,
} from './registers.ts';
import { RootPort } from './root-port.ts';
import { Doorbell, Slots } from './slots.ts';
import { Transfers } from './transfers.ts';
import { Completion, type CompletionCode, RingError, TrbType, wordsOf } from './trb.ts';
import { BUDGET, type Budget, TrbRing } from './trb-ring.ts';
import type { UsbDevice } from './usb-device.ts';

/** An id that drivers know no erratum of, and which firmware and systems drive by its class alone. */
const ID = { vendor: 0x1b36, device: 0x000d, subsystemVendor: 0x1af4, subsystem: 0x1100 } as const;
/** Serial bus controller, USB, xHCI. */
const CLASS = 0x0c_03_30;

const BAR = { Registers: 0, Msix: 1 } as const;

/** Serial bus release 3.0, and frame length adjustment (5.2.3, 5.2.4). */
const RELEASE = 0x60;

/** Bits of USBCMD that stay as they are written. */
const KEPT_COMMAND =
  UsbCommand.Run |
  UsbCommand.InterruptEnable |
  UsbCommand.SystemErrorEnable |
  UsbCommand.EnableWrap |
  UsbCommand.EnableU3Stop;

/** Bits of USBSTS that are cleared by ones. */
const CLEARED_STATUS =
  UsbStatus.SystemError | UsbStatus.EventInterrupt | UsbStatus.PortChange | UsbStatus.RestoreError;

/** A microframe, and the number of them that the frame index counts (5.5.1). */
const MICROFRAME_NS = 125_000;
const MICROFRAMES = 0x4000;

const controllerLayout = layout('xhci', 1, {
  command: 'u32',
  status: 'u32',
  notification: 'u32',
  configure: 'u32',
  /** The command ring, as {@link TrbRing} has it. */
  commandRing: ['u32', 2],
  /** Low and high words. */
  contextArray: ['u32', 2],
  /** When the controller was started, and when the frame index next begins anew: guest nanoseconds. */
  startedAt: 'f64',
  wrapsAt: 'f64',
  /** CRCR's running bit, and whether there may be something on the command ring. */
  commandsRun: 'u8',
  commandsRung: 'u8',
  /** The driver has saved the state, which nothing has been lost of since. */
  saved: 'u8',
});

export interface XhciParts {
  readonly mmio: MmioBus;
  readonly memory: DmaMemory;
  readonly send: MessageSender;
  readonly clock: Clock;
  /** One for each port of the root hub, from the first on. */
  readonly devices: readonly UsbDevice[];
}

export class XhciController extends PciFunction implements TimedDevice {
  readonly msix: Msix;
  readonly #at: View<typeof controllerLayout.fields>;
  readonly #clock: Clock;
  readonly #ports: readonly RootPort[];
  readonly #slots: Slots;
  readonly #events: Interrupter;
  readonly #transfers: Transfers;
  readonly #commands: Commands;
  readonly #commandRing: TrbRing;

  constructor(arena: Arena, { mmio, memory, send, clock, devices }: XhciParts) {
    super(arena, {
      name: 'xhci',
      vendorId: ID.vendor,
      deviceId: ID.device,
      classCode: CLASS,
      revision: 1,
      subsystemVendorId: ID.subsystemVendor,
      subsystemId: ID.subsystem,
      interruptPin: 1,
      registers: [{ offset: RELEASE, initial: [0x30, 0x20], writable: [0, 0x3f] }],
    });
    const at = arena.place(controllerLayout);
    this.#at = at;
    this.#clock = clock;
    this.addBar(mmioBar(mmio, { index: BAR.Registers, size: REGISTERS_BYTES }, this.registers));
    this.msix = new Msix(arena, this, { vectors: 1, bar: BAR.Msix, mmio, send });
    const port = (number: number) => this.#ports[number - 1];
    this.#events = new Interrupter(arena, {
      memory,
      interrupts: () => {
        at.status |= UsbStatus.EventInterrupt;
        this.#signal();
      },
      changed: () => this.#signal(),
    });
    const slots = new Slots(arena, memory, () => at.contextArray[1] * 2 ** 32 + at.contextArray[0]);
    this.#slots = slots;
    this.#transfers = new Transfers({ memory, slots, events: this.#events, port });
    const enabledSlots = () => at.configure & 0xff;
    this.#commands = new Commands({ memory, slots, transfers: this.#transfers, port, enabledSlots });
    this.#commandRing = new TrbRing(memory, at.commandRing, 0);
    this.#ports = devices.map((device) => new RootPort(arena, device, () => this.#portChanged()));
    for (const [i, device] of devices.entries()) {
      device.attach({
        ready: (endpoint) => this.#deviceReady(i + 1, endpoint),
        polls: (endpoint) => this.#pollingSlot(i + 1, endpoint) !== undefined,
      });
    }
  }

  override reset(): void {
    super.reset();
    this.#resetController();
  }

  /** HCRST (5.4.1). It sends no reset to devices, which the driver does by their ports. */
  #resetController(): void {
    const at = this.#at;
    at.command = 0;
    at.status = UsbStatus.Halted | UsbStatus.PortChange;
    at.notification = 0;
    at.configure = 0;
    at.commandRing.fill(0);
    at.contextArray.fill(0);
    at.startedAt = 0;
    at.wrapsAt = 0;
    at.commandsRun = 0;
    at.commandsRung = 0;
    at.saved = 0;
    this.#slots.reset();
    this.#events.reset();
    for (const port of this.#ports) port.reset();
    this.intx(false);
  }

  /** What BAR 0 answers with. Registers are words: what is written in parts of one is lost. */
  readonly registers: MmioDevice = {
    mmioRead: (offset, size) => ((this.#read(offset & ~3) >>> (8 * (offset & 3))) & allOnes(size)) >>> 0,
    mmioWrite: (offset, size, value) => {
      if (size === 4 && (offset & 3) === 0) this.#write(offset, value);
    },
  };

  #read(offset: number): number {
    if (offset >= Group.Doorbells) return 0;
    if (offset >= Group.Runtime) return this.#readRuntime(offset - Group.Runtime);
    const ports = this.#ports.length;
    if (offset >= Group.Extended) return extendedCapabilities(ports)[(offset - Group.Extended) >> 2] ?? 0;
    return offset >= Group.Operational
      ? this.#readOperational(offset - Group.Operational)
      : capabilityRegister(offset, ports);
  }

  #readRuntime(offset: number): number {
    if (offset === Runtime.FrameIndex) return this.#frameIndex();
    return offset >= Runtime.Interrupter && offset < Runtime.End
      ? this.#events.read(offset - Runtime.Interrupter)
      : 0;
  }

  #readOperational(offset: number): number {
    const at = this.#at;
    switch (offset) {
      case Op.Command:
        return at.command;
      case Op.Status:
        return at.status;
      case Op.PageSize:
        return PAGE_SIZE_4K;
      case Op.Notification:
        return at.notification;
      case Op.CommandRing:
        return at.commandsRun === 0 ? 0 : CommandRing.Running;
      case Op.ContextArray:
      case Op.ContextArray + 4:
        return at.contextArray[(offset - Op.ContextArray) >> 2];
      case Op.Configure:
        return at.configure;
      default:
        return this.#port(offset)?.read((offset - Op.Ports) % PORT_BYTES) ?? 0;
    }
  }

  /** @param offset in the operational registers */
  #port(offset: number): RootPort | undefined {
    return offset < Op.Ports ? undefined : this.#ports[Math.floor((offset - Op.Ports) / PORT_BYTES)];
  }

  #write(offset: number, value: number): void {
    if (offset >= Group.Doorbells) {
      this.#ring((offset - Group.Doorbells) >> 2, value & 0xff);
    } else if (offset >= Group.Runtime) {
      const at = offset - Group.Runtime - Runtime.Interrupter;
      if (at < 0 || at >= Runtime.End - Runtime.Interrupter) return;
      this.#guard(() => {
        if (this.#events.write(at, value)) this.#serveAll();
      });
    } else if (offset >= Group.Operational) {
      this.#writeOperational(offset - Group.Operational, value);
    }
  }

  #writeOperational(offset: number, value: number): void {
    const at = this.#at;
    switch (offset) {
      case Op.Command:
        this.#writeCommand(value);
        return;
      case Op.Status:
        at.status = (at.status & ~(value & CLEARED_STATUS)) >>> 0;
        return;
      case Op.Notification:
        at.notification = value & 0xffff;
        return;
      case Op.CommandRing:
        this.#writeCommandRing(value);
        return;
      case Op.CommandRing + 4:
        if (at.commandsRun === 0) this.#commandRing.move(this.#commandRing.low, value);
        return;
      case Op.ContextArray:
        at.contextArray[0] = (value & ~0x3f) >>> 0;
        return;
      case Op.ContextArray + 4:
        at.contextArray[1] = value;
        return;
      case Op.Configure:
        at.configure = Math.min(value & 0xff, MOST_SLOTS);
        return;
      default:
        this.#port(offset)?.write((offset - Op.Ports) % PORT_BYTES, value);
    }
  }

  #writeCommand(value: number): void {
    const at = this.#at;
    if ((value & UsbCommand.Reset) !== 0) {
      this.#resetController();
      return;
    }
    const started = (value & ~at.command & UsbCommand.Run) !== 0;
    at.command = value & KEPT_COMMAND;
    if ((value & UsbCommand.Run) === 0) {
      at.status |= UsbStatus.Halted;
      at.commandsRun = 0;
      at.commandsRung = 0;
      // 4.23.2: nothing is lost while it is halted, so there is nothing to be written to memory.
      if ((value & UsbCommand.Save) !== 0) at.saved = 1;
      if ((value & UsbCommand.Restore) !== 0 && at.saved === 0) at.status |= UsbStatus.RestoreError;
    } else if ((at.status & UsbStatus.ControllerError) === 0) {
      at.status &= ~UsbStatus.Halted;
      at.saved = 0;
    }
    if (started) {
      at.startedAt = this.#clock.now();
      at.wrapsAt = at.startedAt + MICROFRAMES * MICROFRAME_NS;
      this.#serveAll();
    }
    this.#signal();
  }

  /** 5.4.5: while commands run, they can only be stopped. */
  #writeCommandRing(value: number): void {
    const at = this.#at;
    if (at.commandsRun === 0) {
      this.#commandRing.move((value & ~0x3f) | (value & CommandRing.Cycle), this.#commandRing.high);
    } else if ((value & (CommandRing.Stop | CommandRing.Abort)) !== 0) {
      at.commandsRun = 0;
      at.commandsRung = 0;
      this.#whileRunning(() => {
        if (this.#events.room(1))
          this.#completeCommand(this.#commandRing.dequeue, Completion.CommandRingStopped, 0);
      });
    }
  }

  /** A doorbell (4.7). @param number 0 for the command ring, else a slot, @param target DCI of an endpoint */
  #ring(number: number, target: number): void {
    const at = this.#at;
    if (number === 0 && target === 0) {
      this.#whileRunning((budget) => {
        at.commandsRun = 1;
        at.commandsRung = 1;
        this.#serveCommands(budget);
      });
    } else if (number >= 1 && number <= MOST_SLOTS && target >= 1 && target < 32) {
      this.#whileRunning((budget) => {
        const slots = this.#slots;
        if (slots.endpoint(number, target) === EndpointState.Stopped)
          slots.setEndpoint(number, target, EndpointState.Running);
        if (slots.endpoint(number, target) !== EndpointState.Running) return;
        slots.setDoorbell(number, target, Doorbell.Rung);
        this.#transfers.serve(number, target, budget);
      });
    }
  }

  /** Does everything that may have become possible. */
  #serveAll(): void {
    this.#whileRunning((budget) => {
      this.#tellOfPorts();
      this.#serveCommands(budget);
      for (const [slot, dci] of this.#slots.rung()) this.#transfers.serve(slot, dci, budget);
    });
  }

  /** Port status change events (4.19.2, 6.4.2.3). */
  #tellOfPorts(): void {
    for (const [i, port] of this.#ports.entries()) {
      if (!port.news || !this.#events.room(1)) continue;
      port.told();
      this.#events.post({
        low: (i + 1) << 24,
        high: 0,
        status: Completion.Success << 24,
        control: TrbType.PortStatusChangeEvent << 10,
      });
    }
  }

  #serveCommands(budget: Budget): void {
    const at = this.#at;
    while (at.commandsRung !== 0) {
      const next = this.#commandRing.next(budget, 'commands');
      if (next === undefined) {
        at.commandsRung = 0;
        return;
      }
      // One for the command, and one for a transfer that it stops.
      if (!this.#events.room(2)) return;
      const [trb] = next.trbs;
      const { code, slot } = this.#commands.run(trb, budget);
      this.#commandRing.pass(next);
      this.#completeCommand(trb.at, code, slot);
    }
  }

  /** 6.4.2.2. */
  #completeCommand(command: number, code: CompletionCode, slot: number): void {
    const control = ((slot << 24) | (TrbType.CommandCompletionEvent << 10)) >>> 0;
    this.#events.post({ ...wordsOf(command), status: code << 24, control });
  }

  #portChanged(): void {
    this.#at.status |= UsbStatus.PortChange;
    this.#serveAll();
  }

  /** The slot whose driver polls an endpoint of the device on a port. */
  #pollingSlot(port: number, endpoint: number): number | undefined {
    const { at } = this.#slots;
    const { device, enabled, suspended } = this.#ports[port - 1];
    if (!this.#running || !enabled || suspended) return undefined;
    for (let slot = 1; slot <= MOST_SLOTS; slot++) {
      const its = at.state[slot] === SlotState.Configured && at.port[slot] === port;
      if (!its || at.address[slot] !== device.address) continue;
      if (this.#slots.doorbell(slot, dciOf(endpoint)) !== Doorbell.Silent) return slot;
    }
    return undefined;
  }

  #deviceReady(port: number, endpoint: number): void {
    const slot = this.#pollingSlot(port, endpoint);
    if (slot === undefined) return;
    this.#whileRunning((budget) => this.#transfers.serve(slot, dciOf(endpoint), budget));
  }

  /** The pin, or a message in place of it (4.17.5). */
  #signal(): void {
    const up = this.#events.asserted && (this.#at.command & UsbCommand.InterruptEnable) !== 0;
    if (up && this.msix.notify(0)) {
      this.#events.messageSent();
      this.intx(false);
    } else this.intx(up);
  }

  /** Runs what reads rings, while the controller may. */
  #whileRunning(body: (budget: Budget) => void): void {
    if (this.#running) this.#guard(() => body({ left: BUDGET }));
  }

  /** What is wrong with a ring that is nobody else's concern is the controller's error (4.24.1). */
  #guard(body: () => void): void {
    try {
      body();
    } catch (error) {
      if (!(error instanceof RingError)) throw error;
      const at = this.#at;
      at.status |= UsbStatus.ControllerError | UsbStatus.Halted;
      at.command &= ~UsbCommand.Run;
      at.commandsRun = 0;
      at.commandsRung = 0;
    }
  }

  get #running(): boolean {
    const { command, status } = this.#at;
    return this.busMaster && (command & UsbCommand.Run) !== 0 && (status & UsbStatus.ControllerError) === 0;
  }

  #frameIndex(): number {
    if (!this.#running) return 0;
    return Math.floor((this.#clock.now() - this.#at.startedAt) / MICROFRAME_NS) % MICROFRAMES;
  }

  /** 4.14.2: the frame index begins anew every two seconds, of which drivers that ask for it are told. */
  deadline(): number {
    return (this.#at.command & UsbCommand.EnableWrap) !== 0 && this.#running ? this.#at.wrapsAt : Infinity;
  }

  service(now: number): void {
    const at = this.#at;
    if (now < this.deadline()) return;
    const period = MICROFRAMES * MICROFRAME_NS;
    at.wrapsAt += (Math.floor((now - at.wrapsAt) / period) + 1) * period;
    this.#guard(() => {
      if (!this.#events.room(1)) return;
      this.#events.post({
        low: 0,
        high: 0,
        status: Completion.Success << 24,
        control: TrbType.WrapEvent << 10,
      });
    });
  }

  protected override configWritten(_offset: number, _size: AccessSize): void {
    // Messages take the place of the pin, and bus mastering may have been allowed.
    this.#signal();
    this.#serveAll();
  }
}

/** The device context index of an IN endpoint. */
function dciOf(endpoint: number): number {
  return 2 * endpoint + 1;
}
