/**
 * Takes files out of the distribution's own packages, without root and without installing anything.
 *
 * apt finds and fetches packages for anyone, given package lists. Where the system's lists are missing,
 * out of date or for another architecture, a private copy of them is fetched into a directory of ours.
 */
import { spawn } from 'node:child_process';
import { globSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { GuesthouseError } from '../../engine/base/errors.ts';

/** A package as apt would fetch it now. */
export interface Package {
  readonly name: string;
  readonly version: string;
}

/** Where apt looks packages up. */
export interface Lists {
  /** Command line options for every call. */
  readonly options: readonly string[];
  /** Ends a call that is under way, which then throws the signal's reason. */
  readonly signal?: AbortSignal;
}

/** The system's own package lists. Only names them: they may be missing. */
export const systemLists: Lists = { options: ['-o', 'APT::Architecture=amd64'] };

/**
 * Fetches private package lists, for amd64 whatever the host is, from the system's sources.
 *
 * @param directory to keep them in, created where missing
 * @param signal for fetching them, and all that is done with them
 * @throws GuesthouseError `resources` where none can be fetched, `unsupported` where there is no apt
 */
export async function fetchLists(directory: string, signal?: AbortSignal): Promise<Lists> {
  const state = path.join(directory, 'state');
  const cache = path.join(directory, 'cache');
  const status = path.join(state, 'status');
  mkdirSync(path.join(state, 'lists', 'partial'), { recursive: true });
  mkdirSync(path.join(cache, 'archives', 'partial'), { recursive: true });
  // Nothing is installed, as far as these lists go.
  writeFileSync(status, '');
  const settings = {
    'APT::Architecture': 'amd64',
    'APT::Architectures': 'amd64',
    'APT::Sandbox::User': '', // root's private directories aren't for user _apt
    'Acquire::Languages': 'none',
    'Dir::State': state,
    'Dir::State::Lists': path.join(state, 'lists'),
    'Dir::State::status': status,
    'Dir::Cache': cache,
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  await run('apt-get', [...options, '-qq', 'update'], { signal });
  return signal === undefined ? { options } : { options, signal };
}

/**
 * Looks up a package and, for a meta package, the one it stands for.
 *
 * @param name of a package
 * @param dependency where given, the package's first dependency matching it is looked up instead
 * @returns undefined where the lists have no such package
 */
export async function find(lists: Lists, name: string, dependency?: RegExp): Promise<Package | undefined> {
  const record = await show(lists, name);
  if (record === undefined) return undefined;
  if (dependency !== undefined) {
    const needed = (record.get('Depends') ?? '')
      .split(/[,|]/)
      .map((alternative) => alternative.trim().split(/[ :(]/, 1)[0] ?? '')
      .find((candidate) => dependency.test(candidate));
    return needed === undefined ? undefined : find(lists, needed);
  }
  const version = record.get('Version');
  return version === undefined ? undefined : { name, version };
}

/** Fetches a package into `directory` and returns the package file's path.
 * @throws GuesthouseError `resources` where it can't be fetched */
export async function fetch(lists: Lists, { name, version }: Package, directory: string): Promise<string> {
  mkdirSync(directory, { recursive: true });
  const sandbox = ['-o', 'APT::Sandbox::User='];
  const words = [...lists.options, ...sandbox, '-qq', 'download', `${name}=${version}`];
  await run('apt-get', words, { cwd: directory, signal: lists.signal });
  // As apt names it, with what a file name can't have written %xx.
  const escaped = version.replaceAll('%', '%25').replaceAll(':', '%3a').replaceAll('/', '%2f');
  const [file] = globSync(`${name}_${escaped}_{amd64,all}.deb`, { cwd: directory });
  if (file === undefined) throw new GuesthouseError('resources', `apt-get fetched no ${name} ${version}`);
  return path.join(directory, file);
}

/** Unpacks a package file's `member`, a path below the root or a pattern as of glob(7), into `directory`.
 * @throws GuesthouseError `file` where the package is damaged or has no such member */
export async function unpack(file: string, member: string, directory: string): Promise<void> {
  mkdirSync(directory, { recursive: true });
  try {
    await run('sh', [
      '-c',
      // The pipe's status is tar's, which fails on a short input and on a missing member.
      'dpkg-deb --fsys-tarfile "$1" | tar -x -f - -C "$2" --wildcards "./$3"',
      'sh',
      file,
      directory,
      member,
    ]);
  } catch (error) {
    throw new GuesthouseError('file', `cannot unpack ${path.basename(file)}`, undefined, { cause: error });
  }
}

/** Unpacks those of the members, patterns as for {@link unpack}, that a package file has, into `directory`. */
export async function unpackAny(file: string, members: readonly string[], directory: string): Promise<void> {
  mkdirSync(directory, { recursive: true });
  const script =
    'file=$1 directory=$2; shift 2; dpkg-deb --fsys-tarfile "$file" | tar -x -f - -C "$directory" --wildcards "$@"';
  // tar fails for the members that are missing, when it has unpacked the others.
  const patterns = members.map((member) => `./${member}`);
  await run('sh', ['-c', `${script} 2>/dev/null || true`, 'sh', file, directory, ...patterns]);
}

/** A package's record in the lists: field name to value, continuation lines joined. */
async function show(lists: Lists, name: string): Promise<Map<string, string> | undefined> {
  let text;
  try {
    const words = [...lists.options, 'show', '--no-all-versions', '--', name];
    text = await run('apt-cache', words, { signal: lists.signal });
  } catch (error) {
    lists.signal?.throwIfAborted();
    // apt-cache fails where it has no such package, as well as where it has no lists at all.
    if (error instanceof GuesthouseError && error.code === 'unsupported') throw error;
    return undefined;
  }
  const record = new Map<string, string>();
  for (const line of text
    .split('\n\n', 1)[0]!
    .replaceAll(/\n[ \t]/g, ' ')
    .split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) record.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return record;
}

/** Runs a command in `cwd` and returns its standard output.
 * @throws GuesthouseError `unsupported` where there is no such command, `resources` where it fails; the signal's reason
 * where that has ended it */
async function run(
  command: string,
  args: readonly string[],
  { cwd, signal }: { readonly cwd?: string; readonly signal?: AbortSignal | undefined } = {},
): Promise<string> {
  signal?.throwIfAborted();
  const child = spawn(command, args, {
    ...(cwd === undefined ? {} : { cwd }),
    ...(signal === undefined ? {} : { signal }),
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, LC_ALL: 'C' },
  });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const status = await new Promise<number | string | null>((resolve, reject) => {
    child.once('close', (code, ended) => {
      if (signal?.aborted) reject(signal.reason);
      else resolve(code ?? ended);
    });
    child.once('error', (error: NodeJS.ErrnoException) => {
      // Told when it has ended.
      if (signal?.aborted) return;
      if (error.code !== 'ENOENT') return reject(error);
      const message = `${command} was not found: this is made of Debian packages`;
      const hint = 'run it on Debian or Ubuntu';
      reject(new GuesthouseError('unsupported', message, hint));
    });
  });
  if (status === 0) return output;
  const reason =
    errors.split('\n').findLast((line) => line.startsWith('E: ')) ?? errors.trim().split('\n').at(-1);
  throw new GuesthouseError(
    'resources',
    `${command} failed (${status}): ${reason?.replace(/^E: /, '') ?? ''}`,
  );
}
