/** What of a machine's start-up can be seen where emitted code is left. */
import { Milestone } from '../../vcpu/boot-timeline.ts';
import { Flag, Seg, type VcpuState } from '../../vcpu/state.ts';

const bit = (milestone: Milestone): number => 1 << milestone;

/** All that {@link reached} can find, a bit for each milestone. */
export const AWAITED =
  bit(Milestone.ProtectedMode) |
  bit(Milestone.Loader) |
  bit(Milestone.Kernel) |
  bit(Milestone.LongMode) |
  bit(Milestone.UserMode);

/** That the guest has come to user mode. */
export const AWAITED_USER = bit(Milestone.UserMode);

/** Where boot sectors are loaded. */
const BOOT_SECTOR = 0x7c00n;

/** The upper half of 48-bit linear addresses begins where the lower ends. */
const UPPER_HALF = 1n << 63n;

/** Those milestones that the state shows; each has a bit. */
export function reached({ cr0, efer, rip, cpl, flagsSys, segBase }: VcpuState): number {
  if ((cr0 & 1n) === 0n) return segBase[Seg.CS] + rip === BOOT_SECTOR ? bit(Milestone.Loader) : 0;
  let found = bit(Milestone.ProtectedMode);
  if ((efer & 0x400n) !== 0n)
    found |= bit(Milestone.LongMode) | (rip >= UPPER_HALF ? bit(Milestone.Kernel) : 0);
  if (cpl === 3 && (flagsSys & Flag.VM) === 0) found |= bit(Milestone.UserMode);
  return found;
}
