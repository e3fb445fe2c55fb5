/** The accelerators by name, and which one a machine gets. */
import type { AcceleratedVcpu, InterruptSource } from '../accel/contract.ts';
import * as kvm from '../accel/kvm/index.ts';
import * as wasm from '../accel/wasm/index.ts';
import { GuesthouseError } from '../base/errors.ts';
import type { AddressMap } from '../memory/address-map.ts';
import type { DirtyLog } from '../memory/dirty-log.ts';
import type { Coherence } from '../vcpu/coherence.ts';
import type { Milestone } from '../vcpu/boot-timeline.ts';
import type { VcpuState } from '../vcpu/state.ts';
import type { Topology } from '../vcpu/topology.ts';
import type { HotCode } from '../accel/wasm/region/hot-code.ts';
import type { TranslatorLink } from './translator-link.ts';

/** What an accelerator's vCPU is made of. */
export interface VcpuOptions {
  readonly memory: WebAssembly.Memory;
  readonly state: VcpuState;
  /** Byte address of `state` in the memory. */
  readonly stateAddress: number;
  /** Byte address of the accelerator's own area for this vCPU, 64 KiB aligned. */
  readonly area: number;
  /** The area of vCPU 0, for what the vCPUs have in common; absent where this is the only one. */
  readonly vmArea?: number;
  /** Byte address of guest RAM: page n of the dirty log is 4096 n bytes further. */
  readonly ramBase: number;
  readonly addressMap: AddressMap;
  readonly dirtyLog: DirtyLog;
  /** Where SMRAM lies in the shared memory, for a vCPU in system-management mode: the RAM under 0xA0000 to 0xBFFFF; 0
   * where it is not enabled. */
  readonly smram?: () => number;
  /** What the vCPUs agree on about translated code; absent where this is the only one and no device writes
   * to memory. */
  readonly coherence?: Coherence;
  readonly interrupts: InterruptSource;
  readonly cpuModel: string;
  /** The machine's TSC, before the vCPU's offset is added. */
  readonly readTsc: () => bigint;
  /** IA32_TSC_DEADLINE of this vCPU. */
  readonly tscDeadline: { read(): bigint; write(value: bigint): void };
  /** Of the machine: how many vCPUs there are, and where each sits. */
  readonly topology: Topology;
  /** Whether something outside of the guest waits for this vCPU that no event tells it of, as a timer that is due: asked
   * now and then in place of leaving the guest; absent where that is to be left. */
  readonly isDue?: () => boolean;
  /** Runs a function with the device lock held. Everything in `interrupts` and `tscDeadline` needs it. */
  readonly lockDevices: <T>(body: () => T) => T;
  readonly log: (line: string) => void;
  /** Told of the milestones of the machine's start-up that an accelerator can see without looking for them. */
  readonly milestone?: (milestone: Milestone) => void;
  /** For tests: how the accelerator is to run code, where it has several ways. */
  readonly tier?: string | undefined;
  /** Who translates for this vCPU, under an accelerator that needs somebody: see {@link Accelerator.translatorFor}. */
  readonly translator?: TranslatorLink | wasm.OwnTranslator | undefined;
  /** Told of code that is translated around an address, by an accelerator that translates. */
  readonly watch?: CodeWatch | undefined;
}

/** An address of code, and who is told when what lies there is translated. */
export interface CodeWatch {
  readonly address: bigint;
  readonly found: (code: HotCode) => void;
}

/** Where a machine lies, for what concerns all of its vCPUs. */
export interface MachinePlace {
  readonly memory: WebAssembly.Memory;
  /** The vCPUs' areas, by index. */
  readonly areas: readonly number[];
  /** Byte address of guest RAM. */
  readonly ramBase: number;
}

/** What an accelerator has for a machine as a whole. Each thread makes its own over the same memory. */
export interface AcceleratedMachine {
  /** Takes from the host what the vCPUs need. Once for a machine, before the first of them is made.
   * @throws GuesthouseError where the host refuses */
  open(): void;
  /** Gives it back, when all vCPUs are closed. Harmless where it was never opened. */
  close(): void;
  /** Makes a vCPU leave the guest, if it is there, and look at its events. From any thread. */
  kick(vcpu: number): void;
  /** Marks in the log what the host has noticed of writes to logged pages. From any thread. */
  pullDirty(dirty: DirtyLog): void;
}

/** What a probe finds: whether the accelerator can run at all, and, where it can, what speaks against it. */
export type ProbeResult =
  | { readonly ok: true; readonly features: string[]; readonly caveat?: string }
  | { readonly ok: false; readonly reason: string };

/** What an accelerator's module exports. */
export interface Accelerator {
  probe(): ProbeResult;
  /** Bytes of the machine area that each of so many vCPUs needs. */
  areaBytes(vcpus: number): number;
  /** Loads what vCPUs are made of into this thread; to be waited for before the first of them is made. */
  load?(): Promise<void>;
  createVcpu(options: VcpuOptions): AcceleratedVcpu;
  /** Puts a vCPU into the state after power-up (SDM volume 3A, table 10-1). */
  resetState(state: VcpuState, options: { index: number; model: string }): void;
  /** Names for `cpu`, the best first. */
  cpuModels(): string[];
  /** Most vCPUs of a machine; one where absent. */
  maxVcpus?(): number;
  /** Whether its processors have a system-management mode with memory of its own (SMRAM); none where absent. */
  systemManagement?(): boolean;
  /** The entry of a thread that translates code for all vCPUs of a machine; it is sent a
   * TranslatorEnd for each. */
  readonly translatorThread?: URL;
  /** Who translates for a vCPU, given the machine's thread for that, if there is one. */
  translatorFor?(link?: TranslatorLink): Promise<TranslatorLink | wasm.OwnTranslator>;
  /** Code that was watched for, and what became of it, as lines of text; absent where nothing is translated. */
  listCode?(code: HotCode): Promise<string>;
  /** Absent where vCPUs need nothing together, and look at their events by themselves. */
  machineOf?(place: MachinePlace): AcceleratedMachine;
}

const ACCELERATORS: Readonly<Record<'kvm' | 'wasm', Accelerator>> = { kvm, wasm };

export type AcceleratorName = keyof typeof ACCELERATORS;

/** Every accelerator by name, the preferred first. */
export function acceleratorNames(): AcceleratorName[] {
  return Object.keys(ACCELERATORS).filter((name) => isAccelerator(name));
}

function isAccelerator(name: string): name is AcceleratorName {
  return Object.hasOwn(ACCELERATORS, name);
}

/** The accelerator of a name. */
export function acceleratorOf(name: AcceleratorName): Accelerator {
  return ACCELERATORS[name];
}

/** In the order in which `auto` tries them. */
const PREFERRED: readonly AcceleratorName[] = ['kvm', 'wasm'];

/** An accelerator, and why it is that one: one line for people. */
export interface Choice {
  readonly name: AcceleratorName;
  readonly why: string;
  /** What speaks against it, where it was asked for nevertheless. */
  readonly caveat?: string;
}

/**
 * Chooses an accelerator that can run here; `auto` chooses the first that has nothing against it.
 *
 * @throws GuesthouseError `unsupported` where there is none
 */
export function chooseAccelerator(wanted: 'auto' | AcceleratorName): Choice {
  if (wanted !== 'auto') {
    const found = acceleratorOf(wanted).probe();
    if (!found.ok) {
      throw new GuesthouseError('unsupported', `accelerator ${wanted} cannot run here: ${found.reason}`);
    }
    return {
      name: wanted,
      why: 'as asked for',
      ...(found.caveat === undefined ? {} : { caveat: found.caveat }),
    };
  }
  const against: string[] = [];
  for (const name of PREFERRED) {
    const found = acceleratorOf(name).probe();
    const reason = found.ok ? found.caveat : found.reason;
    if (reason === undefined) {
      return { name, why: against.length === 0 ? 'the fastest there is' : against.join('; ') };
    }
    against.push(`not ${name}: ${reason}`);
  }
  throw new GuesthouseError('unsupported', `no accelerator can run here: ${against.join('; ')}`);
}

/**
 * Sees that an accelerator can give a machine so many vCPUs.
 *
 * @throws GuesthouseError `unsupported` where it cannot
 */
export function requireVcpus(name: AcceleratorName, vcpus: number): void {
  const most = acceleratorOf(name).maxVcpus?.() ?? 1;
  if (vcpus <= most) return;
  throw new GuesthouseError(
    'unsupported',
    `accelerator ${name} cannot give a machine ${vcpus} vCPUs yet`,
    most === 1 ? 'give it one' : `at most ${most}`,
  );
}

/**
 * The CPU model to use.
 *
 * @param wanted undefined for the accelerator's best
 * @throws GuesthouseError `config` where the accelerator does not know it
 */
export function chooseCpuModel(accelerator: Accelerator, wanted: string | undefined): string {
  const models = accelerator.cpuModels();
  const model = wanted ?? models[0];
  if (model !== undefined && models.includes(model)) return model;
  throw new GuesthouseError('config', `unknown CPU model '${model}'`, `one of ${models.join(', ')}`);
}
