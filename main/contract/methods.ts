/**
 * What the interface may ask: each method's parameters and result. Whoever answers checks the parameters, and
 * whoever asked checks the result, both by these schemas.
 */
import { z } from 'zod';
import { exitStatisticsSchema } from '../../engine/api/statistics.ts';
import { documentSchema } from './document.ts';
import {
  folderSchema,
  capabilitiesSchema,
  hostInfoSchema,
  mediumInfoSchema,
  settingsPatchSchema,
  settingsSchema,
} from './host.ts';
import {
  logRecordSchema,
  machineIdSchema,
  machineSummarySchema,
  operationSchema,
  sampleSchema,
} from './machine.ts';

import { newDiskSchema, poolNameSchema, poolSchema, volumeNameSchema, volumeSchema } from './storage.ts';

const nothing = z.strictObject({});
const machine = z.strictObject({ id: machineIdSchema });

/** Changes with every change of a stored configuration. */
const revision = z.string().max(64);

/** A document not yet checked: forms and text editors send what was typed. */
const draft = z.record(z.string(), z.unknown());

const name = z.string().max(256);

/** Position in a console's output: bytes since the machine was started. */
const position = z.int().nonnegative();

/** Numbers a console attached by this client. */
export const streamSchema = z.int().min(1).max(0xffffffff);

export const issueSchema = z.strictObject({
  /** The field, as `['serial', 0, 'path']`; empty where it concerns the whole. */
  path: z.array(z.union([z.string(), z.number()])),
  /** Reads on from the field's name: `must be a whole number from 1 to 64`. */
  message: z.string(),
});
export type Issue = z.output<typeof issueSchema>;

const method = <P extends z.ZodType, R extends z.ZodType>(params: P, result: R) => ({ params, result });

const TABLE = {
  'host.info': method(nothing, hostInfoSchema),
  'host.capabilities': method(nothing, capabilitiesSchema),

  /** All machines, by name. Changes follow as `machine.changed` and `machine.removed`. */
  'machine.list': method(nothing, z.strictObject({ machines: z.array(machineSummarySchema) })),
  'machine.get': method(
    machine,
    z.strictObject({
      machine: machineSummarySchema,
      /** As stored; null where it is damaged. */
      document: documentSchema.nullable(),
      /** What to give to `machine.configure`. */
      revision,
      /** What it was started with, where it runs. */
      running: documentSchema.nullable(),
      /** The stored text as it is, for a damaged configuration; else null. */
      text: z.string().nullable(),
    }),
  ),
  /** Checks a document while it is typed. With `files`, also whether the files it names can be read. */
  'machine.validate': method(
    z.strictObject({ document: draft, files: z.boolean().default(false), id: machineIdSchema.optional() }),
    z.strictObject({ issues: z.array(issueSchema) }),
  ),
  /** Makes a machine. `config` where the document is wrong, `state` where the name is taken. A new disk is made in
   * the pool that is named, else in the machine's folder, and comes before those that the document names. */
  'machine.define': method(
    z.strictObject({
      document: draft,
      newDisk: newDiskSchema.optional(),
    }),
    z.strictObject({ machine: machineSummarySchema }),
  ),
  /** Replaces the stored document. `state` where it has changed since `revision` was read. A machine that runs
   * goes on as it is, with `pending` set. */
  'machine.configure': method(
    z.strictObject({ id: machineIdSchema, revision, document: draft }),
    z.strictObject({ machine: machineSummarySchema, revision }),
  ),
  'machine.rename': method(
    z.strictObject({ id: machineIdSchema, name }),
    z.strictObject({ machine: machineSummarySchema }),
  ),
  /** Changes what the list sorts by, and nothing else; absent stays. */
  'machine.label': method(
    z.strictObject({
      id: machineIdSchema,
      group: z.string().max(256).nullable().optional(),
      tags: z.array(z.string().max(256)).max(256).optional(),
      description: z.string().max(65536).optional(),
    }),
    z.strictObject({ machine: machineSummarySchema }),
  ),
  /** Copies a machine that is off, with the files in its folder, under a new name. An operation. */
  'machine.clone': method(
    z.strictObject({ id: machineIdSchema, name }),
    z.strictObject({ machine: machineSummarySchema }),
  ),
  /** What `machine.undefine` would delete, to be named in a question before it. */
  'machine.deletion': method(
    machine,
    z.strictObject({
      folder: z.string(),
      files: z.array(z.strictObject({ name: z.string(), bytes: z.number().nonnegative() })),
    }),
  ),
  /** Deletes a machine that is off, and everything in its folder. */
  'machine.undefine': method(machine, nothing),

  /** Resolves when the guest runs. An operation. */
  'machine.start': method(
    z.strictObject({ id: machineIdSchema, paused: z.boolean().default(false) }),
    z.strictObject({ machine: machineSummarySchema }),
  ),
  /** Presses the power button. Resolves at once; the machine is `in shutdown` until the guest has powered off. */
  'machine.shutdown': method(machine, nothing),
  /** Cuts the power. Resolves when the machine is off. */
  'machine.destroy': method(machine, nothing),
  'machine.suspend': method(machine, nothing),
  'machine.resume': method(machine, nothing),
  'machine.reset': method(machine, nothing),
  /** Puts a disc into a CD-ROM drive, or takes it out: of the machine that runs, of its configuration, or of both.
   * `state` where the guest has locked the disc in, which `force` overrules. */
  'machine.changeMedium': method(
    z.strictObject({
      id: machineIdSchema,
      /** The drive, as `hdc`. */
      target: z.string().max(16),
      /** An absolute path; null takes the disc out. */
      file: z.string().max(4096).nullable(),
      live: z.boolean(),
      config: z.boolean(),
      force: z.boolean().default(false),
    }),
    nothing,
  ),
  /** Forgets the last error. */
  'machine.dismiss': method(machine, nothing),

  /** Exits by reason: of the run that goes on, else of the last; null where there is none. */
  'machine.exits': method(machine, z.strictObject({ statistics: exitStatisticsSchema.nullable() })),
  /** The samples that are kept, the oldest first: of each second of the last ten minutes. */
  'machine.series': method(machine, z.strictObject({ samples: z.array(sampleSchema) })),
  /** The records that are kept, the oldest first; of all machines where none is given. */
  'log.list': method(
    z.strictObject({ id: machineIdSchema.optional() }),
    z.strictObject({ records: z.array(logRecordSchema) }),
  ),

  /**
   * Connects to the console of a machine that runs. Its output follows as data frames of `stream`, from
   * position `from` or from as far back as is kept (at least 1 MiB), whichever is later; input goes the other
   * way. Output waits until what was sent is credited (frame.ts).
   */
  'console.attach': method(
    z.strictObject({ id: machineIdSchema, from: position.default(0) }),
    z.strictObject({
      stream: streamSchema,
      /** Position of the first byte that follows; later than `from` where output was dropped. */
      position,
      /** When the machine was started: positions of another run mean nothing in this one. */
      started: z.number(),
    }),
  ),
  /** Connects to the display of a machine that runs, as a viewer does: the stream is RFB in both directions, and
   * otherwise like a console's. */
  'display.attach': method(
    z.strictObject({ id: machineIdSchema }),
    z.strictObject({ stream: streamSchema, position, started: z.number() }),
  ),
  'console.detach': method(z.strictObject({ stream: streamSchema }), nothing),

  /** Those that run, and those that ended lately. */
  'operation.list': method(nothing, z.strictObject({ operations: z.array(operationSchema) })),
  'operation.cancel': method(z.strictObject({ id: z.int().positive() }), nothing),

  'settings.get': method(nothing, z.strictObject({ settings: settingsSchema })),
  'settings.set': method(
    z.strictObject({ settings: settingsPatchSchema }),
    z.strictObject({ settings: settingsSchema }),
  ),

  /** The pools with their images, and the images of machines that are in none. */
  'storage.list': method(
    nothing,
    z.strictObject({ pools: z.array(poolSchema), others: z.array(volumeSchema) }),
  ),
  /** Makes an image in a pool. */
  'storage.create': method(
    z.strictObject({
      pool: poolNameSchema,
      name: volumeNameSchema,
      format: z.enum(['raw', 'qcow2']),
      /** Bytes. */
      capacity: z.int().positive(),
    }),
    z.strictObject({ path: z.string() }),
  ),
  /** Makes an image larger, of a pool or of a machine that is off. */
  'storage.resize': method(
    z.strictObject({ path: z.string().max(4096), capacity: z.int().positive() }),
    nothing,
  ),
  /** Deletes an image of a pool. `state` where a machine or another image needs it. */
  'storage.delete': method(z.strictObject({ pool: poolNameSchema, name: volumeNameSchema }), nothing),
  /** Names a folder as a pool, or forgets one, whose folder stays. */
  'storage.addPool': method(z.strictObject({ name: poolNameSchema, path: z.string().max(4096) }), nothing),
  'storage.removePool': method(z.strictObject({ name: poolNameSchema }), nothing),

  /** What is on an installation medium, by its path. */
  'medium.identify': method(z.strictObject({ path: z.string().max(4096) }), mediumInfoSchema),
  /** Lists a folder: the given one, else the user's own. */
  'file.list': method(z.strictObject({ path: z.string().max(4096).optional() }), folderSchema),
  /** Asks with the desktop's own dialog; `unsupported` in a browser. Null where nothing was chosen. */
  'file.choose': method(
    z.strictObject({ title: z.string().max(256), directory: z.string().max(4096).optional() }),
    z.strictObject({ path: z.string().nullable() }),
  ),
} as const;

export type MethodName = keyof typeof TABLE;
/** What the caller gives. */
export type Params<M extends MethodName> = z.input<(typeof TABLE)[M]['params']>;
/** What the answering side gets: with what was left out filled in. */
export type CheckedParams<M extends MethodName> = z.output<(typeof TABLE)[M]['params']>;
export type Result<M extends MethodName> = z.output<(typeof TABLE)[M]['result']>;

/** The schemas of each method. */
export type Methods = {
  readonly [M in MethodName]: {
    readonly params: z.ZodType<CheckedParams<M>, Params<M>>;
    readonly result: z.ZodType<Result<M>>;
  };
};

export const METHODS: Methods = TABLE;

export function isMethodName(name: string): name is MethodName {
  return Object.hasOwn(TABLE, name);
}
