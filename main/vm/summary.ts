/** What the list shows of a machine: its files and its engine taken together. */
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { EngineState } from '../../engine/api/control.ts';
import { diskTargets } from '../../engine/api/disk-targets.ts';
import { problem as problemWith } from '../../engine/api/problem.ts';
import { engineConfig, type MachineDocument } from '../contract/document.ts';
import type { Drive, MachineState, MachineSummary } from '../contract/machine.ts';
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
  const present = presentDocument(running);
  const shown = present ?? document;
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
    graphical: shown !== null && !shown.sample && shown.kernel === undefined,
    started: running?.state.started ?? null,
    pid: running?.pid ?? null,
    pending: present !== null && document !== null && isPending(present, document),
    damaged: problem,
    drives: drivesOf(running),
    ioError: ioErrorOf(running?.state.ioError ?? null),
    lastError: error,
  };
}

/** What a machine runs with now: what it was started with, and the discs that were changed since. */
export function presentDocument(running: RunningMachine | undefined): MachineDocument | null {
  if (running === undefined || running.document === null) return null;
  const { document, state } = running;
  const media = new Map(state.media.map(({ disk, file }) => [disk, file]));
  const disks = document.disks.map((disk, i) => {
    const file = media.get(i);
    if (file === undefined || file === (disk.file ?? null)) return disk;
    // A format that was given is that of what was there.
    const { file: _, format: _format, ...drive } = disk;
    return file === null ? drive : { ...drive, file };
  });
  return { ...document, disks };
}

function drivesOf(running: RunningMachine | undefined): Drive[] {
  if (running === undefined || running.document === null) return [];
  const targets = diskTargets(running.document.disks);
  return running.state.media.map((medium) => ({ ...medium, target: targets[medium.disk] ?? '' }));
}

function ioErrorOf(message: string | null): MachineSummary['ioError'] {
  if (message === null) return null;
  return problemWith(
    'resources',
    message,
    'see to the host’s disk, then resume the machine: nothing is lost, and it tries again',
  );
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
  // SeaBIOS comes to all of these, until one has a boot sector: a new disk is passed over.
  const tried = boot.order.flatMap((kind) => {
    if (kind === 'network') return [kind];
    const file = disks.find(({ device, file: held }) => device === kind && held !== undefined)?.file;
    return file === undefined ? [] : [`${kind === 'cdrom' ? 'CD-ROM' : kind} ${path.basename(file)}`];
  });
  return tried.length === 0 ? 'SeaBIOS' : tried.join(', then ');
}

/** Whether a machine that runs differs from its document in what the engine is concerned with. */
export function isPending(running: MachineDocument, stored: MachineDocument): boolean {
  // As JSON: fields that are undefined are absent.
  const relevant = (document: MachineDocument): unknown => {
    const { name: _, ...config } = engineConfig(document);
    return JSON.parse(JSON.stringify([document.sample, config]));
  };
  return !isDeepStrictEqual(relevant(running), relevant(stored));
}
