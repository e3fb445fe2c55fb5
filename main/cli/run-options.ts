/** The options of `guesthouse run`: from words to a machine's configuration. */
import { parseArgs } from 'node:util';
import { BOOT_KINDS, type MachineConfigInput, MEMORY_MIB, TABLETS } from '../../engine/api/config.ts';
import { parseDisk } from './disk-options.ts';
import { parseVcpus } from './vcpu-options.ts';
import { firstSentence, usage } from './words.ts';

export interface RunOptions {
  /** Complete but for the sample guest's files where {@link sample} is set. */
  readonly config: MachineConfigInput;
  readonly sample: boolean;
  readonly stats: boolean;
  /** Of guest code to show when it is translated. */
  readonly dumpCode: bigint | undefined;
  readonly help: boolean;
}

const OPTIONS = {
  accel: { type: 'string', multiple: true },
  cpu: { type: 'string', multiple: true },
  memory: { type: 'string', short: 'm', multiple: true },
  vcpus: { type: 'string', multiple: true },
  kernel: { type: 'string', multiple: true },
  initrd: { type: 'string', multiple: true },
  append: { type: 'string', multiple: true },
  module: { type: 'string', multiple: true },
  firmware: { type: 'string', multiple: true },
  boot: { type: 'string', multiple: true },
  disk: { type: 'string', multiple: true },
  cdrom: { type: 'string', multiple: true },
  display: { type: 'string', multiple: true },
  tablet: { type: 'string', multiple: true },
  serial: { type: 'string', multiple: true },
  debugcon: { type: 'string', multiple: true },
  'debug-exit': { type: 'boolean' },
  sample: { type: 'boolean' },
  stats: { type: 'boolean' },
  'dump-code': { type: 'string', multiple: true },
  help: { type: 'boolean', short: 'h' },
} as const;

/**
 * Reads the words after `guesthouse run`.
 *
 * @throws GuesthouseError `usage`, one line about the first thing that is wrong
 */
export function parseRunOptions(words: readonly string[]): RunOptions {
  const { values, positionals } = parseWords(words);
  if (positionals.length > 0) throw usage(`unexpected argument '${positionals[0]}'`);

  /** The value of an option that may be given once. */
  const once = (name: Exclude<keyof typeof values, 'debug-exit' | 'sample' | 'stats' | 'help'>) => {
    const given = values[name];
    if (given === undefined) return undefined;
    if (given.length > 1) throw usage(`--${name} is given ${given.length} times`);
    if (given[0] === '' && name !== 'append') throw usage(`--${name} needs a value`);
    return given[0];
  };

  const sample = values.sample === true;
  const boots = [
    ...(values.kernel === undefined ? [] : ['--kernel']),
    ...(values.firmware === undefined ? [] : ['--firmware']),
    ...(sample ? ['--sample'] : []),
  ];
  if (values.help !== true) {
    if (boots.length > 1) throw usage(`${boots.join(' and ')} exclude each other`);
    if (sample && values.initrd !== undefined) throw usage('--sample brings its own --initrd');
    for (const name of ['initrd', 'append', 'module'] as const) {
      const kernel = values.kernel !== undefined || sample;
      if (values[name] !== undefined && !kernel) throw usage(`--${name} needs --kernel`);
    }
  }

  const serial = stream('serial', once('serial') ?? 'stdio');
  const debugcon = once('debugcon');
  const tablet = once('tablet');
  const config = {
    accel: choice('accel', once('accel') ?? 'auto', ['auto', 'kvm', 'wasm'] as const),
    cpu: once('cpu'),
    memory: number('memory', once('memory') ?? `${MEMORY_MIB.usual}`, MEMORY_MIB.least, MEMORY_MIB.most),
    ...parseVcpus(once('vcpus') ?? '1'),
    kernel: once('kernel'),
    initrd: once('initrd'),
    append: once('append'),
    modules: values.module ?? [],
    firmware: once('firmware'),
    boot: bootOrder(once('boot')),
    disks: [
      ...(values.disk ?? []).map((text) => parseDisk('disk', text)),
      ...(values.cdrom ?? []).map((text) => parseDisk('cdrom', text)),
    ],
    display: display(once('display') ?? 'none'),
    tablet: tablet === undefined ? undefined : choice('tablet', tablet, TABLETS),
    serial: [serial],
    debugcon: debugcon === undefined ? undefined : stream('debugcon', debugcon),
    debugExit: values['debug-exit'] === true,
  };
  const dumpCode = address('dump-code', once('dump-code'));
  if (dumpCode !== undefined && config.accel !== 'wasm') throw usage('--dump-code needs --accel wasm');
  return { config, sample, dumpCode, stats: values.stats === true, help: values.help === true };
}

function parseWords(words: readonly string[]) {
  try {
    return parseArgs({ args: [...words], options: OPTIONS, allowPositionals: true, strict: true });
  } catch (error) {
    throw usage(firstSentence(error));
  }
}

function number(name: string, text: string, least: number, most: number): number {
  const value = /^[0-9]{1,9}$/.test(text) ? Number(text) : NaN;
  if (value >= least && value <= most) return value;
  throw usage(`--${name} must be a whole number from ${least} to ${most}, not '${text}'`);
}

/** A linear address of the guest; undefined where none is given. */
function address(name: string, text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined;
  if (!/^0x[0-9a-f]{1,16}$/i.test(text))
    throw usage(`--${name} must be an address such as 0x1000, not '${text}'`);
  return BigInt(text);
}

function choice<const T extends readonly string[]>(name: string, text: string, choices: T): T[number] {
  const found = choices.find((each) => each === text);
  if (found === undefined) throw usage(`--${name} must be ${listed(choices)}, not '${text}'`);
  return found;
}

/** As `a, b or c`. */
function listed(words: readonly string[]): string {
  return [words.slice(0, -1).join(', '), ...words.slice(-1)].join(' or ');
}

/** The firmware's boot order: `disk,cdrom,menu=on`. */
function bootOrder(text: string | undefined) {
  if (text === undefined) return undefined;
  const wrong = () =>
    usage(
      `--boot must be ${listed(BOOT_KINDS)}, in the order wanted, and menu=on or menu=off, not '${text}'`,
    );
  const order: Array<(typeof BOOT_KINDS)[number]> = [];
  let menu = false;
  for (const word of text.split(',')) {
    const kind = BOOT_KINDS.find((each) => each === word);
    if (kind !== undefined && !order.includes(kind)) order.push(kind);
    else if (word === 'menu=on' || word === 'menu=off') menu = word === 'menu=on';
    else throw wrong();
  }
  return order.length === 0 ? { menu } : { order, menu };
}

/** Where the screen is served: `none` or `vnc=ADDRESS[,password=FILE]`. */
function display(text: string) {
  if (text === 'none') return { kind: 'none' } as const;
  const match = /^vnc=([^,]+)(?:,password=(.+))?$/.exec(text);
  if (match === null) throw usage(`--display must be none or vnc=ADDRESS[,password=FILE], not '${text}'`);
  const [, address, passwordFile] = match;
  return { kind: 'vnc', address, ...(passwordFile === undefined ? {} : { passwordFile }) } as const;
}

function stream(name: string, text: string) {
  if (text === 'stdio' || text === 'null') return { kind: text } as const;
  if (text.startsWith('file:') && text.length > 5) return { kind: 'file', path: text.slice(5) } as const;
  throw usage(`--${name} must be stdio, null or file:PATH, not '${text}'`);
}
