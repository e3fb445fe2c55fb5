/**
 * What several vCPUs are worth: Linux with two, beside one. A host with other work to do makes two vCPUs share a core
 * at times, which the clock shows and processor time does not.
 */
import { guesthouse } from '../test/guest/engines.ts';
import { Console } from '../test/machine/harness.ts';
import { type Cost, cpuSeconds, type Linux, median } from './measure.ts';

/** A workload that computes and does nothing else. */
const COMPUTE = `awk 'BEGIN { for (i = 0; i < 1500000; i++) s += i % 7; print s }'`;

/** Half a job such as a build: programs, one after another, that read files, compute, and write files. */
const HALF =
  'for i in 1 2 3 4; do seq 1 3000 > /tmp/$1; sort -n /tmp/$1 > /tmp/$1.s; gzip -c /tmp/$1.s | md5sum > /tmp/$1$i; done';

/** What each is: shell commands for the guest. */
const WORK = {
  'one copy': `${COMPUTE} > /dev/null`,
  'two copies': `${COMPUTE} > /dev/null & ${COMPUTE} > /dev/null; wait`,
  'one after the other': 'half a; half b',
  'at the same time': 'half a & half b; wait',
} as const;

type Work = keyof typeof WORK;

const WORKS = ['one copy', 'two copies', 'one after the other', 'at the same time'] as const satisfies Work[];

/** The whole job, with nothing at the same time. */
const JOB: Work = 'one after the other';

/** Times that all is done before it counts: what a vCPU runs for the first time is decoded and translated. */
const WARM_UP = 2;
/** Times that it counts. The works take turns, so that a busy host slows all of them. */
const ROUNDS = 3;

/** What one and two vCPUs take. */
export interface SmpFigures {
  readonly boot: { readonly one: Cost; readonly two: Cost };
  /** What each work takes on a machine of one vCPU, and of two; only {@link JOB} is done by one. */
  readonly work: Readonly<Record<'one' | 'two', (work: Work) => Cost>>;
}

const specOf = ({ kernel, initrd }: Linux, vcpus: number) =>
  ({ kernel, initrd, append: 'console=ttyS0', memory: 256, vcpus, stdio: 'serial' }) as const;

/**
 * Boots Linux with one vCPU and with two, and has both work.
 *
 * @param limit seconds that each step may take
 * @throws Error where one does not end in time
 */
export async function measureSmp(linux: Linux, limit: number): Promise<SmpFigures> {
  const one = await boot(linux, 1, limit, async (machine, cost) => ({
    cost,
    work: await measureWork(machine, linux.prompt, [JOB], limit),
  }));
  const two = await boot(linux, 2, limit, async (machine, cost) => ({
    cost,
    work: await measureWork(machine, linux.prompt, WORKS, limit),
  }));
  return { boot: { one: one.cost, two: two.cost }, work: { one: one.work, two: two.work } };
}

/** What each work takes, of several rounds the middle. */
async function measureWork(
  machine: Console,
  prompt: string,
  works: readonly Work[],
  limit: number,
): Promise<(work: Work) => Cost> {
  machine.send(`half() { ${HALF}; }\n`);
  await machine.expect(prompt, limit);
  const costs = new Map<Work, Cost[]>(works.map((work) => [work, []]));
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    for (const [work, all] of costs) {
      const cost = await timed(machine, prompt, WORK[work], limit);
      if (round >= 0) all.push(cost);
    }
  }
  return (work) => {
    const all = costs.get(work) ?? [];
    return {
      seconds: median(all.map((cost) => cost.seconds)),
      cpuSeconds: median(all.map((cost) => cost.cpuSeconds)),
    };
  };
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
