/** For tests: a processor with a little memory around it and nothing else, in flat 64-bit mode at CPL 0. */
import { ExitReason, type InterruptSource } from '../contract.ts';
import { AddressMap, RangeKind } from '../../memory/address-map.ts';
import { DirtyLog } from '../../memory/dirty-log.ts';
import { Arena } from '../../memory/layout.ts';
import { Coherence } from '../../vcpu/coherence.ts';
import { loadSegment } from '../../vcpu/segment.ts';
import { Seg, vcpuLayout, type VcpuState } from '../../vcpu/state.ts';
import * as wasm from './index.ts';
import type { VcpuOptions } from '../../machine/accelerator.ts';
import { Processor } from './processor.ts';
import { ownTranslator } from './region/own-translator.ts';
import { Topology } from '../../vcpu/topology.ts';

export const MIB = 1 << 20;
/** Guest-physical addresses: page tables, code, data, stack. Everything is mapped to itself. */
export const TABLES = 0x10_0000;
export const CODE = 0x1000;
export const DATA = 0x4_0000;
export const STACK = 0x8_0000;
/** A page that is neither RAM nor ROM. */
export const DEVICE = 0xc0_0000;

const RAM = 8 * MIB;

/** Where the processor's own area lies in the shared memory. */
export const AREA = 0x20_0000;

export interface BareMachine {
  readonly cpu: Processor;
  readonly state: VcpuState;
  readonly dirty: DirtyLog;
  /** Guest RAM from address 0. */
  readonly ram: DataView<SharedArrayBuffer>;
  /** Puts code at an address and starts there. */
  load(code: readonly number[], at?: number): void;
  /** Runs until something other than Interrupted, at most `rounds` entries. */
  run(rounds?: number): ExitReason;
}

export const NO_INTERRUPTS: InterruptSource = {
  pending: () => false,
  acknowledge: () => -1,
  getTaskPriority: () => 0,
  setTaskPriority: () => {},
  readMsr: () => null,
  writeMsr: () => false,
};

/** A number's bytes in code: four, the lowest first. */
export const le32 = (value: number): number[] =>
  [value, value >>> 8, value >>> 16, value >>> 24].map((b) => b & 0xff);

/** Code that goes through its body so often, counting in ecx: mov ecx, rounds; the body; dec ecx; jnz to the body. */
export const repeat = (rounds: number, body: readonly number[]): number[] => [
  0xb9, ...le32(rounds), ...body, 0xff, 0xc9, 0x0f, 0x85, ...le32(-(body.length + 8)),
]; // prettier-ignore

/** @param interrupts what the vCPU sees as its local APIC
 * @param more how it is to run code, and what to tell of it */
export function bareMachine(
  interrupts: InterruptSource = NO_INTERRUPTS,
  more: Partial<Pick<VcpuOptions, 'tier' | 'watch' | 'readTsc' | 'coherence' | 'translator'>> = {},
): BareMachine {
  const stateAddress = 0x1_0000;
  const tables = 0x2_0000;
  const area = AREA;
  const ramBase = Math.ceil((area + wasm.areaBytes(1)) / 0x1_0000) * 0x1_0000;
  const pages = (ramBase + RAM) / 0x1_0000;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const buffer = memory.buffer as SharedArrayBuffer;
  const arena = new Arena(buffer, tables, area);
  const state = vcpuLayout.bind(buffer, stateAddress);
  wasm.resetState(state, { index: 0, model: 'max' });
  const addressMap = new AddressMap(arena, () => {});
  addressMap.define({ kind: RangeKind.Ram, start: 0, size: RAM, address: ramBase, enabled: true });
  addressMap.reset();
  const coherence = new Coherence(arena, (pages * 0x1_0000) / 4096, 1, { post: () => {} });
  const dirty = new DirtyLog(arena, RAM / 4096, () => {});
  const ram = new DataView(buffer, ramBase, RAM);
  ram.setUint32(TABLES, (TABLES + 0x1000) | 7, true);
  ram.setUint32(TABLES + 0x1000, (TABLES + 0x2000) | 7, true);
  for (let i = 0; i < 512; i++) {
    ram.setUint32(TABLES + 0x2000 + 8 * i, (TABLES + 0x3000 + 0x1000 * i) | 7, true);
    if (i >= 8) break;
    for (let j = 0; j < 512; j++) {
      ram.setUint32(TABLES + 0x3000 + 0x1000 * i + 8 * j, (i * 0x20_0000 + j * 0x1000) | 7, true);
    }
  }
  state.cr0 = 0x8001_0033n;
  state.cr3 = BigInt(TABLES);
  state.cr4 = 0x620n;
  state.efer = 0xd01n;
  loadSegment(state, Seg.CS, { selector: 8, base: 0n, limit: 0xffff_ffff, attr: 0xa09b });
  for (const segment of [Seg.ES, Seg.SS, Seg.DS]) {
    loadSegment(state, segment, { selector: 16, base: 0n, limit: 0xffff_ffff, attr: 0xc093 });
  }
  state.flagsSys = 0;
  state.gpr[4] = BigInt(STACK);
  const cpu = new Processor({
    memory, state, stateAddress, area, coherence, addressMap, dirtyLog: dirty, ramBase, interrupts, cpuModel: 'max',
    readTsc: () => 0n, tscDeadline: { read: () => 0n, write: () => {} }, topology: Topology.ofCores(1), lockDevices: (body) => body(), log: () => {}, translator: ownTranslator(), ...more,
  }); // prettier-ignore
  return {
    cpu,
    state,
    dirty,
    ram,
    load(code, at = CODE) {
      code.forEach((byte, i) => ram.setUint8(at + i, byte));
      state.rip = BigInt(at);
      state.activity = 0;
    },
    run(rounds = 1000) {
      for (let i = 0; i < rounds; i++) {
        const reason = cpu.run();
        if (reason !== ExitReason.Interrupted) return reason;
      }
      return ExitReason.Interrupted;
    },
  };
}
