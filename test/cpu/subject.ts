/**
 * A processor of ours as a subject: one vCPU of an accelerator, in a machine with nothing but the memory a
 * case needs (see subject-kernel.ts). Case states are loaded straight into the architectural state, at
 * CPL 3; a case ends where its exception reaches a stub.
 */
import { ExitReason, type AcceleratedVcpu, type InterruptSource } from '../../engine/accel/contract.ts';
import { load } from '../../engine/accel/wasm/index.ts';
import { ownTranslator } from '../../engine/accel/wasm/region/own-translator.ts';
import type { Accelerator } from '../../engine/machine/accelerator.ts';
import { AddressMap, RangeKind } from '../../engine/memory/address-map.ts';
import { DirtyLog } from '../../engine/memory/dirty-log.ts';
import { MachineMemory } from '../../engine/memory/machine-memory.ts';
import { loadSegment } from '../../engine/vcpu/segment.ts';
import { Activity, Flag, Seg, VcpuEvent, vcpuLayout, type VcpuState } from '../../engine/vcpu/state.ts';
import {
  background, changes, CpuState, Fx, LOST, REGIONS, StateOffset, type Case, type Patch, type Region, type Result,
  type Subject,
} from './case.ts'; // prettier-ignore
import {
  buildKernel, descriptorAttributes, GDT_LIMIT, IDT_LIMIT, KERNEL, Physical, physicalOf, SELECTOR_TSS, STUB_BYTES,
  TSS_LIMIT, WITH_ERROR_CODE,
} from './subject-kernel.ts'; // prettier-ignore
import { Topology } from '../../engine/vcpu/topology.ts';

// Machines here are made at once, of whichever accelerator.
await load();

const CR0 = { PE: 1n, MP: 2n, ET: 0x10n, NE: 0x20n, WP: 0x1_0000n, AM: 0x4_0000n, PG: 0x8000_0000n } as const;
const CR4 = {
  PAE: 0x20n,
  OSFXSR: 0x200n,
  OSXMMEXCPT: 0x400n,
  FSGSBASE: 0x1_0000n,
  OSXSAVE: 0x4_0000n,
} as const;
const EFER = { SCE: 1n, LME: 0x100n, LMA: 0x400n, NXE: 0x800n } as const;

/** Entries into the guest that a case may need; far more than any does. */
const MAX_ENTRIES = 10_000;

const NO_INTERRUPTS: InterruptSource = {
  pending: () => false,
  acknowledge: () => -1,
  getTaskPriority: () => 0,
  setTaskPriority: () => {},
  readMsr: () => null,
  writeMsr: () => false,
};

/** Features that the model must offer for the generator's switches (generator-template.ts, `feat=`). */
export interface ProcessorOptions {
  readonly cpuModel: string;
  readonly fsgsbase?: boolean;
  readonly avx?: boolean;
  /** How our processor runs the code: see engine/accel/wasm/tiers.ts. */
  readonly tier?: string;
}

interface Mapped {
  readonly region: Region;
  readonly bytes: Uint8Array;
  readonly pristine: Uint8Array;
}

export class ProcessorSubject implements Subject {
  readonly #vcpu: AcceleratedVcpu;
  readonly #state: VcpuState;
  readonly #ram: DataView;
  readonly #regions: readonly Mapped[];
  readonly #options: ProcessorOptions;
  #loaded = false;

  constructor(accelerator: Accelerator, options: ProcessorOptions) {
    const ramBytes = 0x100_0000;
    const area = accelerator.areaBytes(1);
    const memory = MachineMemory.create(ramBytes, area + 0x4_0000);
    const arena = memory.arena();
    const addressMap = new AddressMap(arena, () => {});
    addressMap.define({
      kind: RangeKind.Ram,
      start: 0,
      size: ramBytes,
      address: memory.ramBase,
      enabled: true,
    });
    addressMap.reset();
    const stateAddress = arena.reserve(vcpuLayout.size, 64);
    this.#state = vcpuLayout.bind(memory.buffer, stateAddress);
    this.#options = options;
    this.#ram = new DataView(memory.buffer, memory.ramBase, ramBytes);
    buildKernel(this.#ram);
    this.#regions = REGIONS.map((region) => {
      const bytes = memory.bytes.subarray(memory.ramBase + physicalOf(region)).subarray(0, region.bytes);
      for (let i = 0; i < bytes.length; i++)
        bytes[i] = region.execute ? 0xf4 : background(region.address + i);
      return { region, bytes, pristine: bytes.slice() };
    });
    accelerator.resetState(this.#state, { index: 0, model: options.cpuModel });
    this.#vcpu = accelerator.createVcpu({
      memory: memory.memory,
      state: this.#state,
      stateAddress,
      area: arena.reserve(area, 0x1_0000),
      addressMap,
      dirtyLog: new DirtyLog(arena, ramBytes / 4096, () => {}),
      ramBase: memory.ramBase,
      interrupts: NO_INTERRUPTS,
      cpuModel: options.cpuModel,
      tier: options.tier,
      readTsc: () => 0n,
      tscDeadline: { read: () => 0n, write: () => {} },
      topology: Topology.ofCores(1),
      lockDevices: (body) => body(),
      log: () => {},
      translator: accelerator.translatorThread && ownTranslator(),
    });
  }

  run(batch: readonly Case[]): Result[] {
    return batch.map((of) => this.#runCase(of));
  }

  #runCase(of: Case): Result {
    this.#restoreMemory(of);
    this.#load(of);
    const stubs = KERNEL + BigInt(Physical.stubs);
    let reason: ExitReason = ExitReason.Interrupted;
    for (let entries = 0; entries < MAX_ENTRIES; entries++) {
      reason = this.#vcpu.run();
      if (reason === ExitReason.Interrupted || reason === ExitReason.InterruptWindow) continue;
      if (reason !== ExitReason.Halt) break;
      const stub = this.#state.rip - 1n - stubs;
      if (stub < 0n || stub >= BigInt(256 * STUB_BYTES)) break;
      return this.#result(of, Number(stub) / STUB_BYTES);
    }
    const note = `exit ${reason} at ${this.#state.rip.toString(16)} ${this.#vcpu.detail()}`;
    return { state: this.#read(), vector: LOST, errorCode: 0, cr2: 0n, memory: this.#memory(of), note };
  }

  #restoreMemory(of: Case): void {
    for (const { region, bytes, pristine } of this.#regions) {
      bytes.set(pristine);
      for (const patch of of.memory) overlay(bytes, region.address, patch);
      if (region.execute) overlay(bytes, region.address, { address: Number(of.state.rip), bytes: of.code });
    }
  }

  /** Puts the case's state, and the system's, into the vCPU. */
  #load(of: Case): void {
    const { state: from } = of;
    const state = this.#state;
    for (let i = 0; i < 16; i++) state.gpr[i] = from.gpr(i);
    state.rip = from.rip;
    storeFlags(state, from.rflags);
    state.cpl = 3;
    state.activity = Activity.Running;
    state.interruptShadow = 0;
    state.nmiBlocked = 0;
    state.cr0 = CR0.PE | CR0.MP | CR0.ET | CR0.NE | CR0.WP | CR0.AM | CR0.PG;
    state.cr2 = 0n;
    state.cr3 = BigInt(Physical.pml4);
    state.cr4 =
      CR4.PAE | CR4.OSFXSR | CR4.OSXMMEXCPT |
      (this.#options.fsgsbase === true ? CR4.FSGSBASE : 0n) | (this.#options.avx === true ? CR4.OSXSAVE : 0n); // prettier-ignore
    state.efer = EFER.SCE | EFER.LME | EFER.LMA | EFER.NXE;
    if (this.#options.avx === true) state.xcr0 = 7n;
    state.gdtrBase = KERNEL + BigInt(Physical.gdt);
    state.gdtrLimit = GDT_LIMIT;
    state.idtrBase = KERNEL + BigInt(Physical.idt);
    state.idtrLimit = IDT_LIMIT;
    for (let segment = 0; segment < 6; segment++) {
      const selector = from.selector(segment);
      const base =
        segment === Seg.FS ? StateOffset.fsBase : segment === Seg.GS ? StateOffset.gsBase : undefined;
      const attr = selector < 4 ? 0x1_0000 : descriptorAttributes(selector);
      const register = {
        selector,
        base: base === undefined ? 0n : from.view.getBigUint64(base, true),
        limit: selector < 4 ? 0 : 0xffff_ffff,
        attr,
      };
      loadSegment(state, segment, register);
    }
    loadSegment(state, Seg.LDTR, { selector: 0, base: 0n, limit: 0, attr: 0x1_0000 });
    const tss = KERNEL + BigInt(Physical.tss);
    loadSegment(state, Seg.TR, { selector: SELECTOR_TSS, base: tss, limit: TSS_LIMIT, attr: 0x8b });
    loadFpu(state, from);
    // The code was changed behind the processor's back; the page tables are the same for every case.
    state.events = this.#loaded ? VcpuEvent.FlushCode : VcpuEvent.FlushTlb | VcpuEvent.FlushCode;
    this.#loaded = true;
  }

  /** The state of the case as its exception left it: what the frame saved, and what the stub did not touch. */
  #result(of: Case, vector: number): Result {
    const after = this.#read();
    const hasError = WITH_ERROR_CODE.has(vector);
    const stack = Number(BigInt.asUintN(64, this.#state.gpr[4] - KERNEL));
    const word = (i: number): bigint => {
      const at = stack + i * 8;
      return at >= 0 && at + 8 <= this.#ram.byteLength ? this.#ram.getBigUint64(at, true) : 0n;
    };
    const frame = hasError ? 1 : 0;
    after.rip = word(frame);
    after.setSelector(1, Number(word(frame + 1) & 0xffffn));
    after.rflags = word(frame + 2);
    after.setGpr(4, word(frame + 3));
    after.setSelector(2, Number(word(frame + 4) & 0xffffn));
    return {
      state: after,
      vector,
      errorCode: hasError ? Number(word(0) & 0xffff_ffffn) : 0,
      cr2: vector === 14 ? this.#state.cr2 : 0n,
      memory: this.#memory(of),
    };
  }

  #read(): CpuState {
    const state = this.#state;
    const to = new CpuState();
    for (let i = 0; i < 16; i++) to.setGpr(i, state.gpr[i]);
    for (let segment = 0; segment < 6; segment++) to.setSelector(segment, state.segSelector[segment]);
    to.view.setBigUint64(StateOffset.fsBase, state.segBase[Seg.FS], true);
    to.view.setBigUint64(StateOffset.gsBase, state.segBase[Seg.GS], true);
    to.fcw = state.fcw;
    to.fsw = state.fsw;
    to.ftw = state.ftw;
    to.mxcsr = state.mxcsr;
    const top = (state.fsw >> 11) & 7;
    for (let i = 0; i < 8; i++) {
      const register = ((top + i) & 7) * 2;
      const at = StateOffset.xsave + Fx.st + i * 16;
      to.view.setBigUint64(at, state.fpr[register], true);
      to.view.setUint16(at + 8, Number(state.fpr[register + 1] & 0xffffn), true);
    }
    for (let i = 0; i < 16; i++) {
      const xmm = StateOffset.xsave + Fx.xmm + i * 16;
      to.view.setBigUint64(xmm, state.ymm[i * 4], true);
      to.view.setBigUint64(xmm + 8, state.ymm[i * 4 + 1], true);
      const high = to.ymmHigh(i);
      high.set(new Uint8Array(BigUint64Array.of(state.ymm[i * 4 + 2], state.ymm[i * 4 + 3]).buffer));
    }
    return to;
  }

  #memory(of: Case): Patch[] {
    return this.#regions.flatMap(({ region, bytes, pristine }) => {
      if (region.execute) return [];
      const before = pristine.slice();
      for (const patch of of.memory) overlay(before, region.address, patch);
      return Buffer.compare(before, bytes) === 0 ? [] : changes(region.address, before, bytes);
    });
  }
}

/** Writes the part of a patch that falls into an image starting at `address`. */
function overlay(image: Uint8Array, address: number, patch: Patch): void {
  const from = Math.max(patch.address, address);
  const to = Math.min(patch.address + patch.bytes.length, address + image.length);
  if (from < to) image.set(patch.bytes.subarray(from - patch.address, to - patch.address), from - address);
}

/** Stores RFLAGS as the state schema keeps them (engine/vcpu/state.ts, `flagsRes`). */
export function storeFlags(
  state: Pick<VcpuState, 'flagsRes' | 'flagsAux' | 'flagsSys'>,
  rflags: bigint,
): void {
  const flags = Number(rflags & 0xffff_ffffn);
  const set = (bit: number): number => ((flags & bit) === 0 ? 0 : 1);
  const result = set(Flag.ZF) === 1 ? 0 : 1;
  const parity = result ^ (set(Flag.PF) === 1 ? 0 : 1);
  const carry = set(Flag.CF);
  const aux =
    set(Flag.SF) | (set(Flag.AF) << 3) | (parity << 8) | ((carry ^ set(Flag.OF)) << 30) | (carry << 31);
  state.flagsRes = BigInt(result);
  state.flagsAux = aux >>> 0;
  const arithmetic = Flag.CF | Flag.PF | Flag.AF | Flag.ZF | Flag.SF | Flag.OF;
  state.flagsSys = (flags & ~arithmetic & ~2) >>> 0;
}

function loadFpu(state: VcpuState, from: CpuState): void {
  state.fcw = from.fcw;
  state.fsw = from.fsw;
  state.ftw = from.ftw;
  state.mxcsr = from.mxcsr;
  [state.fop, state.fcs, state.fds] = [0, 0, 0];
  [state.fip, state.fdp] = [0n, 0n];
  const top = (from.fsw >> 11) & 7;
  for (let i = 0; i < 8; i++) {
    const register = ((top + i) & 7) * 2;
    const at = StateOffset.xsave + Fx.st + i * 16;
    state.fpr[register] = from.view.getBigUint64(at, true);
    state.fpr[register + 1] = BigInt(from.view.getUint16(at + 8, true));
  }
  for (let i = 0; i < 16; i++) {
    const xmm = StateOffset.xsave + Fx.xmm + i * 16;
    state.ymm[i * 4] = from.view.getBigUint64(xmm, true);
    state.ymm[i * 4 + 1] = from.view.getBigUint64(xmm + 8, true);
    const high = new BigUint64Array(from.ymmHigh(i).slice().buffer);
    [state.ymm[i * 4 + 2], state.ymm[i * 4 + 3]] = [high[0], high[1]];
  }
}

/** Our own processor, or null where this checkout has none yet. */
export async function loadProcessor(options?: Partial<ProcessorOptions>): Promise<ProcessorSubject | null> {
  try {
    const { acceleratorOf } = await import('../../engine/machine/accelerator.ts');
    const accelerator = acceleratorOf('wasm');
    const cpuModel = options?.cpuModel ?? accelerator.cpuModels()[0];
    return new ProcessorSubject(accelerator, { ...options, cpuModel });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND') return null;
    throw error;
  }
}
