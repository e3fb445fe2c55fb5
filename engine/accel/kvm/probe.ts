/**
 * Whether /dev/kvm really runs guests.
 *
 * A KVM may open and answer every question and yet be no use: one that runs inside another virtual machine
 * without the processor's help emulates instructions, and lacks some that every kernel needs. So a small
 * guest is run for some milliseconds: it goes from protected to long mode, moves data through SSE registers,
 * exchanges 16 bytes under a lock, and spins until a timer has it interrupted.
 */
import { ExitReason } from '../contract.ts';
import type { VcpuOptions } from '../../machine/accelerator.ts';
import { AddressMap, RangeKind } from '../../memory/address-map.ts';
import { DirtyLog } from '../../memory/dirty-log.ts';
import { Arena } from '../../memory/layout.ts';
import { NULL_PAGE, PAGE_SIZE, WASM_PAGE } from '../../memory/machine-memory.ts';
import { loadSegment } from '../../vcpu/segment.ts';
import { Seg, VcpuEvent, vcpuLayout, type VcpuState } from '../../vcpu/state.ts';
import { AREA_BYTES } from './area.ts';
import { codeAt, DATA, PORT, RAM_BYTES, writeGuest } from './probe-guest.ts';
import type { KvmVcpu } from './vcpu.ts';
import { Topology } from '../../vcpu/topology.ts';

/** How long each step of the guest may take, in milliseconds. */
const PATIENCE = 200;

/** How long the guest spins before it is interrupted, in milliseconds. */
const SPIN = 2;

const VECTOR = 0x40;

/** A machine of one vCPU and 64 KiB, with everything that the accelerator asks of one. */
export class ProbeMachine {
  readonly options: VcpuOptions;
  readonly ram: DataView<SharedArrayBuffer>;
  readonly state: VcpuState;
  readonly #events: Int32Array<SharedArrayBuffer>;

  constructor(reset: (state: VcpuState) => void) {
    const ramBase = NULL_PAGE + AREA_BYTES + WASM_PAGE;
    const pages = (ramBase + RAM_BYTES) / WASM_PAGE;
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    const buffer = memory.buffer as SharedArrayBuffer;
    const arena = new Arena(buffer, NULL_PAGE, ramBase);
    const area = arena.reserve(AREA_BYTES, WASM_PAGE);
    const stateAddress = arena.reserve(vcpuLayout.size, 64);
    this.state = vcpuLayout.bind(buffer, stateAddress);
    this.#events = new Int32Array(buffer, stateAddress + vcpuLayout.offset.events, 1);
    this.ram = new DataView(buffer, ramBase, RAM_BYTES);
    const addressMap = new AddressMap(arena, () => Atomics.or(this.#events, 0, VcpuEvent.FlushTlb));
    const dirtyLog = new DirtyLog(arena, RAM_BYTES / PAGE_SIZE, () => {});
    addressMap.define({ kind: RangeKind.Ram, start: 0, size: RAM_BYTES, address: ramBase, enabled: true });
    const started = performance.now();
    this.options = {
      memory,
      state: this.state,
      stateAddress,
      area,
      ramBase,
      addressMap,
      dirtyLog,
      interrupts: {
        pending: () => (Atomics.load(this.#events, 0) & VcpuEvent.Interrupt) !== 0,
        acknowledge: () => {
          Atomics.and(this.#events, 0, ~VcpuEvent.Interrupt);
          return VECTOR;
        },
        getTaskPriority: () => 0,
        setTaskPriority: () => {},
        readMsr: () => null,
        writeMsr: () => false,
      },
      cpuModel: 'max',
      readTsc: () => BigInt(Math.floor((performance.now() - started) * 1e6)),
      tscDeadline: { read: () => 0n, write: () => {} },
      topology: Topology.ofCores(1),
      lockDevices: (body) => body(),
      log: () => {},
    };
    reset(this.state);
    addressMap.reset();
    writeGuest(this.ram);
    enterProtectedMode(this.state);
  }

  raise(events: number): void {
    Atomics.or(this.#events, 0, events);
  }
}

/** 32-bit protected mode without paging, at the guest's first instruction. */
function enterProtectedMode(state: VcpuState): void {
  const flat = { base: 0n, limit: 0xffff_ffff };
  loadSegment(state, Seg.CS, { ...flat, selector: 0x18, attr: 0xc09b });
  for (const segment of [Seg.SS, Seg.DS, Seg.ES, Seg.FS, Seg.GS]) {
    loadSegment(state, segment, { ...flat, selector: 0x10, attr: 0xc093 });
  }
  state.gdtrBase = BigInt(codeAt.gdt);
  state.gdtrLimit = 0x1f;
  state.idtrBase = BigInt(codeAt.idt);
  state.idtrLimit = 0xfff;
  state.cr0 = 0x31n;
  state.gpr[4] = BigInt(codeAt.stack);
  state.rip = BigInt(codeAt.entry);
}

/**
 * Runs the guest.
 *
 * @returns what is wrong, one line, or null where the guest ran as it should
 */
export function tryGuest(machine: ProbeMachine, vcpu: KvmVcpu): string | null {
  const exchanged = runToPort(vcpu, PORT.exchanged);
  if (exchanged !== null) return exchanged;
  if (vcpu.io.data !== 1n) return 'it does not exchange 16 bytes as a processor does';
  const { ram } = machine;
  if (ram.getBigUint64(DATA.sum, true) !== 2n * DATA.addend || ram.getBigUint64(DATA.sum + 8, true) !== 0n) {
    return 'it does not run SSE instructions as a processor does';
  }
  if (ram.getBigUint64(DATA.pair, true) !== 3n || ram.getBigUint64(DATA.pair + 8, true) !== 4n) {
    return 'it does not exchange 16 bytes as a processor does';
  }
  const until = performance.now() + SPIN;
  while (performance.now() < until) {
    vcpu.setDeadline(SPIN * 1e6, 0);
    const reason = vcpu.run();
    if (reason !== ExitReason.Interrupted) return failure(vcpu, reason);
  }
  machine.raise(VcpuEvent.Interrupt);
  const interrupted = runToPort(vcpu, PORT.interrupted);
  if (interrupted !== null) return interrupted;
  return vcpu.io.data === BigInt(VECTOR) ? null : 'it does not deliver interrupts as a processor does';
}

/** Runs until the guest writes to a port. */
function runToPort(vcpu: KvmVcpu, port: number): string | null {
  const until = performance.now() + PATIENCE;
  while (performance.now() < until) {
    vcpu.setDeadline(PATIENCE * 1e6, 0);
    const reason = vcpu.run();
    switch (reason) {
      case ExitReason.PortIo:
        return vcpu.io.write && vcpu.io.address === port
          ? null
          : `a test guest went astray, to port 0x${vcpu.io.address.toString(16)}`;
      case ExitReason.Interrupted:
      case ExitReason.InterruptWindow:
        break;
      default:
        return failure(vcpu, reason);
    }
  }
  return `a test guest of 40 instructions did not end in ${PATIENCE} ms`;
}

function failure(vcpu: KvmVcpu, reason: ExitReason): string {
  if (reason === ExitReason.InternalError) return `a test guest stopped: ${vcpu.detail().split(';', 1)[0]}`;
  const [name] = Object.entries(ExitReason).find(([, value]) => value === reason) ?? ['an unknown reason'];
  return `a test guest left with ${name}`;
}
