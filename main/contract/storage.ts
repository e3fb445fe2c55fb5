/** Storage: pools, which are folders, and the images in them. */
import { z } from 'zod';
import { DISK_BUSES } from '../../engine/api/config.ts';
import { problemSchema } from '../../engine/api/problem.ts';
import { machineIdSchema } from './machine.ts';

const bytes = z.number().nonnegative();

/** What an image is called in its pool: a plain file name, never a path. */
export const volumeNameSchema = z
  .string()
  .regex(/^(?!\.)[^/\\\0]{1,200}$/, 'must be a file name that does not begin with a dot');

/** What a pool is called. */
export const poolNameSchema = z
  .string()
  .regex(
    /^[\p{L}\p{N}][\p{L}\p{N} ._-]{0,63}$/u,
    'must be 1 to 64 letters, digits, spaces, dots, dashes or underscores',
  );

/** Formats that an image can be made in, the usual one first. */
export const NEW_FORMATS = ['qcow2', 'raw'] as const;

/** GiB of a new disk at most. */
export const MOST_GIBIBYTES = 65536;

/** A disk that is made with its machine. */
export const newDiskSchema = z.strictObject({
  gibibytes: z.int().min(1).max(MOST_GIBIBYTES),
  bus: z.enum(DISK_BUSES).default('ide'),
  format: z.enum(NEW_FORMATS).default('qcow2'),
  /** Where it is kept; in the machine's own folder where absent. */
  pool: poolNameSchema.optional(),
});
export type NewDisk = z.output<typeof newDiskSchema>;

/** A file name for an image, with the ending that is usual for its format. */
export function imageName(base: string, format: (typeof NEW_FORMATS)[number]): string {
  return `${base}${format === 'raw' ? '.img' : '.qcow2'}`;
}

/** A machine that has an image as one of its disks. */
export const volumeUserSchema = z.strictObject({
  id: machineIdSchema,
  name: z.string(),
  /** As `vda`. */
  target: z.string(),
  running: z.boolean(),
});

export const volumeSchema = z.strictObject({
  name: z.string(),
  /** Absolute. */
  path: z.string(),
  /** Null for an image that is in no pool. */
  pool: z.string().nullable(),
  /** Null where it cannot be read, and then `problem` says why. */
  format: z.enum(['raw', 'qcow2']).nullable(),
  /** What a guest sees, and what it takes on the host's disk. */
  capacity: bytes,
  allocation: bytes,
  /** The image behind it, as an absolute path. */
  backing: z.string().nullable(),
  users: z.array(volumeUserSchema),
  /** Paths of known images that it is behind of. */
  overlays: z.array(z.string()),
  problem: problemSchema.nullable(),
});
export type Volume = z.output<typeof volumeSchema>;

export const poolSchema = z.strictObject({
  name: z.string(),
  /** Absolute. */
  path: z.string(),
  /** The one that is always there. */
  builtIn: z.boolean(),
  /** Of the file system that it is on; null where that is not known. */
  capacity: bytes.nullable(),
  available: bytes.nullable(),
  volumes: z.array(volumeSchema),
  /** Why its folder can't be listed; null where it can. */
  problem: problemSchema.nullable(),
});
export type Pool = z.output<typeof poolSchema>;

/** The pool that is always there. */
export const DEFAULT_POOL = 'default';
