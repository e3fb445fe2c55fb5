/** A machine's window: its views. */
import type { BootEvent } from '../../main/contract/index.ts';

export const MACHINE = {
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
    off: 'The machine is off.',
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
    fitWindow: 'Fit the window to the screen',
    releaseHint: 'Ctrl+Shift+Escape leaves the screen',
    notTyped: (count: number) =>
      count === 1
        ? 'One character has no key and was left out.'
        : `${count} characters have no key and were left out.`,
  },

  console: {
    label: 'Serial console',
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

  boot: {
    title: 'Start-up',
    event: ({ event, code }: BootEvent): string => {
      const name = {
        Reset: 'Reset vector',
        PostCode: 'POST code',
        ProtectedMode: 'Protected mode',
        OptionRom: 'Option ROM',
        BootDevice: 'Boot device read',
        Loader: 'Boot sector',
        Kernel: 'Kernel',
        LongMode: 'Long mode',
        Smp: 'Last processor started',
        UserMode: 'User mode',
      }[event];
      return code === undefined ? name : `${name} ${code.toString(16).padStart(2, '0')}`;
    },
    seconds: (value: number): string => `${value.toFixed(3)} s`,
    until: (milestone: string, time: string): string => `${time} up to: ${milestone}`,
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
    reasons: (reason: string): string => {
      const names: Record<string, string> = {
        Interrupted: 'Event or time slice',
        PortIo: 'Port I/O',
        Mmio: 'Memory-mapped I/O',
        InterruptWindow: 'Interrupt window',
        InternalError: 'Internal error',
      };
      return names[reason] ?? reason;
    },
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
} as const;
