import {
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { testHome, type TestHome } from '../testing/home.ts';
import { copyFolder } from './copy-folder.ts';

const MIB = 2 ** 20;

let home: TestHome;
let from: string;
let to: string;

beforeEach(() => {
  home = testHome();
  from = path.join(home.directory, 'from');
  to = path.join(home.directory, 'to');
  mkdirSync(path.join(from, 'inner'), { recursive: true });
});
afterEach(() => home[Symbol.dispose]());

const quiet = { without: [], progress: () => {} };

test('files, folders and links are copied, and what is left out is not', async () => {
  writeFileSync(path.join(from, 'inner', 'a'), 'text', { mode: 0o600 });
  writeFileSync(path.join(from, 'empty'), '');
  writeFileSync(path.join(from, 'run.json'), '{}');
  symlinkSync('nowhere', path.join(from, 'link'));
  await copyFolder(from, to, { ...quiet, without: ['run.json'] });
  expect(readFileSync(path.join(to, 'inner', 'a'), 'utf8')).toBe('text');
  expect(statSync(path.join(to, 'inner', 'a')).mode & 0o777).toBe(0o600);
  expect(statSync(path.join(to, 'empty')).size).toBe(0);
  expect(readlinkSync(path.join(to, 'link'))).toBe('nowhere');
  expect(lstatSync(path.join(to, 'run.json'), { throwIfNoEntry: false })).toBeUndefined();
});

test('a disk that is mostly zeros takes no more space than before, and is the same', async () => {
  const file = path.join(from, 'disk.img');
  writeFileSync(file, Buffer.alloc(3000, 'x'));
  truncateSync(file, 40 * MIB + 17);
  await copyFolder(from, to, quiet);
  const copy = path.join(to, 'disk.img');
  expect(statSync(copy).size).toBe(40 * MIB + 17);
  expect(statSync(copy).blocks * 512).toBeLessThan(8 * MIB);
  expect(readFileSync(copy).equals(readFileSync(file))).toBe(true);
});

test('a copy that is called off ends after the piece that is being copied', async () => {
  // More than anybody would wait for, and no space.
  writeFileSync(path.join(from, 'large'), '');
  truncateSync(path.join(from, 'large'), 2 ** 40);
  const abort = new AbortController();
  const copying = copyFolder(from, to, { ...quiet, signal: abort.signal });
  abort.abort(new Error('no longer wanted'));
  await expect(copying).rejects.toThrow('no longer wanted');
});

test('progress rises to the whole, and ends it by what it throws', async () => {
  writeFileSync(path.join(from, 'a'), Buffer.alloc(9 * MIB, 'a'));
  writeFileSync(path.join(from, 'b'), Buffer.alloc(9 * MIB, 'b'));
  const shares: number[] = [];
  await copyFolder(from, to, { without: [], progress: (share) => shares.push(share) });
  expect(shares.length).toBeGreaterThan(1);
  expect(shares).toEqual(shares.toSorted((a, b) => a - b));
  expect(shares.at(-1)).toBe(1);
  const stop = copyFolder(from, `${to}-2`, {
    without: [],
    progress: () => {
      throw new Error('enough');
    },
  });
  await expect(stop).rejects.toThrow('enough');
});
