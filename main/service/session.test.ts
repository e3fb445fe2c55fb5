import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { Random } from '../../engine/base/random.ts';
import { Client, METHODS, type MethodName, RequestError } from '../contract/index.ts';
import { isMethodName } from '../contract/methods.ts';
import { testHome, type TestHome } from '../testing/home.ts';
import type { EngineLauncher } from '../vm/launcher.ts';
import { Services } from './services.ts';
import { Session } from './session.ts';

/** Starts nothing: these tests are about everything else. */
const noLauncher: EngineLauncher = {
  launch: () => ({ pid: undefined, exited: Promise.resolve({ status: 71, signal: null }), kill: () => {} }),
};

let home: TestHome;
let services: Services;

beforeEach(() => {
  home = testHome();
  services = new Services({ shell: 'browser', launcher: noLauncher });
});
afterEach(() => {
  services.manager.close();
  home[Symbol.dispose]();
});

/** A client joined to a session without a wire between them. */
function connect(): { client: Client; session: Session; isClosed: () => boolean } {
  let closed = false;
  const client = new Client({
    send: (message) => queueMicrotask(() => session.receive(message)),
    close: () => session.close(),
  });
  const session: Session = new Session(services, {
    send: (message) => queueMicrotask(() => client.receive(message)),
    close: () => (closed = true),
  });
  return { client, session, isClosed: () => closed };
}

test('a machine is defined, edited, copied and deleted', async () => {
  const { client } = connect();
  const { client: other } = connect();
  const seen: string[] = [];
  other.on('machine.changed', ({ machine }) => seen.push(machine.name));
  const removed: string[] = [];
  other.on('machine.removed', ({ id }) => removed.push(id));

  const { machine } = await client.call('machine.define', { document: { name: 'one', sample: true } });
  const { document, revision } = await client.call('machine.get', { id: machine.id });
  await client.call('machine.configure', {
    id: machine.id,
    revision,
    document: { ...document, memory: 300 },
  });
  await client.call('machine.label', { id: machine.id, tags: ['web'], group: 'work' });
  await client.call('machine.rename', { id: machine.id, name: 'uno' });
  const copy = await client.call('machine.clone', { id: machine.id, name: 'due' });
  expect(copy.machine).toMatchObject({
    name: 'due',
    memory: 300,
    tags: ['web'],
    group: 'work',
    state: 'shut off',
  });
  const { files } = await client.call('machine.deletion', { id: machine.id });
  expect(files.map(({ name }) => name)).toEqual(['machine.json']);
  await client.call('machine.undefine', { id: machine.id });
  const { machines } = await client.call('machine.list', {});
  expect(machines.map(({ name }) => name)).toEqual(['due']);
  expect(new Set(seen)).toEqual(new Set(['one', 'uno', 'due']));
  expect(removed).toEqual([machine.id]);
});

test('a document that is wrong is refused with every field', async () => {
  const { client } = connect();
  const document = { name: '', memory: 0, kernel: '/none' };
  const error = await client.call('machine.define', { document }).catch((reason: unknown) => reason);
  if (!(error instanceof RequestError)) throw error;
  expect(error.failure.code).toBe('config');
  expect(error.failure.issues?.map(({ path: [field] }) => field)).toEqual(['name', 'memory']);
});

test('validation looks at files when asked to, and at names', async () => {
  const { client } = connect();
  const { machine } = await client.call('machine.define', { document: { name: 'one', sample: true } });
  const document = { name: 'one', kernel: path.join(home.directory, 'none') };
  const quick = await client.call('machine.validate', { document });
  expect(quick.issues).toEqual([{ path: ['name'], message: 'is taken by another machine' }]);
  const thorough = await client.call('machine.validate', { document, files: true, id: machine.id });
  expect(thorough.issues).toEqual([{ path: ['kernel'], message: 'does not exist' }]);
});

test('an operation on a machine that is not there, or not running, says so', async () => {
  const { client } = connect();
  await expect(client.call('machine.start', { id: 'none' })).rejects.toThrow('no such machine');
  const { machine } = await client.call('machine.define', { document: { name: 'one', sample: true } });
  const methods = ['destroy', 'suspend', 'resume', 'shutdown', 'reset'] as const;
  for (const method of methods.map((verb) => `machine.${verb}` as const)) {
    const called = client.call(method, { id: machine.id });
    await expect(called).rejects.toThrow('the machine is not running');
    // Who wants it off need not start it.
    await expect(called).rejects.not.toHaveProperty('failure.hint');
  }
  await expect(client.call('console.attach', { id: machine.id })).rejects.toMatchObject({
    failure: { hint: 'start it first' },
  });
});

test('settings reach every client', async () => {
  const { client } = connect();
  const { client: other } = connect();
  const told = new Promise<string>((resolve) =>
    other.on('settings', ({ settings }) => resolve(settings.theme)),
  );
  await client.call('settings.set', { settings: { theme: 'dark' } });
  expect(await told).toBe('dark');
});

test('a file dialog is only where there is one, and folders are listed', async () => {
  const { client } = connect();
  await expect(client.call('file.choose', { title: 'x' })).rejects.toThrow('no file dialog');
  mkdirSync(path.join(home.directory, 'sub'));
  const { entries } = await client.call('file.list', { path: home.directory });
  expect(entries.map(({ name, folder }) => `${name} ${folder}`)).toContain('sub true');
  await expect(client.call('file.list', { path: 'relative' })).rejects.toThrow('absolute');
});

test('what is no frame ends the session', () => {
  for (const message of ['', '{', 'null', '[]', '{"type":"request"}', new Uint8Array(2)]) {
    const { session, isClosed } = connect();
    session.receive(message);
    expect({ message, closed: isClosed() }).toEqual({ message, closed: true });
    // What comes after is not looked at.
    session.receive('{}');
  }
});

test('an unknown method is refused, and the session goes on', async () => {
  const answers: string[] = [];
  const session = new Session(services, {
    send: (message) => answers.push(String(message)),
    close: () => {},
  });
  for (const method of ['nothing', '__proto__', 'constructor', 'toString']) {
    session.receive(JSON.stringify({ type: 'request', id: 1, method, params: {} }));
  }
  await new Promise((resolve) => setImmediate(resolve));
  expect(answers.slice(1).every((answer) => answer.includes('no such method'))).toBe(true);
  expect(answers).toHaveLength(5);
});

/** Values that parsers stumble over, and paths that lead out. */
const NASTY: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  1e308,
  0.5,
  2 ** 53,
  '',
  '..',
  '../../outside',
  '/etc/passwd',
  'a\0b',
  '\ud800',
  'x'.repeat(5000),
  [],
  {},
  [[[[[]]]]],
  { id: '../outside' },
  { __proto__: { id: 'x' } },
  { length: 1e9 },
];

test('no message, however malformed, breaks main or reaches a file outside the library', async () => {
  const outside = path.join(home.library, '..', 'outside');
  mkdirSync(outside, { recursive: true });
  writeFileSync(path.join(outside, 'machine.json'), 'precious');
  writeFileSync(path.join(outside, 'disk.img'), 'precious');
  const { client } = connect();
  const { machine } = await client.call('machine.define', { document: { name: 'one', sample: true } });
  const { document } = await client.call('machine.get', { id: machine.id });

  const random = new Random(5);
  const pick = <T>(values: readonly T[]): T => values[random.below(values.length)];
  const names = Object.keys(METHODS) as MethodName[];
  /** The fields that a method knows, and sometimes one that it does not. */
  const keysOf = (method: string): string[] => {
    const params = isMethodName(method) ? METHODS[method].params : undefined;
    const known = params instanceof z.ZodObject ? Object.keys(params.shape) : [];
    return [...known.filter(() => random.below(6) > 0), ...(random.below(8) === 0 ? ['colour'] : [])];
  };
  /** A value that is right in part. */
  const value = (key: string): unknown => {
    if (random.below(3) === 0) return pick([...NASTY, path.join(outside, 'disk.img')]);
    if (key === 'id') return machine.id;
    if (key === 'document') return { ...document, [pick(Object.keys(document ?? {}))]: pick(NASTY) };
    if (key === 'newDisk') return { gibibytes: 1, format: 'qcow2', bus: pick(['virtio', ...NASTY]) };
    if (key === 'pool') return 'default';
    if (key === 'format') return pick(['qcow2', 'raw']);
    if (key === 'capacity') return 2 ** 20;
    if (key === 'path' || key === 'file') return path.join(home.directory, 'images', 'a.iso');
    if (['live', 'config', 'force', 'paused'].includes(key)) return random.below(2) === 0;
    if (key === 'settings') return { [pick(['theme', 'view', 'window', 'onQuit'])]: pick(NASTY) };
    return pick(['one', 'two', 1, 0]);
  };

  let answered = 0;
  let granted = 0;
  const defects: string[] = [];
  const ids = new Set<number>();
  const session = new Session(services, {
    send: (message) => {
      const frame: unknown = typeof message === 'string' ? JSON.parse(message) : undefined;
      if (typeof frame === 'object' && frame !== null && 'id' in frame && typeof frame.id === 'number') {
        ids.add(frame.id);
        answered++;
        if ('result' in frame) granted++;
      }
      // A defect shows as an internal error.
      if (String(message).includes('internal error')) defects.push(String(message));
    },
    close: () => {},
  });
  const COUNT = 3000;
  for (let id = 1; id <= COUNT; id++) {
    const method =
      random.below(20) === 0 ? pick(NASTY.filter((each) => typeof each === 'string')) : pick(names);
    // Starting the one good machine would make the sample guest.
    if (method === 'machine.start' || (method === 'machine.undefine' && id < COUNT / 2)) continue;
    const chosen = keysOf(method).map((key) => [key, value(key)] as const);
    const params: unknown = random.below(8) === 0 ? pick(NASTY) : Object.fromEntries(chosen);
    session.receive(
      JSON.stringify({ type: 'request', id, method: method.slice(0, 64), params: params ?? null }),
    );
    if (id % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await services.manager.list();
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(defects).toEqual([]);
  expect(answered).toBe(ids.size);
  expect(answered).toBeGreaterThan(COUNT * 0.85);
  // Some are right, so that what is behind the schemas is met as well.
  expect(granted).toBeGreaterThan(COUNT * 0.1);
  expect(readFileSync(path.join(outside, 'machine.json'), 'utf8')).toBe('precious');
  expect(readFileSync(path.join(outside, 'disk.img'), 'utf8')).toBe('precious');
  expect(existsSync(path.join(home.library, '..', '..', 'outside'))).toBe(false);
  const ours = ['images', 'machines', 'outside', 'pools.json'];
  expect(readdirSync(path.join(home.library, '..')).filter((name) => !ours.includes(name))).toEqual([]);
  // And it is still of use.
  const after = await client.call('machine.list', {});
  expect(after.machines.every(({ damaged }) => damaged === null)).toBe(true);
});
