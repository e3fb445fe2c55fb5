/**
 * A machine for the conformance suite of accelerators: one vCPU, memory, an interrupt controller that does
 * what a test says, and guests of a few bytes of machine code. Small enough that everything a vCPU meets is in
 * view.
 */
import type { Accelerator, AcceleratedMachine, VcpuOptions } from '../machine/accelerator.ts';
import { AddressMap, type MappedRange, RangeKind } from '../memory/address-map.ts';
import { DirtyLog } from '../memory/dirty-log.ts';
import { Arena } from '../memory/layout.ts';
import { NULL_PAGE, PAGE_SIZE, WASM_PAGE } from '../memory/machine-memory.ts';
import { loadSegment } from '../vcpu/segment.ts';
import { VcpuSignals } from '../vcpu/signals.ts';
import { Seg, VcpuEvent, vcpuLayout, type VcpuState } from '../vcpu/state.ts';
import { type AcceleratedVcpu, ExitReason, type InterruptSource } from './contract.ts';
import { load } from './wasm/index.ts';
import { ownTranslator } from './wasm/region/own-translator.ts';
import { Topology } from '../vcpu/topology.ts';

// Machines here are made at once, of whichever accelerator.
await load();

const RAM_BYTES = 0x4_0000;
const ROM_BYTES = PAGE_SIZE;
const MACHINE_BYTES = WASM_PAGE;

/** Where things are in guest-physical memory. */
export const GUEST = {
  /** Real mode: the interrupt vector table. */
  vectors: 0,
  code: 0x1000,
  handler: 0x1800,
  stack: 0x3000,
  data: 0x4000,
  /** Two pages that nothing else uses. */
  pages: 0x2_0000,
  /** Long mode: tables. */
  pml4: 0x5000, pdpt: 0x6000, pd: 0x7000, idt: 0x8000, gdt: 0x9000,
  /** Memory that can be taken away: a page of RAM, at first with nothing beneath. */
  movable: 0x4_0000,
  rom: 0x4_1000,
  /** Nothing is ever here. */
  hole: 0x5_0000,
} as const; // prettier-ignore

/** How long anything may take, in milliseconds. */
const PATIENCE = 5000;

/** How often a guest that does not leave by itself is left, in milliseconds. */
const TICK = 1;

/** An exit, as a test compares it. */
export type Access = readonly [
  kind: 'in' | 'out' | 'read' | 'write',
  address: number,
  size: number,
  data: bigint,
];

/** The interrupt controller of the machine. */
export class TestInterrupts implements InterruptSource {
  /** Vectors that are requested, the first to be delivered in front. */
  readonly requested: number[] = [];
  taskPriority = 0;
  readonly msrs = new Map<number, bigint>();
  readonly #signals: VcpuSignals;

  constructor(signals: VcpuSignals) {
    this.#signals = signals;
  }

  request(vector: number): void {
    this.requested.push(vector);
    this.#signals.raise(0, VcpuEvent.Interrupt);
  }
  pending(): boolean {
    return this.requested.length > 0;
  }
  acknowledge(): number {
    const vector = this.requested.shift() ?? -1;
    if (this.requested.length === 0) this.#signals.lower(0, VcpuEvent.Interrupt);
    return vector;
  }
  getTaskPriority(): number {
    return this.taskPriority;
  }
  setTaskPriority(_vcpu: number, priority: number): void {
    this.taskPriority = priority;
  }
  readMsr(_vcpu: number, msr: number): bigint | null {
    return this.msrs.get(msr) ?? null;
  }
  writeMsr(_vcpu: number, msr: number, value: bigint): boolean {
    if (!this.msrs.has(msr)) return false;
    this.msrs.set(msr, value);
    return true;
  }
}

/** What another thread needs to take part. */
export interface SharedMachine {
  readonly memory: WebAssembly.Memory;
}

export class TestMachine {
  readonly memory: WebAssembly.Memory;
  readonly buffer: SharedArrayBuffer;
  readonly state: VcpuState;
  readonly signals: VcpuSignals;
  readonly interrupts: TestInterrupts;
  readonly map: AddressMap;
  readonly dirty: DirtyLog;
  readonly ram: DataView<SharedArrayBuffer>;
  readonly rom: DataView<SharedArrayBuffer>;
  /** A page of RAM at {@link GUEST.movable}. */
  readonly movable: MappedRange;
  /** Set while a thread runs the guest; see conformance-thread.ts. */
  readonly words: Int32Array<SharedArrayBuffer>;

  readonly #accelerator: Accelerator;
  readonly #accelerated: AcceleratedMachine | undefined;
  readonly #options: VcpuOptions;
  #vcpu: AcceleratedVcpu | undefined;

  /** @param shared the memory of a machine that another thread has made */
  constructor(accelerator: Accelerator, shared?: SharedMachine) {
    this.#accelerator = accelerator;
    const area = Math.ceil(accelerator.areaBytes(1) / WASM_PAGE) * WASM_PAGE;
    const machineAt = NULL_PAGE + area;
    const ramBase = machineAt + MACHINE_BYTES;
    const pages = (ramBase + RAM_BYTES + WASM_PAGE) / WASM_PAGE;
    this.memory = shared?.memory ?? new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.buffer = this.memory.buffer as SharedArrayBuffer;
    const arena = new Arena(this.buffer, machineAt, ramBase);
    const stateAddress = arena.reserve(vcpuLayout.size, 64);
    this.state = vcpuLayout.bind(this.buffer, stateAddress);
    this.words = new Int32Array(this.buffer, arena.reserve(64), 16);
    this.signals = new VcpuSignals(this.buffer, [stateAddress], (vcpu) => this.#accelerated?.kick(vcpu));
    this.interrupts = new TestInterrupts(this.signals);
    const flush = () => this.signals.raise(0, VcpuEvent.FlushTlb);
    this.map = new AddressMap(arena, flush);
    this.dirty = new DirtyLog(arena, RAM_BYTES / PAGE_SIZE, flush, () =>
      this.#accelerated?.pullDirty(this.dirty),
    );
    const ram = { kind: RangeKind.Ram, start: 0, size: RAM_BYTES, address: ramBase, enabled: true };
    this.map.define(ram);
    this.movable = this.map.define({
      ...ram,
      start: GUEST.movable,
      size: PAGE_SIZE,
      address: ramBase + GUEST.pages,
      enabled: false,
    });
    const romAddress = ramBase + RAM_BYTES;
    this.map.define({
      kind: RangeKind.Rom,
      start: GUEST.rom,
      size: ROM_BYTES,
      address: romAddress,
      enabled: true,
    });
    this.ram = new DataView(this.buffer, ramBase, RAM_BYTES);
    this.rom = new DataView(this.buffer, romAddress, ROM_BYTES);
    const started = performance.now();
    this.#options = {
      memory: this.memory,
      state: this.state,
      stateAddress,
      area: NULL_PAGE,
      ramBase,
      addressMap: this.map,
      dirtyLog: this.dirty,
      interrupts: this.interrupts,
      cpuModel: accelerator.cpuModels()[0],
      readTsc: () => BigInt(Math.floor((performance.now() - started) * 1e6)),
      tscDeadline: { read: () => 0n, write: () => {} },
      topology: Topology.ofCores(1),
      lockDevices: (body) => body(),
      log: () => {},
      translator: accelerator.translatorThread && ownTranslator(),
    };
    this.#accelerated = accelerator.machineOf?.({ memory: this.memory, areas: [NULL_PAGE], ramBase });
    if (shared !== undefined) return;
    accelerator.resetState(this.state, { index: 0, model: this.#options.cpuModel });
    this.map.reset();
    this.#accelerated?.open();
  }

  /** The vCPU, made by the thread that asks first. */
  get vcpu(): AcceleratedVcpu {
    return (this.#vcpu ??= this.#accelerator.createVcpu(this.#options));
  }

  /** Gives everything back to the host. */
  close(): void {
    this.closeVcpu();
    this.#accelerated?.close();
  }

  closeVcpu(): void {
    this.#vcpu?.close?.();
  }

  /** Puts bytes into RAM. */
  write(address: number, bytes: readonly number[]): void {
    for (const [i, byte] of bytes.entries()) this.ram.setUint8(address + i, byte);
    this.signals.raise(0, VcpuEvent.FlushCode);
  }

  /** Real mode, all segments at 0, at a guest of machine code. */
  enterReal(...code: number[]): void {
    this.write(GUEST.code, code);
    const { state } = this;
    for (let segment: number = Seg.ES; segment <= Seg.GS; segment++) {
      loadSegment(state, segment, { selector: 0, base: 0n, limit: 0xffff, attr: 0x93 }, true);
    }
    state.idtrBase = BigInt(GUEST.vectors);
    state.idtrLimit = 0x3ff;
    this.#start();
  }

  /** Real mode: where a vector leads. */
  setRealHandler(vector: number, ...code: number[]): void {
    const at = GUEST.handler + vector * 8;
    this.write(at, code);
    this.ram.setUint32(GUEST.vectors + 4 * vector, at, true);
  }

  /** Long mode, privilege 0, memory as it is, at a guest of machine code. */
  enterLong(...code: number[]): void {
    this.write(GUEST.code, code);
    const { state, ram } = this;
    const quad = (address: number, value: bigint): void => ram.setBigUint64(address, value, true);
    quad(GUEST.pml4, BigInt(GUEST.pdpt) | 3n);
    quad(GUEST.pdpt, BigInt(GUEST.pd) | 3n);
    quad(GUEST.pd, 0x83n);
    quad(GUEST.gdt + 8, 0x00af_9b00_0000_ffffn);
    quad(GUEST.gdt + 16, 0x00cf_9300_0000_ffffn);
    loadSegment(state, Seg.CS, { selector: 8, base: 0n, limit: 0xffff_ffff, attr: 0xa09b });
    for (const segment of [Seg.ES, Seg.SS, Seg.DS, Seg.FS, Seg.GS]) {
      loadSegment(state, segment, { selector: 16, base: 0n, limit: 0xffff_ffff, attr: 0xc093 });
    }
    loadSegment(state, Seg.TR, { selector: 0, base: 0n, limit: 0xffff, attr: 0x8b });
    state.gdtrBase = BigInt(GUEST.gdt);
    state.gdtrLimit = 23;
    state.idtrBase = BigInt(GUEST.idt);
    state.idtrLimit = 0xfff;
    state.cr3 = BigInt(GUEST.pml4);
    state.cr4 = 0x620n;
    state.cr0 = 0x8000_0031n;
    state.efer = 0x500n;
    this.#start();
  }

  #start(): void {
    this.state.rip = BigInt(GUEST.code);
    this.state.gpr[4] = BigInt(GUEST.stack);
  }

  /** Enters once, for about {@link TICK} at most. */
  step(): ExitReason {
    const { vcpu } = this;
    vcpu.setDeadline?.(TICK * 1e6, 0);
    return vcpu.run();
  }

  /** Runs until something other than time or an open window makes it leave. */
  run(): ExitReason {
    const until = performance.now() + PATIENCE;
    while (performance.now() < until) {
      const reason = this.step();
      if (reason === ExitReason.Interrupted || reason === ExitReason.InterruptWindow) {
        this.signals.clear(0, VcpuEvent.Kick);
        continue;
      }
      return reason;
    }
    throw new Error(`the guest is still running after ${PATIENCE} ms`);
  }

  /** Runs until the next access, which must come. */
  access(): Access {
    const reason = this.run();
    const { address, size, write, data } = this.vcpu.io;
    const value = write ? BigInt.asUintN(8 * size, data) : 0n;
    switch (reason) {
      case ExitReason.PortIo:
        return [write ? 'out' : 'in', address, size, value];
      case ExitReason.Mmio:
        return [write ? 'write' : 'read', address, size, value];
      default:
        throw new Error(`${nameOf(reason)} instead of an access: ${this.vcpu.detail()}`);
    }
  }

  /** Brings the state up to date; no access may be under way. */
  synchronize(): void {
    const reason = this.vcpu.synchronize?.() ?? null;
    if (reason !== null) throw new Error(`${nameOf(reason)} while registers were read`);
  }
}

export function nameOf(reason: ExitReason): string {
  return Object.entries(ExitReason).find(([, value]) => value === reason)?.[0] ?? String(reason);
}
