/** The benchmark's guests: images that do a known amount of work and end. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { assemble } from '../test/guest/assemble.ts';

export interface Kernel {
  readonly name: string;
  /** What {@link work} counts. */
  readonly unit: 'instructions' | 'bytes';
  readonly image: string;
  readonly work: number;
}

/** The kernel that does nothing: what starting and ending a machine take. */
export const EMPTY = 'empty';

/** What the work of each is counted in. */
export const UNITS = {
  integer: 'instructions',
  stream: 'instructions',
  chase: 'instructions',
  branch: 'instructions',
  call: 'instructions',
  float: 'instructions',
  string: 'bytes',
} as const satisfies Record<string, Kernel['unit']>;

export type KernelName = keyof typeof UNITS;

/** Their names, in the order of the table. */
export const KERNELS = Object.keys(UNITS) as KernelName[];

/** MiB of guest memory that the kernels need. */
export const MEMORY = 64;

/**
 * Assembles a kernel.
 *
 * @param name one of {@link KERNELS}, or {@link EMPTY}
 * @param scale percent of its usual work, a whole number of at least 1
 * @throws Error where NASM is missing
 */
export function kernel(name: KernelName | typeof EMPTY, scale: number): Kernel {
  const image = assemble(path.join(import.meta.dirname, 'kernels', `${name}.asm`), { SCALE: scale });
  // The image says how much it does in its last eight bytes.
  const bytes = readFileSync(image);
  const work = Number(bytes.readBigUInt64LE(bytes.length - 8));
  return { name, unit: name === EMPTY ? 'instructions' : UNITS[name], image, work };
}
