/** What a machine tells about itself while it runs. */
import { z } from 'zod';

const figure = z.number().nonnegative();

/** Something that happened while a machine started. */
export const bootEventSchema = z.strictObject({
  event: z.enum([
    'Reset',
    'PostCode',
    'ProtectedMode',
    'OptionRom',
    'BootDevice',
    'Loader',
    'Kernel',
    'LongMode',
    'Smp',
    'UserMode',
  ]),
  /** Guest time since the reset. */
  seconds: figure,
  /** The POST code. */
  code: z.int().min(0).max(255).optional(),
});

export type BootEvent = z.output<typeof bootEventSchema>;

/** Exits of all vCPUs by reason, since the machine started. Times in seconds. */
export const exitStatisticsSchema = z.strictObject({
  exits: z.array(z.strictObject({ reason: z.string(), count: figure, seconds: figure })).readonly(),
  /** Port and memory accesses by address, the most frequent first; those that there was no room to tell apart
   * as one, `other`. */
  accesses: z
    .array(
      z.strictObject({
        kind: z.enum(['port', 'memory', 'other']),
        address: figure,
        count: figure,
        seconds: figure,
      }),
    )
    .readonly(),
  instructions: figure,
  /** In the guest; an estimate. */
  guestSeconds: figure,
  /** In the guest or serving its exits, HLT apart. */
  awakeSeconds: figure,
  /** All time, asleep or not, of the vCPU that ran longest. */
  seconds: figure,
  /** What the accelerator counts beyond that; empty until the machine has ended. */
  accelerator: z.record(z.string(), z.number()).readonly(),
  /** How it started, since its last reset, in order of time. */
  boot: z.array(bootEventSchema).readonly().default([]),
});

export type ExitStatistics = z.output<typeof exitStatisticsSchema>;

/** One vCPU of a machine that runs. */
export const vcpuInfoSchema = z.strictObject({
  /** As virsh has it: `running`, `blocked` (halted), `offline` (not started by the guest), `crashed`. */
  state: z.enum(['running', 'blocked', 'offline', 'crashed']),
  apicId: z.int().nonnegative(),
  socket: z.int().nonnegative(),
  /** Of the socket. */
  core: z.int().nonnegative(),
  /** Of the core. */
  thread: z.int().nonnegative(),
  /** In the guest or serving its exits, HLT apart. */
  awakeSeconds: figure,
  instructions: figure,
});

export type VcpuInfo = z.output<typeof vcpuInfoSchema>;

/** What the engine's process has used of the host and what the guest did with it, since it started. */
export const usageSchema = z.strictObject({
  /** Milliseconds since 1970 at which this was counted. */
  time: figure,
  /** Processor time of all its threads, in seconds. */
  processorSeconds: figure,
  /** Resident memory, in bytes. */
  residentBytes: figure,
  /** Instructions the guest has executed. */
  instructions: figure,
  /** All exits. */
  exits: figure,
  /** Bytes the guest has written to its console. */
  consoleBytes: figure,
  /** What its disks have moved, in bytes; null where the machine has none. */
  disk: z.strictObject({ readBytes: figure, writtenBytes: figure }).nullable(),
});

export type Usage = z.output<typeof usageSchema>;

const requestCounts = z.strictObject({ requests: figure, bytes: figure, seconds: figure });

/** What a disk has moved since the machine was started: requests that the host has carried out, and how long that
 * took it. */
export const diskStatisticsSchema = z.strictObject({
  read: requestCounts,
  /** What is discarded counts as a request without bytes. */
  write: requestCounts,
  flush: requestCounts,
  /** Requests that the host has failed. */
  errors: figure,
});

export type DiskStatistics = z.output<typeof diskStatisticsSchema>;

/** One accelerator on this host. */
export const acceleratorInfoSchema = z.strictObject({
  name: z.string(),
  available: z.boolean(),
  /** Why not, in one line; null where it is available. */
  reason: z.string().nullable(),
  features: z.array(z.string()),
  /** The best first. */
  cpuModels: z.array(z.string()),
  /** Most vCPUs of a machine. */
  mostVcpus: z.int().positive(),
});

export type AcceleratorInfo = z.output<typeof acceleratorInfoSchema>;
