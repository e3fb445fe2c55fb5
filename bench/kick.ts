/**
 * How soon all vCPUs stand still when somebody asks for it, beside as many threads of a C program that do nothing but
 * look at a flag: what those take is the host's scheduler, which nothing of ours can be quicker than.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Machine } from '../engine/host/machine.ts';
import { assemble, CACHE } from '../test/guest/assemble.ts';
import { median } from './measure.ts';

/** Milliseconds from asking until every vCPU stands still. */
export interface KickLatency {
  readonly middle: number;
  readonly worst: number;
}

/** Requests measured, and milliseconds from one to the next. */
const REQUESTS = 25;
const BETWEEN = 20;

/** How soon a machine whose vCPUs all work without end stands still.
 * @throws Error where it cannot be started or paused */
export async function measureKick(vcpus: number): Promise<KickLatency> {
  const kernel = assemble(path.join(import.meta.dirname, '../test/machine/guests/smp-storm.asm'));
  const machine = Machine.create({ accel: 'wasm', memory: 64, vcpus, kernel }, { log: () => {} });
  machine.start();
  try {
    while (!machine.vcpus().every(({ instructions }) => instructions > 0)) await sleep(20);
    const times: number[] = [];
    for (let i = 0; i < REQUESTS; i++) {
      await sleep(BETWEEN);
      const start = performance.now();
      await machine.pause();
      times.push(performance.now() - start);
      machine.resume();
    }
    return latencyOf(times);
  } finally {
    machine.stop();
    await machine.ended;
  }
}

/**
 * The same for threads of the C program, as many as vCPUs.
 *
 * @returns undefined where there is no C compiler
 * @throws Error where the program cannot be built or run
 */
export function measureKickFloor(threads: number): KickLatency | undefined {
  const program = path.join(CACHE, 'kick-floor');
  mkdirSync(CACHE, { recursive: true });
  try {
    execFileSync('gcc', ['--version'], { stdio: 'ignore' });
  } catch {
    return undefined;
  }
  const source = path.join(import.meta.dirname, 'kick-floor.c');
  execFileSync('gcc', ['-O2', '-pthread', '-o', program, source]);
  const output = execFileSync(program, [threads, REQUESTS, BETWEEN].map(String), { encoding: 'utf8' });
  return latencyOf(output.trim().split('\n').map(Number));
}

const latencyOf = (times: readonly number[]): KickLatency => ({
  middle: median(times),
  worst: Math.max(...times),
});
