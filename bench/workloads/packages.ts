/** The distribution's packages that the workloads are taken from, unpacked without installing them. */
import { execFileSync } from 'node:child_process';
import { globSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { fetch, fetchLists, find, type Lists, systemLists, unpack } from '../../main/sample/packages.ts';

/** Packages by name; what they depend on comes with them. */
const PACKAGES = [
  'busybox-static',
  'coreutils',
  'xz-utils',
  'gzip',
  'openssl',
  'python3-minimal',
  'sqlite3',
  'cpp',
] as const;

/**
 * Fetches all packages and unpacks each of them into `directory`.
 *
 * @throws GuesthouseError `unsupported` where the system has no apt, `resources` where packages can't be
 * fetched
 */
export async function unpackPackages(directory: string): Promise<void> {
  const debs = path.join(directory, 'packages');
  mkdirSync(debs, { recursive: true });
  const fetchAll = async (lists: Lists): Promise<void> => {
    for (const name of closure(lists)) {
      const found = await find(lists, name);
      if (found === undefined) throw new Error(`apt has no package ${name}`);
      await fetch(lists, found, debs);
    }
  };
  try {
    await fetchAll(systemLists);
  } catch {
    // The system's lists are missing or out of date.
    await fetchAll(await fetchLists(path.join(directory, 'apt')));
  }
  // Packages for all architectures are under other names than fetch expects, so the files themselves are asked.
  for (const file of globSync(path.join(debs, '*.deb')))
    await unpack(file, '*', path.join(directory, 'files'));
}

/** The packages and everything they depend on.
 * @throws Error where apt does not know one */
function closure(lists: Lists): string[] {
  const omitted = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'];
  const options = ['depends', '--recurse', ...omitted.map((relation) => `--no-${relation}`)];
  const text = execFileSync('apt-cache', [...lists.options, ...options, '--', ...PACKAGES], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // Names stand at the start of a line, relations are indented, and <virtual> packages are in brackets.
  return [...new Set(text.split('\n').filter((line) => /^[a-z0-9]/.test(line)))];
}
