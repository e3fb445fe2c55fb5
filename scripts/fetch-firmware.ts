/**
 * Puts the firmware that machines start with into resources/firmware: from the distribution's installed package, or
 * from the package as apt fetches it, without root and without installing it.
 */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetch, fetchLists, find, systemLists, unpack } from '../main/sample/packages.ts';
import { commandLine } from './command-line.ts';

const PACKAGE = 'seabios';

/** Where the package has its files, below the root. */
const SHARE = 'usr/share/seabios';

/** File in the package to name here. The licence travels with them. */
const FILES: ReadonlyArray<readonly [from: string, to: string]> = [
  [`${SHARE}/bios-256k.bin`, 'seabios.bin'],
  [`${SHARE}/vgabios-stdvga.bin`, 'vgabios-stdvga.bin'],
  [`usr/share/doc/${PACKAGE}/copyright`, 'seabios.copyright'],
];

/** Copies the files out of the tree at `root`; false where not all of them are there. */
function take(root: string, target: string): boolean {
  if (!FILES.every(([from]) => existsSync(path.join(root, from)))) return false;
  mkdirSync(target, { recursive: true });
  for (const [from, to] of FILES) copyFileSync(path.join(root, from), path.join(target, to));
  return true;
}

async function download(target: string): Promise<void> {
  const work = mkdtempSync(path.join(tmpdir(), 'guesthouse-firmware-'));
  try {
    let lists = systemLists;
    let found = await find(lists, PACKAGE);
    if (found === undefined) {
      lists = await fetchLists(path.join(work, 'apt'));
      found = await find(lists, PACKAGE);
    }
    if (found === undefined) throw new Error(`the system's package lists have no ${PACKAGE}`);
    const file = await fetch(lists, found, work);
    for (const [from] of FILES) await unpack(file, from, work);
    if (!take(work, target)) throw new Error(`${PACKAGE} ${found.version} lacks what is expected in it`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

commandLine('npm run firmware: puts the firmware that machines start with into resources/firmware', {});

const target = fileURLToPath(new URL('../resources/firmware/', import.meta.url));
const installed = take('/', target);
try {
  if (!installed) await download(target);
  process.stdout.write(`firmware in ${path.relative(process.cwd(), target)}\n`);
} catch (error) {
  process.stderr.write(
    `cannot get the firmware: ${error instanceof Error ? error.message : String(error)}\n`,
  );
  process.exitCode = 1;
}
