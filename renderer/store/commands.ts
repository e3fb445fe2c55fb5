/** What can be done with machines, and when. */
import type { MachineSummary } from '../../main/contract/index.ts';

export const COMMANDS = [
  'open',
  'start',
  'resume',
  'suspend',
  'shutdown',
  'reset',
  'destroy',
  'clone',
  'rename',
  'label',
  'delete',
] as const;
export type Command = (typeof COMMANDS)[number];

const isOff = ({ state }: MachineSummary): boolean => state === 'shut off' || state === 'crashed';
const isIdle = ({ busy }: MachineSummary): boolean => busy === null;
const isWhole = ({ damaged }: MachineSummary): boolean => damaged === null;

const POSSIBLE: Record<Command, (machine: MachineSummary) => boolean> = {
  open: () => true,
  start: (machine) => isOff(machine) && isIdle(machine) && isWhole(machine),
  resume: (machine) => machine.state === 'paused' && isIdle(machine),
  suspend: ({ state, busy }) => (state === 'running' || state === 'in shutdown') && busy === null,
  // Again while it is shutting down: a guest may have missed the first time.
  shutdown: (machine) => (machine.state === 'running' || machine.state === 'in shutdown') && isIdle(machine),
  reset: (machine) => !isOff(machine) && isIdle(machine),
  // Whatever goes on: this is the way out.
  destroy: (machine) => !isOff(machine),
  clone: (machine) => isOff(machine) && isIdle(machine) && isWhole(machine),
  rename: (machine) => isIdle(machine) && isWhole(machine),
  label: (machine) => isIdle(machine) && isWhole(machine),
  delete: (machine) => isOff(machine) && isIdle(machine),
};

/** Commands that concern one machine at a time. */
const SINGLE: ReadonlySet<Command> = new Set(['clone', 'rename']);

/** Those of the machines that a command can be used on; none where it takes one and there are several. */
export function applicable(command: Command, machines: readonly MachineSummary[]): readonly MachineSummary[] {
  if (SINGLE.has(command) && machines.length > 1) return [];
  return machines.filter(POSSIBLE[command]);
}

/** The commands that lead on from a state, as a tool bar shows them: one of start and resume. */
export function startOrResume(machines: readonly MachineSummary[]): 'start' | 'resume' {
  return machines.some(({ state }) => state === 'paused') ? 'resume' : 'start';
}
