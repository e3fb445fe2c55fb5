/** Runs a guest and says how long it took. */
import type { Engine } from '../test/guest/engines.ts';
import { Console } from '../test/machine/harness.ts';
import { type Kernel, MEMORY } from './kernels.ts';

/** Status of a guest that leaves through the debug exit port with the value 0. */
const DONE = 1;

/** One run of a kernel. */
export interface Run {
  /** From the start of the process to its end. */
  readonly seconds: number;
  /** What the kernel computed, in hexadecimal. */
  readonly result: string;
}

/**
 * Runs a kernel once.
 *
 * @throws Error where the machine does not end as it should, or takes more than `limit` seconds
 */
export async function runKernel(engine: Engine, kernel: Kernel, limit: number): Promise<Run> {
  const spec = { kernel: kernel.image, memory: MEMORY, stdio: 'debugcon', debugExit: true } as const;
  const start = performance.now();
  await using machine = Console.start(engine.command(spec));
  const status = await machine.status(limit);
  const seconds = (performance.now() - start) / 1000;
  const result = machine.output.trim();
  if (status !== DONE || !/^[0-9A-F]{16}$/.test(result)) {
    throw new Error(`status ${status}, printed '${result}': ${machine.errors.trim()}`);
  }
  return { seconds, result };
}

/** Seconds from the start of the process until a Linux guest's shell prompts.
 * @throws Error where that takes more than `limit` seconds */
export async function bootLinux(
  engine: Engine,
  files: { readonly kernel: string; readonly initrd: string },
  prompt: string,
  limit: number,
): Promise<number> {
  const spec = { ...files, append: 'console=ttyS0', memory: 256, stdio: 'serial' } as const;
  const start = performance.now();
  await using machine = Console.start(engine.command(spec));
  await machine.expect(prompt, limit);
  return (performance.now() - start) / 1000;
}

/** The middle of some numbers, the mean of the two middle ones where their count is even. */
export function median(numbers: readonly number[]): number {
  if (numbers.length === 0) throw new RangeError('the median of nothing');
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
