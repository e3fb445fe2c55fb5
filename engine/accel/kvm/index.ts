/** The `kvm` accelerator: hardware virtualization on Linux, through /dev/kvm. */
import type {
  Accelerator,
  AcceleratedMachine,
  MachinePlace,
  VcpuOptions,
} from '../../machine/accelerator.ts';
import { GuesthouseError } from '../../base/errors.ts';
import type { AcceleratedVcpu } from '../contract.ts';
import { resetState as reset } from '../wasm/system/reset.ts';
import type { VcpuState } from '../../vcpu/state.ts';
import { AREA_BYTES, scratchLayout, SCRATCH_AT, VmFeature } from './area.ts';
import { baseModel, CPU_MODELS } from './cpuid.ts';
import { errorText, host } from './host.ts';
import { kicker } from './kick.ts';
import { ProbeMachine, tryGuest } from './probe.ts';
import { KvmSystem } from './system.ts';
import { KvmVcpu, supportedCpuid } from './vcpu.ts';
import { KvmVm } from './vm.ts';

type Probe = ReturnType<Accelerator['probe']>;

/** Most vCPUs that are asked for: as many as the machine's local APICs. */
const MOST_VCPUS = 64;

/** Looking takes some milliseconds, and nothing of it changes while this process runs. */
let found: Probe | undefined;

/** Whether the accelerator can run here, and whether guests will be happy with it. */
export function probe(): Probe {
  return (found ??= look());
}

function look(): Probe {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return { ok: false, reason: 'KVM guests of this kind need Linux on x86-64' };
  }
  let system: KvmSystem;
  try {
    system = new KvmSystem(host);
  } catch (error) {
    const reason = error instanceof GuesthouseError ? error.line : String(error);
    return { ok: false, reason };
  }
  try {
    const caveat = tryOnce();
    return { ok: true, features: [], ...(caveat === null ? {} : { caveat }) };
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : String(error) };
  } finally {
    system.close();
  }
}

/** Runs the probe's guest in a machine of its own. @returns what is wrong, or null */
function tryOnce(): string | null {
  const machine = new ProbeMachine((state) => resetState(state, { index: 0, model: 'max' }));
  const { memory, area, ramBase } = machine.options;
  const accelerated = machineOf({ memory, areas: [area], ramBase });
  accelerated.open();
  try {
    const vcpu = attach(machine.options);
    try {
      return tryGuest(machine, vcpu);
    } finally {
      vcpu.close();
    }
  } finally {
    accelerated.close();
  }
}

/** Most vCPUs of a machine here; one where KVM cannot be asked. */
export function maxVcpus(): number {
  let system: KvmSystem;
  try {
    system = new KvmSystem(host);
  } catch {
    return 1;
  }
  try {
    return mostVcpus(system);
  } finally {
    system.close();
  }
}

function mostVcpus(system: KvmSystem): number {
  return Math.min(MOST_VCPUS, system.has('MaxVcpus') || system.has('NrVcpus') || 1);
}

/** Bytes of the machine area that each vCPU needs. */
export const areaBytes = (): number => AREA_BYTES;

/** CPU models by name, the fullest first. */
export const cpuModels = (): string[] => [...CPU_MODELS];

/** Puts a vCPU into the state after power-up, as a CPU of the named model. */
export function resetState(state: VcpuState, options: { index: number; model: string }): void {
  reset(state, { index: options.index, model: baseModel(options.model) });
}

/** What the accelerator has for a machine as a whole, in this thread. */
export function machineOf({ memory, areas, ramBase }: MachinePlace): AcceleratedMachine {
  const { buffer } = memory;
  if (!(buffer instanceof SharedArrayBuffer)) throw new TypeError('the memory of a machine is shared');
  let vm: KvmVm | undefined;
  const attached = (): KvmVm => (vm ??= new KvmVm(host(), { memory, area: areas[0], ramBase }));
  return {
    open() {
      const system = new KvmSystem(host);
      try {
        attached().open(system);
      } finally {
        system.close();
      }
    },
    close: () => attached().close(),
    kick: kicker(buffer, areas, host),
    pullDirty: (dirty) => {
      if (attached().isOpen) attached().pullDirty(dirty);
    },
  };
}

/** Makes a vCPU in this thread, of a machine that has been opened; the state must have been reset. */
export const createVcpu = (options: VcpuOptions): AcceleratedVcpu => attach(options);

function attach(options: VcpuOptions): KvmVcpu {
  const { memory, area, vmArea = area, ramBase, state } = options;
  const kernel = host();
  const vm = new KvmVm(kernel, { memory, area: vmArea, ramBase });
  const base = kernel.addressOf(memory);
  const system = new KvmSystem(host);
  try {
    const at = area + SCRATCH_AT + scratchLayout.offset.cpuid;
    const view = new DataView(memory.buffer);
    const supported = supportedCpuid(view, at, base, (address) => system.supportedCpuid(address));
    const file = vm.createVcpu(state.index);
    if (file < 0) {
      throw new GuesthouseError('resources', `/dev/kvm makes no vCPU ${state.index}: ${errorText(-file)}`);
    }
    return new KvmVcpu(options, {
      host: kernel,
      vm,
      file,
      runBytes: system.runBytes,
      base,
      apicMsrs: (vm.features & VmFeature.ApicMsrs) !== 0,
      smm: (vm.features & VmFeature.Smm) !== 0,
      supported,
    });
  } finally {
    system.close();
  }
}
