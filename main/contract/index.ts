/** What the interface may ask of main: the whole contract. */
export * from './bridge.ts';
export * from './client.ts';
export * from './document.ts';
export * from './events.ts';
export * from './frame.ts';
export * from './host.ts';
export * from './machine.ts';
export * from './methods.ts';
export * from './storage.ts';
export type { ConfigIssue } from '../../engine/api/config.ts';
export {
  BOOT_KINDS,
  DISK_BUSES,
  type DiskBus,
  type TabletKind,
  MEMORY_MIB,
  MOST_DISKS,
  MOST_SERIAL_PORTS,
  MOST_VCPUS,
  TABLETS,
  tabletOf,
} from '../../engine/api/config.ts';
export { type Problem, problemSchema } from '../../engine/api/problem.ts';
export type { AcceleratorInfo, BootEvent, ExitStatistics } from '../../engine/api/statistics.ts';
export { diskTargets, type PlacedDisk } from '../../engine/api/disk-targets.ts';
export { cpuTopology } from '../../engine/api/topology.ts';
