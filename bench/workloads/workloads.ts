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

/** What one round of a workload took. */
export interface Round {
  /** By the host's clock. */
  readonly seconds: number;
  /** Processor time of the engine's process, or of the program where it runs on the host. */
  readonly cpuSeconds: number;
}

/** What the first round took, between its markers, and the others, for which an engine has the code it needs. */
export interface WorkloadRun extends Round {
  readonly again: readonly Round[];
  /** All rounds by the host's clock, and by the guest's. */
  readonly allSeconds: number;
  readonly guestSeconds: number;
  /** SHA-256 of what the workload printed. */
  readonly result: string;
}

/** What is to be run, how often in one start of the guest, and the seconds that start and rounds may take together. */
export interface WorkloadJob {
  readonly workload: Workload;
  readonly rounds: number;
  readonly limit: number;
}

/** The markers of guest/run. */
const BEGIN = /@begin ([\d.]+)\r?\n/;
const ROUND = /@round [\d.]+\r?\n/;
const END = /@end ([\d.]+) (\d+) ([0-9a-f]{64})\r?\n/;

/**
 * Runs a workload in a guest.
 *
 * @param kernel a bzImage
 * @throws Error where the workload fails or does not end in time
 */
export async function runInGuest(
  engine: Engine,
  kernel: string,
  tree: Tree,
  job: WorkloadJob,
): Promise<WorkloadRun> {
  const append = `console=ttyS0 quiet workload=${job.workload} rounds=${job.rounds}`;
  const spec = { kernel, initrd: tree.initrd, append, memory: MEMORY, stdio: 'serial' } as const;
  await using machine = Console.start(engine.command(spec), engine.environment);
  return await measure(machine, job);
}

/** Runs a workload on the host itself, with the tree's own programs and libraries. */
export async function runOnHost(tree: Tree, job: WorkloadJob): Promise<WorkloadRun> {
  const scratch = mkdtempSync(path.join(tmpdir(), 'guesthouse-bench-'));
  try {
    const command = [path.join(tree.root, 'bin', 'busybox'), 'sh'] as const;
    const script = path.join(tree.root, 'workloads', 'run');
    await using shell = Console.start([...command, script, job.workload, `${job.rounds}`], {
      ROOT: tree.root,
      SCRATCH: scratch,
    });
    return await measure(shell, job);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function measure(console: Console, { workload, rounds, limit }: WorkloadJob): Promise<WorkloadRun> {
  const begin = BEGIN.exec(await console.expect(BEGIN, limit));
  const taken: Round[] = [];
  const began = performance.now();
  let [clock, used] = [began, cpuSeconds(console.pid)];
  for (let round = 0; round < rounds; round++) {
    await console.expect(ROUND, limit);
    const [now, cpu] = [performance.now(), cpuSeconds(console.pid)];
    taken.push({ seconds: (now - clock) / 1000, cpuSeconds: cpu - used });
    [clock, used] = [now, cpu];
  }
  const end = END.exec(await console.expect(END, limit));
  const [first, ...again] = taken;
  if (begin === null || end === null || first === undefined) throw new Error('a marker went by');
  const [, ended, status, result] = end;
  if (status !== '0') {
    // Its error messages come behind the marker.
    await console.status(limit).catch(() => {});
    throw new Error(`${workload} ended with status ${status}: ${console.output.slice(-1000)}`);
  }
  const guestSeconds = Number(ended) - Number(begin[1]);
  return { ...first, again, allSeconds: (clock - began) / 1000, guestSeconds, result: result! };
}
