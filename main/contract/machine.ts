/** Machines as the manager shows them. */
import { z } from 'zod';
import { problemSchema } from '../../engine/api/problem.ts';

/** Names a machine for good: the name of its folder in the library, a UUID where we made it. Never a path. */
export const machineIdSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/, 'is not the id of a machine');

/** The state of a machine, in virsh's words. */
export const MACHINE_STATES = ['running', 'paused', 'in shutdown', 'shut off', 'crashed'] as const;
export const machineStateSchema = z.enum(MACHINE_STATES);
export type MachineState = z.output<typeof machineStateSchema>;

const count = z.number().nonnegative();
/** Milliseconds since 1970. */
export const timeSchema = z.number().nonnegative();

/** One measurement of a running machine; rates are over the time since the last. */
export const sampleSchema = z.strictObject({
  time: timeSchema,
  /** Percent of one of the host's processors: 100 is one busy, so it may exceed 100. */
  cpu: count,
  /** Memory of the host that the machine occupies, in bytes: its engine's resident set. */
  memory: count,
  /** Bytes per second; null where the machine has no disks. */
  diskRead: count.nullable(),
  diskWrite: count.nullable(),
  /** Guest instructions per second. */
  instructions: count,
  /** Exits per second, of all reasons. */
  exits: count,
  /** Bytes per second that the guest writes to its console. */
  console: count,
});
export type Sample = z.output<typeof sampleSchema>;

/** What went wrong last, kept on the machine until it is dismissed or started anew. */
export const lastErrorSchema = problemSchema.extend({ time: timeSchema });
export type LastError = z.output<typeof lastErrorSchema>;

/** A CD-ROM drive of a machine that runs. */
export const driveSchema = z.strictObject({
  /** What it is called, as `hdc`, and its number among the disks that the machine was started with. */
  target: z.string(),
  disk: z.int().nonnegative(),
  /** What is in it; null for nothing. */
  file: z.string().nullable(),
  /** The guest has ejected what is in it. */
  trayOpen: z.boolean(),
  /** The guest keeps it from being taken out. */
  locked: z.boolean(),
});
export type Drive = z.output<typeof driveSchema>;

/** What the list shows of a machine. */
export const machineSummarySchema = z.strictObject({
  id: machineIdSchema,
  /** The folder's name where the configuration cannot be read. */
  name: z.string(),
  description: z.string(),
  group: z.string().nullable(),
  tags: z.array(z.string()),
  state: machineStateSchema,
  /** What is being done to it, as `start` or `clone`; null where nothing is. */
  busy: z.string().nullable(),
  /** Guest memory in MiB and vCPUs: of the running machine, else as configured. */
  memory: z.int().nonnegative(),
  vcpus: z.int().nonnegative(),
  /** What it boots, as `sample guest`, `kernel vmlinuz`, `firmware OVMF.fd`. */
  boots: z.string(),
  /** Its guest is met on its screen, as with everything that firmware boots; else on its console. */
  graphical: z.boolean(),
  /** When it was started; null while it is off. */
  started: timeSchema.nullable(),
  /** The process id of its engine; null while it is off. */
  pid: z.int().nullable(),
  /** Its configuration was changed after it was started; it takes effect at the next start. */
  pending: z.boolean(),
  /** Its configuration is damaged or made by a newer version: it can be looked at and deleted, no more. */
  damaged: problemSchema.nullable(),
  /** Its CD-ROM drives while it runs. */
  drives: z.array(driveSchema),
  /** Why it is paused, where the host has failed one of its disks; null else. */
  ioError: problemSchema.nullable(),
  lastError: lastErrorSchema.nullable(),
});
export type MachineSummary = z.output<typeof machineSummarySchema>;

/** One line of a machine's log. */
export const logRecordSchema = z.strictObject({
  /** Rises by one with each record of a manager. */
  sequence: z.int().nonnegative(),
  time: timeSchema,
  /** Null for what concerns the manager itself. */
  machine: machineIdSchema.nullable(),
  level: z.enum(['debug', 'info', 'warn', 'error']),
  /** The part that speaks, as `vcpu 0` or `manager`. */
  scope: z.string(),
  text: z.string(),
});
export type LogRecord = z.output<typeof logRecordSchema>;

/** Something that takes a while. */
export const operationSchema = z.strictObject({
  id: z.int().positive(),
  /** As `start`, `clone`, `delete`. */
  kind: z.string(),
  machine: machineIdSchema.nullable(),
  /** The machine's name when the operation began. */
  name: z.string(),
  /** What is being done now, in one line. */
  step: z.string(),
  /** 0 to 1; null where that is not known. */
  progress: z.number().min(0).max(1).nullable(),
  cancellable: z.boolean(),
  state: z.enum(['running', 'done', 'failed', 'cancelled']),
  error: problemSchema.nullable(),
});
export type Operation = z.output<typeof operationSchema>;
