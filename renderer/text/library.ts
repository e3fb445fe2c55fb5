/** The list of machines, and what is done with them. */
import type { MachineState, Problem } from '../../main/contract/index.ts';
import { FORMATS } from './format.ts';

const { machines } = FORMATS;

const STATES: Record<MachineState, string> = {
  running: 'Running',
  paused: 'Paused',
  'in shutdown': 'Shutting down',
  'shut off': 'Off',
  crashed: 'Crashed',
};

/** What to do about a failure that does not say so itself, by its code. */
const HINTS: Readonly<Record<Problem['code'], string | undefined>> = {
  config: 'Change the configuration in Details, then try again.',
  file: 'See that the file is there and can be read, or choose another in Details.',
  resources: 'See that the host has memory, space and permission for it, then try again.',
  unsupported: 'Choose something in Details that this computer offers.',
  'guest-crash':
    'The guest broke off by itself. What it wrote last is in its console; it can be started again.',
  internal:
    'This is a defect of Guesthouse: please copy the details for a report. The machine can be started again.',
  // These say it themselves, where anything can be done.
  state: undefined,
  usage: undefined,
};

export const LIBRARY = {
  state: STATES,
  damagedState: 'Unreadable',
  pending: 'Changes wait for the next start',
  command: {
    new: 'New machine…',
    open: 'Open',
    start: 'Start',
    suspend: 'Pause',
    resume: 'Resume',
    shutdown: 'Shut down',
    reset: 'Reset',
    destroy: 'Force off',
    clone: 'Clone…',
    rename: 'Rename…',
    label: 'Group and tags…',
    delete: 'Delete…',
    more: 'More actions',
    preferences: 'Preferences…',
    shortcuts: 'Keyboard shortcuts',
    menu: 'Menu',
  },

  /** What a complaint says was wanted. */
  failed: {
    define: 'Making the machine failed',
    configure: 'Applying the changes failed',
    start: 'Starting failed',
    suspend: 'Pausing failed',
    resume: 'Resuming failed',
    shutdown: 'Shutting down failed',
    reset: 'Resetting failed',
    destroy: 'Forcing off failed',
    clone: 'Cloning failed',
    rename: 'Renaming failed',
    label: 'Changing group and tags failed',
    delete: 'Deleting failed',
    dismiss: 'Dismissing failed',
    changeMedium: 'Changing the disc failed',
    cancel: 'Cancelling failed',
  },

  /** What an operation of main is called while it runs. */
  operation: (kind: string, name: string) => {
    const verbs: Record<string, string> = {
      start: 'Starting',
      clone: 'Cloning',
      delete: 'Deleting',
      undefine: 'Deleting',
      shutdown: 'Shutting down',
      destroy: 'Forcing off',
    };
    return `${verbs[kind] ?? kind} ${name}`;
  },

  list: {
    label: 'Virtual machines',
    search: 'Search names, tags, groups',
    searchLabel: 'Search machines',
    clearSearch: 'Clear search',
    columns: { name: 'Name', state: 'State', cpu: 'CPU', memory: 'Memory', disk: 'Disk' },
    toolbar: 'Actions',
    ungrouped: 'No group',
    group: (name: string, count: number) => `${name}, ${machines(count)}`,
    noDisks: 'This machine has no disks',
    nothingFound: (query: string) => `No machine matches “${query}”.`,
    found: (count: number) => `${machines(count)} found`,
    show: 'Show',
    showCard: 'Show details beside the list',
    summary: (count: number, running: number) => `${machines(count)}, ${running} running`,
    host: (cpus: string, memory: string, free: string) => `Host: ${cpus}, ${memory} memory, ${free} free`,
    theme: { label: 'Appearance', system: 'As the system', light: 'Light', dark: 'Dark' },
    loading: 'Reading the library…',
  },

  empty: {
    title: 'No machines yet',
    text: 'A virtual machine is a computer inside this one. Make the first in three short steps; the sample guest needs nothing but a click.',
    action: 'Make your first machine',
  },

  card: {
    label: 'Details of the selection',
    boots: 'Boots',
    memory: 'Memory',
    vcpus: 'Processors',
    running: 'Running for',
    group: 'Group',
    tags: 'Tags',
    process: 'Process',
    folder: 'Stored in',
    exits: 'Exits',
    instructions: 'Instructions',
    several: (count: number) => `${machines(count)} selected`,
    nothing: 'Select a machine to see it here.',
    details: 'Technical details',
    copyDetails: 'Copy details',
    dismiss: 'Dismiss',
    whatToDo: 'What to do:',
    hints: HINTS,
    lastRun: 'The last run failed',
    ioError: 'Paused: the host has failed a disk',
    damaged: 'The configuration cannot be read',
    damagedHint: 'Nothing was changed in its file. Mend the file by hand, or delete the machine.',
    cancelOperation: 'Cancel',
    progress: (name: string) => `Progress of ${name}`,
  },

  confirm: {
    destroyTitle: (count: number) => (count === 1 ? 'Force the machine off?' : 'Force these machines off?'),
    destroyText: (names: string) =>
      `The power of ${names} is cut at once. What the guest has not yet written to its disks is lost.`,
    resetTitle: (count: number) => (count === 1 ? 'Reset the machine?' : 'Reset these machines?'),
    resetText: (names: string) =>
      `${names}: the guest starts anew at once. What it has not yet written to its disks is lost.`,
    deleteTitle: (count: number) => (count === 1 ? 'Delete the machine?' : 'Delete these machines?'),
    deleteText: (names: string) => `${names} and these files are deleted for good:`,
    deleteMore: (count: number) => `and ${count} more`,
    deleteNothing: 'Files outside this folder, as a kernel you chose, are left alone.',
    deleteAction: 'Delete',
    dontAsk: 'Do not ask again',
    cloneTitle: (name: string) => `Clone ${name}`,
    cloneName: 'Name of the clone',
    cloneAction: 'Clone',
    cloneDefault: (name: string) => `${name}-clone`,
    renameTitle: (name: string) => `Rename ${name}`,
    renameAction: 'Rename',
    newName: 'New name',
    labelTitle: (names: string) => `Group and tags of ${names}`,
    labelAction: 'Save',
    group: 'Group',
    groupHint: 'Machines of a group are listed together. Empty for none.',
    tags: 'Tags',
    tagsHint: 'Separated by commas.',
  },
} as const;
