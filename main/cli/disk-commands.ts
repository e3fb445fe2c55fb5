/** virsh's commands on the disks of a machine. */
import path from 'node:path';
import { TARGET_PREFIXES } from '../../engine/api/disk-targets.ts';
import type { DiskStatistics } from '../../engine/api/statistics.ts';
import { GuesthouseError } from '../../engine/base/errors.ts';
import type { Manager } from '../vm/manager.ts';
import { type Command, find, MACHINE, print } from './command.ts';
import { parseDisk, withAbsolutePath } from './disk-options.ts';
import { table } from './table.ts';
import { usage, type Words } from './words.ts';

const NEXT_START = '; it takes effect when the machine is started next';

export const DISK_COMMANDS: Readonly<Record<string, Command>> = {
  domblklist: { syntax: { flags: ['json', 'details', 'inactive'], operands: ['MACHINE'] }, run: list },
  domblkstat: { syntax: { ...MACHINE, operands: ['MACHINE', 'TARGET?'] }, run: statistics },
  'attach-disk': {
    syntax: {
      flags: ['json', 'config', 'live', 'persistent', 'current'],
      values: ['type', 'targetbus', 'subdriver', 'cache', 'mode', 'serial'],
      operands: ['MACHINE', 'SOURCE', 'TARGET?'],
    },
    run: attach,
  },
  'detach-disk': {
    syntax: {
      flags: ['json', 'config', 'live', 'persistent', 'current'],
      operands: ['MACHINE', 'TARGET'],
    },
    run: detach,
  },
  'change-media': {
    syntax: {
      flags: ['json', 'eject', 'insert', 'update', 'config', 'live', 'current', 'force'],
      operands: ['MACHINE', 'TARGET', 'SOURCE?'],
    },
    run: changeMedia,
  },
};

async function list(manager: Manager, words: Words): Promise<number> {
  const { id } = await find(manager, words.operands[0]);
  const disks = await manager.disks.list(id, words.has('inactive'));
  print(words, disks, () => {
    const source = (file: string | null, isOut: boolean) =>
      file === null ? '-' : isOut ? `${file} (ejected)` : file;
    if (!words.has('details')) {
      return table(
        ['Target', 'Source'],
        disks.map(({ target, file, trayOpen }) => [target, source(file, trayOpen)]),
      );
    }
    return table(
      ['Type', 'Device', 'Target', 'Source'],
      disks.map(({ device, target, file, trayOpen }) => ['file', device, target, source(file, trayOpen)]),
    );
  });
  return 0;
}

/** Figures of a disk, in virsh's words. Times in nanoseconds. */
function figures({ read, write, flush, errors }: DiskStatistics): Array<[name: string, value: number]> {
  const nanoseconds = (seconds: number) => Math.round(seconds * 1e9);
  return [
    ['rd_req', read.requests],
    ['rd_bytes', read.bytes],
    ['rd_total_times', nanoseconds(read.seconds)],
    ['wr_req', write.requests],
    ['wr_bytes', write.bytes],
    ['wr_total_times', nanoseconds(write.seconds)],
    ['flush_operations', flush.requests],
    ['flush_total_times', nanoseconds(flush.seconds)],
    ['errs', errors],
  ];
}

async function statistics(manager: Manager, words: Words): Promise<number> {
  const { id } = await find(manager, words.operands[0]);
  const wanted = words.operands[1];
  const all = await manager.disks.statistics(id);
  const chosen =
    wanted === undefined
      ? all
      : all.filter(({ disk: { target, file } }) => target === wanted || file === wanted);
  if (wanted !== undefined && chosen.length === 0) {
    const targets = all.map(({ disk: { target } }) => target).join(', ');
    throw new GuesthouseError('config', `the machine has no disk '${wanted}'`, `it has ${targets}`);
  }
  const value = chosen.map(({ disk: { target }, moved }) => ({
    target,
    ...Object.fromEntries(figures(moved)),
  }));
  print(words, value, () =>
    chosen
      .flatMap(({ disk: { target }, moved }) =>
        figures(moved).map(([name, count]) => `${target} ${name} ${count}`),
      )
      .join('\n'),
  );
  return 0;
}

/** What `domstats` says of disks. */
export async function blockStatistics(
  manager: Manager,
  id: string,
): Promise<Record<string, string | number>> {
  const all = await manager.disks.statistics(id);
  const values: Record<string, string | number> = { 'block.count': all.length };
  const nanoseconds = (seconds: number) => Math.round(seconds * 1e9);
  for (const [i, { disk, moved }] of all.entries()) {
    const set = (name: string, value: string | number) => (values[`block.${i}.${name}`] = value);
    set('name', disk.target);
    if (disk.file !== null) set('path', disk.file);
    for (const [name, { requests, bytes, seconds }] of [
      ['rd', moved.read],
      ['wr', moved.write],
    ] as const) {
      set(`${name}.reqs`, requests);
      set(`${name}.bytes`, bytes);
      set(`${name}.times`, nanoseconds(seconds));
    }
    set('fl.reqs', moved.flush.requests);
    set('fl.times', nanoseconds(moved.flush.seconds));
    set('errors', moved.errors);
  }
  return values;
}

/** `--live` alone, or with others: this machine has no hot-plugging.
 * @throws GuesthouseError `unsupported` */
function refuseLive(words: Words, what: string): void {
  if (!words.has('live')) return;
  throw new GuesthouseError(
    'unsupported',
    `a disk cannot be ${what} while the machine runs; only discs in CD-ROM drives can be changed`,
    'without --live it is done to the configuration, for the next start',
  );
}

async function attach(manager: Manager, words: Words): Promise<number> {
  const [word, source = '', target] = words.operands;
  refuseLive(words, 'attached');
  const { id, pid } = await find(manager, word);
  const type = words.value('type') ?? 'disk';
  if (type !== 'disk' && type !== 'cdrom') throw usage(`--type must be disk or cdrom, not '${type}'`);
  const mode = words.value('mode');
  if (mode !== undefined && mode !== 'readonly') throw usage(`--mode must be readonly, not '${mode}'`);
  const options = [
    ['bus', words.value('targetbus') ?? busNamed(target)],
    ['format', words.value('subdriver')],
    ['cache', words.value('cache')],
    ['serial', words.value('serial')],
    ['readonly', mode === undefined ? undefined : 'on'],
  ].flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${value}`]));
  const disk = withAbsolutePath(parseDisk(type, [source, ...options].join(',')));
  const became = await manager.disks.attach(id, disk, target);
  print(words, { id, target: became }, () => `Disk attached as ${became}${pid === null ? '' : NEXT_START}`);
  return 0;
}

/** The bus that a target is on: `vdb` is on virtio. */
function busNamed(target: string | undefined): string | undefined {
  if (target === undefined) return undefined;
  const buses = Object.entries(TARGET_PREFIXES);
  const found = buses.find(([, prefix]) => target.startsWith(prefix));
  if (found !== undefined) return found[0];
  const examples = buses.map(([, prefix]) => `${prefix}a`).join(', ');
  throw usage(`TARGET must be such as ${examples}, not '${target}'`);
}

async function detach(manager: Manager, words: Words): Promise<number> {
  const [word, target = ''] = words.operands;
  refuseLive(words, 'detached');
  const { id, pid } = await find(manager, word);
  const name = target.includes(path.sep) ? path.resolve(target) : target;
  const gone = await manager.disks.detach(id, name);
  print(words, { id, ...gone }, () => `Disk ${gone.target} detached${pid === null ? '' : NEXT_START}`);
  return 0;
}

const MODES = ['eject', 'insert', 'update'] as const;

async function changeMedia(manager: Manager, words: Words): Promise<number> {
  const [word, target = '', source] = words.operands;
  const given = MODES.filter((mode) => words.has(mode));
  if (given.length > 1) throw usage(`--${given.join(' and --')} exclude each other`);
  const mode = given[0] ?? 'update';
  if (mode === 'eject' && source !== undefined) throw usage('--eject takes no SOURCE');
  if (mode === 'insert' && source === undefined) throw usage('--insert needs SOURCE');

  const { id, pid } = await find(manager, word);
  // As virsh: the machine that runs where nothing is said, else its configuration.
  const said = words.has('live') || words.has('config');
  const live = said ? words.has('live') : pid !== null;
  const config = said ? words.has('config') : pid === null;
  const drive = (await manager.disks.list(id, !live)).find((disk) => disk.target === target);
  const isFull = drive !== undefined && drive.file !== null && !drive.trayOpen;
  if (mode === 'insert' && isFull) {
    throw new GuesthouseError(
      'state',
      `${target} has a disc already: ${drive.file}`,
      'use --update, or --eject',
    );
  }
  if (mode === 'eject' && drive?.device === 'cdrom' && drive.file === null) {
    throw new GuesthouseError('state', `there is no disc in ${target}`);
  }
  const file = source === undefined ? null : path.resolve(source);
  await manager.disks.changeMedium(id, target, { file, live, config, force: words.has('force') });
  const done = { eject: 'ejected', insert: 'inserted', update: 'updated' }[mode];
  print(words, { id, target, file }, () => `Successfully ${done} media.`);
  return 0;
}
