/** The host, the settings, and the files that can be chosen. */
import { z } from 'zod';
import { DISK_BUSES, TABLETS } from '../../engine/api/config.ts';
import { acceleratorInfoSchema } from '../../engine/api/statistics.ts';

/** What machines run on. */
export const hostInfoSchema = z.strictObject({
  hostname: z.string(),
  /** As `Linux 6.12.0 x64`. */
  system: z.string(),
  /** Processors that can work at once, and the model's name. */
  cpus: z.int().positive(),
  cpuModel: z.string(),
  /** Bytes. */
  memory: z.number().positive(),
  freeMemory: z.number().nonnegative(),
  /** Memory that a new machine gets where nothing is said, and the most that one can have, in MiB. */
  machineMemory: z.strictObject({ usual: z.int().positive(), most: z.int().positive() }),
  /** Where machines are kept. */
  library: z.string(),
});
export type HostInfo = z.output<typeof hostInfoSchema>;

/** What can run machines here. Finding that out takes a process and a second or two. */
export const capabilitiesSchema = z.strictObject({
  /** All that are known, the preferred first; what cannot run here says why. */
  accelerators: z.array(acceleratorInfoSchema),
  /** Virtual processors that a new machine gets where nothing is said, and the most that one can have. */
  machineVcpus: z.strictObject({ usual: z.int().positive(), most: z.int().positive() }),
});
export type Capabilities = z.output<typeof capabilitiesSchema>;

/** Any JSON value: what the interface remembers in its own shape. */
const json = z.json();

/** Longest `view`, in characters of JSON. */
const LONGEST_VIEW = 65536;

export const settingsSchema = z.strictObject({
  theme: z.enum(['system', 'light', 'dark']).default('system'),
  /** What closing the last window does while machines run. */
  onQuit: z.enum(['ask', 'tray', 'shutdown', 'destroy']).default('ask'),
  /** Ask before force off and delete. */
  confirm: z.boolean().default(true),
  /** The desktop's main window, in pixels; null before it was first closed. */
  window: z
    .strictObject({
      x: z.int().nullable(),
      y: z.int().nullable(),
      width: z.int().min(200).max(16384),
      height: z.int().min(200).max(16384),
      maximized: z.boolean(),
    })
    .nullable()
    .default(null),
  /** What the interface remembers: columns, sizes, open tabs. Its shape is the interface's own. */
  view: z
    .record(z.string(), json)
    .default({})
    .refine(
      (view) => JSON.stringify(view).length <= LONGEST_VIEW,
      `is longer than ${LONGEST_VIEW} characters`,
    ),
});
export type Settings = z.output<typeof settingsSchema>;

/** Changes to the settings: what is absent stays. Entries of `view` are replaced one by one; null removes one. */
export const settingsPatchSchema = z.strictObject({
  theme: settingsSchema.shape.theme.unwrap().optional(),
  onQuit: settingsSchema.shape.onQuit.unwrap().optional(),
  confirm: z.boolean().optional(),
  window: settingsSchema.shape.window.unwrap().optional(),
  view: z.record(z.string(), json).optional(),
});
export type SettingsPatch = z.output<typeof settingsPatchSchema>;

/** A folder of the host, to choose a file in where there is no native dialog. */
export const folderSchema = z.strictObject({
  path: z.string(),
  /** Null at the top. */
  parent: z.string().nullable(),
  /** Folders first, each part by name. Hidden ones are left out. */
  entries: z.array(
    z.strictObject({
      name: z.string(),
      path: z.string(),
      folder: z.boolean(),
      size: z.number().nonnegative(),
    }),
  ),
  /** There were more than are listed. */
  truncated: z.boolean(),
});
export type Folder = z.output<typeof folderSchema>;

/** What is known of an installation medium. */
export const mediumInfoSchema = z.strictObject({
  /** The volume's label; null for what is no ISO image. */
  label: z.string().nullable(),
  /** The operating system that it installs or starts; null where none is known. */
  system: z
    .strictObject({
      name: z.string(),
      /** What a machine for it may be called. */
      id: z.string(),
      /** What makes sense for it: MiB, and GiB, 0 where it needs no disk. */
      memory: z.int().positive(),
      disk: z.int().nonnegative(),
      /** The quickest bus of disks that it has drivers for. */
      bus: z.enum(DISK_BUSES),
      /** What its pointer is moved by; null where it has a driver for what machines have by default. */
      tablet: z.enum(TABLETS).nullable(),
    })
    .nullable(),
});
export type MediumInfo = z.output<typeof mediumInfoSchema>;
