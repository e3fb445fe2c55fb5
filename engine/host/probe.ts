/** What can run machines on this host. */
import type { AcceleratorInfo } from '../api/statistics.ts';
import { acceleratorNames, acceleratorOf } from '../machine/accelerator.ts';

/** Every accelerator, the preferred first, with the reason where it cannot run here. */
export function probeAccelerators(): AcceleratorInfo[] {
  return acceleratorNames().map((name) => {
    const accelerator = acceleratorOf(name);
    const found = accelerator.probe();
    return {
      name,
      available: found.ok,
      reason: found.ok ? null : found.reason,
      features: found.ok ? [...found.features] : [],
      cpuModels: found.ok ? [...accelerator.cpuModels()] : [],
      mostVcpus: accelerator.maxVcpus?.() ?? 1,
    };
  });
}
