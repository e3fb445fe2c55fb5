/** How quick disks are: a virtio disk, past the guest's page cache, read and written in a guest Linux. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Random } from '../engine/base/random.ts';
import type { Engine } from '../test/guest/engines.ts';
import { CACHE } from '../test/guest/assemble.ts';
import { Console } from '../test/machine/harness.ts';
import { type Cost, cpuSeconds, type Linux } from './measure.ts';

const MIB = 2 ** 20;
const DISK_MIB = 256;
const BLOCK = 4096;
const READS = 100_000;
/** How often the disk is read, and written: once takes some tenths of a second, in which our processor meets most of the
 * code for the first time. */
const PASSES = 16;
/** What the disk that holds the program is filled up to. */
const SECTOR = 512;

/** A shell command so often, one after another; fails where one does. */
const repeated = (command: string): string =>
  `n=0; while [ $n -lt ${PASSES} ] && ${command}; do n=$((n + 1)); done; [ $n = ${PASSES} ]`;

/** What is done to the disk, and how much of its unit that moves. Data come from and go to nowhere. */
const DISK_WORK = {
  'disk-read': {
    command: repeated('dd if=/dev/vda of=/dev/null bs=1M iflag=direct'),
    amount: PASSES * DISK_MIB,
    unit: 'MiB/s',
  },
  'disk-write': {
    command: repeated(`dd if=/dev/zero of=/dev/vda bs=1M count=${DISK_MIB} oflag=direct`),
    amount: PASSES * DISK_MIB,
    unit: 'MiB/s',
  },
  'disk-random': {
    command: `/tmp/random-read /dev/vda ${(DISK_MIB * MIB) / BLOCK} ${READS}`,
    amount: READS,
    unit: 'IOPS',
  },
} as const;

export type DiskWork = keyof typeof DISK_WORK;

/** Each piece of work by name, with how much of its unit it moves. */
export function diskWork(): Array<readonly [name: DiskWork, work: (typeof DISK_WORK)[DiskWork]]> {
  const names: readonly DiskWork[] = ['disk-read', 'disk-write', 'disk-random'];
  return names.map((name) => [name, DISK_WORK[name]] as const);
}

/** The program of random reads, as a disk for the guest to copy it from. */
function programDisk(): { file: string; bytes: number } {
  const folder = path.join(CACHE, 'disk-bench');
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, 'random-read');
  const source = path.join(import.meta.dirname, 'workloads', 'programs', 'random-read.c');
  const options = ['-O2', '-march=x86-64', '-static', '-s', '-pthread'];
  execFileSync('gcc', [...options, '-o', file, source], { stdio: ['ignore', 'ignore', 'inherit'] });
  execFileSync('truncate', ['-s', `%${SECTOR}`, file]);
  const bytes = Number(execFileSync('stat', ['-c', '%s', file], { encoding: 'utf8' }));
  return { file, bytes };
}

/**
 * Does all of {@link diskWork} in one machine, with a disk of noise that the host has in memory.
 *
 * @param rounds how often each piece is done, before the next
 * @param limit seconds
 * @returns what each took each time
 * @throws Error where the boot or a piece of work takes more than `limit` seconds, or fails
 */
export async function measureDisk(
  engine: Engine,
  { kernel, initrd, prompt }: Linux,
  { rounds, limit }: { readonly rounds: number; readonly limit: number },
): Promise<ReadonlyMap<DiskWork, readonly Cost[]>> {
  const folder = mkdtempSync(path.join(tmpdir(), 'guesthouse-disk-'));
  try {
    const disk = path.join(folder, 'disk.raw');
    const random = new Random(3);
    const noise = Uint8Array.from({ length: MIB }, () => random.next());
    writeFileSync(disk, new Uint8Array(0));
    for (let i = 0; i < DISK_MIB; i++) writeFileSync(disk, noise, { flag: 'a' });
    const program = programDisk();
    const virtioDisks = [disk, program.file];
    const spec = {
      kernel,
      initrd,
      append: 'console=ttyS0 quiet',
      memory: 256,
      stdio: 'serial',
      virtioDisks,
    } as const;
    await using machine = Console.start(engine.command(spec), engine.environment);
    await machine.expect(prompt, limit);
    const type = async (line: string): Promise<string> => {
      machine.send(`${line}; echo status=$?\n`);
      await machine.expect('\n', limit);
      const printed = await machine.expect(/status=\d+\r?\n/, limit);
      await machine.expect(prompt, limit);
      if (!printed.includes('status=0')) throw new Error(`${line}: ${printed}`);
      return printed;
    };
    await type(`dd if=/dev/vdb of=/tmp/random-read bs=${SECTOR} && chmod +x /tmp/random-read`);
    const once = async (command: string): Promise<Cost> => {
      const start = performance.now();
      const used = cpuSeconds(machine.pid);
      await type(command);
      return {
        seconds: (performance.now() - start) / 1000,
        cpuSeconds: cpuSeconds(machine.pid) - used,
      };
    };
    const costs = new Map<DiskWork, readonly Cost[]>();
    for (const [name, { command }] of diskWork()) {
      const times: Cost[] = [];
      for (let round = 0; round < rounds; round++) times.push(await once(command));
      costs.set(name, times);
    }
    return costs;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
