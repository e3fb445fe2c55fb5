/** What the list shows of a machine: its files and its engine taken together. */
import path from 'node:path';
import type { EngineState } from '../../engine/api/control.ts';
import { engineConfig, type MachineDocument } from '../contract/document.ts';
import type { MachineState, MachineSummary } from '../contract/machine.ts';
import type { StoredMachine } from '../store/library.ts';
import { lastError } from '../store/notes.ts';
import { nameIn } from '../store/stored-machine.ts';

/** What is known of a running machine. */
export interface RunningMachine {
  readonly pid: number;
  readonly state: EngineState;
  readonly document: MachineDocument | null;
}

export function summaryOf(
  stored: StoredMachine,
  running: RunningMachine | undefined,
  busy: string | null,
): MachineSummary {
  const { id, folder, document, problem } = stored;
  const shown = running?.document ?? document;
  // While it starts, the record of the last run is not yet the new one's.
  const error = lastError(folder, running !== undefined || busy === 'start');
  return {
    id,
    name: document?.name ?? nameIn(stored.text) ?? id,
    description: document?.description ?? '',
    group: document?.group ?? null,
    tags: document?.tags ?? [],
    state: stateOf(running?.state, error?.code),
    busy,
    memory: shown?.memory ?? 0,
    vcpus: shown?.vcpus ?? 0,
    boots: shown === null ? '' : bootsOf(shown),
    started: running?.state.started ?? null,
    pid: running?.pid ?? null,
    pending: shown !== null && document !== null && isPending(shown, document),
    damaged: problem,
    lastError: error,
  };
}

function stateOf(state: EngineState | undefined, error: string | undefined): MachineState {
  switch (state?.phase) {
    case 'paused':
      return 'paused';
    case 'starting':
    case 'running':
      return state.shuttingDown ? 'in shutdown' : 'running';
    case 'ready':
    case 'ended':
    case undefined:
      return error === 'guest-crash' || error === 'internal' ? 'crashed' : 'shut off';
  }
}

function bootsOf({ sample, kernel, firmware, boot, disks }: MachineDocument): string {
  if (sample) return 'sample guest';
  if (kernel !== undefined) return `kernel ${path.basename(kernel)}`;
  if (firmware !== undefined) return `firmware ${path.basename(firmware)}`;
  // What SeaBIOS comes to first.
  for (const kind of boot.order) {
    const file = disks.find(({ device, file: held }) => device === kind && held !== undefined)?.file;
    if (file !== undefined) return `${kind === 'cdrom' ? 'CD-ROM' : 'disk'} ${path.basename(file)}`;
    if (kind === 'network') return 'network';
  }
  return 'SeaBIOS';
}

/** Whether a machine that runs differs from its document in what the engine is concerned with. */
export function isPending(running: MachineDocument, stored: MachineDocument): boolean {
  const relevant = (document: MachineDocument) => {
    const { name: _, ...config } = engineConfig(document);
    return JSON.stringify([document.sample, Object.entries(config).sort(([a], [b]) => (a < b ? -1 : 1))]);
  };
  return relevant(running) !== relevant(stored);
}
