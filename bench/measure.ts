/** Runs a guest and says how long it took. */
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Engine } from '../test/guest/engines.ts';
import { Console } from '../test/machine/harness.ts';
import { type Kernel, MEMORY } from './kernels.ts';

/** Status of a guest that leaves through the debug exit port with the value 0. */
const DONE = 1;

/** Clock ticks a second in which /proc says processor times: USER_HZ, 100 on every Linux (proc(5)). */
const TICKS = 100;

/** What something took: by the host's clock, and of its processors. */
export interface Cost {
  readonly seconds: number;
  /** Of the engine's process with all its threads, user and system. */
  readonly cpuSeconds: number;
}

/** One run of a kernel, from the start of the process to its end. */
export interface Run extends Cost {
  /** What the kernel computed, in hexadecimal. */
  readonly result: string;
}

/**
 * Processor time that a process, its threads and its children that have ended have used, in seconds; user and
 * system, in steps of 10 ms (proc_pid_stat(5), fields 14 to 17).
 *
 * @throws Error where there is no such process or no /proc
 */
export function cpuSeconds(pid: number): number {
  return processorTimes(pid, 14, 17);
}

/**
 * Processor time of all children of this process that have ended, with theirs, in the same way; NaN on a host that has
 * no /proc. What it grows by while one child runs is that child's.
 */
function endedChildrenSeconds(): number {
  return existsSync('/proc/self/stat') ? processorTimes('self', 16, 17) : NaN;
}

/** The sum of some fields of proc_pid_stat(5), numbered as there, in seconds. */
function processorTimes(pid: number | 'self', first: number, last: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The second field, the command's name in parentheses, may hold spaces and parentheses itself.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = fields.slice(first - 3, last - 2).reduce((sum, field) => sum + Number(field), 0);
  return ticks / TICKS;
}

/**
 * Runs a kernel once. No other child of this process may end meanwhile.
 *
 * @throws Error where the machine does not end as it should, or takes more than `limit` seconds
 */
export async function runKernel(engine: Engine, kernel: Kernel, limit: number): Promise<Run> {
  const spec = { kernel: kernel.image, memory: MEMORY, stdio: 'debugcon', debugExit: true } as const;
  const used = endedChildrenSeconds();
  const start = performance.now();
  await using machine = Console.start(engine.command(spec), engine.environment);
  const status = await machine.status(limit);
  const seconds = (performance.now() - start) / 1000;
  const cpuSeconds = endedChildrenSeconds() - used;
  const result = machine.output.trim();
  if (status !== DONE || !/^[0-9A-F]{16}$/.test(result)) {
    throw new Error(`status ${status}, printed '${result}': ${machine.errors.trim()}`);
  }
  return { seconds, cpuSeconds, result };
}

/** A Linux guest with a shell on its serial port. */
export interface Linux {
  readonly kernel: string;
  readonly initrd: string;
  /** What its shell prompts with. */
  readonly prompt: string;
}

function startLinux(engine: Engine, { kernel, initrd }: Linux): Console {
  const spec = { kernel, initrd, append: 'console=ttyS0', memory: 256, stdio: 'serial' } as const;
  return Console.start(engine.command(spec), engine.environment);
}

/** From the start of the process until the guest's shell prompts.
 * @throws Error where that takes more than `limit` seconds */
export async function bootLinux(engine: Engine, linux: Linux, limit: number): Promise<Cost> {
  const start = performance.now();
  await using machine = startLinux(engine, linux);
  await machine.expect(linux.prompt, limit);
  return { seconds: (performance.now() - start) / 1000, cpuSeconds: cpuSeconds(machine.pid) };
}

/**
 * What a guest at its prompt takes of the host, over `seconds` that begin `settle` seconds after the prompt.
 *
 * @throws Error where the boot takes more than `limit` seconds
 */
export async function idleLinux(
  engine: Engine,
  linux: Linux,
  { settle, seconds, limit }: { settle: number; seconds: number; limit: number },
): Promise<Cost> {
  await using machine = startLinux(engine, linux);
  await machine.expect(linux.prompt, limit);
  await sleep(settle * 1000);
  const start = performance.now();
  const used = cpuSeconds(machine.pid);
  await sleep(seconds * 1000);
  return {
    cpuSeconds: cpuSeconds(machine.pid) - used,
    seconds: (performance.now() - start) / 1000,
  };
}

/** The middle of some numbers, the mean of the two middle ones where their count is even. */
export function median(numbers: readonly number[]): number {
  if (numbers.length === 0) throw new RangeError('the median of nothing');
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The geometric mean, the one for ratios. */
export function geometricMean(numbers: readonly number[]): number {
  if (numbers.length === 0) throw new RangeError('the mean of nothing');
  return Math.exp(numbers.reduce((sum, number) => sum + Math.log(number), 0) / numbers.length);
}
