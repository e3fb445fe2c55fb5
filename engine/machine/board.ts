/**
 * The board: an i440FX/PIIX3-class PC over the machine's shared memory.
 *
 * Every thread of a machine builds one, placing the same things in the same order, so that all of them work
 * on the same bytes. Building changes nothing there; {@link Board.powerOn} does.
 */
import type { TabletKind } from '../api/config.ts';
import type { CpuTopology } from '../api/topology.ts';
import { ByteRing } from '../backend/byte-ring.ts';
import { Logger, type LogSink } from '../base/log.ts';
import { Mutex } from '../base/mutex.ts';
import { AddressMap } from '../memory/address-map.ts';
import { DirtyLog } from '../memory/dirty-log.ts';
import { type Arena, layout, type View } from '../memory/layout.ts';
import { MachineMemory, type MemoryDescription, PAGE_SIZE, WASM_PAGE } from '../memory/machine-memory.ts';
import { MmioBus } from '../memory/mmio-bus.ts';
import { PhysicalMemory } from '../memory/physical-memory.ts';
import { PortBus } from '../memory/port-bus.ts';
import type { TimedDevice } from '../device/device.ts';
import { Screen } from '../device/video/screen.ts';
import { Vga } from '../device/video/vga.ts';
import { TEXT_WINDOW_BYTES, VIDEO_BYTES } from '../device/video/vga-state.ts';
import type { Tablet } from '../device/input/tablet.ts';
import { VirtioTablet } from '../device/input/virtio-tablet.ts';
import { UsbTablet } from '../device/usb/usb-tablet.ts';
import { XhciController } from '../device/usb/xhci.ts';
import type { AcpiPm } from '../device/power/acpi-pm.ts';
import { Coherence, coherenceBytes } from '../vcpu/coherence.ts';
import { BootTimeline, Milestone } from '../vcpu/boot-timeline.ts';
import { GuestClock } from '../vcpu/clock.ts';
import { EXIT_COUNTERS_BYTES, ExitCounters } from '../vcpu/exit-counters.ts';
import { initializeVcpu } from '../vcpu/init.ts';
import { RunState } from '../vcpu/run-state.ts';
import { VcpuSignals } from '../vcpu/signals.ts';
import { Topology } from '../vcpu/topology.ts';
import { Activity, Seg, VcpuEvent, vcpuLayout, type VcpuState } from '../vcpu/state.ts';
import {
  type AcceleratedMachine,
  type Accelerator,
  acceleratorOf,
  type AcceleratorName,
} from './accelerator.ts';
import type { BootImages } from './boot-images.ts';
import { acpiTables, bootDirectly } from './boot.ts';
import { Chipset } from './chipset.ts';
import { type BootPlan, describeInCmos, describeToFirmware, type FirmwareFacts } from './firmware-config.ts';
import { BoardMemory, firmwareArea, splitRam } from './memory-map.ts';
import { SERIAL_PORT_BYTES } from './serial-port.ts';
import { type DiskPlan, Storage, storageBytes } from './storage.ts';

/** Memory for everything that is not counted one by one: devices, buses, the address map. */
const DEVICE_BYTES = 0x40000;

const DEBUG_OUTPUT_BYTES = 65536;

/** Where the display adapter is on the PCI bus. */
const VGA_SLOT = { device: 2, function: 0 } as const;

/** Where the tablet is, or the USB controller that it hangs on. */
const TABLET_SLOT = { device: 4, function: 0 } as const;

const sleepLayout = layout('timer-sleep', 1, { until: 'f64' });

/** What is on the board. */
export interface BoardPlan {
  readonly accelerator: AcceleratorName;
  readonly cpuModel: string;
  readonly topology: CpuTopology;
  readonly images: BootImages;
  /** For each serial port: whether anybody takes its output. */
  readonly serial: readonly boolean[];
  readonly debugcon: boolean;
  readonly debugExit: boolean;
  readonly disks: readonly DiskPlan[];
  /** How firmware looks for something to boot. */
  readonly boot: BootPlan;
  /** The display adapter, with the firmware that travels in its ROM, and what points at places on its screen;
   * absent for a machine without. */
  readonly vga?: { readonly bios: Uint8Array | null; readonly tablet: TabletKind };
}

export interface BoardOptions extends BoardPlan {
  readonly description: MemoryDescription;
  /** Bytes of the machine area that the accelerator needs for each vCPU. */
  readonly acceleratorArea: number;
  readonly log: LogSink;
}

/** Bytes of the machine area that a board needs.
 * @param ramBytes guest RAM
 * @param acceleratorArea bytes for each vCPU
 * @throws GuesthouseError `file` for a firmware image that cannot be one */
export function boardAreaBytes(plan: BoardPlan, ramBytes: number, acceleratorArea: number): number {
  const { vcpus } = new Topology(plan.topology);
  const perVcpu =
    vcpuLayout.size + EXIT_COUNTERS_BYTES + WASM_PAGE + Math.ceil(acceleratorArea / WASM_PAGE) * WASM_PAGE;
  const dirtyLog = Math.ceil((ramBytes + boardVideoBytes(plan)) / PAGE_SIZE / 4);
  const area =
    DEVICE_BYTES +
    vgaBiosArea(plan) +
    vcpus * perVcpu +
    dirtyLog +
    plan.serial.length * SERIAL_PORT_BYTES +
    DEBUG_OUTPUT_BYTES +
    storageBytes(plan.disks) +
    firmwareArea(plan.images.firmware);
  // What is kept for every page of the memory is kept for its own pages too.
  const total = area + ramBytes + boardVideoBytes(plan);
  const pages = Math.ceil((total * 1.01) / PAGE_SIZE) + 1024;
  return area + coherenceBytes(pages, vcpus);
}

/** Bytes of video memory that a board needs beside its RAM. */
export function boardVideoBytes(plan: BoardPlan): number {
  return plan.vga === undefined ? 0 : VIDEO_BYTES + TEXT_WINDOW_BYTES;
}

/** Bytes that the VGA BIOS takes: its ROM has a power of two, and begins on a page. */
function vgaBiosArea(plan: BoardPlan): number {
  const bytes = romBytes(plan.vga?.bios);
  return bytes === 0 ? 0 : bytes + PAGE_SIZE;
}

function romBytes(bios: Uint8Array | null | undefined): number {
  const length = bios?.length ?? 0;
  return length === 0 ? 0 : Math.max(PAGE_SIZE, 2 ** Math.ceil(Math.log2(length)));
}

export class Board {
  readonly options: BoardOptions;
  readonly log: Logger;
  readonly memory: MachineMemory;
  readonly topology: Topology;
  /** The vCPUs' states and their byte addresses, by index. */
  readonly states: readonly VcpuState[];
  readonly stateAddresses: readonly number[];
  /** Byte addresses of the accelerator's areas, 64 KiB aligned. */
  readonly areas: readonly number[];
  readonly counters: readonly ExitCounters[];
  readonly signals: VcpuSignals;
  readonly clock: GuestClock;
  readonly runState: RunState;
  /** How far the machine has come since its last reset. */
  readonly timeline: BootTimeline;
  /** The device lock. */
  readonly devices: Mutex;
  readonly map: AddressMap;
  readonly dirty: DirtyLog;
  /** What the vCPUs, and devices that write to memory, agree on about translated code. */
  readonly coherence: Coherence;
  readonly physical: PhysicalMemory;
  readonly ports: PortBus;
  readonly mmio: MmioBus;
  /** What the guest writes to the debug console. */
  readonly debugOutput: ByteRing;
  readonly chipset: Chipset;
  readonly storage: Storage;
  /** What the accelerator has for the machine as a whole, where it has anything. */
  readonly accelerated: AcceleratedMachine | undefined;

  /** Where SMRAM lies in the shared memory for who is in system-management mode, 0 where it is not enabled. */
  readonly smram: () => number;

  /** The display adapter, where there is one. */
  readonly vga: Vga | undefined;

  /** What points at places on the screen. */
  readonly tablet: Tablet | undefined;

  /** The USB controller, where there is something that it is for. */
  readonly usb: XhciController | undefined;

  readonly #vgaRom: number;
  readonly #boardMemory: BoardMemory;
  readonly #facts: FirmwareFacts;
  readonly #sleep: View<typeof sleepLayout.fields>;

  constructor(options: BoardOptions) {
    this.options = options;
    this.log = new Logger('board', options.log);
    this.memory = new MachineMemory(options.description);
    const { buffer } = this.memory;
    const arena = this.memory.arena();
    this.topology = new Topology(options.topology);
    const { vcpus } = this.topology;
    const each = <T>(make: (index: number) => T) => Array.from({ length: vcpus }, (_, i) => make(i));

    this.devices = new Mutex(buffer, arena.reserve(64, 64));
    this.stateAddresses = each(() => arena.reserve(vcpuLayout.size, 64));
    this.states = this.stateAddresses.map((address) => vcpuLayout.bind(buffer, address));
    this.counters = each(() => new ExitCounters(arena));
    this.signals = new VcpuSignals(buffer, this.stateAddresses, (vcpu) => this.accelerated?.kick(vcpu));
    this.clock = new GuestClock(arena);
    this.runState = new RunState(arena, this.signals, this.clock, (line) => this.log.info(line));

    this.timeline = new BootTimeline(arena, this.clock);
    this.#sleep = arena.place(sleepLayout);

    const flushTlb = () => this.signals.raiseAll(VcpuEvent.FlushTlb);
    this.coherence = new Coherence(arena, buffer.byteLength / PAGE_SIZE, vcpus, this.signals);
    const written = (address: number, bytes: number) => this.coherence.written(-1, address, bytes);
    this.map = new AddressMap(arena, flushTlb);
    const pages = (this.memory.ramBytes + this.memory.videoBytes) / PAGE_SIZE;
    this.dirty = new DirtyLog(arena, pages, flushTlb, () => this.accelerated?.pullDirty(this.dirty));
    this.physical = new PhysicalMemory(this.memory, this.map, this.dirty, written);
    this.ports = new PortBus(arena);
    this.mmio = new MmioBus(arena);
    this.debugOutput = new ByteRing(arena, DEBUG_OUTPUT_BYTES);

    this.chipset = new Chipset({
      arena,
      ports: this.ports,
      mmio: this.mmio,
      physical: this.physical,
      clock: this.clock,
      control: this.runState,
      signals: this.signals,
      states: this.states,
      topology: this.topology,
      serial: options.serial,
      debugOutput: options.debugcon ? this.debugOutput : null,
      debugExit: options.debugExit,
      postCode: (code) => this.timeline.postCode(code),
      mouse: options.vga !== undefined,
      systemManagement: acceleratorOf(options.accelerator).systemManagement?.() ?? false,
      routingChanged: () => this.#boardMemory.applyRouting(),
    });
    this.#vgaRom = arena.reserve(romBytes(options.vga?.bios), PAGE_SIZE);
    if (options.vga !== undefined) {
      this.vga = this.#addVga(arena, options.vga.bios);
      if (options.vga.tablet === 'virtio') this.tablet = this.#addVirtioTablet(arena);
      if (options.vga.tablet === 'usb') [this.tablet, this.usb] = this.#addUsbTablet(arena);
    }
    this.storage = new Storage(arena, options.disks, {
      chipset: this.chipset,
      ports: this.ports,
      mmio: this.mmio,
      memory: this.physical,
      vcpus,
      afterwards: this.devices.afterwards,
    });
    const { hostBridge } = this.chipset;
    const { firmware } = options.images;
    this.#boardMemory = new BoardMemory(this.memory, arena, this.map, firmware, hostBridge, written);
    this.smram = () => this.#boardMemory.smramAddress();
    this.mmio.register(this.#boardMemory.shadow, 0xc0000, 0x40000);

    this.#facts = {
      topology: this.topology,
      ...splitRam(this.memory.ramBytes),
      boot: options.boot,
      bootPaths: () => [],
      acpi: () => acpiTables(this, 0),
    };
    describeToFirmware(this.chipset.fwCfg, this.#facts);

    this.areas = each(() => arena.reserve(options.acceleratorArea, WASM_PAGE));
    this.accelerated = acceleratorOf(options.accelerator).machineOf?.({
      memory: this.memory.memory,
      areas: this.areas,
      ramBase: this.memory.ramBase,
    });
  }

  get lapics() {
    return this.chipset.lapics;
  }

  get serial() {
    return this.chipset.serial;
  }

  get acpiPm(): AcpiPm {
    return this.chipset.acpiPm;
  }

  /** What is done once, by the thread that has made the memory. */
  install(): void {
    this.#boardMemory.programRom();
    this.storage.install();
    const bios = this.options.vga?.bios;
    if (bios !== undefined && bios !== null) this.memory.bytes.set(bios, this.#vgaRom);
  }

  #addVga(arena: Arena, bios: Uint8Array | null): Vga {
    const { buffer, ramBase, videoBase } = this.memory;
    const vga = new Vga(arena, {
      ports: this.ports,
      mmio: this.mmio,
      map: this.map,
      clock: this.clock,
      buffer,
      videoAddress: videoBase,
      romBytes: romBytes(bios),
      romAddress: this.#vgaRom,
      romEnabled: () => this.timeline.mark(Milestone.OptionRom),
      written: (address) => this.dirty.mark(Math.floor((address - ramBase) / PAGE_SIZE)),
    });
    this.chipset.addPciDevice(VGA_SLOT, vga.fn, vga);
    return vga;
  }

  #addVirtioTablet(arena: Arena): VirtioTablet {
    const wires = { mmio: this.mmio, send: this.chipset.sendMessage };
    const tablet = new VirtioTablet(arena, this.physical, wires);
    this.chipset.addPciDevice(TABLET_SLOT, tablet.fn, tablet.fn.msix, tablet);
    return tablet;
  }

  #addUsbTablet(arena: Arena): [UsbTablet, XhciController] {
    const tablet = new UsbTablet(arena);
    const usb = new XhciController(arena, {
      mmio: this.mmio,
      memory: this.physical,
      send: this.chipset.sendMessage,
      clock: this.clock,
      devices: [tablet],
    });
    this.chipset.addPciDevice(TABLET_SLOT, usb, usb.msix, tablet);
    this.chipset.addTimedDevice(usb);
    return [tablet, usb];
  }

  /**
   * Power-on, or a full reset: every device, the address map and every vCPU as after RESET#, and the machine
   * at the start of its firmware or kernel. No vCPU may be in the guest.
   *
   * @throws GuesthouseError where the kernel cannot be loaded; not for one that has been loaded before
   */
  powerOn(accelerator: Accelerator): void {
    this.devices.with(() => {
      for (const [index, state] of this.states.entries()) {
        accelerator.resetState(state, { index, model: this.options.cpuModel });
        state.index = index;
        state.activity = index === 0 ? Activity.Running : Activity.WaitForSipi;
        this.signals.clear(index, -1);
      }
      this.map.reset();
      this.dirty.reset();
      this.ports.reset();
      this.mmio.reset();
      this.chipset.reset();
      this.timeline.reset();
      this.#sleep.until = -Infinity;
      describeInCmos(this.chipset.rtc, this.#facts);
      // Without a kernel the bootstrap processor begins where it is: at the reset vector.
      if (this.options.images.kernel !== null) {
        bootDirectly(this, this.options.images.kernel);
        this.timeline.mark(Milestone.Kernel);
      }
    });
    this.signals.raiseAll(VcpuEvent.FlushTlb | VcpuEvent.FlushCode);
  }

  /** INIT for one vCPU: its state, and its local APIC's.
   * @param powerUp puts a state where power-up does */
  initialize(index: number, powerUp: (state: VcpuState) => void): void {
    const state = this.states[index];
    this.devices.with(() => {
      initializeVcpu(state, this.memory.buffer, this.stateAddresses[index], () => powerUp(state));
      this.lapics.initReset(index);
    });
  }

  /** The picture on the screen, to be kept up to date by one thread; undefined without a display adapter. */
  createScreen(): Screen | undefined {
    const { vga, dirty, memory, clock, devices } = this;
    if (vga === undefined) return undefined;
    const first = memory.ramBytes / PAGE_SIZE;
    return new Screen({
      vga,
      video: new Uint8Array(memory.buffer, memory.videoBase, VIDEO_BYTES),
      dirt: {
        get enabled() {
          return dirty.isLogged(first);
        },
        enable: (pages) => dirty.enable(first, pages),
        collect: (pages) => dirty.collect(first, pages).map((page) => page - first),
      },
      clock,
      locked: devices.with,
    });
  }

  /** What the thread of a vCPU services: its local APIC's timer, and vCPU 0's every other timer. */
  timersOf(index: number): TimedDevice {
    const { lapics } = this;
    const own: TimedDevice = {
      deadline: () => lapics.deadline(index),
      service: (now) => lapics.service(index, now),
    };
    return index === 0 ? together([...this.chipset.timed, own]) : own;
  }

  /** Notes until when vCPU 0 sleeps, in guest nanoseconds; -Infinity while it is awake. */
  readonly noteSleep = (until: number): void => {
    this.#sleep.until = until;
  };

  /** Wakes vCPU 0, which services the timers, where one is due before it would wake by itself. */
  readonly wakeForTimers = (): void => {
    const { until } = this.#sleep;
    if (until === -Infinity) return;
    if (this.chipset.timed.some((device) => device.deadline() < until)) this.signals.raise(0, VcpuEvent.Kick);
  };

  /** One line about the vCPU that shut down. */
  describeCrash(): string {
    const crashed = this.states.findIndex(({ activity }) => activity === Activity.Shutdown);
    const index = Math.max(crashed, 0);
    const { rip, segSelector } = this.states[index];
    const where = `${segSelector[Seg.CS].toString(16).padStart(4, '0')}:${rip.toString(16)}`;
    return `the guest crashed: triple fault on vCPU ${index} at ${where}`;
  }
}

/** Several timed devices as one. */
function together(devices: readonly TimedDevice[]): TimedDevice {
  return {
    deadline() {
      let first = Infinity;
      for (const device of devices) first = Math.min(first, device.deadline());
      return first;
    },
    service(now) {
      for (const device of devices) if (now >= device.deadline()) device.service(now);
    },
  };
}
