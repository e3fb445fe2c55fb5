/** What a machine tells of each of its vCPUs while it runs. */
import type { VcpuInfo } from '../api/statistics.ts';
import type { Board } from '../machine/board.ts';
import { ExitCounters } from '../vcpu/exit-counters.ts';
import { Activity } from '../vcpu/state.ts';

/** A vCPU's state by its activity, in virsh's words. */
const STATES: Readonly<Record<number, VcpuInfo['state']>> = {
  [Activity.Running]: 'running',
  [Activity.Halted]: 'blocked',
  [Activity.WaitForSipi]: 'offline',
  [Activity.Shutdown]: 'crashed',
};

/** Each vCPU, by index: where it sits, and what it does. */
export function vcpuInfos({ states, topology, counters }: Board): VcpuInfo[] {
  return states.map(({ activity }, index) => {
    const { awakeSeconds, instructions } = ExitCounters.sum([counters[index]]);
    const place = { apicId: topology.apicId(index), ...topology.place(index) };
    return { state: STATES[activity] ?? 'running', ...place, awakeSeconds, instructions };
  });
}
