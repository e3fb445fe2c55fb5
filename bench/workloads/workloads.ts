/** The workloads: real programs in a guest Linux, and the same on the host; see guest/run. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Engine } from '../../test/guest/engines.ts';
import { Console } from '../../test/machine/harness.ts';
import { cpuSeconds } from '../measure.ts';
import type { Tree } from './tree.ts';

/** In the order of the table; each is a file in guest/. */
export const WORKLOADS = [
  'sha256',
  'gzip',
  'xz',
  'shell',
  'fork',
  'aes',
  'chacha20',
  'sha512',
  'python',
  'sqlite',
  'compile',
  'nbody',
  'linpack',
  'pointers',
] as const;

export type Workload = (typeof WORKLOADS)[number];

/** MiB: the programs lie in memory twice while the guest unpacks them. */
const MEMORY = 512;

/** What one run of a workload took, between its markers. */
export interface WorkloadRun {
  /** By the host's clock. */
  readonly seconds: number;
  /** Processor time of the engine's process, or of the program where it runs on the host. */
  readonly cpuSeconds: number;
  /** By the guest's clock. */
  readonly guestSeconds: number;
  /** SHA-256 of what the workload printed. */
  readonly result: string;
}

/** The markers of guest/run. */
const BEGIN = /@begin ([\d.]+)\r?\n/;
const END = /@end ([\d.]+) (\d+) ([0-9a-f]{64})\r?\n/;

/**
 * Runs a workload in a guest.
 *
 * @param kernel a bzImage
 * @param limit seconds for start and workload together
 * @throws Error where the workload fails or does not end in time
 */
export async function runInGuest(
  engine: Engine,
  kernel: string,
  tree: Tree,
  workload: Workload,
  limit: number,
): Promise<WorkloadRun> {
  const append = `console=ttyS0 quiet workload=${workload}`;
  const spec = { kernel, initrd: tree.initrd, append, memory: MEMORY, stdio: 'serial' } as const;
  await using machine = Console.start(engine.command(spec), engine.environment);
  return await measure(machine, workload, limit);
}

/** Runs a workload on the host itself, with the tree's own programs and libraries. */
export async function runOnHost(tree: Tree, workload: Workload, limit: number): Promise<WorkloadRun> {
  const scratch = mkdtempSync(path.join(tmpdir(), 'guesthouse-bench-'));
  try {
    const command = [path.join(tree.root, 'bin', 'busybox'), 'sh'] as const;
    const script = path.join(tree.root, 'workloads', 'run');
    await using shell = Console.start([...command, script, workload], { ROOT: tree.root, SCRATCH: scratch });
    return await measure(shell, workload, limit);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function measure(console: Console, workload: Workload, limit: number): Promise<WorkloadRun> {
  const begin = BEGIN.exec(await console.expect(BEGIN, limit));
  const started = performance.now();
  const used = cpuSeconds(console.pid);
  const end = END.exec(await console.expect(END, limit));
  const seconds = (performance.now() - started) / 1000;
  const cpu = cpuSeconds(console.pid) - used;
  if (begin === null || end === null) throw new Error('a marker went by');
  const [, ended, status, result] = end;
  if (status !== '0') {
    // Its error messages come behind the marker.
    await console.status(limit).catch(() => {});
    throw new Error(`${workload} ended with status ${status}: ${console.output.slice(-1000)}`);
  }
  return { seconds, cpuSeconds: cpu, guestSeconds: Number(ended) - Number(begin[1]), result };
}
