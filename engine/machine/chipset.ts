/**
 * The devices of the board, wired to each other and put on the buses.
 *
 * The order in which they are made is the order in which they lie in memory: a new one goes at the end of
 * its kind, and the section versions of saved machines say which are there.
 */
import type { ByteRing } from '../backend/byte-ring.ts';
import { Hpet, HPET_SIZE, hpetLayout } from '../device/chipset/hpet.ts';
import { isMsiAddress, messageFromMsi } from '../device/chipset/apic-message.ts';
import { Ioapic, ioapicLayout } from '../device/chipset/ioapic.ts';
import { APIC_DEFAULT_BASE, lapicLayout, LocalApics } from '../device/chipset/lapic.ts';
import { NmiGate } from '../device/chipset/nmi-gate.ts';
import { NumericError } from '../device/chipset/numeric-error.ts';
import { Pic, picLayout } from '../device/chipset/pic.ts';
import { Pit, pitLayout } from '../device/chipset/pit.ts';
import { Rtc, rtcLayout } from '../device/chipset/rtc.ts';
import { DebugConsole } from '../device/debug/debugcon.ts';
import { PostCodes } from '../device/debug/post-codes.ts';
import { DebugExit } from '../device/debug/debug-exit.ts';
import type { Clock, Device, Line, MachineControl, TimedDevice } from '../device/device.ts';
import { FW_CFG_PORT, FW_CFG_PORTS, FwCfg } from '../device/firmware/fw-cfg.ts';
import { I8042 } from '../device/input/i8042.ts';
import { Ps2Keyboard } from '../device/input/keyboard.ts';
import { Ps2Mouse } from '../device/input/mouse.ts';
import { HostBridge } from '../device/pci/host-bridge.ts';
import { IsaBridge } from '../device/pci/isa-bridge.ts';
import type { MessageSender } from '../device/pci/msi.ts';
import { type PciAddress, PciBus, PciConfigPorts } from '../device/pci/pci-bus.ts';
import type { PciFunction } from '../device/pci/pci-function.ts';
import { PmFunction } from '../device/pci/pm-function.ts';
import { SmBus, SMBUS_PORTS } from '../device/pci/smbus.ts';
import { A20Gate } from '../device/power/a20-gate.ts';
import { AcpiPm, PM } from '../device/power/acpi-pm.ts';
import { ApmControl } from '../device/power/apm-control.ts';
import { ResetControl, SystemControlPortA } from '../device/power/reset-control.ts';
import type { Arena } from '../memory/layout.ts';
import type { MmioBus } from '../memory/mmio-bus.ts';
import type { PhysicalMemory } from '../memory/physical-memory.ts';
import type { PortBus } from '../memory/port-bus.ts';
import { timeOfTsc, tscAt } from '../vcpu/clock.ts';
import type { VcpuSignals } from '../vcpu/signals.ts';
import { VcpuEvent, type VcpuState } from '../vcpu/state.ts';
import type { Topology } from '../vcpu/topology.ts';
import { ioapicPin, IsaInterrupts } from './isa-interrupts.ts';
import { LegacyTimerGate } from './legacy-timer-gate.ts';
import { SerialPort } from './serial-port.ts';

/** Ports and interrupts of COM1 … COM4, by custom. */
export const SERIAL_PORTS = [
  { port: 0x3f8, irq: 4 },
  { port: 0x2f8, irq: 3 },
  { port: 0x3e8, irq: 4 },
  { port: 0x2e8, irq: 3 },
] as const;

/** Where the power-management block is: as SeaBIOS puts it on this chipset, and so does the direct boot. */
export const PM_BASE = 0x600;

/** The debug console's ports: Bochs's, and the one that firmware writes its log to. */
const DEBUG_CONSOLE_PORTS = [0xe9, 0x402] as const;

/** Functions of the south bridge, device 1 of the bus; IDE is function 1, USB function 2. */
export const SOUTH_BRIDGE = {
  isa: { device: 1, function: 0 },
  ide: { device: 1, function: 1 },
  usb: { device: 1, function: 2 },
  pm: { device: 1, function: 3 },
} as const;

export const IOAPIC_BASE = 0xfec0_0000;
export const HPET_BASE = 0xfed0_0000;
export const LAPIC_BASE = APIC_DEFAULT_BASE;

/** ISA interrupts of devices on the board. */
const IRQ = { Timer: 0, Keyboard: 1, Rtc: 8, Sci: 9, Auxiliary: 12, Math: 13 } as const;

/** Inputs of the I/O APIC that the HPET's timers may use, one bit each: those without an ISA interrupt. */
const HPET_ROUTES = 0xff_0000;

/** Width of a guest-physical address (MAXPHYADDR). */
export const PHYSICAL_ADDRESS_BITS = 40;

/** What the devices are connected to. */
export interface ChipsetParts {
  readonly arena: Arena;
  readonly ports: PortBus;
  readonly mmio: MmioBus;
  readonly physical: PhysicalMemory;
  readonly clock: Clock;
  readonly control: MachineControl;
  readonly signals: VcpuSignals;
  readonly states: readonly VcpuState[];
  readonly topology: Topology;
  /** For each serial port: whether anybody takes its output. */
  readonly serial: readonly boolean[];
  /** Where the debug console's bytes go; null for a board without one. */
  readonly debugOutput: ByteRing | null;
  readonly debugExit: boolean;
  /** Told each POST code that is written. */
  readonly postCode: (code: number) => void;
  /** Whether a mouse is plugged into the PS/2 controller. */
  readonly mouse: boolean;
  /** Whether the processors have a system-management mode. */
  readonly systemManagement: boolean;
  /** The host bridge's memory routing may have changed. */
  readonly routingChanged: () => void;
}

export class Chipset {
  readonly pic: Pic;
  readonly ioapic: Ioapic;
  readonly lapics: LocalApics;
  readonly pit: Pit;
  readonly rtc: Rtc;
  readonly hpet: Hpet;
  readonly i8042: I8042;
  readonly keyboard: Ps2Keyboard;
  readonly mouse: Ps2Mouse | undefined;
  readonly hostBridge: HostBridge;
  readonly isaBridge: IsaBridge;
  readonly pciBus: PciBus;
  readonly pmFunction: PmFunction;
  /** The board's NMI signal. */
  readonly nmi: NmiGate;
  readonly numericError: NumericError;
  readonly acpiPm: AcpiPm;
  readonly fwCfg: FwCfg;
  readonly serial: readonly SerialPort[];

  /** In the order in which they are reset. */
  readonly #devices: Device[];
  readonly #timed: TimedDevice[];
  readonly #interrupts: IsaInterrupts;

  constructor(parts: ChipsetParts) {
    const { arena, ports, mmio, clock, control, signals, states, topology } = parts;

    this.pic = new Pic(arena.place(picLayout), (level) => this.lapics.setIntr(level));
    this.ioapic = new Ioapic(
      arena.place(ioapicLayout),
      (message) => this.lapics.deliver(message),
      (message) => this.lapics.isRequested(message),
    );
    this.lapics = new LocalApics(
      states.map(() => arena.place(lapicLayout)),
      states,
      {
        clock,
        signals,
        acknowledgePic: () => this.pic.acknowledge(),
        interruptTaken: () => {
          this.pit.interruptTaken();
          this.hpet.interruptTaken();
        },
        endOfInterrupt: (vector) => this.ioapic.endOfInterrupt(vector),
        tscToNs: (vcpu, tsc) => timeOfTsc(tsc - states[vcpu].tscOffset),
        readTsc: (vcpu) => tscAt(clock.now()) + states[vcpu].tscOffset,
        initialId: (vcpu) => topology.apicId(vcpu),
        physicalAddressBits: PHYSICAL_ADDRESS_BITS,
      },
    );
    const interrupts = new IsaInterrupts(
      arena,
      (irq, level) => this.pic.setIrq(irq, level),
      (pin, level) => this.ioapic.setPin(pin, level),
    );
    this.#interrupts = interrupts;
    const gate = new LegacyTimerGate(arena, interrupts.connect(IRQ.Timer), interrupts.connect(IRQ.Rtc));
    // The PIC's request is nobody's where its output is not let through to a processor.
    const irqWaiting = (irq: number) =>
      this.ioapic.isWaiting(ioapicPin(irq)) || (this.pic.isWaiting(irq) && this.lapics.takeIntr);
    this.pit = new Pit(arena.place(pitLayout), clock, gate.pit, () => irqWaiting(IRQ.Timer));
    this.nmi = new NmiGate(arena, (level) => this.lapics.setNmi(level));
    const wallClock = { unixMilliseconds: () => Date.now() };
    this.rtc = new Rtc(arena.place(rtcLayout), clock, wallClock, gate.rtc, this.nmi.mask);
    this.hpet = new Hpet(arena.place(hpetLayout), {
      clock,
      setPin: (pin, level) => this.ioapic.setPin(pin, level),
      pinWaiting: (pin) => this.ioapic.isWaiting(pin),
      irq0: interrupts.connect(IRQ.Timer),
      irq8: interrupts.connect(IRQ.Rtc),
      irqWaiting,
      legacyReplacement: gate.replaced,
      routes: HPET_ROUTES,
    });

    const initAll = () => signals.raiseAll(VcpuEvent.Init);
    const a20Gate = new A20Gate(arena, (open) => {
      for (const state of states) state.a20 = open ? 1 : 0;
      signals.raiseAll(VcpuEvent.FlushTlb);
    });
    this.numericError = new NumericError(arena, interrupts.connect(IRQ.Math), () => {
      for (const state of states) state.ignne = 1;
    });
    this.keyboard = new Ps2Keyboard(arena, clock);
    this.mouse = parts.mouse ? new Ps2Mouse(arena) : undefined;
    this.i8042 = new I8042(arena, {
      keyboardIrq: interrupts.connect(IRQ.Keyboard),
      auxiliaryIrq: interrupts.connect(IRQ.Auxiliary),
      a20: a20Gate.keyboard,
      control,
      keyboard: this.keyboard,
      ...(this.mouse === undefined ? {} : { auxiliary: this.mouse }),
    });
    const portA = new SystemControlPortA(arena, a20Gate.fast, initAll);
    this.acpiPm = new AcpiPm(arena, { sci: interrupts.connect(IRQ.Sci), clock, control });
    const apm = new ApmControl(arena, control, (enabled) => this.acpiPm.setAcpiMode(enabled));

    const resetControl = new ResetControl(arena, control, initAll);
    this.hostBridge = new HostBridge(arena, parts.routingChanged);
    const fromPci = Array.from({ length: 16 }, (_, irq) => interrupts.connect(irq));
    this.isaBridge = new IsaBridge(arena, (irq, level) => fromPci[irq](level));
    this.pciBus = new PciBus((device, pin) => this.isaBridge.pin(device, pin));
    this.pciBus.attach({ device: 0, function: 0 }, this.hostBridge);
    this.pciBus.attach(SOUTH_BRIDGE.isa, this.isaBridge);
    const smBus = new SmBus(arena);
    const pmPorts = ports.register(this.acpiPm, PM_BASE, PM.Bytes, false);
    const smBusPorts = ports.register(smBus, 0, SMBUS_PORTS, false);
    this.pmFunction = new PmFunction(arena, parts.systemManagement, {
      placePm: (start, enabled) => pmPorts.change({ start, enabled }),
      placeSmBus: (start, enabled) => smBusPorts.change({ start, enabled }),
      setSmiEnabled: (enabled) => apm.setSmiEnabled(enabled),
    });
    this.pciBus.attach(SOUTH_BRIDGE.pm, this.pmFunction);
    const pciPorts = new PciConfigPorts(arena, this.pciBus, resetControl);

    this.fwCfg = new FwCfg(arena, parts.physical);

    this.serial = parts.serial.map((connected, i) => {
      const irq = interrupts.connect(SERIAL_PORTS[i].irq);
      return new SerialPort(`serial${i}`, arena, connected, { irq, clock });
    });

    ports.register(this.pic.master, 0x20, 2);
    ports.register(this.pic.slave, 0xa0, 2);
    ports.register(this.pic.elcr, 0x4d0, 2);
    ports.register(this.pit.counters, 0x40, 4);
    ports.register(this.pit.portB, 0x61, 1);
    ports.register(this.i8042.data, 0x60, 1);
    ports.register(this.i8042.command, 0x64, 1);
    ports.register(this.rtc.ports, 0x70, 4);
    ports.register(portA, 0x92, 1);
    ports.register(this.numericError, 0xf0, 2);
    ports.register(apm, 0xb2, 2);
    ports.register(this.fwCfg, FW_CFG_PORT, FW_CFG_PORTS);
    ports.register(pciPorts, 0xcf8, 8);
    for (const [i, { uart }] of this.serial.entries()) ports.register(uart, SERIAL_PORTS[i].port, 8);
    if (parts.debugOutput !== null) {
      const output = parts.debugOutput;
      const console = new DebugConsole({ write: (byte) => output.write(byte) === 1 });
      for (const port of DEBUG_CONSOLE_PORTS) ports.register(console, port, 1);
    }
    ports.register(new PostCodes(parts.postCode), 0x80, 1);
    if (parts.debugExit) ports.register(new DebugExit(control), 0xf4, 4);

    mmio.registerLocal(this.lapics);
    mmio.register(this.ioapic, IOAPIC_BASE, 0x1000);
    mmio.register(this.hpet, HPET_BASE, HPET_SIZE);

    const uarts = this.serial.map(({ uart }) => uart);
    this.#timed = [this.pit, this.rtc, this.hpet, this.acpiPm, this.keyboard, ...uarts];
    this.#devices = [
      interrupts,
      this.pic,
      this.ioapic,
      this.lapics,
      gate,
      this.hpet,
      this.pit,
      this.nmi,
      this.rtc,
      a20Gate,
      this.numericError,
      this.keyboard,
      ...(this.mouse === undefined ? [] : [this.mouse]),
      this.i8042,
      portA,
      this.acpiPm,
      apm,
      resetControl,
      this.hostBridge,
      this.isaBridge,
      smBus,
      this.pmFunction,
      pciPorts,
      this.fwCfg,
      ...uarts,
    ];
  }

  /** Carries a message of a PCI function to the local APICs; one that is addressed elsewhere is lost. */
  readonly sendMessage: MessageSender = (address, data) => {
    const message = isMsiAddress(address) ? messageFromMsi(address, data) : null;
    if (message !== null) this.lapics.deliver(message);
  };

  /** Another driver of an ISA interrupt (0 … 15). In the same order in every thread. */
  connectInterrupt(irq: number): Line {
    return this.#interrupts.connect(irq);
  }

  /** Has a device reset with the rest. In the same order in every thread, before the machine's first reset. */
  addDevice(device: Device): void {
    this.#devices.push(device);
  }

  /** Every device with a time of its own, but the local APICs. */
  get timed(): readonly TimedDevice[] {
    return this.#timed;
  }

  /** Has a device serviced at times of its own. To be called when the board is built. */
  addTimedDevice(device: TimedDevice): void {
    this.#timed.push(device);
  }

  /** Puts a PCI function on bus 0, with the devices that belong to it: all are reset with the rest. To be called
   * in the same order in every thread, before the machine's first reset.
   * @param devices reset after the function, in this order */
  addPciDevice(at: PciAddress, fn: PciFunction, ...devices: readonly Device[]): void {
    this.pciBus.attach(at, fn);
    this.#devices.push(fn, ...devices);
  }

  /** Every device as after power-on. Interrupt controllers first, so that lines lowered by other devices find
   * them in order. */
  reset(): void {
    for (const device of this.#devices) device.reset();
  }
}
