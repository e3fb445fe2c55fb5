/**
 * Every text of the interface, in one place, so that it can be translated: a table of the same shape takes this
 * one's place. Texts with numbers or names in them are functions.
 */
import type { MachineState } from '../main/contract/index.ts';

const NUMBER = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const COMPACT = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const TIME = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** Bytes in the unit that leaves 1 to 4 digits: `212 MiB`. */
function bytes(count: number): string {
  const exponent = Math.min(UNITS.length - 1, Math.floor(Math.log2(Math.max(count, 1)) / 10));
  const value = count / 2 ** (10 * exponent);
  return `${value >= 100 ? Math.round(value) : NUMBER.format(value)} ${UNITS[exponent]}`;
}

/** How long something has been going on, from seconds: `2 h 5 min`. */
function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

const machines = (count: number): string => (count === 1 ? '1 machine' : `${count} machines`);

const STATES: Record<MachineState, string> = {
  running: 'Running',
  paused: 'Paused',
  'in shutdown': 'Shutting down',
  'shut off': 'Off',
  crashed: 'Crashed',
};

export const TEXT = {
  program: 'Guesthouse',
  close: 'Close',
  cancel: 'Cancel',
  copy: 'Copy',
  copied: 'Copied',
  none: '–',

  bytes,
  duration,
  /** A line that was written to follow a name, standing by itself. */
  sentence: (line: string) => line.slice(0, 1).toLocaleUpperCase('en') + line.slice(1),
  percent: (value: number) => `${Math.round(value)} %`,
  rate: (value: number) => `${bytes(value)}/s`,
  perSecond: (value: number) => `${COMPACT.format(value)}/s`,
  count: (value: number) => COMPACT.format(value),
  seconds: (value: number) => `${value < 10 ? value.toFixed(2) : NUMBER.format(value)} s`,
  mebibytes: (value: number) => bytes(value * 2 ** 20),
  gibibytes: (value: number) => bytes(value * 2 ** 30),
  time: (milliseconds: number) => TIME.format(milliseconds),
  machines,
  processors: (count: number) => (count === 1 ? '1 processor' : `${count} processors`),

  state: STATES,
  damagedState: 'Unreadable',
  pending: 'Changes wait for the next start',

  connection: {
    none: 'there is no connection to the manager',
    connecting: 'Connecting…',
    lost: 'The connection to the manager was lost. Trying again…',
    lostDetail: 'Machines go on running. If the manager was ended, start it again and open its new address.',
  },

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
    lastRun: 'The last run failed',
    ioError: 'Paused: the host has failed a disk',
    damaged: 'The configuration cannot be read',
    damagedHint: 'Nothing was changed in its file. Mend the file by hand, or delete the machine.',
    cancelOperation: 'Cancel',
    progress: (name: string) => `Progress of ${name}`,
  },

  wizard: {
    title: 'New machine',
    step: (at: number, of: number) => `Step ${at} of ${of}`,
    back: 'Back',
    next: 'Next',
    create: 'Create and start',
    createOnly: 'Create',
    steps: { boot: 'What to boot', resources: 'Memory and processors', summary: 'Summary' },
    bootQuestion: 'What should the machine boot?',
    sample: 'Sample guest',
    sampleHint:
      'A small Linux with a shell, made on the spot of your distribution’s kernel. Good for a first look.',
    cdrom: 'Installation media',
    cdromHint: 'A CD-ROM image (ISO) to install from, or to try without installing.',
    disk: 'Disk image',
    diskHint: 'A disk that has a system on it: raw or qcow2.',
    kernel: 'Kernel and initial RAM disk',
    kernelHint: 'A Linux, PVH or Multiboot kernel of yours, booted without firmware.',
    firmware: 'Firmware image',
    firmwareHint: 'An image that starts at the reset vector, as a PC’s flash does.',
    cdromFile: 'CD-ROM image',
    diskFile: 'Disk image',
    newDisk: 'New disk',
    newDiskHint: 'Made with the machine, and grows as it is filled. 0 for none.',
    newDiskWrong: (most: number) => `must be a whole number from 0 to ${most} (GiB)`,
    kernelFile: 'Kernel',
    initrdFile: 'Initial RAM disk',
    append: 'Command line',
    appendHint: 'Given to the kernel, as console=ttyS0 to use the console here.',
    firmwareFile: 'Firmware',
    optional: 'Optional',
    memoryHint: (host: string, limit: string) => `The host has ${host}; a machine can have up to ${limit}.`,
    vcpusHint: (host: number, most: number) =>
      `The host can run ${host} at once; a machine can have up to ${most} here.`,
    overcommit: 'More processors than the host has makes the machine slower, not faster.',
    name: 'Name',
    nameTaken: 'is taken by another machine',
    atMost: (most: string) => `must be at most ${most} on this host`,
    customise: 'Customise before starting',
    customiseHint: 'Opens the machine’s details; it starts when you say so.',
    boots: 'Boots',
    defaultName: { sample: 'sample', cdrom: 'install', disk: 'disk', kernel: 'linux', firmware: 'firmware' },
  },

  file: {
    browse: 'Browse…',
    title: (what: string) => `Choose a file: ${what}`,
    up: 'Parent folder',
    choose: 'Choose',
    folder: 'Folder',
    list: 'Files',
    empty: 'This folder is empty.',
    truncated: 'Not all files are listed; type the rest of the path in the field.',
  },

  field: {
    less: (what: string) => `Less: ${what}`,
    more: (what: string) => `More: ${what}`,
    changed: 'Changed, not applied',
    mustBeNumber: 'must be a whole number',
    mib: 'MiB',
    gib: 'GiB',
    error: (label: string, message: string) => `${label} ${message}`,
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

  machine: {
    tabs: {
      screen: 'Screen',
      console: 'Console',
      details: 'Details',
      performance: 'Performance',
      log: 'Log',
      configuration: 'Configuration',
    },
    tabsLabel: 'Views of the machine',
    gone: 'This machine no longer exists.',
    goneText: 'It was deleted, here or elsewhere. You can close this window.',
    list: 'All machines',
    toolbar: 'Machine',
    uptime: (text: string) => `Running for ${text}`,
  },

  screen: {
    label: 'The machine’s screen',
    toolbar: 'Screen',
    offText: 'Its screen appears here when it runs.',
    noSignal: 'No signal',
    sendKeys: 'Send keys',
    typeClipboard: 'Type the clipboard’s text',
    savePicture: 'Save a picture',
    fullScreen: 'Full screen',
    fit: 'Fit to the window',
    notTyped: (count: number) =>
      count === 1
        ? 'One character has no key and was left out.'
        : `${count} characters have no key and were left out.`,
  },

  console: {
    label: 'Serial console',
    off: 'The machine is off.',
    offText: 'Its console appears here when it runs.',
    connecting: 'Connecting…',
    disconnected: 'Not connected',
    find: 'Find in the output',
    findNext: 'Next match',
    findPrevious: 'Previous match',
    matches: (at: number, of: number) => (of === 0 ? 'No match' : `${at < 0 ? '…' : at + 1} of ${of}`),
    copy: 'Copy the selection',
    paste: 'Paste',
    pasteDenied: 'The browser did not allow reading the clipboard; paste with Ctrl+V in the console.',
    toEnd: 'To the newest output',
    larger: 'Larger text',
    smaller: 'Smaller text',
    dropped: (count: string) => `${count} of older output is no longer kept`,
    newRun: (time: string) => `started ${time}`,
    toolbar: 'Console',
    releaseHint: 'Ctrl+Shift+Escape leaves the console',
  },

  details: {
    hardware: 'Hardware',
    items: {
      overview: 'Overview',
      boot: 'Boot',
      processors: 'Processors',
      memory: 'Memory',
      disk: (number: number) => `Disk ${number}`,
      cdrom: (number: number) => `CD-ROM drive ${number}`,
      screen: 'Screen',
      serial: (port: number) => `Serial port ${port}`,
      debug: 'Debug ports',
    },
    apply: 'Apply',
    revert: 'Revert',
    pending: 'The machine runs with its old configuration; changes take effect when it is started next.',
    unapplied: (count: number) => (count === 1 ? '1 change not applied' : `${count} changes not applied`),
    wrong: (count: number) => (count === 1 ? '1 field is wrong' : `${count} fields are wrong`),
    applied: 'Applied',
    conflict: 'The configuration was changed elsewhere while you edited it.',
    loadTheirs: 'Discard mine, load theirs',
    keepMine: 'Keep mine',
    runningWith: (value: string, unit?: string) =>
      `Runs with ${value}${unit === undefined ? '' : ` ${unit}`}.`,
    name: 'Name',
    description: 'Description',
    group: 'Group',
    tags: 'Tags',
    accel: 'Accelerator',
    accelAuto: 'Automatic: the best here',
    accelReason: (name: string, reason: string) => `${name}: ${reason}`,
    cpu: 'CPU model',
    cpuBest: 'The accelerator’s best',
    vcpus: 'Processors',
    memory: 'Memory',
    boots: 'Boots',
    kinds: { sample: 'Sample guest', kernel: 'Kernel', devices: 'Disks and CD-ROM drives' },
    firmwareUsual: 'SeaBIOS',
    bootOrder: 'Boot order',
    bootOrderHint: 'What the firmware tries, one after another.',
    bootDevices: (devices: readonly string[]) => {
      const names: Readonly<Record<string, string>> = {
        disk: 'disk',
        cdrom: 'CD-ROM drive',
        network: 'network',
      };
      const text = devices.map((device) => names[device] ?? device).join(', then ');
      return text === '' ? 'Nothing' : text.slice(0, 1).toUpperCase() + text.slice(1);
    },
    bootMenu: 'Offer the firmware’s boot menu',
    image: 'Image',
    imageHint: 'A raw or qcow2 image.',
    mediumHint: 'What is in the drive: an ISO image, or nothing.',
    noMedium: 'Empty',
    inDrive: 'In the drive now',
    ejected: (file: string) => `${file} – ejected by the guest`,
    locked: 'The guest uses the disc and keeps the drive locked.',
    disc: 'Disc',
    insert: 'Insert a disc…',
    exchange: 'Insert another…',
    eject: 'Eject',
    takeAway: 'Take it away',
    closeTray: 'Push it back in',
    ejectByForce: 'Eject by force',
    atNextStart: 'At the next start',
    diskFields: { bus: 'Bus', format: 'Format', cache: 'Cache' },
    diskValues: {
      automatic: 'Automatic',
      ide: 'IDE',
      virtio: 'virtio',
      ahci: 'SATA (AHCI)',
      raw: 'raw',
      qcow2: 'qcow2',
      writeback: 'Written when the guest asks for it',
      writethrough: 'Written at once',
    },
    readOnly: 'Read only',
    removeDisk: 'Remove this disk',
    removeDrive: 'Remove this drive',
    addDisk: 'Disk',
    addDrive: 'CD-ROM drive',
    addHardware: 'Add hardware',
    screen: 'Shown to',
    screenKinds: { none: 'Nobody', vnc: 'VNC viewers' },
    address: 'Address',
    addressHint: 'HOST:PORT, or the path of a socket. With 127.0.0.1, only this computer can connect.',
    passwordFile: 'Password file',
    passwordFileHint: 'Its first line is the password, of which 8 characters count.',
    modules: 'Modules',
    modulesHint: 'Further files for the kernel, one path on each line.',
    port: 'Connected to',
    portKinds: { stdio: 'The console here', file: 'A file', null: 'Nothing', absent: 'Not present' },
    portFile: 'File',
    portFileHint: 'Emptied when the machine starts.',
    addPort: 'Serial port',
    removePort: 'Remove this port',
    debugcon: 'Debug console',
    debugconHint: 'What the guest writes to port 0xE9.',
    debugExit: 'The guest may end the machine through port 0xF4',
    unreadable: 'What the machine is made of cannot be read. The configuration shows it as it is stored.',
    started: 'Started',
    engine: 'Engine process',
    hostTitle: 'Host',
  },

  performance: {
    cpu: 'CPU',
    cpuUnit: 'percent of one host processor',
    memory: 'Memory of the host',
    disk: 'Disk',
    diskRead: 'Read',
    diskWrite: 'Written',
    instructions: 'Guest instructions',
    exits: 'Exits',
    console: 'Console output',
    span: 'Time shown',
    spans: [
      { seconds: 60, label: '1 minute' },
      { seconds: 300, label: '5 minutes' },
      { seconds: 600, label: '10 minutes' },
    ],
    exitsTitle: 'Exits by reason',
    reason: 'Reason',
    count: 'Count',
    perSecond: 'Now',
    time: 'Time',
    share: 'Share of time',
    noExits: 'Nothing was counted yet: the machine has not run since the manager was started.',
    noSamples: 'Graphs appear when the machine runs.',
    guestTime: 'In the guest',
    awake: 'Awake',
  },

  log: {
    label: 'Log and events',
    level: 'Show',
    levels: { debug: 'Everything', info: 'Information', warn: 'Warnings', error: 'Errors only' },
    marks: { debug: 'Debug', info: 'Info', warn: 'Warning', error: 'Error' },
    filter: 'Filter',
    copy: 'Copy all',
    nothing: 'Nothing was recorded.',
    time: 'Time',
    source: 'Source',
    message: 'Message',
  },

  configuration: {
    label: 'Configuration as JSON',
    syntax: (message: string, place: { line: number; column: number } | undefined) =>
      `This is not JSON: ${message}${place === undefined ? '' : `, line ${place.line}, column ${place.column}`}`,
    object: 'The configuration must be an object in braces.',
    good: 'Valid',
    damaged: 'Shown as it is stored. It cannot be edited here, so that nothing in it is lost.',
  },

  shortcuts: {
    title: 'Keyboard shortcuts',
    groups: [
      {
        title: 'The list',
        keys: [
          ['Ctrl+N', 'New machine'],
          ['Ctrl+F', 'Search'],
          ['↑ ↓ Home End Page ↑ ↓', 'Move; with Shift select, with Ctrl only move'],
          ['← →', 'Fold and unfold a group'],
          ['Space', 'Select or unselect (with Ctrl, one more)'],
          ['Ctrl+A', 'Select all'],
          ['Enter', 'Open'],
          ['F2', 'Rename'],
          ['Delete', 'Delete'],
          ['Shift+F10', 'Actions on the selection'],
        ],
      },
      {
        title: 'A machine',
        keys: [
          ['Alt+1 … Alt+6', 'Screen, Console, Details, Performance, Log, Configuration'],
          ['Ctrl+Shift+F', 'Find in the console'],
          ['Ctrl+Shift+C / V', 'Copy, paste in the console'],
          ['Ctrl+Shift+Escape', 'Leave the console'],
          ['Ctrl+S', 'Apply changes'],
        ],
      },
    ],
  },

  preferences: {
    title: 'Preferences',
    theme: 'Appearance',
    confirm: 'Ask before reset and force off',
    onQuit: 'When the program is closed while machines run',
    onQuitChoices: {
      ask: 'Ask',
      tray: 'Keep running in the tray',
      shutdown: 'Shut the machines down',
      destroy: 'Force the machines off',
    },
  },
} as const;
