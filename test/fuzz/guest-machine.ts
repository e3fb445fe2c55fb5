/**
 * The smallest machine around one vCPU: RAM with guard bytes on both sides, a ROM, a second window of RAM above
 * 4 GiB, and a bus on which every access is answered with a random number. It runs one case after the other
 * and looks for what must never happen, whatever the guest is:
 *
 * - an exception of JavaScript or WebAssembly, or an exit for an internal error;
 * - a byte changed outside of guest RAM and the vCPU's own memory;
 * - an entry into the guest that does not come back soon (slow ones are seen here, endless ones by watchdog.ts).
 */
import { ExitReason, type AcceleratedVcpu, type InterruptSource } from '../../engine/accel/contract.ts';
import { load } from '../../engine/accel/wasm/index.ts';
import { ownTranslator } from '../../engine/accel/wasm/region/own-translator.ts';
import { Random } from '../../engine/base/random.ts';
import type { Accelerator } from '../../engine/machine/accelerator.ts';
import { AddressMap, RangeKind } from '../../engine/memory/address-map.ts';
import { DirtyLog } from '../../engine/memory/dirty-log.ts';
import { MachineMemory } from '../../engine/memory/machine-memory.ts';
import { Activity, VcpuEvent, vcpuLayout, type VcpuState } from '../../engine/vcpu/state.ts';
import { edge64 } from './guest-code.ts';
import { fillMemory } from './guest-memory.ts';
import { loadState, randomSetting, type Setting } from './guest-state.ts';
import { Topology } from '../../engine/vcpu/topology.ts';

// Machines here are made at once, of whichever accelerator.
await load();

const RAM_BYTES = 0x20_0000;
const ROM_BYTES = 0x1_0000;
const GUARD = 0x1_0000;
const HIGH_RAM = 0x1_0000_0000;

/** Entries into the guest in one case, and how many of them may end for want of time: then it loops. */
const ENTRIES = 16;
const LOOPS = 3;

/** What one entry may take, in milliseconds; usual is less than one, and the host may be busy. */
const PATIENCE = 3000;

/** What has gone wrong in a case. */
export interface Finding {
  readonly seed: number;
  readonly setting: Setting;
  readonly what: string;
}

/** How often each thing happened, to show that cases do not all end at their first instruction. */
export interface Totals {
  cases: number;
  entries: number;
  instructions: number;
  /** Longest entry, in milliseconds. */
  longest: number;
  /** By number of {@link ExitReason}. */
  readonly exits: number[];
}

export class FuzzedMachine {
  readonly totals: Totals = { cases: 0, entries: 0, instructions: 0, longest: 0, exits: [] };
  readonly #accelerator: Accelerator;
  readonly #model: string;
  readonly #memory: MachineMemory;
  readonly #state: VcpuState;
  readonly #events: Int32Array<SharedArrayBuffer>;
  readonly #vcpu: AcceleratedVcpu;
  readonly #ram: DataView;
  readonly #dirtyLog: DirtyLog;
  /** What no guest may change, as spans of the shared memory, and how it was. */
  readonly #guarded: readonly (readonly [now: Uint8Array, before: Uint8Array])[];
  #random = new Random(0);
  #logged = '';

  constructor(accelerator: Accelerator, model: string) {
    this.#accelerator = accelerator;
    this.#model = model;
    const areaBytes = accelerator.areaBytes(1);
    const ram = 2 * GUARD + RAM_BYTES;
    const memory = MachineMemory.create(ram, areaBytes + vcpuLayout.size + ROM_BYTES + 8 * GUARD);
    this.#memory = memory;
    const arena = memory.arena();
    const map = new AddressMap(arena, () => {});
    const ramBase = memory.ramBase + GUARD;
    arena.reserve(GUARD, 64);
    const stateAddress = arena.reserve(vcpuLayout.size, 64);
    this.#dirtyLog = new DirtyLog(arena, RAM_BYTES / 4096, () => {});
    const ownEnd = arena.reserve(GUARD, 1);
    const rom = arena.reserve(ROM_BYTES, 4096);
    arena.reserve(GUARD, 64);
    const area = arena.reserve(areaBytes, 0x1_0000);
    map.define({ kind: RangeKind.Ram, start: 0, size: RAM_BYTES, address: ramBase, enabled: true });
    map.define({ kind: RangeKind.Rom, start: RAM_BYTES, size: ROM_BYTES, address: rom, enabled: true });
    map.define({ kind: RangeKind.Ram, start: HIGH_RAM, size: 0x1_0000, address: ramBase, enabled: true });
    map.reset();
    this.#ram = new DataView(memory.buffer, ramBase, RAM_BYTES);
    this.#state = vcpuLayout.bind(memory.buffer, stateAddress);
    this.#events = new Int32Array(memory.buffer, stateAddress + vcpuLayout.offset.events, 1);

    accelerator.resetState(this.#state, { index: 0, model });
    this.#vcpu = accelerator.createVcpu({
      memory: memory.memory, state: this.#state, stateAddress, area, addressMap: map, dirtyLog: this.#dirtyLog,
      ramBase, interrupts: this.#interrupts(), cpuModel: model,
      readTsc: () => this.#random.next64(),
      tscDeadline: { read: () => this.#random.next64(), write: () => {} },
      topology: Topology.ofCores(1),
      lockDevices: (body) => body(),
      log: (line) => (this.#logged = line),
      translator: accelerator.translatorThread && ownTranslator(),
    }); // prettier-ignore

    const noise = new Random(1);
    for (let at = 0; at < ROM_BYTES; at += 4) memory.view.setUint32(rom + at, noise.next(), true);
    // Everything up to the vCPU's state and the dirty log, from there to its area, to RAM, and behind RAM.
    const spans = [
      [0, stateAddress],
      [ownEnd, area],
      [area + areaBytes, ramBase],
      [ramBase + RAM_BYTES, memory.bytes.length],
    ] as const;
    this.#guarded = spans.map(([from, to]) => {
      const now = memory.bytes.subarray(from, to);
      return [now, now.slice()];
    });
  }

  /** Runs the case of a seed. @returns what went wrong, or null */
  runCase(seed: number): Finding | null {
    const random = new Random(seed);
    this.#random = random;
    const setting = randomSetting(random);
    this.#accelerator.resetState(this.#state, { index: 0, model: this.#model });
    fillMemory(
      random,
      this.#ram,
      setting.paging,
      setting.mode === 'long' || setting.mode === 'compatibility',
    );
    loadState(random, this.#state, setting);
    if (random.oneIn(16)) this.#dirtyLog.enable(random.below(64), random.below(64));
    else this.#dirtyLog.reset();
    this.#events[0] = VcpuEvent.FlushCode | VcpuEvent.FlushTlb;
    this.#logged = '';
    const before = this.#vcpu.instructions();
    const what = this.#enter(random) ?? this.#trespass();
    this.totals.cases++;
    this.totals.instructions += this.#vcpu.instructions() - before;
    return what === null ? null : { seed, setting, what };
  }

  /** Enters the guest some times, answering its exits and raising events between them. */
  #enter(random: Random): string | null {
    const { totals } = this;
    const state = this.#state;
    let loops = 0;
    for (let entry = 0; entry < ENTRIES && loops < LOOPS; entry++) {
      const start = performance.now();
      let exit: ExitReason;
      try {
        exit = this.#vcpu.run();
      } catch (error) {
        return `run() threw: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
      }
      const took = performance.now() - start;
      totals.entries++;
      totals.longest = Math.max(totals.longest, took);
      totals.exits[exit] = (totals.exits[exit] ?? 0) + 1;
      if (took > PATIENCE) return `an entry took ${Math.round(took)} ms`;
      switch (exit) {
        case ExitReason.InternalError:
          return `${this.#vcpu.detail()}\n${this.#logged}`;
        case ExitReason.Shutdown:
          return null;
        case ExitReason.PortIo:
        case ExitReason.Mmio: {
          const wrong = this.#serve(exit, random);
          if (wrong !== null) return wrong;
          break;
        }
        case ExitReason.Halt:
          if (state.activity === Activity.Running) return 'an exit for HLT from a vCPU that runs';
          break;
        case ExitReason.Interrupted:
        case ExitReason.InterruptWindow:
        case ExitReason.Debug:
          loops++;
          break;
      }
      if (state.cpl > 3) return `CPL is ${state.cpl}`;
      this.#raiseEvents(random, exit);
    }
    return null;
  }

  /** Answers a port or MMIO access with noise. @returns what is wrong with the access */
  #serve(exit: ExitReason, random: Random): string | null {
    const { io } = this.#vcpu;
    const { address, size, write, data } = io;
    const highest = exit === ExitReason.PortIo ? 0xffff : 2 ** 52 - 1;
    const sizes = exit === ExitReason.PortIo ? [1, 2, 4] : [1, 2, 4, 8];
    if (!Number.isInteger(address) || address < 0 || address > highest || !sizes.includes(size)) {
      return `an access of ${size} bytes at ${address.toString(16)}`;
    }
    if (write && (data < 0n || data >> BigInt(size * 8) !== 0n)) {
      return `a write of ${data.toString(16)} in ${size} bytes`;
    }
    if (!write) io.data = BigInt.asUintN(size * 8, edge64(random));
    return null;
  }

  /** What other threads and devices do to a vCPU between two entries. */
  #raiseEvents(random: Random, exit: ExitReason): void {
    Atomics.and(this.#events, 0, ~(VcpuEvent.Kick | VcpuEvent.FloatError | VcpuEvent.Interrupt));
    let events =
      exit === ExitReason.Halt ? random.pick([VcpuEvent.Nmi, VcpuEvent.Smi, VcpuEvent.Interrupt]) : 0;
    if (random.oneIn(3)) events |= VcpuEvent.Interrupt;
    if (random.oneIn(12)) events |= VcpuEvent.Nmi;
    if (random.oneIn(12)) events |= VcpuEvent.Smi;
    if (random.oneIn(12)) events |= VcpuEvent.FlushTlb;
    if (random.oneIn(12)) events |= VcpuEvent.FlushCode;
    if (random.oneIn(24)) events |= VcpuEvent.Kick;
    Atomics.or(this.#events, 0, events);
  }

  #interrupts(): InterruptSource {
    let priority = 0;
    return {
      pending: () => this.#random.oneIn(2),
      acknowledge: () => (this.#random.oneIn(4) ? -1 : this.#random.below(256)),
      getTaskPriority: () => priority,
      setTaskPriority: (_, value) => (priority = value),
      readMsr: () => (this.#random.oneIn(4) ? null : this.#random.next64()),
      writeMsr: () => !this.#random.oneIn(4),
    };
  }

  /** Where a byte has changed that is none of the guest's; it is put right again. */
  #trespass(): string | null {
    for (const [now, before] of this.#guarded) {
      if (Buffer.compare(now, before) === 0) continue;
      const at = now.findIndex((byte, i) => byte !== before[i]);
      const address = now.byteOffset - this.#memory.bytes.byteOffset + at;
      const what = `the byte at ${address.toString(16)} has changed from ${before[at]} to ${now[at]}`;
      now.set(before);
      return what;
    }
    return null;
  }
}
