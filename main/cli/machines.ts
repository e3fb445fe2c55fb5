/** The commands over the library: virsh's verbs, for our machines. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { keyCode } from '../../engine/api/keys.ts';
import { GuesthouseError } from '../../engine/base/errors.ts';
import { parseJson } from '../contract/client.ts';
import type { MachineSummary } from '../contract/machine.ts';
import { Library } from '../store/library.ts';
import { libraryDirectory } from '../store/paths.ts';
import { nodeLauncher } from '../vm/launcher.ts';
import { Manager } from '../vm/manager.ts';
import { bootRows } from './boot-events.ts';
import { action, type Command, find, MACHINE, print } from './command.ts';
import { attachConsole } from './console.ts';
import { blockStatistics, DISK_COMMANDS } from './disk-commands.ts';
import { withAbsolutePath } from './disk-options.ts';
import { editDocument } from './edit.ts';
import { helpOf } from './help.ts';
import { parseRunOptions } from './run-options.ts';
import { facts, table } from './table.ts';
import { VOLUME_COMMANDS } from './volume-commands.ts';
import { parseWords, usage, type Words } from './words.ts';

const COMMANDS: Readonly<Record<string, Command>> = {
  ...DISK_COMMANDS,
  ...VOLUME_COMMANDS,
  list: { syntax: { flags: ['all', 'inactive', 'name', 'uuid', 'json'] }, run: list },
  define: { syntax: { flags: ['json'], operands: ['FILE'] }, run: define },
  undefine: action(
    (name) => `Machine '${name}' has been undefined`,
    (manager, id) => manager.undefine(id),
  ),
  start: { syntax: { flags: ['paused', 'console', 'json'], operands: ['MACHINE'] }, run: start },
  shutdown: action(
    (name) => `Machine '${name}' is being shutdown`,
    (manager, id) => manager.shutdown(id),
  ),
  destroy: action(
    (name) => `Machine '${name}' destroyed`,
    (manager, id) => manager.destroy(id),
  ),
  suspend: action(
    (name) => `Machine '${name}' suspended`,
    (manager, id) => manager.suspend(id),
  ),
  resume: action(
    (name) => `Machine '${name}' resumed`,
    (manager, id) => manager.resume(id),
  ),
  reset: action(
    (name) => `Machine '${name}' was reset`,
    (manager, id) => manager.reset(id),
  ),
  domrename: {
    syntax: { flags: ['json'], operands: ['MACHINE', 'NAME'] },
    async run(manager, words) {
      const { id } = await find(manager, words.operands[0]);
      const machine = await manager.amend(id, { name: words.operands[1] ?? '' });
      print(words, machine, () => 'Machine successfully renamed');
      return 0;
    },
  },
  clone: {
    syntax: { flags: ['json'], operands: ['MACHINE', 'NAME'] },
    async run(manager, words) {
      const { id } = await find(manager, words.operands[0]);
      const machine = await manager.clone(id, words.operands[1] ?? '');
      print(words, machine, () => `Clone '${machine.name}' created successfully`);
      return 0;
    },
  },
  console: {
    syntax: { flags: ['history'], operands: ['MACHINE'] },
    async run(manager, words) {
      const { id, name } = await find(manager, words.operands[0]);
      return attachConsole(manager, id, name, words.has('history'));
    },
  },
  domstate: {
    syntax: MACHINE,
    async run(manager, words) {
      const machine = await find(manager, words.operands[0]);
      print(words, { state: machine.state }, () => machine.state);
      return 0;
    },
  },
  screenshot: {
    syntax: { flags: ['json', 'text'], operands: ['MACHINE', 'FILE?'] },
    run: screenshot,
  },
  'send-key': action(
    (name) => `Keys sent to machine '${name}'`,
    (manager, id, words) => manager.sendKeys(id, keyCodes(words.operands.slice(1)), holdTime(words)),
    {
      flags: ['json'],
      values: ['holdtime'],
      operands: ['MACHINE', 'KEY', ...Array<string>(15).fill('KEY?')],
    },
  ),
  domid: identity(({ pid }) => (pid === null ? '-' : String(pid))),
  domname: identity(({ name }) => name),
  domuuid: identity(({ id }) => id),
  dominfo: { syntax: MACHINE, run: dominfo },
  vcpuinfo: { syntax: MACHINE, run: vcpuinfo },
  domstats: { syntax: { flags: ['json'], operands: ['MACHINE?'] }, run: domstats },
  dumpconfig: {
    syntax: MACHINE,
    async run(manager, words) {
      const { id } = await find(manager, words.operands[0]);
      const { document, text } = await manager.get(id);
      process.stdout.write(document === null ? (text ?? '') : `${JSON.stringify(document, undefined, 2)}\n`);
      return 0;
    },
  },
  edit: {
    syntax: { operands: ['MACHINE'] },
    async run(manager, words) {
      const { id, name } = await find(manager, words.operands[0]);
      const changed = await editDocument(manager, id);
      process.stdout.write(
        changed
          ? `Machine '${name}' configuration edited\n`
          : `Machine '${name}' configuration not changed\n`,
      );
      return 0;
    },
  },
};

export function isMachineCommand(name: string): boolean {
  return Object.hasOwn(COMMANDS, name);
}

export const MACHINE_COMMANDS: readonly string[] = Object.keys(COMMANDS);

/** What `--help` after a command over the library prints. */
export function commandHelp(name: string): string {
  return helpOf(name, COMMANDS[name].syntax);
}

/**
 * Carries out a command over the library.
 *
 * @returns the exit status
 * @throws GuesthouseError
 */
export async function machineCommand(name: string, words: readonly string[]): Promise<number> {
  const manager = new Manager(new Library(libraryDirectory()), nodeLauncher);
  try {
    // A machine can be described by the options of `run` as well as by a file.
    if (name === 'define' && words.some((word) => word === '--name' || word.startsWith('--name='))) {
      return await defineByOptions(manager, words);
    }
    const { syntax, run } = COMMANDS[name];
    return await run(manager, parseWords(name, words, syntax));
  } finally {
    manager.close();
  }
}

/** A command that prints one of a machine's names. */
function identity(of: (machine: MachineSummary) => string): Command {
  return {
    syntax: { operands: ['MACHINE'] },
    async run(manager, words) {
      process.stdout.write(`${of(await find(manager, words.operands[0]))}\n`);
      return 0;
    },
  };
}

async function list(manager: Manager, words: Words): Promise<number> {
  const machines = (await manager.list()).filter(({ pid }) => {
    if (words.has('all')) return true;
    return words.has('inactive') ? pid === null : pid !== null;
  });
  print(words, machines, () => {
    if (words.has('name')) return machines.map(({ name }) => name).join('\n');
    if (words.has('uuid')) return machines.map(({ id }) => id).join('\n');
    const rows = machines.map(({ pid, name, state, damaged }) => [
      pid === null ? '-' : String(pid),
      name,
      damaged === null ? state : `${state} (${damaged.message})`,
    ]);
    return table(['Id', 'Name', 'State'], rows);
  });
  return 0;
}

async function define(manager: Manager, words: Words): Promise<number> {
  const [file = ''] = words.operands;
  const machine = await manager.define(readDocument(file));
  print(
    words,
    machine,
    () => `Machine '${machine.name}' defined from ${file === '-' ? 'standard input' : file}`,
  );
  return 0;
}

/** A document from a file that a person wrote; `-` is standard input. */
function readDocument(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new GuesthouseError('file', `cannot read ${file}: ${reason}`, undefined, { cause: error });
  }
  const value = parseJson(text);
  if (value !== undefined) return value;
  throw new GuesthouseError(
    'config',
    `${file} is not JSON`,
    'see guesthouse dumpconfig for what it looks like',
  );
}

/** `define --name NAME [OPTION]…`, with the options of `run`. */
async function defineByOptions(manager: Manager, words: readonly string[]): Promise<number> {
  const rest: string[] = [];
  const own: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    if (word === '--json' || word.startsWith('--name=')) own.push(word);
    else if (word === '--name') own.push(word, ...words.slice(++i, i + 1));
    else rest.push(word);
  }
  const parsed = parseWords('define', own, { flags: ['json'], values: ['name'] });
  const { config, sample } = parseRunOptions(rest);
  if (rest.some((word) => word === '--stats' || word === '--help'))
    throw usage('this is an option of run only');
  const absolute = (file: string | undefined) => (file === undefined ? undefined : path.resolve(file));
  const place = <T extends { kind: string; path?: string }>(stream: T): T =>
    stream.path === undefined ? stream : { ...stream, path: path.resolve(stream.path) };
  const document = {
    ...config,
    name: parsed.value('name'),
    sample,
    kernel: absolute(config.kernel),
    initrd: absolute(config.initrd),
    firmware: absolute(config.firmware),
    modules: config.modules?.map((file) => path.resolve(file)),
    disks: config.disks?.map(withAbsolutePath),
    serial: config.serial?.map(place),
    debugcon: config.debugcon === undefined ? undefined : place(config.debugcon),
  };
  const given = Object.entries(document).filter(([, value]) => value !== undefined);
  const machine = await manager.define(Object.fromEntries(given));
  print(parsed, machine, () => `Machine '${machine.name}' defined`);
  return 0;
}

async function start(manager: Manager, words: Words): Promise<number> {
  const { id, name } = await find(manager, words.operands[0]);
  const machine = await manager.start(id, words.has('paused'));
  print(words, machine, () => `Machine '${name}' started`);
  return words.has('console') ? attachConsole(manager, id, name, true) : 0;
}

/** `screenshot MACHINE [FILE]`, and `--text` for what can be read on it. */
async function screenshot(manager: Manager, words: Words): Promise<number> {
  const { id, name } = await find(manager, words.operands[0]);
  const wanted = words.operands[1];
  if (wanted === undefined && !words.has('text')) throw usage('screenshot needs FILE, or --text');
  const folder = wanted === undefined ? mkdtempSync(path.join(tmpdir(), 'guesthouse-')) : undefined;
  try {
    const file = path.resolve(wanted ?? path.join(folder ?? '', 'screen.png'));
    const { width, height, text } = await manager.screenshot(id, file);
    const readable = words.has('text') ? (text ?? []).join('\n') : undefined;
    print(words, { id, name, width, height, text }, () => {
      return readable ?? `Screenshot of '${name}' saved to ${file}, ${width} × ${height}`;
    });
    return 0;
  } finally {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}

/** Codes of keys by their names. */
function keyCodes(names: readonly (string | undefined)[]): number[] {
  return names.flatMap((name) => {
    if (name === undefined) return [];
    const code = keyCode(name);
    if (code === undefined)
      throw usage(`there is no key '${name}', only such as KEY_LEFTCTRL, KEY_A and KEY_F1`);
    return [code];
  });
}

/** How long keys are held, in milliseconds. */
function holdTime(words: Words): number {
  const text = words.value('holdtime') ?? '20';
  if (/^\d{1,5}$/.test(text) && Number(text) <= 60_000) return Number(text);
  throw usage(`--holdtime must be a number of milliseconds up to 60000, not '${text}'`);
}

async function dominfo(manager: Manager, words: Words): Promise<number> {
  const machine = await find(manager, words.operands[0]);
  const usage = machine.pid === null ? undefined : await manager.usage(machine.id);
  const boot = (await manager.exits(machine.id))?.boot ?? [];
  const { lastError } = machine;
  print(words, { ...machine, usage: usage ?? null, boot }, () =>
    facts([
      ['Id', machine.pid ?? '-'],
      ['Name', machine.name],
      ['UUID', machine.id],
      ['State', machine.state],
      ['CPU(s)', machine.vcpus],
      ...(usage === undefined ? [] : [['CPU time', `${usage.processorSeconds.toFixed(1)}s`] as const]),
      ['Max memory', `${machine.memory * 1024} KiB`],
      ...(usage === undefined ? [] : [['Used memory', `${usage.residentBytes >> 10} KiB`] as const]),
      ['Boots', machine.boots],
      ['Pending changes', machine.pending ? 'yes' : 'no'],
      ...(machine.ioError === null ? [] : [['Paused because', machine.ioError.message] as const]),
      ...bootRows(boot).map(([name, seconds]) => [`Boot: ${name}`, `${seconds}s`] as const),
      ...(lastError === null ? [] : [['Last error', lastError.message] as const]),
    ]),
  );
  return 0;
}

async function vcpuinfo(manager: Manager, words: Words): Promise<number> {
  const { id } = await find(manager, words.operands[0]);
  const vcpus = await manager.vcpus(id);
  print(words, vcpus, () =>
    vcpus
      .map(({ state, awakeSeconds, socket, core, thread, apicId }, index) =>
        facts([
          ['VCPU', index],
          ['State', state],
          ['CPU time', `${awakeSeconds.toFixed(1)}s`],
          ['Socket', socket],
          ['Core', core],
          ['Thread', thread],
          ['APIC id', apicId],
        ]),
      )
      .join('\n\n'),
  );
  return 0;
}

async function domstats(manager: Manager, words: Words): Promise<number> {
  const [word] = words.operands;
  const machines =
    word === undefined
      ? (await manager.list()).filter(({ pid }) => pid !== null)
      : [await find(manager, word)];
  const all = await Promise.all(
    machines.map(async ({ id, name, state, pid, vcpus, memory }) => {
      const usage = pid === null ? undefined : await manager.usage(id);
      const exits = await manager.exits(id);
      const values: Record<string, string | number> = { 'state.state': state, 'vcpu.current': vcpus };
      values['balloon.maximum'] = memory * 1024;
      if (usage !== undefined) {
        values['cpu.time'] = Math.round(usage.processorSeconds * 1e9);
        values['balloon.rss'] = Math.round(usage.residentBytes / 1024);
        values['console.bytes'] = usage.consoleBytes;
      }
      if (pid !== null) Object.assign(values, await blockStatistics(manager, id));
      if (exits !== null) values['guest.instructions'] = exits.instructions;
      for (const { reason, count, seconds } of exits?.exits ?? []) {
        values[`exit.${reason}.count`] = count;
        values[`exit.${reason}.time`] = Math.round(seconds * 1e9);
      }
      return { name, id, values };
    }),
  );
  print(words, all, () =>
    all
      .map(({ name, values }) =>
        [`Machine: '${name}'`, ...Object.entries(values).map(([key, value]) => `  ${key}=${value}`), ''].join(
          '\n',
        ),
      )
      .join('\n'),
  );
  return 0;
}
