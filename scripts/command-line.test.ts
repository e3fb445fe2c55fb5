/** Every script of package.json that is ours answers `--help`, and says in one line what is wrong with an option. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';

const ROOT = path.dirname(import.meta.dirname);

const { scripts } = z
  .object({ scripts: z.record(z.string(), z.string()) })
  .parse(JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')));

/** Files that a script is by itself; the others are programs of packages, or made of several. */
const files = Object.values(scripts)
  .map((text) => /^node (?:--\S+ )*(\S+\.ts)$/.exec(text)?.[1])
  .filter((file) => file !== undefined);

function run(file: string, option: string) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [path.join(ROOT, file), option], {
    encoding: 'utf8',
    timeout: 25_000,
  });
  return { status, stdout, stderr };
}

test('there are such scripts', () => {
  expect(files.length).toBeGreaterThanOrEqual(9);
});

test.each(files)('%s says how it is used', (file) => {
  const { status, stdout, stderr } = run(file, '--help');
  expect(stderr).toBe('');
  expect(stdout).toMatch(/^Usage: (npm (run |start|test)|node )/);
  expect(status).toBe(0);
});

test.each(files)('%s refuses an option that there is not, in one line', (file) => {
  const { status, stdout, stderr } = run(file, '--no-such-option');
  expect(stderr).toMatch(/^[^\n]*--no-such-option[^\n]*\n$/);
  expect(stdout).toBe('');
  expect(status).toBe(64);
});
