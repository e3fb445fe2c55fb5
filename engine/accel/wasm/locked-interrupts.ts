import type { VcpuOptions } from '../../machine/accelerator.ts';
import type { InterruptSource } from '../contract.ts';

/** The interrupt controllers, with the device lock taken for each call. */
export function lockedInterrupts({ interrupts, lockDevices }: VcpuOptions): InterruptSource {
  return {
    pending: (vcpu) => lockDevices(() => interrupts.pending(vcpu)),
    acknowledge: (vcpu) => lockDevices(() => interrupts.acknowledge(vcpu)),
    getTaskPriority: (vcpu) => lockDevices(() => interrupts.getTaskPriority(vcpu)),
    setTaskPriority: (vcpu, priority) => lockDevices(() => interrupts.setTaskPriority(vcpu, priority)),
    readMsr: (vcpu, msr) => lockDevices(() => interrupts.readMsr(vcpu, msr)),
    writeMsr: (vcpu, msr, value) => lockDevices(() => interrupts.writeMsr(vcpu, msr, value)),
  };
}
