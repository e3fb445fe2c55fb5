/**
 * The folder of programs that workloads run on: the root file system of the benchmark's guest, and on the host
 * the place of the very same files.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  globSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { Random } from '../../engine/base/random.ts';
import { cpio, type Entry } from '../../main/sample/cpio.ts';
import { unpackPackages } from './packages.ts';

/** Programs by where packages have them: patterns, the first that is there counts. */
const PROGRAMS = {
  sha256sum: ['usr/bin/sha256sum', 'bin/sha256sum'],
  expr: ['usr/bin/expr', 'bin/expr'],
  cut: ['usr/bin/cut', 'bin/cut'],
  gzip: ['usr/bin/gzip', 'bin/gzip'],
  xz: ['usr/bin/xz', 'bin/xz'],
  openssl: ['usr/bin/openssl'],
  sqlite3: ['usr/bin/sqlite3'],
  python3: ['usr/bin/python3.[0-9]*'],
  cc1: ['usr/lib*/gcc/x86_64-linux-gnu/*/cc1'],
} as const;

const BUSYBOX = ['usr/bin/busybox', 'bin/busybox'];
const LOADER = ['usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2', 'lib/x86_64-linux-gnu/ld-linux-x86-64.so.2'];
const LIBRARIES = ['lib/x86_64-linux-gnu', 'usr/lib/x86_64-linux-gnu'];

/** Programs of our own, in `programs/`. */
const COMPILED = ['nbody', 'linpack', 'chase'] as const;

/** Bytes of the file that programs work on, and the seed of its contents. */
const TEXT_BYTES = 4 << 20;
const TEXT_SEED = 7;

/** Raised whenever this file makes something else of the same sources. */
const RECIPE = 1;

export interface Tree {
  /** The folder. */
  readonly root: string;
  /** The same as an initial RAM file system. */
  readonly initrd: string;
}

/**
 * Makes the tree in `directory`, from the distribution's packages. What is there already is kept until our own
 * sources change, so that later measurements run the same programs; to take newer packages, delete it.
 *
 * @throws Error where a package cannot be had or lacks what is expected in it, or the host has no gcc
 */
export async function workloadTree(directory: string): Promise<Tree> {
  const root = path.join(directory, 'root');
  const initrd = path.join(directory, 'initrd.img');
  const stamp = path.join(directory, 'made-of');
  const identity = sourcesIdentity();
  if (readOr(stamp) === identity) return { root, initrd };
  mkdirSync(directory, { recursive: true });
  rmSync(stamp, { force: true });
  const packages = path.join(directory, 'unpacked');
  if (readOr(path.join(packages, 'done')) === undefined) {
    rmSync(packages, { recursive: true, force: true });
    await unpackPackages(packages);
    writeFileSync(path.join(packages, 'done'), '');
  }
  const work = mkdtempSync(path.join(directory, '.work-'));
  try {
    const made = path.join(work, 'root');
    fill(made, path.join(packages, 'files'));
    rmSync(root, { recursive: true, force: true });
    renameSync(made, root);
    writeFileSync(initrd, archive(root));
    writeFileSync(stamp, identity);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return { root, initrd };
}

function readOr(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** Changes with the recipe and with what lies in guest/ and programs/. */
function sourcesIdentity(): string {
  const hash = createHash('sha256').update(`${RECIPE}\n`);
  for (const file of globSync('{guest,programs}/*', { cwd: import.meta.dirname }).sort()) {
    hash.update(`${file}\n`).update(readFileSync(path.join(import.meta.dirname, file)));
  }
  return hash.digest('hex');
}

const FOLDERS = ['bin', 'lib', 'lib64', 'usr/lib', 'data', 'dev', 'proc', 'tmp', 'workloads'];

/** Copies and makes everything that belongs into the tree. */
function fill(root: string, packages: string): void {
  for (const folder of FOLDERS) {
    mkdirSync(path.join(root, folder), { recursive: true });
  }
  const place = (from: string, ...to: string[]): string => {
    const target = path.join(root, ...to);
    copyFileSync(from, target);
    chmodSync(target, 0o755);
    return target;
  };
  place(pick(packages, BUSYBOX), 'bin', 'busybox');
  const loader = place(pick(packages, LOADER), 'lib64', 'ld-linux-x86-64.so.2');
  for (const [name, patterns] of Object.entries(PROGRAMS)) {
    const program = place(pick(packages, patterns), 'bin', name);
    for (const library of librariesOf(loader, program, packages)) {
      place(library, 'lib', path.basename(library));
    }
  }
  const [python] = globSync(path.join(packages, 'usr/lib/python3.[0-9]*'));
  if (python === undefined) throw new Error('the packages hold no Python library');
  cpSync(python, path.join(root, 'usr', 'lib', path.basename(python)), { recursive: true });
  for (const name of COMPILED) {
    const source = path.join(import.meta.dirname, 'programs', `${name}.c`);
    const options = [
      '-O2',
      '-march=x86-64',
      '-ffp-contract=off',
      '-static',
      '-o',
      path.join(root, 'bin', name),
    ];
    execFileSync('gcc', [...options, source, '-lm'], { stdio: ['ignore', 'ignore', 'inherit'] });
  }
  for (const file of readdirSync(path.join(import.meta.dirname, 'guest'))) {
    place(path.join(import.meta.dirname, 'guest', file), 'workloads', file);
  }
  renameSync(path.join(root, 'workloads', 'init'), path.join(root, 'init'));
  writeFileSync(path.join(root, 'data', 'text'), text(TEXT_BYTES));
}

/** The first file that a pattern names in the packages. */
function pick(packages: string, patterns: readonly string[]): string {
  for (const pattern of patterns) {
    const [found] = globSync(path.join(packages, pattern));
    if (found !== undefined) return found;
  }
  throw new Error(`the packages hold no ${patterns.join(' or ')}`);
}

/** The libraries that a program loads, by the dynamic linker's own account (ld.so(8)). */
function librariesOf(loader: string, program: string, packages: string): string[] {
  const folders = LIBRARIES.map((folder) => path.join(packages, folder)).join(':');
  const { status, stdout, stderr } = spawnSync(loader, ['--library-path', folders, '--list', program], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${path.basename(program)}: ${stderr.trim()}`);
  const libraries = stdout.matchAll(/^\s*\S+ => (\S+) \(/gm).map(([, file]) => file);
  return [...libraries].filter((file) => file.startsWith(packages));
}

/** Words and lines in a fixed order, some much more frequent than others: text as compressors see it. */
const LETTERS = 'etaoinshrdlucmfwyp'.split('');

function text(bytes: number): Buffer {
  const random = new Random(TEXT_SEED);
  const word = (): string => Array.from({ length: 2 + random.below(8) }, () => random.pick(LETTERS)).join('');
  const words = Array.from({ length: 4000 }, word);
  let line = '';
  const lines: string[] = [];
  for (let size = 0; size < bytes;) {
    // The product of two numbers prefers small ones.
    line += `${words[Math.floor((random.below(words.length) * random.below(1000)) / 1000)]} `;
    if (line.length < 72) continue;
    lines.push(`${line}${random.below(100_000)}\n`);
    size += lines[lines.length - 1].length;
    line = '';
  }
  return Buffer.from(lines.join('')).subarray(0, bytes);
}

/** A folder as a cpio archive. */
function archive(root: string): Uint8Array {
  const entries: Entry[] = [
    { type: 'directory', path: 'dev' },
    { type: 'character-device', path: 'dev/console', major: 5, minor: 1 },
  ];
  for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' }).sort()) {
    if (name === 'dev') continue;
    const file = path.join(root, name);
    const status = lstatSync(file);
    if (status.isDirectory()) entries.push({ type: 'directory', path: name });
    else if (status.isFile()) {
      entries.push({ type: 'file', path: name, mode: status.mode & 0o777, data: readFileSync(file) });
    }
  }
  return cpio(entries);
}
