/**
 * What several vCPUs are worth: Linux with two, beside one. A host with other work to do makes two vCPUs share a core
 * at times, which the clock shows and processor time does not.
 */
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Machine } from '../engine/host/machine.ts';
import { assemble } from '../test/guest/assemble.ts';
import { guesthouse } from '../test/guest/engines.ts';
import { Console } from '../test/machine/harness.ts';
import { type Cost, cpuSeconds, type Linux, median } from './measure.ts';

/** A workload that computes and does nothing else. */
const COMPUTE = `awk 'BEGIN { for (i = 0; i < 1500000; i++) s += i % 7; print s }'`;

/** Half a job such as a build: processes, pipes and files. */
const HALF = 'for i in 1 2 3 4 5 6 7 8; do seq 1 3000 | sort -n | md5sum > /tmp/$1$i; done';

/** What each is: shell commands for the guest. */
const WORK = {
  'one copy': `${COMPUTE} > /dev/null`,
  'two copies': `${COMPUTE} > /dev/null & ${COMPUTE} > /dev/null; wait`,
  'one after the other': 'half a; half b',
  'at the same time': 'half a & half b; wait',
} as const;

type Work = keyof typeof WORK;

/** What one and two vCPUs take. */
export interface SmpFigures {
  readonly boot: { readonly one: Cost; readonly two: Cost };
  readonly work: Readonly<Record<Work, Cost>>;
}

const specOf = ({ kernel, initrd }: Linux, vcpus: number) =>
  ({ kernel, initrd, append: 'console=ttyS0', memory: 256, vcpus, stdio: 'serial' }) as const;

/**
 * Boots Linux with one vCPU and with two, and has the latter work.
 *
 * @param limit seconds that each step may take
 * @throws Error where one does not end in time
 */
export async function measureSmp(linux: Linux, limit: number): Promise<SmpFigures> {
  const one = await boot(linux, 1, limit, async (_, cost) => cost);
  return boot(linux, 2, limit, async (machine, two) => {
    machine.send(`half() { ${HALF}; }\n`);
    await machine.expect(linux.prompt, limit);
    // Once before it counts: what is run for the first time is decoded and translated.
    await timed(machine, linux.prompt, WORK['two copies'], limit);
    await timed(machine, linux.prompt, WORK['at the same time'], limit);
    const run = (work: Work) => timed(machine, linux.prompt, WORK[work], limit);
    const work = {
      'one copy': await run('one copy'),
      'two copies': await run('two copies'),
      'one after the other': await run('one after the other'),
      'at the same time': await run('at the same time'),
    };
    return { boot: { one, two }, work };
  });
}

async function boot<T>(
  linux: Linux,
  vcpus: number,
  limit: number,
  then: (machine: Console, cost: Cost) => Promise<T>,
): Promise<T> {
  const start = performance.now();
  const [program, ...args] = guesthouse.command(specOf(linux, vcpus));
  await using machine = Console.start([program, ...args], guesthouse.environment);
  await machine.expect(linux.prompt, limit);
  const cost = { seconds: (performance.now() - start) / 1000, cpuSeconds: cpuSeconds(machine.pid) };
  return await then(machine, cost);
}

/** What a command takes, from the line that starts it to the next prompt. */
async function timed(machine: Console, prompt: string, command: string, limit: number): Promise<Cost> {
  const start = performance.now();
  const used = cpuSeconds(machine.pid);
  machine.send(`${command}\n`);
  await machine.expect(prompt, limit);
  return { seconds: (performance.now() - start) / 1000, cpuSeconds: cpuSeconds(machine.pid) - used };
}

/** Milliseconds from asking until every vCPU stands still. */
export interface KickLatency {
  readonly middle: number;
  readonly worst: number;
}

/** Pauses measured for {@link measureKick}. */
const PAUSES = 25;

/** How soon a machine whose vCPUs all work without end stands still.
 * @throws Error where it cannot be started or paused */
export async function measureKick(vcpus: number): Promise<KickLatency> {
  const kernel = assemble(path.join(import.meta.dirname, '../test/machine/guests/smp-storm.asm'));
  const machine = Machine.create({ accel: 'wasm', memory: 64, vcpus, kernel }, { log: () => {} });
  machine.start();
  try {
    while (!machine.vcpus().every(({ instructions }) => instructions > 0)) await sleep(20);
    const times: number[] = [];
    for (let i = 0; i < PAUSES; i++) {
      await sleep(20);
      const start = performance.now();
      await machine.pause();
      times.push(performance.now() - start);
      machine.resume();
    }
    return { middle: median(times), worst: Math.max(...times) };
  } finally {
    machine.stop();
    await machine.ended;
  }
}
