import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { GuesthouseError } from '../../engine/base/errors.ts';
import { checkDocument, type MachineDocument } from '../contract/document.ts';
import { testHome, type TestHome } from '../testing/home.ts';
import { Library } from './library.ts';
import { dismissErrors, lastError, noteError } from './notes.ts';
import { SettingsStore } from './settings.ts';
import { nameIn } from './stored-machine.ts';
import { watchLibrary } from './watch.ts';

let home: TestHome;
let library: Library;

beforeEach(() => {
  home = testHome();
  library = new Library(home.library);
});
afterEach(() => home[Symbol.dispose]());

function documentOf(name: string, memory = 256): MachineDocument {
  const checked = checkDocument({ name, sample: true, memory });
  if (!checked.ok) throw new Error('wrong');
  return checked.document;
}

/** Puts a folder into the library by hand. */
function put(id: string, text: string): void {
  mkdirSync(path.join(home.library, id), { recursive: true });
  writeFileSync(path.join(home.library, id, 'machine.json'), text);
}

test('a library that is not there has no machines', () => {
  expect(library.list()).toEqual([]);
  expect(readdirSync(home.directory)).not.toContain('data');
});

test('a machine is found again by another program, whole', () => {
  const { id } = library.define(documentOf('one'));
  const [found] = new Library(home.library).list();
  expect(found).toMatchObject({ id, problem: null, document: documentOf('one') });
  // Nothing half-made is left.
  expect(readdirSync(home.library)).toEqual([id]);
  expect(readdirSync(path.join(home.library, id))).toEqual(['machine.json']);
});

test('a name is taken once', () => {
  const { id } = library.define(documentOf('one'));
  library.define(documentOf('two'));
  expect(() => library.define(documentOf('one'))).toThrow("called 'one' already");
  const { revision } = library.get(id);
  expect(() => library.replace(id, revision, documentOf('two'))).toThrow("called 'two' already");
});

test('a change is made only to what was seen', () => {
  const { id, revision } = library.define(documentOf('one'));
  const next = library.replace(id, revision, documentOf('one', 300));
  expect(next.revision).not.toBe(revision);
  expect(() => library.replace(id, revision, documentOf('one', 400))).toThrow('changed elsewhere');
  expect(library.get(id).document?.memory).toBe(300);
});

test.each<[what: string, text: string, said: string]>([
  ['no JSON', '{', 'it is no JSON'],
  ['another file', '{"a":1}', 'it is no guesthouse machine'],
  ['a newer version', '{"format":"guesthouse machine","version":99,"name":"x"}', 'is of version 99'],
  [
    'a wrong field',
    '{"format":"guesthouse machine","version":1,"name":"x","sample":true,"memory":-1}',
    'memory must',
  ],
  ['nothing', '', 'it is no JSON'],
])('%s is listed as damaged and left as it is', async (_, text, said) => {
  put('broken', text);
  const [machine] = library.list();
  expect(machine.problem?.message).toContain(said);
  expect(machine.document).toBeNull();
  expect(() => library.replace('broken', machine.revision, documentOf('x'))).toThrow();
  await expect(library.clone('broken', 'y')).rejects.toThrow();
  expect(readFileSync(path.join(home.library, 'broken', 'machine.json'), 'utf8')).toBe(text);
  await library.remove('broken');
  expect(library.list()).toEqual([]);
});

test.each([
  ['{"format":"guesthouse machine","version":99,"name":"née 2"}', 'née 2'],
  ['{\n  "version": 1,\n  "name": "half', undefined],
  ['{\n  "name": "cut off", "mem', 'cut off'],
  ['{"name": "../../etc"}', undefined],
  ['{"name": "a\\u0000b"}', undefined],
  [`{"name": "${'x'.repeat(65)}"}`, undefined],
  ['', undefined],
])('%j gives the name %j', (text, name) => {
  expect(nameIn(text)).toBe(name);
});

test('a folder without a configuration, or with a folder for one, is listed as damaged', () => {
  mkdirSync(path.join(home.library, 'empty'), { recursive: true });
  mkdirSync(path.join(home.library, 'odd', 'machine.json'), { recursive: true });
  expect(library.list().map(({ problem }) => problem?.code)).toEqual(['file', 'file']);
});

test.each(['..', '.', '', 'a/b', '../x', 'a\\b', 'a\0', '.hidden', 'x'.repeat(200)])(
  '%j is no id',
  async (id) => {
    expect(() => library.find(id)).toThrow('no machine');
    await expect(library.remove(id)).rejects.toThrow('no machine');
  },
);

test('a copy has the files of a machine and nothing of its runs', async () => {
  const { id, folder } = library.define(documentOf('one'));
  writeFileSync(path.join(folder, 'disk.img'), 'disk');
  writeFileSync(path.join(folder, 'run.json'), '{}');
  const copy = await library.clone(id, 'two');
  expect(library.files(copy.id).map(({ name, bytes }) => `${name} ${bytes > 0}`)).toEqual([
    'disk.img true',
    'machine.json true',
  ]);
  expect(copy.document?.name).toBe('two');
});

test('a copy has disks of its own, and shares those elsewhere', async () => {
  const { id, folder } = library.define(documentOf('one'), (document, work, place) => {
    writeFileSync(path.join(work, 'disk.qcow2'), 'disk');
    const disks = [{ file: path.join(place, 'disk.qcow2') }, { file: `${place}-other/disk` }];
    const checked = checkDocument({ ...document, disks });
    if (!checked.ok) throw new Error('wrong');
    return checked.document;
  });
  expect(library.get(id).document?.disks[0]?.file).toBe(path.join(folder, 'disk.qcow2'));
  const copy = await library.clone(id, 'two');
  expect(copy.document?.disks.map(({ file }) => file)).toEqual([
    path.join(copy.folder, 'disk.qcow2'),
    `${folder}-other/disk`,
  ]);
  expect(readFileSync(path.join(copy.folder, 'disk.qcow2'), 'utf8')).toBe('disk');
});

test('deleting follows no links', async () => {
  const outside = path.join(home.directory, 'outside');
  mkdirSync(outside);
  writeFileSync(path.join(outside, 'precious'), 'x');
  const { id, folder } = library.define(documentOf('one'));
  symlinkSync(outside, path.join(folder, 'link'));
  await library.remove(id);
  expect(readFileSync(path.join(outside, 'precious'), 'utf8')).toBe('x');
});

test('an error stays until it is dismissed', () => {
  const { folder } = library.define(documentOf('one'));
  expect(lastError(folder, false)).toBeNull();
  noteError(folder, { code: 'file', message: 'gone' });
  expect(lastError(folder, false)).toMatchObject({ code: 'file', message: 'gone' });
  dismissErrors(folder);
  expect(lastError(folder, false)).toBeNull();
});

test('a run without an end and without an engine has broken off', () => {
  const { folder } = library.define(documentOf('one'));
  const record = { version: 1, pid: 1, started: Date.now(), ended: null, outcome: null, statistics: null };
  writeFileSync(path.join(folder, 'run.json'), JSON.stringify(record));
  writeFileSync(path.join(folder, 'engine.log'), 'last words\n');
  expect(lastError(folder, true)).toBeNull();
  expect(lastError(folder, false)).toMatchObject({ code: 'internal', details: 'last words' });
});

test('a crash of the guest is an error, a power-off is none', () => {
  const { folder } = library.define(documentOf('one'));
  const write = (outcome: unknown) =>
    writeFileSync(
      path.join(folder, 'run.json'),
      JSON.stringify({ version: 1, pid: 1, started: 1, ended: Date.now(), outcome, statistics: null }),
    );
  write({ kind: 'poweroff' });
  expect(lastError(folder, false)).toBeNull();
  write({ kind: 'crash', message: 'triple fault' });
  expect(lastError(folder, false)).toMatchObject({ code: 'guest-crash', message: 'triple fault' });
});

test('a clone that is given up, or no good any more, leaves nothing', async () => {
  const { id, folder } = library.define(documentOf('one'));
  writeFileSync(path.join(folder, 'disk.img'), Buffer.alloc(9 * 2 ** 20, 'x'));
  const before = readdirSync(library.directory);
  const enough = () => {
    throw new GuesthouseError('state', 'enough');
  };
  await expect(library.clone(id, 'two', enough)).rejects.toThrow('enough');
  await expect(library.clone(id, 'two', undefined, async () => enough())).rejects.toThrow('enough');
  expect(readdirSync(library.directory)).toEqual(before);
  const shares: number[] = [];
  await library.clone(id, 'two', (share) => shares.push(share));
  expect(shares.at(-1)).toBeGreaterThan(0.9);
});

test('settings are kept, and a damaged file gives the usual ones', () => {
  const file = path.join(home.directory, 'settings', 'settings.json');
  const store = new SettingsStore(file);
  store.set({ theme: 'dark', view: { columns: [1, 2], old: true } });
  store.set({ view: { old: null } });
  expect(new SettingsStore(file).get()).toMatchObject({ theme: 'dark', view: { columns: [1, 2] } });
  expect(new SettingsStore(file).get().view).not.toHaveProperty('old');
  writeFileSync(file, 'no settings');
  expect(new SettingsStore(file).get().theme).toBe('system');
  expect(readFileSync(file, 'utf8')).toBe('no settings');
});

test('what others do to the library is noticed', async () => {
  const seen = new Set<string>();
  let wake = () => {};
  const end = watchLibrary(home.library, (id) => {
    seen.add(id);
    wake();
  });
  const notice = async (id: string) => {
    while (!seen.has(id)) await new Promise<void>((resolve) => (wake = resolve));
    seen.clear();
  };
  const { id, revision } = library.define(documentOf('one'));
  await notice(id);
  library.replace(id, revision, documentOf('one', 300));
  await notice(id);
  await library.remove(id);
  await notice(id);
  end();
});
