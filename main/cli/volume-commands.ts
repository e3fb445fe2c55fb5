/** virsh's commands on storage pools and the images in them. */
import path from 'node:path';
import type { ImageFormat } from '../../engine/host/image-tools.ts';
import { DEFAULT_POOL, type Volume } from '../contract/storage.ts';
import { PoolStore } from '../store/pools.ts';
import type { Manager } from '../vm/manager.ts';
import { Storage } from '../vm/storage.ts';
import { formatBytes, parseBytes } from './bytes.ts';
import { type Command, print } from './command.ts';
import { facts, table } from './table.ts';
import { type Syntax, usage, type Words } from './words.ts';

/** A command on storage. */
function command(syntax: Syntax, run: (storage: Storage, words: Words) => Promise<void> | void): Command {
  return {
    syntax: { ...syntax, flags: ['json', ...(syntax.flags ?? [])] },
    async run(manager, words) {
      await run(storageOf(manager), words);
      return 0;
    },
  };
}

function storageOf(manager: Manager): Storage {
  return new Storage(manager, new PoolStore(path.dirname(manager.library.directory)));
}

const VOLUME: Syntax = { values: ['pool'], operands: ['VOL'] };

export const VOLUME_COMMANDS: Readonly<Record<string, Command>> = {
  'pool-list': command({ flags: ['all', 'details'] }, listPools),
  'pool-define-as': command({ values: ['target', 'type'], operands: ['NAME', 'TYPE?'] }, (storage, words) => {
    const [name = '', type = words.value('type') ?? 'dir'] = words.operands;
    if (type !== 'dir') throw usage(`a pool is a folder: TYPE must be dir, not '${type}'`);
    const target = words.value('target');
    if (target === undefined) throw usage('pool-define-as needs --target FOLDER');
    storage.pools.add(name, path.resolve(target));
    print(words, { name, path: path.resolve(target) }, () => `Pool ${name} defined`);
  }),
  'pool-undefine': command({ operands: ['NAME'] }, (storage, words) => {
    const [name = ''] = words.operands;
    storage.pools.remove(name);
    print(words, { name }, () => `Pool ${name} has been undefined; its folder stays`);
  }),
  'vol-list': command({ flags: ['details'], operands: ['POOL?'] }, listVolumes),
  'vol-info': command(VOLUME, volumeInfo),
  'vol-path': command(VOLUME, async (storage, words) => {
    const { path: file } = await volume(storage, words);
    print(words, { path: file }, () => file);
  }),
  'vol-create-as': command(
    {
      values: ['format', 'backing-vol', 'backing-vol-format'],
      operands: ['POOL', 'NAME', 'CAPACITY'],
    },
    createVolume,
  ),
  'vol-delete': command(VOLUME, async (storage, words) => {
    const found = await volume(storage, words);
    await storage.delete(found);
    print(words, { path: found.path }, () => `Vol ${found.name} deleted`);
  }),
  'vol-resize': command(
    { flags: ['delta', 'shrink'], values: ['pool'], operands: ['VOL', 'CAPACITY'] },
    resizeVolume,
  ),
};

/** The image that the first operand names. */
async function volume(storage: Storage, words: Words): Promise<Volume> {
  const [word = ''] = words.operands;
  return storage.find(word.includes(path.sep) ? path.resolve(word) : word, words.value('pool'));
}

async function listPools(storage: Storage, words: Words): Promise<void> {
  const { pools } = await storage.list();
  const value = pools.map(({ volumes, ...pool }) => ({ ...pool, volumes: volumes.length }));
  print(words, value, () => {
    if (!words.has('details')) {
      const rows = pools.map(({ name, problem, path: folder }) => [
        name,
        problem === null ? 'active' : 'inactive',
        folder,
      ]);
      return table(['Name', 'State', 'Folder'], rows);
    }
    const size = (bytes: number | null) => (bytes === null ? '-' : formatBytes(bytes));
    const rows = pools.map(({ name, problem, path: folder, volumes, capacity, available }) => [
      name,
      problem === null ? 'active' : problem.message,
      String(volumes.length),
      size(capacity),
      size(available),
      folder,
    ]);
    return table(['Name', 'State', 'Images', 'Capacity', 'Available', 'Folder'], rows);
  });
}

async function listVolumes(storage: Storage, words: Words): Promise<void> {
  const [name = DEFAULT_POOL] = words.operands;
  storage.pools.get(name);
  const { pools } = await storage.list();
  const { volumes = [] } = pools.find((pool) => pool.name === name) ?? {};
  print(words, volumes, () => {
    if (!words.has('details'))
      return table(
        ['Name', 'Path'],
        volumes.map((each) => [each.name, each.path]),
      );
    const rows = volumes.map(({ name: file, path: place, format, capacity, allocation, users, problem }) => [
      file,
      place,
      format ?? '-',
      problem === null ? formatBytes(capacity) : '-',
      problem === null ? formatBytes(allocation) : '-',
      users.map((user) => `${user.name}:${user.target}`).join(', ') || '-',
    ]);
    return table(['Name', 'Path', 'Format', 'Capacity', 'Allocation', 'Used by'], rows);
  });
}

async function volumeInfo(storage: Storage, words: Words): Promise<void> {
  const found = await volume(storage, words);
  const { name, format, capacity, allocation, backing, users, overlays, pool, problem } = found;
  print(words, found, () =>
    facts([
      ['Name', name],
      ['Path', found.path],
      ['Pool', pool ?? '-'],
      ['Type', 'file'],
      ...(problem === null
        ? ([
            ['Format', format ?? '-'],
            ['Capacity', formatBytes(capacity)],
            ['Allocation', formatBytes(allocation)],
          ] as const)
        : ([['Problem', problem.message]] as const)),
      ...(backing === null ? [] : [['Backing file', backing] as const]),
      ...overlays.map((overlay) => ['Behind', overlay] as const),
      ...users.map((user) => ['Used by', `${user.name} (${user.target})`] as const),
    ]),
  );
}

async function createVolume(storage: Storage, words: Words): Promise<void> {
  const [pool = '', name = '', size = ''] = words.operands;
  const behind = words.value('backing-vol');
  const backing =
    behind === undefined
      ? undefined
      : {
          file: behind.includes(path.sep) ? path.resolve(behind) : (await storage.find(behind)).path,
          format: formatOf(words, 'backing-vol-format'),
        };
  const made = storage.create(pool, {
    name,
    format: formatOf(words, 'format') ?? 'qcow2',
    capacity: parseBytes('CAPACITY', size),
    backing,
  });
  print(words, { path: made }, () => `Vol ${name} created`);
}

async function resizeVolume(storage: Storage, words: Words): Promise<void> {
  const found = await volume(storage, words);
  const text = words.operands[1] ?? '';
  const isDelta = words.has('delta') || text.startsWith('+');
  const bytes = parseBytes('CAPACITY', text.replace(/^\+/, ''));
  const capacity = isDelta ? found.capacity + bytes : bytes;
  await storage.resize(found, capacity, words.has('shrink'));
  print(words, { path: found.path, capacity }, () => {
    return `Size of volume '${found.name}' successfully changed to ${formatBytes(capacity)}`;
  });
}

function formatOf(words: Words, option: string): ImageFormat | undefined {
  const text = words.value(option);
  if (text === undefined || text === 'raw' || text === 'qcow2') return text;
  throw usage(`--${option} must be raw or qcow2, not '${text}'`);
}
