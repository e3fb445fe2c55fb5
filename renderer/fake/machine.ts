/** Machines for tests and for working on the interface without a manager. */
import type { MachineSummary, Sample } from '../../main/contract/index.ts';

/** A machine that is off, with what is given instead. */
export function fakeMachine(id: string, others: Partial<MachineSummary> = {}): MachineSummary {
  return {
    id,
    name: id,
    description: '',
    group: null,
    tags: [],
    state: 'shut off',
    busy: null,
    memory: 512,
    vcpus: 1,
    boots: 'sample guest',
    graphical: false,
    started: null,
    pid: null,
    pending: false,
    damaged: null,
    drives: [],
    ioError: null,
    lastError: null,
    ...others,
  };
}

/** A plausible sample at a time in milliseconds; `phase` tells machines apart. */
export function fakeSample(time: number, phase: number): Sample {
  const wave = (period: number): number => (1 + Math.sin(time / period + phase)) / 2;
  return {
    time,
    cpu: 10 + 80 * wave(7000),
    memory: (180 + 40 * wave(30_000)) * 2 ** 20,
    diskRead: null,
    diskWrite: null,
    instructions: 9e7 * wave(7000),
    exits: 4000 * wave(5000),
    console: 900 * wave(3000),
  };
}
