/** What `guesthouse COMMAND --help` says of a command over the library. */
import type { Syntax } from './words.ts';

/** What each does, in a line or a few. */
export const PURPOSES: Readonly<Record<string, string>> = {
  list: 'Lists the machines that run; --all lists all, --inactive those that are off.\n--name and --uuid print nothing else of each.',
  define:
    'Makes a machine from a file as dumpconfig prints it, - for standard input.\nWith --name NAME and the options of run (guesthouse run --help) no file is needed.',
  undefine: 'Deletes a machine that is off, with all in its folder.',
  start:
    'Starts a machine, which runs on without this command. --paused leaves it before its first instruction;\n--console connects the terminal to its console.',
  shutdown: 'Presses the power button; what comes of it is up to the guest.',
  destroy: 'Cuts the power at once. The machine stays in the library.',
  suspend: 'Stops a machine and its time.',
  resume: 'Lets a machine go on that is paused, also where the host has failed its disk.',
  reset: 'Presses the reset button: the guest starts anew at once.',
  domrename: 'Gives a machine another name.',
  clone: 'Copies a machine that is off, with the files in its folder, under another name.',
  console:
    'Connects the terminal to the console of a machine that runs. Ctrl-] leaves it.\n--history shows first what was written before.',
  domid: 'Says the Id of a machine that runs, - of one that is off.',
  domname: 'Says the name of a machine that is given by its UUID or Id.',
  domuuid: 'Says the UUID of a machine.',
  domstate: 'Says how a machine is: running, paused, in shutdown, shut off or crashed.',
  dominfo: 'Says what a machine is made of, how it is, and how it started.',
  domstats: 'Says what a machine has done so far; without one, of all that run.',
  vcpuinfo: 'Says of each virtual CPU of a machine that runs where it sits and what it does.',
  screenshot:
    'Writes what is on the screen of a machine that runs to a file, as PNG.\nWith --text, prints what can be read there instead.',
  'send-key':
    'Presses keys together, named as Linux does (KEY_LEFTCTRL, KEY_F1, …), and lets them go after\n--holdtime milliseconds.',
  dumpconfig: 'Prints the configuration of a machine as JSON.',
  edit: 'Opens the configuration of a machine in $VISUAL or $EDITOR, and checks what comes of it.',
  domblklist:
    'Lists the disks of a machine, as it runs or, with --inactive, as it starts next;\n--details adds how each is connected.',
  domblkstat: 'Says what a disk of a machine that runs has moved, or all of them.',
  'attach-disk':
    'Adds a disk for the next start. SOURCE is a file, with options behind commas as --disk of run has,\nand TARGET is where it goes, as vdb; --type cdrom adds a drive, whose SOURCE may be none.',
  'detach-disk': 'Takes a disk away, by its target or its file, for the next start. The image stays.',
  'change-media':
    'Takes the disc out of a CD-ROM drive (--eject), or puts SOURCE in (--insert where it is empty, --update\nwhatever is in). --live does it in the machine that runs, --config for the next start.\n--force overrules a guest that has locked the drive.',
  'pool-list': 'Lists the pools, which are folders with images.',
  'pool-define-as': 'Names a folder as a pool.',
  'pool-undefine': 'Forgets a pool. Its folder stays.',
  'vol-list': 'Lists the images of a pool; --details says how large they are and what uses them.',
  'vol-info': 'Says what an image is.',
  'vol-path': 'Says where an image is.',
  'vol-create-as': 'Makes an image in a pool; --backing-vol makes an overlay of another.',
  'vol-resize': 'Makes an image larger: to SIZE, or by it with --delta; a raw one smaller with --shrink.',
  'vol-delete': 'Deletes an image that nothing needs.',
};

/** The help of a command.
 * @param syntax as its words are read by */
export function helpOf(name: string, { operands = [], flags = [], values = [] }: Syntax): string {
  const words = operands.map((operand, i) => {
    const optional = operand.endsWith('?');
    const plain = operand.replace('?', '');
    // The same again and again is one with an ellipsis.
    if (optional && operands[i - 1]?.replace('?', '') === plain) return '';
    const many = operands[i + 1] === `${plain}?`;
    return `${optional ? `[${plain}]` : plain}${many ? '…' : ''}`;
  });
  const options = [
    ...values.map((option) => `[--${option} ${option.replaceAll('-', '_').toUpperCase()}]`),
    ...flags.map((flag) => `[--${flag}]`),
  ];
  const synopsis = ['guesthouse', name, ...words, ...options].filter((word) => word !== '').join(' ');
  const said = [`Usage: ${synopsis}`, '', PURPOSES[name] ?? ''];
  const last = [
    ...(operands.includes('MACHINE') || operands.includes('MACHINE?')
      ? ['MACHINE is a name, a UUID, or the Id of one that runs.']
      : []),
    ...(flags.includes('json') ? ['--json prints for scripts.'] : []),
  ];
  return `${[...said, ...(last.length === 0 ? [] : ['', ...last])].join('\n')}\n`;
}
