/**
 * What several vCPUs are worth: Linux with two, beside one. A host with other work to do makes two vCPUs share a core
 * at times, which the clock shows and processor time does not; where what others do shares a core's parts with us, both
 * show it.
 */
import { guesthouse } from '../test/guest/engines.ts';
import { Console } from '../test/machine/harness.ts';
import { type Cost, cpuSeconds, type Linux, median } from './measure.ts';

/** A workload that computes and does nothing else. */
const COMPUTE = `awk 'BEGIN { for (i = 0; i < 150000; i++) s += i % 7; print s }'`;

/** Half a job such as a build: programs, one after another, that read files, compute, and write files. */
const HALF =
  'for i in 1 2 3 4; do seq 1 3000 > /tmp/$1; sort -n /tmp/$1 > /tmp/$1.s; gzip -c /tmp/$1.s | md5sum > /tmp/$1$i; done';

/** What each is: how many vCPUs the machine has that does it, and shell commands for the guest. */
const WORK = {
  'one copy': { vcpus: 2, commands: `${COMPUTE} > /dev/null` },
  'two copies': { vcpus: 2, commands: `${COMPUTE} > /dev/null & ${COMPUTE} > /dev/null; wait` },
  'one after the other': { vcpus: 2, commands: 'half a; half b' },
  'at the same time': { vcpus: 2, commands: 'half a & half b; wait' },
  'by one vCPU': { vcpus: 1, commands: 'half a; half b' },
} as const;

type Work = keyof typeof WORK;

/** In the order in which they take turns: what is compared is measured one right after the other, as the host may be
 * another a minute later. */
const WORKS = Object.keys(WORK) as readonly Work[];

/** Times that all is done before it counts: what a vCPU runs for the first time is decoded and translated. */
const WARM_UP = 2;
/** Times that it counts. */
const ROUNDS = 5;

/** How many times as long one thing takes as another: by the clock, and in processor time. */
export interface Ratio {
  readonly seconds: number;
  readonly cpuSeconds: number;
}

/** What two vCPUs take, in times of what stands beside them. */
export interface SmpFigures {
  /** To the shell's prompt, beside one vCPU. */
  readonly boot: Ratio;
  /** Two copies of a workload at the same time, beside one copy. */
  readonly copies: Ratio;
  /** A job in two halves at the same time, beside a machine of one vCPU that does one after the other. */
  readonly job: Ratio;
  /** The same, beside one half after the other. */
  readonly halves: Ratio;
}

const specOf = ({ kernel, initrd }: Linux, vcpus: number) =>
  ({ kernel, initrd, append: 'console=ttyS0', memory: 256, vcpus, stdio: 'serial' }) as const;

/**
 * Boots Linux with one vCPU and with two, and has both work by turns.
 *
 * @param limit seconds that each step may take
 * @throws Error where one does not end in time
 */
export async function measureSmp(linux: Linux, limit: number): Promise<SmpFigures> {
  await using one = start(linux, 1);
  const bootOne = await booted(one, linux.prompt, limit);
  await using two = start(linux, 2);
  const bootTwo = await booted(two, linux.prompt, limit);
  const machines = { 1: one, 2: two };

  const rounds: Array<(work: Work) => Cost> = [];
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    const costs = new Map<Work, Cost>();
    for (const work of WORKS) {
      const { vcpus, commands } = WORK[work];
      costs.set(work, await timed(machines[vcpus], linux.prompt, commands, limit));
    }
    if (round >= 0) rounds.push((work) => costs.get(work) ?? { seconds: NaN, cpuSeconds: NaN });
  }
  const compare = (work: Work, beside: Work): Ratio => {
    const ratios = rounds.map((cost) => ratioOf(cost(work), cost(beside)));
    return middle(ratios);
  };
  return {
    boot: ratioOf(bootTwo, bootOne),
    copies: compare('two copies', 'one copy'),
    job: compare('at the same time', 'by one vCPU'),
    halves: compare('at the same time', 'one after the other'),
  };
}

const ratioOf = (cost: Cost, beside: Cost): Ratio => ({
  seconds: cost.seconds / beside.seconds,
  cpuSeconds: cost.cpuSeconds / beside.cpuSeconds,
});

/** Of several ratios the middle one of each kind. */
export const middle = (ratios: readonly Ratio[]): Ratio => ({
  seconds: median(ratios.map(({ seconds }) => seconds)),
  cpuSeconds: median(ratios.map(({ cpuSeconds }) => cpuSeconds)),
});

function start(linux: Linux, vcpus: number): Console {
  return Console.start(guesthouse.command(specOf(linux, vcpus)), guesthouse.environment);
}

/** What it takes a machine that has just been started to come to its prompt; it then knows what half a job is. */
async function booted(machine: Console, prompt: string, limit: number): Promise<Cost> {
  const start = performance.now();
  await machine.expect(prompt, limit);
  const cost = { seconds: (performance.now() - start) / 1000, cpuSeconds: cpuSeconds(machine.pid) };
  await timed(machine, prompt, `half() { ${HALF}; }`, limit);
  return cost;
}

/** What a command takes, from the line that starts it to the next prompt. */
async function timed(machine: Console, prompt: string, command: string, limit: number): Promise<Cost> {
  const start = performance.now();
  const used = cpuSeconds(machine.pid);
  machine.send(`${command}\n`);
  await machine.expect(prompt, limit);
  return { seconds: (performance.now() - start) / 1000, cpuSeconds: cpuSeconds(machine.pid) - used };
}
