/**
 * Runs a small guest program on the whole processor: assembled with NASM, loaded into a machine with memory
 * and nothing else, started in real mode. The program tells what it finds through ports.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ExitReason, type InterruptSource } from '../../engine/accel/contract.ts';
import * as wasm from '../../engine/accel/wasm/index.ts';
import { ownTranslator } from '../../engine/accel/wasm/region/own-translator.ts';
import { AddressMap, RangeKind } from '../../engine/memory/address-map.ts';
import { DirtyLog } from '../../engine/memory/dirty-log.ts';
import { MachineMemory } from '../../engine/memory/machine-memory.ts';
import { loadSegment } from '../../engine/vcpu/segment.ts';
import { Seg, VcpuEvent, vcpuLayout } from '../../engine/vcpu/state.ts';
import { PRELUDE } from './prelude.ts';
import { Topology } from '../../engine/vcpu/topology.ts';

await wasm.load();

const RAM = 0x100_0000;

/** Where programs are loaded and begin. */
export const ORIGIN = 0x8000;

/** Ports of the test bed, written with 32 bits: a finding; an interrupt of that vector; an SMI; an NMI. */
const Port = { Report: 0xf0, Interrupt: 0xf2, Smi: 0xf4, Nmi: 0xf6 } as const;

/** Entries into the guest that a program may need; far more than any does. */
const MAX_ENTRIES = 20_000;

/** Whether there is an assembler to build the programs with. */
export const canAssemble = spawnSync('nasm', ['-v']).status === 0;

function assemble(source: string): Uint8Array {
  const folder = mkdtempSync(path.join(tmpdir(), 'guest-'));
  try {
    const from = path.join(folder, 'guest.asm');
    const to = path.join(folder, 'guest.bin');
    writeFileSync(from, `${PRELUDE}\n${source}\n`);
    execFileSync('nasm', ['-w-all', '-f', 'bin', '-o', to, from], { stdio: ['ignore', 'ignore', 'pipe'] });
    return readFileSync(to);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What a program reported, and how it ended: `halt`, `shutdown`, or what else happened. */
export interface Run {
  /** Values written to the report port. */
  readonly reports: readonly number[];
  readonly end: string;
  readonly ram: DataView;
}

/**
 * Assembles and runs a program until it halts with interrupts off or the processor shuts down.
 * @param source NASM; `prelude.ts` is before it. Execution begins with it, in real mode
 */
export function runGuest(source: string, cpuModel = 'max'): Run {
  const area = wasm.areaBytes(1);
  const memory = MachineMemory.create(RAM, area + 0x4_0000);
  const arena = memory.arena();
  const addressMap = new AddressMap(arena, () => {});
  addressMap.define({ kind: RangeKind.Ram, start: 0, size: RAM, address: memory.ramBase, enabled: true });
  addressMap.reset();
  const stateAddress = arena.reserve(vcpuLayout.size, 64);
  const state = vcpuLayout.bind(memory.buffer, stateAddress);
  wasm.resetState(state, { index: 0, model: cpuModel });
  loadSegment(state, Seg.CS, { selector: 0, base: 0n, limit: 0xffff, attr: 0x93 }, true);
  state.rip = BigInt(ORIGIN);
  state.gpr[4] = 0x7000n;
  memory.bytes.set(assemble(source), memory.ramBase + ORIGIN);

  let vector = -1;
  const interrupts: InterruptSource = {
    pending: () => vector >= 0,
    acknowledge: () => {
      const taken = vector;
      vector = -1;
      state.events &= ~VcpuEvent.Interrupt;
      return taken;
    },
    getTaskPriority: () => 0,
    setTaskPriority: () => {},
    readMsr: () => null,
    writeMsr: () => false,
  };
  const vcpu = wasm.createVcpu({
    memory: memory.memory,
    state,
    stateAddress,
    area: arena.reserve(area, 0x1_0000),
    addressMap,
    dirtyLog: new DirtyLog(arena, RAM / 4096, () => {}),
    ramBase: memory.ramBase,
    interrupts,
    cpuModel,
    readTsc: () => 0n,
    tscDeadline: { read: () => 0n, write: () => {} },
    topology: Topology.ofCores(1),
    lockDevices: (body) => body(),
    log: () => {},
    translator: ownTranslator(),
  });

  const reports: number[] = [];
  const ram = new DataView(memory.buffer, memory.ramBase, RAM);
  const done = (end: string): Run => ({ reports, end, ram });
  for (let entries = 0; entries < MAX_ENTRIES; entries++) {
    const reason = vcpu.run();
    switch (reason) {
      case ExitReason.Interrupted:
      case ExitReason.InterruptWindow:
        break;
      case ExitReason.PortIo: {
        const { address, write, data } = vcpu.io;
        if (!write) vcpu.io.data = 0x5a5a_5a5an;
        else if (address === Port.Report) reports.push(Number(data));
        else if (address === Port.Interrupt) {
          vector = Number(data);
          state.events |= VcpuEvent.Interrupt;
        } else if (address === Port.Smi) state.events |= VcpuEvent.Smi;
        else if (address === Port.Nmi) state.events |= VcpuEvent.Nmi;
        break;
      }
      case ExitReason.Halt:
        return done('halt');
      case ExitReason.Shutdown:
        return done('shutdown');
      default:
        return done(`exit ${reason} at ${state.rip.toString(16)}: ${vcpu.detail()}`);
    }
  }
  return done(`still running at ${state.rip.toString(16)}`);
}

/** A fault as the handlers of the prelude report it: vector and error code. */
export const fault = (vector: number, errorCode = 0): number => vector * 0x1_0000 + errorCode;

/** What the prelude's TRY and USER report where nothing faulted. */
export const FINE = 0x41_0000;
