import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createImage, imageInfo } from '../../engine/host/image-tools.ts';
import { Library } from '../store/library.ts';
import { PoolStore } from '../store/pools.ts';
import { testHome, type TestHome } from '../testing/home.ts';
import type { EngineLauncher } from './launcher.ts';
import { Manager } from './manager.ts';
import { Storage } from './storage.ts';

/** Starts nothing: these machines are off. */
const noLauncher: EngineLauncher = {
  launch: () => ({ pid: undefined, exited: Promise.resolve({ status: 71, signal: null }), kill: () => {} }),
};

const MIB = 2 ** 20;

let home: TestHome;
let manager: Manager;
let storage: Storage;
let folder: string;

beforeEach(() => {
  home = testHome();
  folder = path.join(home.directory, 'isos');
  mkdirSync(folder);
  manager = new Manager(new Library(home.library), noLauncher);
  storage = new Storage(manager, new PoolStore(path.dirname(home.library)));
});
afterEach(() => {
  manager.close();
  home[Symbol.dispose]();
});

test('pools are folders, of which one is always there', async () => {
  storage.pools.add('isos', folder);
  expect((await storage.list()).pools).toMatchObject([
    { name: 'default', builtIn: true, volumes: [], problem: null },
    { name: 'isos', path: folder, builtIn: false, volumes: [], problem: null },
  ]);
  expect(() => storage.pools.add('isos', home.directory)).toThrow("a pool called 'isos' already");
  expect(() => storage.pools.add('other', `${folder}/`)).toThrow("'isos' already");
  expect(() => storage.pools.add('../x', home.directory)).toThrow('NAME must be');
  expect(() => storage.pools.add('relative', 'isos')).toThrow('absolute');
  expect(() => storage.pools.remove('default')).toThrow('always there');
  storage.pools.add('gone', path.join(home.directory, 'gone'));
  const { pools } = await storage.list();
  expect(pools.at(-1)?.problem?.message).toMatch(/gone: it does not exist$/);
  storage.pools.remove('gone');
  storage.pools.remove('isos');
  expect(storage.pools.list()).toHaveLength(1);
  expect(existsSync(folder)).toBe(true);
});

test('a damaged list of pools is said, and not overwritten', () => {
  const file = path.join(path.dirname(home.library), 'pools.json');
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, '{');
  expect(() => storage.pools.add('isos', folder)).toThrow('pools.json is damaged');
});

test('images are made, grown and deleted', async () => {
  const made = storage.create('default', { name: 'a.qcow2', format: 'qcow2', capacity: 4 * MIB });
  expect(await storage.find('a.qcow2')).toMatchObject({
    path: made,
    format: 'qcow2',
    capacity: 4 * MIB,
    users: [],
  });
  await storage.resize(await storage.find(made), 8 * MIB);
  expect(imageInfo(made).size).toBe(8 * MIB);
  await expect(storage.resize(await storage.find(made), MIB)).rejects.toThrow('would become smaller');
  expect(() => storage.create('default', { name: 'a.qcow2', format: 'raw', capacity: MIB })).toThrow(
    'exists already',
  );
  for (const name of ['../a', '.hidden', '', 'a/b', 'a\0']) {
    expect(() => storage.create('default', { name, format: 'raw', capacity: MIB })).toThrow('NAME must be');
  }
  await storage.delete(await storage.find('a.qcow2', 'default'));
  expect(existsSync(made)).toBe(false);
  await expect(storage.find('a.qcow2')).rejects.toThrow("no pool has image 'a.qcow2'");
});

test('what a machine or another image needs is not deleted', async () => {
  const base = storage.create('default', { name: 'base.raw', format: 'raw', capacity: MIB });
  const overlay = storage.create('default', {
    name: 'overlay.qcow2',
    format: 'qcow2',
    backing: { file: base, format: 'raw' },
  });
  // By another way to the same folder.
  const link = path.join(home.directory, 'link');
  symlinkSync(path.dirname(base), link);
  const disks = [{ file: path.join(link, 'overlay.qcow2') }, { device: 'cdrom' as const }];
  const { id } = await manager.define({ name: 'one', disks });
  expect(await storage.find(overlay)).toMatchObject({
    backing: base,
    users: [{ id, name: 'one', target: 'vda', running: false }],
  });
  await expect(storage.delete(await storage.find(overlay))).rejects.toThrow("is vda of 'one'");
  await expect(storage.delete(await storage.find(base))).rejects.toThrow('is the backing file of');
  await expect(storage.resize(await storage.find(base), 2 * MIB)).rejects.toThrow('is the backing file of');
  await manager.undefine(id);
  await storage.delete(await storage.find(overlay));
  await storage.delete(await storage.find(base));
  expect((await storage.list()).pools[0]?.volumes).toEqual([]);
});

test('images of machines that are in no pool are known too, and stay', async () => {
  const file = path.join(home.directory, 'elsewhere.qcow2');
  createImage(file, { format: 'qcow2', size: MIB });
  await manager.define({ name: 'one', disks: [{ file }, { file: `${file}.missing` }] });
  const { others } = await storage.list();
  expect(others).toMatchObject([
    { path: file, pool: null, problem: null, users: [{ target: 'vda' }] },
    { path: `${file}.missing`, format: null, problem: { code: 'file' }, users: [{ target: 'vdb' }] },
  ]);
  await storage.resize(await storage.find(file), 2 * MIB);
  await manager.undefine((await manager.list())[0]?.id ?? '');
  await expect(storage.find(file)).rejects.toThrow('no pool has');
  expect(existsSync(file)).toBe(true);
});

test('what is no image of ours is listed as it is', async () => {
  storage.pools.add('isos', folder);
  writeFileSync(path.join(folder, 'tiny.iso'), Buffer.alloc(4096));
  // A qcow2 header of a version that there is none of.
  writeFileSync(
    path.join(folder, 'odd.qcow2'),
    Buffer.from('QFI\xfb\x00\x00\x00\x09'.padEnd(128, '\0'), 'latin1'),
  );
  mkdirSync(path.join(folder, 'folder'));
  const { pools } = await storage.list();
  expect(pools[1]?.volumes).toMatchObject([
    { name: 'odd.qcow2', format: null },
    { name: 'tiny.iso', format: 'raw', capacity: 4096, problem: null },
  ]);
  expect(pools[1]?.volumes[0]?.problem?.message).toContain('odd.qcow2');
});

test('disks are attached, detached and their discs changed in the configuration', async () => {
  const file = storage.create('default', { name: 'a.qcow2', format: 'qcow2', capacity: MIB });
  const iso = path.join(folder, 'a.iso');
  writeFileSync(iso, Buffer.alloc(4096));
  const { id } = await manager.define({ name: 'one', disks: [{ device: 'cdrom', format: 'raw' }] });
  const { disks } = manager;
  expect(await disks.attach(id, { file })).toBe('vda');
  await expect(disks.attach(id, { file })).rejects.toThrow('as another disk does');
  await expect(disks.attach(id, { file: `${file}.missing` })).rejects.toThrow('no such file');
  await expect(disks.attach(id, { device: 'cdrom' }, 'hdc')).rejects.toThrow('hdc is taken');
  await expect(disks.attach(id, { device: 'cdrom' }, 'hda')).rejects.toThrow('would be hdd, not hda');

  const change = { live: false, config: true, force: false };
  await disks.changeMedium(id, 'hdc', { ...change, file: iso });
  expect(await disks.list(id)).toMatchObject([
    { target: 'hdc', file: iso, format: null },
    { target: 'vda', file },
  ]);
  await expect(disks.changeMedium(id, 'vda', { ...change, file: iso })).rejects.toThrow('is a hard disk');
  await expect(disks.changeMedium(id, 'hdd', { ...change, file: null })).rejects.toThrow("no disk 'hdd'");
  await expect(disks.changeMedium(id, 'hdc', { ...change, file: `${iso}.no` })).rejects.toThrow(
    'no such file',
  );
  await expect(disks.changeMedium(id, 'hdc', { ...change, live: true, file: null })).rejects.toThrow(
    'not running',
  );
  expect(await disks.list(id)).toMatchObject([{ file: iso }, { file }]);
  await disks.changeMedium(id, 'hdc', { ...change, file: null });
  expect(await disks.detach(id, file)).toMatchObject({ target: 'vda' });
  await expect(disks.detach(id, 'vda')).rejects.toThrow("no disk 'vda'");
  expect(await disks.list(id)).toMatchObject([{ target: 'hdc', file: null }]);
});

test('a machine is made with its disk in a pool, and not left half made', async () => {
  storage.pools.add('isos', folder);
  const newDisk = { gibibytes: 3, bus: 'virtio', format: 'raw' } as const;
  writeFileSync(path.join(folder, 'a-b.img'), 'other');
  const { id } = await storage.define({ name: 'a b', sample: true }, 'isos', newDisk);
  const file = path.join(folder, 'a-b-2.img');
  expect(imageInfo(file)).toMatchObject({ format: 'raw', size: 3072 * MIB });
  const { document } = await manager.get(id);
  expect(document?.disks).toMatchObject([{ file, bus: 'virtio' }]);
  const before = readdirSync(folder);
  await expect(storage.define({ name: 'a b' }, 'isos', newDisk)).rejects.toThrow("called 'a b' already");
  await expect(storage.define({ name: 'c', memory: 0 }, 'isos', newDisk)).rejects.toThrow('memory');
  await expect(storage.define({ name: 'c' }, 'none', newDisk)).rejects.toThrow("no pool called 'none'");
  expect(readdirSync(folder)).toEqual(before);
});
