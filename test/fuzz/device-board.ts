/**
 * A board of two vCPUs with everything on it and no processor: the accesses, the passing of time and what the
 * host does come from a random generator instead. Looked for is what must never happen, whatever a guest asks
 * of its devices:
 *
 * - an exception, or something that takes long;
 * - a number that does not fit the access;
 * - a timer that is due again at the very moment at which it was serviced, for a run loop would never get past it;
 * - a byte changed that is nobody's.
 */
import type { TabletKind } from '../../engine/api/config.ts';
import { Random } from '../../engine/base/random.ts';
import type { AccessSize } from '../../engine/device/device.ts';
import { FW_CFG_PORT, FW_CFG_PORTS } from '../../engine/device/firmware/fw-cfg.ts';
import { VBE_PORT, VBE_PORTS } from '../../engine/device/video/vbe-ports.ts';
import { VGA_PORT, VGA_PORTS } from '../../engine/device/video/vga-ports.ts';
import {
  Port,
  PORT_BYTES,
  PortCommand,
  PORTS as AHCI_PORTS,
} from '../../engine/device/storage/ahci/registers.ts';
import { TestDisk } from '../../engine/device/storage/test-disk.ts';
import { acceleratorOf } from '../../engine/machine/accelerator.ts';
import { Board, boardAreaBytes, type BoardPlan, boardVideoBytes } from '../../engine/machine/board.ts';
import { HPET_BASE, IOAPIC_BASE, LAPIC_BASE, PM_BASE, SERIAL_PORTS } from '../../engine/machine/chipset.ts';
import type { DiskPlan } from '../../engine/machine/storage.ts';
import {
  hostMemoryAvailable,
  MachineMemory,
  NULL_PAGE,
  WASM_PAGE,
} from '../../engine/memory/machine-memory.ts';
import { edge32, edge64 } from './guest-code.ts';
import { HostileDrivers } from './hostile-drivers.ts';
import { cpuTopology } from '../../engine/api/topology.ts';

const VCPUS = 2;
const RAM_BYTES = 0x40_0000;
const ACCELERATOR = acceleratorOf('wasm');

/** A disk of each kind; what is in them does not matter. */
const DISK_BYTES = 2 ** 20;
const DISKS: readonly DiskPlan[] = [
  { bus: 'ide', device: 'disk', bytes: DISK_BYTES, writable: true, serial: 'IDE' },
  { bus: 'ide', device: 'cdrom', bytes: DISK_BYTES, writable: false, serial: 'CD' },
  { bus: 'virtio', device: 'disk', bytes: DISK_BYTES, writable: true, serial: 'VIRTIO' },
  { bus: 'sata', device: 'disk', bytes: DISK_BYTES, writable: true, serial: 'SATA' },
  { bus: 'sata', device: 'cdrom', bytes: DISK_BYTES, writable: false, serial: 'SATA CD' },
];

/** Into how many parts weights are divided: looks at the screen take longer than all else. */
const UNIT = 100;

/** Operations in a case. */
const OPERATIONS = 400;

/** What one operation may take, in milliseconds; the host may be busy. */
const PATIENCE = 2000;

/** Services of a timer at one moment after which it must have nothing due. */
const SERVICES = 4;

/** First ports of devices, and their numbers of ports. */
const PORTS: readonly (readonly [start: number, count: number])[] = [
  [0x20, 2], [0xa0, 2], [0x4d0, 2], [0x40, 4], [0x61, 1], [0x60, 5], [0x70, 4], [0x92, 1], [0xb2, 2], [PM_BASE, 64],
  [0xcf8, 8], [0x1f0, 8], [0x170, 8], [0x3f6, 1], [0x376, 1], [0xe9, 1], [FW_CFG_PORT, FW_CFG_PORTS], [VGA_PORT, VGA_PORTS], [VBE_PORT, VBE_PORTS], [0xf4, 4], [0x80, 16], [0xfff8, 8],
  ...SERIAL_PORTS.map(({ port }) => [port, 8] as const),
]; // prettier-ignore

/** First addresses of devices, and their sizes. */
const WINDOWS: readonly (readonly [start: number, size: number])[] = [
  [LAPIC_BASE, 0x1000], [IOAPIC_BASE, 0x1000], [HPET_BASE, 0x400], [0xc_0000, 0x4_0000], [0xa_0000, 0x2_0000],
  [0xffff_0000, 0x1_0000], [RAM_BYTES, 0x1000],
]; // prettier-ignore

/** Registers that matter most, by offset in their window: those of the local APIC, the I/O APIC and the HPET. */
const REGISTERS = [
  0x00, 0x10, 0x20, 0x30, 0x80, 0xa0, 0xb0, 0xd0, 0xe0, 0xf0, 0x100, 0x108, 0x110, 0x120, 0x128, 0x140, 0x148, 0x280,
  0x300, 0x310, 0x320, 0x350, 0x360, 0x370, 0x380, 0x390, 0x3e0,
]; // prettier-ignore

export interface DeviceFinding {
  readonly seed: number;
  readonly what: string;
}

/** The board's time: what `performance.now()` says in the thread of the fuzzer, so that a case is the same
 * every time. In milliseconds. */
export interface VirtualTime {
  now: number;
}

export class FuzzedBoard {
  readonly #board: Board;
  readonly #memory: MachineMemory;
  readonly #time: VirtualTime;
  readonly #operations: readonly (readonly [weight: number, name: string, run: (random: Random) => void])[];
  /** How often each operation was done, by name. */
  readonly counts = new Map<string, number>();
  readonly #image = new TestDisk(DISK_BYTES);
  #last = '';
  /** The host's time at which the guest's is 0. */
  #origin: number;

  /** @param tablet what points at the screen, and so whether there is a USB controller */
  constructor(time: VirtualTime, tablet: TabletKind) {
    this.#time = time;
    const firmware = new Uint8Array(0x1_0000).fill(0xf4);
    const model = ACCELERATOR.cpuModels()[0];
    const plan: BoardPlan = {
      accelerator: 'wasm', cpuModel: model, topology: cpuTopology(VCPUS), serial: SERIAL_PORTS.map((_, i) => i % 2 === 0),
      debugcon: true, debugExit: true, disks: DISKS,
      boot: { order: [], menu: undefined }, vga: { bios: null, tablet },
      images: { kernel: null, initrd: null, modules: [], firmware, commandLine: '' },
    }; // prettier-ignore
    const areaBytes = boardAreaBytes(plan, RAM_BYTES, WASM_PAGE);
    this.#memory = MachineMemory.create(RAM_BYTES, areaBytes, hostMemoryAvailable(), boardVideoBytes(plan));
    const { description } = this.#memory;
    this.#board = new Board({ ...plan, description, acceleratorArea: WASM_PAGE, log: () => {} });
    this.#board.install();
    this.#origin = time.now;
    this.#board.clock.start();
    const drivers = new HostileDrivers(
      this.#board,
      RAM_BYTES,
      (what) => this.#note(what),
      () => this.#serveDisks(),
    );
    this.#operations = [
      [8, 'port access', (random) => this.#port(random)],
      [8, 'memory access', (random) => this.#memoryAccess(random)],
      [4, 'time', (random) => this.#pass(random)],
      [2, 'serial input', (random) => this.#input(random)],
      [1, 'output taken', (random) => this.#output(random)],
      [2, 'local APIC', (random) => this.#processor(random)],
      [1, 'PCI configuration', (random) => this.#configuration(random)],
      [4, 'disks', (random) => this.#disk(random)],
      [4, 'AHCI', (random) => this.#ahci(random)],
      [2, 'bus-master transfers', (random) => drivers.busMaster(random)],
      [2, 'virtio queues', (random) => drivers.virtio(random)],
      [tablet === 'usb' ? 2 : 0, 'USB', (random) => drivers.usb(random)],
      [1, 'fw_cfg DMA', (random) => drivers.fwCfg(random)],
      [0.05, 'display', (random) => drivers.display(random)],
      [1, 'host', (random) => this.#host(random)],
    ];
  }

  /** Runs the case of a seed. @returns what went wrong, or null */
  runCase(seed: number): DeviceFinding | null {
    const random = new Random(seed);
    const finding = (what: string): DeviceFinding => ({ seed, what: `${this.#last}: ${what}` });
    const sum = this.#operations.reduce((total, [weight]) => total + weight, 0);
    try {
      this.#last = 'power-on';
      this.#time.now = this.#origin;
      this.#board.powerOn(ACCELERATOR);
      for (let i = 0; i < OPERATIONS; i++) {
        let at = random.below(UNIT * sum) / UNIT;
        const chosen = this.#operations.find(([weight]) => (at -= weight) < 0);
        if (chosen === undefined) continue;
        const [, name, run] = chosen;
        this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
        const start = process.hrtime.bigint();
        run(random);
        this.#service();
        const took = Number(process.hrtime.bigint() - start) / 1e6;
        if (took > PATIENCE) return finding(`took ${Math.round(took)} ms`);
      }
    } catch (error) {
      return finding(error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
    const nobodys = this.#memory.bytes.subarray(0, NULL_PAGE);
    return nobodys.every((byte) => byte === 0) ? null : finding('the null page has been written');
  }

  #note(what: string): void {
    this.#last = what;
  }

  #port(random: Random): void {
    const { ports } = this.#board;
    const [start, count] = random.pick(PORTS);
    const port = random.oneIn(8) ? random.below(0x1_0000) : (start + random.below(count + 6) - 3) & 0xffff;
    const size = random.pick<AccessSize>([1, 1, 1, 2, 4]);
    if (random.oneIn(8)) {
      this.#block(random, port, size);
      return;
    }
    if (random.oneIn(2)) {
      const value = edge32(random);
      this.#note(`write of ${value.toString(16)}, ${size} bytes, to port ${port.toString(16)}`);
      ports.write(port, size, value);
      return;
    }
    this.#note(`read of ${size} bytes from port ${port.toString(16)}`);
    const value = ports.read(port, size);
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** (8 * size)) throw new Error(`gives ${value}`);
  }

  /** Accesses as REP INS and REP OUTS make them. */
  #block(random: Random, port: number, size: AccessSize): void {
    const { ports } = this.#board;
    const elements = Uint8Array.from({ length: size * (2 + random.below(300)) }, () => random.next());
    const into = random.oneIn(2);
    this.#note(
      `${into ? 'read' : 'write'} of a block of ${elements.length} bytes, ${size} each, port ${port.toString(16)}`,
    );
    const done = into ? ports.readBlock(port, size, elements) : ports.writeBlock(port, size, elements);
    if (!Number.isInteger(done) || done < 0 || done * size > elements.length) throw new Error(`does ${done}`);
  }

  #memoryAccess(random: Random): void {
    const { mmio } = this.#board;
    const [start, bytes] = random.pick(WINDOWS);
    const offset = random.oneIn(4)
      ? random.below(bytes + 16) - 8
      : random.pick(REGISTERS) + (random.oneIn(8) ? random.below(8) : 0);
    const address = random.oneIn(16) ? Number(edge64(random) & 0xf_ffff_ffff_ffffn) : start + offset;
    const size = random.pick<AccessSize | 8>([1, 2, 4, 4, 4, 4, 8]);
    const vcpu = random.below(VCPUS);
    if (random.oneIn(2)) {
      const data = BigInt.asUintN(8 * size, edge64(random));
      this.#note(`write of ${data.toString(16)}, ${size} bytes, to ${address.toString(16)}`);
      mmio.write(address, size, data, vcpu);
      return;
    }
    this.#note(`read of ${size} bytes from ${address.toString(16)}`);
    const data = mmio.read(address, size, vcpu);
    if (data < 0n || data >> BigInt(8 * size) !== 0n) throw new Error(`gives ${data}`);
  }

  /** Lets time pass: nothing to a tick, a frame, a second, hours. In all less than the 104 days that a clock counts. */
  #pass(random: Random): void {
    const milliseconds = random.pick([0, 0.001, 0.1, 1, 17, 55, 1000, 60_000, 10_800_000]) * random.below(8);
    this.#note(`${milliseconds} ms`);
    this.#time.now += milliseconds;
  }

  /** Services what is due, as the run loops do. */
  #service(): void {
    const { clock } = this.#board;
    for (let vcpu = 0; vcpu < VCPUS; vcpu++) {
      const timers = this.#board.timersOf(vcpu);
      const now = clock.now();
      let deadline = timers.deadline();
      for (let i = 0; i < SERVICES && now >= deadline; i++) {
        timers.service(now);
        deadline = timers.deadline();
      }
      if (Number.isNaN(deadline) || now >= deadline) {
        throw new Error(`a timer of vCPU ${vcpu}, serviced at ${now}, is due again at ${deadline}`);
      }
    }
  }

  /** A command for a drive, and what the I/O thread does. */
  #disk(random: Random): void {
    const { ports, storage, chipset } = this.#board;
    for (const at of [0x41, 0x43]) storage.ide?.configWrite(at, 1, 0x80);
    for (const { fn } of chipset.pciBus.functions()) if (random.oneIn(8)) fn.configWrite(4, 2, 7);
    const command = random.pick([
      0x20, 0x24, 0x25, 0x29, 0x30, 0x35, 0xa0, 0xa1, 0xc8, 0xca, 0xe7, 0xec, 0xef,
    ]);
    this.#note(`disk command ${command.toString(16)}`);
    const base = random.pick([0x1f0, 0x170]);
    ports.write(base + 6, 1, 0xe0);
    for (let i = 2; i < 6; i++) ports.write(base + i, 1, random.oneIn(2) ? 0 : random.below(256));
    ports.write(base + 7, 1, command);
    for (let i = 0; i < 6; i++) ports.write(base, 2, random.below(0x10000));
    this.#note(`service of disks after command ${command.toString(16)}`);
    this.#serveDisks();
  }

  /** Commands in the list of an AHCI port, in memory that ends in the middle of some, and what the I/O thread does. */
  #ahci(random: Random): void {
    const { storage, physical } = this.#board;
    const { ahci } = storage;
    if (ahci === undefined) throw new Error('there is no AHCI adapter');
    const port = random.below(2);
    const set = (offset: number, value: number) =>
      ahci.registers.mmioWrite(AHCI_PORTS + port * PORT_BYTES + offset, 4, value >>> 0, 0);
    const place = () => (random.oneIn(6) ? edge32(random) : random.below(RAM_BYTES));
    if (!random.oneIn(8)) ahci.configWrite(4, 2, 6);
    const list = place();
    set(Port.CommandList, list);
    set(Port.CommandListUpper, random.oneIn(16) ? edge32(random) : 0);
    set(Port.Frames, place());
    set(Port.InterruptEnable, edge32(random));
    set(Port.SataControl, random.oneIn(16) ? edge32(random) : 0);
    set(Port.Command, PortCommand.FrameReceive);
    set(Port.Command, PortCommand.FrameReceive | PortCommand.Start);
    for (let slot = 0; slot < 4; slot++) {
      const table = place();
      const header = new Uint32Array([random.oneIn(8) ? edge32(random) : 0x0002_0005, 0, table, 0]);
      physical.write((list & ~0x3ff) + slot * 32, new Uint8Array(header.buffer));
      const code = random.pick([
        0x06, 0x20, 0x24, 0x25, 0x2f, 0x35, 0x60, 0x61, 0xa0, 0xa1, 0xc8, 0xca, 0xe7, 0xec,
      ]);
      this.#note(`AHCI command ${code.toString(16)}`);
      const bytes = Uint8Array.from({ length: 0x60 }, () => (random.oneIn(3) ? random.below(256) : 0));
      bytes.set([random.oneIn(16) ? random.next() : 0x27, random.oneIn(8) ? random.next() : 0x80, code]);
      bytes[0x40] = random.pick([0, 3, 0x12, 0x1b, 0x25, 0x28, 0x43, 0x46, 0x4a, 0x5a, 0xa8, 0xbe]);
      physical.write(table & ~0x7f, bytes);
      const regions = Array.from({ length: 3 }, () => [
        place(),
        random.oneIn(8) ? edge32(random) : 0,
        0,
        edge32(random),
      ]);
      physical.write((table & ~0x7f) + 0x80, new Uint8Array(new Uint32Array(regions.flat()).buffer));
    }
    set(Port.SataActive, random.below(16));
    set(Port.CommandIssue, random.oneIn(8) ? edge32(random) : random.below(16));
    this.#serveDisks();
    for (let offset = 0; offset < PORT_BYTES; offset += 4) {
      const value = ahci.registers.mmioRead(AHCI_PORTS + port * PORT_BYTES + offset, 4, 0);
      if (!Number.isInteger(value) || value < 0 || value >= 2 ** 32)
        throw new Error(`register ${offset} is ${value}`);
    }
  }

  #serveDisks(): void {
    const { storage, devices } = this.#board;
    for (const { device, disks } of storage.served) {
      const backends = disks.map(() => this.#image);
      for (let i = 0; i < 50 && device.serve(backends, devices.with); i++);
    }
  }

  #input(random: Random): void {
    const port = random.pick(this.#board.serial);
    this.#note('serial input');
    port.input.write(Uint8Array.from({ length: random.below(200) }, () => random.below(256)));
    port.pump();
  }

  #output(random: Random): void {
    const into = new Uint8Array(random.below(5000));
    this.#note('output taken');
    for (const { output } of this.#board.serial) output.read(into);
    this.#board.debugOutput.read(into);
  }

  /** What a processor does with its local APIC besides reading and writing its registers. */
  #processor(random: Random): void {
    const { lapics } = this.#board;
    const vcpu = random.below(VCPUS);
    switch (random.below(5)) {
      case 0: {
        this.#note('acknowledge');
        const expected = lapics.pending(vcpu);
        const vector = lapics.acknowledge(vcpu);
        if (!Number.isInteger(vector) || vector < -1 || vector > 255) throw new Error(`gives ${vector}`);
        if (expected && vector < 0) throw new Error('an interrupt was pending and is not there');
        break;
      }
      case 1: {
        const msr = random.oneIn(8) ? 0x1b : 0x800 + random.below(0x100);
        this.#note(`read of MSR ${msr.toString(16)}`);
        const value = lapics.readMsr(vcpu, msr);
        if (value !== null && BigInt.asUintN(64, value) !== value) throw new Error(`gives ${value}`);
        break;
      }
      case 2: {
        const msr = random.oneIn(4) ? 0x1b : 0x800 + random.below(0x100);
        const value = random.oneIn(2) ? edge64(random) : BigInt(edge32(random));
        this.#note(`write of ${value.toString(16)} to MSR ${msr.toString(16)}`);
        lapics.writeMsr(vcpu, msr, msr === 0x1b && random.oneIn(2) ? 0xfee0_0800n | (value & 0x400n) : value);
        break;
      }
      case 3:
        this.#note('task priority');
        lapics.setTaskPriority(vcpu, random.below(16));
        if (lapics.getTaskPriority(vcpu) > 15) throw new Error('more than 15');
        break;
      default: {
        const value = random.oneIn(2) ? edge64(random) : BigInt(Math.floor(this.#board.clock.now())) + 1000n;
        this.#note(`TSC deadline ${value}`);
        lapics.writeTscDeadline(vcpu, value);
        lapics.readTscDeadline(vcpu);
      }
    }
  }

  /** Configuration mechanism 1: an address, mostly of a function that is there, then data. */
  #configuration(random: Random): void {
    const { ports } = this.#board;
    const register = random.below(256) & 0xfc;
    const address = (0x8000_0000 | (random.below(4) << 11) | register) >>> 0;
    this.#note(`PCI configuration at ${address.toString(16)}`);
    ports.write(0xcf8, 4, random.oneIn(8) ? random.next() : address);
    const size = random.pick<AccessSize>([1, 2, 4]);
    if (random.oneIn(2)) ports.write(0xcfc + random.below(4), size, edge32(random));
    else ports.read(0xcfc + random.below(4), size);
  }

  /** What comes from outside the guest: the power button, INIT, a power cycle. */
  #host(random: Random): void {
    const { acpiPm } = this.#board;
    switch (random.below(8)) {
      case 0:
        this.#note('reset');
        this.#board.powerOn(ACCELERATOR);
        break;
      case 1: {
        this.#note('INIT');
        const index = random.below(VCPUS);
        const model = this.#board.options.cpuModel;
        this.#board.initialize(index, (state) => ACCELERATOR.resetState(state, { index, model }));
        break;
      }
      case 2: {
        this.#note('pause');
        const milliseconds = random.below(100_000);
        this.#board.clock.stop();
        this.#time.now += milliseconds;
        this.#origin += milliseconds;
        this.#board.clock.start();
        break;
      }
      default:
        this.#note('power button');
        acpiPm.pressPowerButton();
    }
  }
}
