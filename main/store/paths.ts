/**
 * Where things are kept: the XDG Base Directory Specification (0.8) on Linux and its like, the platform's own
 * folders elsewhere.
 */
import { lstatSync, mkdirSync } from 'node:fs';
import { homedir, tmpdir, userInfo } from 'node:os';
import path from 'node:path';
import { GuesthouseError } from '../../engine/base/errors.ts';

/** What the folders depend on; the process's own where not given. */
export interface Surroundings {
  readonly platform: NodeJS.Platform;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly home: string;
}

const own = (): Surroundings => ({ platform: process.platform, environment: process.env, home: homedir() });

/** A variable that holds a path; the specification has relative ones ignored. */
function directory({ environment }: Surroundings, name: string): string | undefined {
  const value = environment[name];
  return value !== undefined && path.isAbsolute(value) ? value : undefined;
}

function place(
  around: Surroundings,
  variable: string,
  [linux, mac]: readonly [linux: string, mac: string],
): string {
  const base =
    around.platform === 'win32'
      ? (directory(around, 'LOCALAPPDATA') ?? path.join(around.home, 'AppData', 'Local'))
      : (directory(around, variable) ?? path.join(around.home, around.platform === 'darwin' ? mac : linux));
  return path.join(base, 'guesthouse');
}

/** The machines, one folder each. */
export function libraryDirectory(around = own()): string {
  return path.join(
    place(around, 'XDG_DATA_HOME', ['.local/share', 'Library/Application Support']),
    'machines',
  );
}

/** The settings. */
export function settingsFile(around = own()): string {
  return path.join(place(around, 'XDG_CONFIG_HOME', ['.config', 'Library/Preferences']), 'settings.json');
}

/** What can be made again. */
export function cacheDirectory(around = own()): string {
  return place(around, 'XDG_CACHE_HOME', ['.cache', 'Library/Caches']);
}

/** Compiled code, for processes that start after the first (node:module, enableCompileCache). Under the user's own
 * folder: what lies there is run. */
export function codeCacheDirectory(around = own()): string {
  return path.join(cacheDirectory(around), 'code');
}

/**
 * The folder for sockets and locks of running machines, made where missing. Nobody else can look into it.
 *
 * @throws GuesthouseError `resources` where it can't be made, or belongs to somebody else
 */
export function runtimeDirectory(around = own()): string {
  const base = directory(around, 'XDG_RUNTIME_DIR');
  const folder =
    base === undefined ? path.join(tmpdir(), `guesthouse-${userInfo().uid}`) : path.join(base, 'guesthouse');
  const refuse = (reason: string, cause?: unknown) =>
    new GuesthouseError(
      'resources',
      `cannot use ${folder}: ${reason}`,
      'set XDG_RUNTIME_DIR to a folder of yours',
      {
        cause,
      },
    );
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw refuse(error instanceof Error ? error.message : String(error), error);
  }
  if (around.platform === 'win32') return folder;
  // In a folder that everybody can write, somebody may have been there before.
  const { uid, mode } = lstatSync(folder);
  if (uid !== userInfo().uid) throw refuse('it belongs to another user');
  if ((mode & 0o170077) !== 0o040000) throw refuse('it is open to other users');
  return folder;
}
