/** The accelerators by name, and which one a machine gets. */
import type { AcceleratedVcpu, InterruptSource } from '../accel/contract.ts';
import * as wasm from '../accel/wasm/index.ts';
import { GuesthouseError } from '../base/errors.ts';
import type { AddressMap } from '../memory/address-map.ts';
import type { DirtyLog } from '../memory/dirty-log.ts';
import type { VcpuState } from '../vcpu/state.ts';

/** What an accelerator's vCPU is made of. */
export interface VcpuOptions {
  readonly memory: WebAssembly.Memory;
  readonly state: VcpuState;
  /** Byte address of `state` in the memory. */
  readonly stateAddress: number;
  /** Byte address of the accelerator's own area for this vCPU, 64 KiB aligned. */
  readonly area: number;
  /** Byte address of guest RAM: page n of the dirty log is 4096 n bytes further. */
  readonly ramBase: number;
  readonly addressMap: AddressMap;
  readonly dirtyLog: DirtyLog;
  readonly interrupts: InterruptSource;
  readonly cpuModel: string;
  /** The machine's TSC, before the vCPU's offset is added. */
  readonly readTsc: () => bigint;
  /** IA32_TSC_DEADLINE of this vCPU. */
  readonly tscDeadline: { read(): bigint; write(value: bigint): void };
  /** How many vCPUs the machine has. */
  readonly vcpus: number;
  /** Runs a function with the device lock held. Everything in `interrupts` and `tscDeadline` needs it. */
  readonly lockDevices: <T>(body: () => T) => T;
  readonly log: (line: string) => void;
}

/** What an accelerator's module exports. */
export interface Accelerator {
  probe(): { ok: true; features: string[] } | { ok: false; reason: string };
  /** Bytes of the machine area that each vCPU needs. */
  areaBytes(): number;
  createVcpu(options: VcpuOptions): AcceleratedVcpu;
  /** Puts a vCPU into the state after power-up (SDM volume 3A, table 10-1). */
  resetState(state: VcpuState, options: { index: number; model: string }): void;
  /** Names for `cpu`, the best first. */
  cpuModels(): string[];
  /** Most vCPUs of a machine; one where absent. */
  maxVcpus?(): number;
}

const ACCELERATORS: Readonly<Record<'wasm', Accelerator>> = { wasm };

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

/**
 * Chooses an accelerator that can run here.
 *
 * @throws GuesthouseError `unsupported` where there is none
 */
export function chooseAccelerator(wanted: 'auto' | AcceleratorName): AcceleratorName {
  // The only one there is, so `auto` has no choice to make yet.
  const name = wanted === 'auto' ? 'wasm' : wanted;
  const found = acceleratorOf(name).probe();
  if (!found.ok)
    throw new GuesthouseError('unsupported', `accelerator ${name} cannot run here: ${found.reason}`);
  return name;
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
