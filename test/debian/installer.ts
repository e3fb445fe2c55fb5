/**
 * `npm run test:installer`
 *
 * Takes Debian's installer, as the distribution packs it for booting from a network, through the firmware, ISOLINUX and
 * its own boot menu to its first dialog, answers that with the keyboard, and goes back to it. What is on the screen is
 * read by `tesseract`. Status 1 where a dialog does not come.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fetch, find, systemLists, unpack } from '../../main/sample/packages.ts';
import { testHome } from '../../main/testing/home.ts';
import { commandLine, oneOf, wholeNumber } from '../../scripts/command-line.ts';
import { CACHE } from '../guest/assemble.ts';
import { guesthouseCommand } from '../guest/engines.ts';
import { DIALOGS, makeInstallerDisc, MEMORY, readPicture } from './installer-disc.ts';

const PACKAGE = 'debian-installer-12-netboot-amd64';
const FOLDER = path.join(CACHE, 'installer');

/** Milliseconds between two looks, at least. */
const LOOK = 2000;
/** How many times as long as a look takes the machine is left alone: it takes time that the guest could have. */
const REST = 3;

interface Kind {
  /** The folder of its images in the package. */
  readonly images: string;
  /** Keys that go back from a dialog. */
  readonly back: readonly string[];
}

const KINDS = {
  text: { images: 'text', back: ['KEY_TAB', 'KEY_ENTER'] },
  graphical: { images: 'gtk', back: ['KEY_ESC'] },
} as const satisfies Record<string, Kind>;
type KindName = keyof typeof KINDS;
const NAMES = ['text', 'graphical'] as const;

const USAGE = `npm run test:installer -- [OPTION]…
  --kind ${NAMES.join('|')}  which of its images; may be repeated (default: each)
  --patience N           seconds for a dialog (default: 1800)`;

const values = commandLine(USAGE, {
  kind: { type: 'string', multiple: true },
  patience: { type: 'string', default: '1800' },
});
const kinds = values.kind?.map((name) => oneOf('kind', name, NAMES)) ?? NAMES;
const patience = wholeNumber('patience', values.patience, 1);

using home = testHome();

const manage = (...words: string[]): string => {
  const [program, ...args] = guesthouseCommand(...words);
  return execFileSync(program, args, { encoding: 'utf8' });
};

/** The package's file, fetched where it was not before. */
async function packageFile(): Promise<string> {
  const found = await find(systemLists, PACKAGE);
  if (found === undefined) throw new Error(`apt knows no package ${PACKAGE}`);
  return fetch(systemLists, found, FOLDER);
}

/** Makes a disc of an installer's images, or finds the one made before. @returns its path */
async function discOf(kind: KindName): Promise<string> {
  const disc = path.join(FOLDER, `waiting-${kind}.iso`);
  if (existsSync(disc)) return disc;
  mkdirSync(FOLDER, { recursive: true });
  const inside = `usr/lib/debian-installer/images/12/amd64/${KINDS[kind].images}/debian-installer/amd64`;
  const unpacked = path.join(home.directory, 'unpacked');
  const file = await packageFile();
  for (const name of ['linux', 'initrd.gz', 'boot-screens']) {
    await unpack(file, `${inside}/${name}`, unpacked);
  }
  makeInstallerDisc(path.join(unpacked, inside), disc);
  rmSync(unpacked, { recursive: true });
  return disc;
}

/** Waits until something can be read on a machine's screen.
 * @returns seconds it took
 * @throws Error where it is not shown in time, or the machine ends */
async function shows(name: string, wanted: RegExp): Promise<number> {
  const picture = path.join(home.directory, 'screen.png');
  const started = performance.now();
  for (;;) {
    const looked = performance.now();
    manage('screenshot', name, picture);
    const text = readPicture(picture);
    const seconds = (performance.now() - started) / 1000;
    if (wanted.test(text)) return seconds;
    if (seconds > patience) throw new Error(`${wanted} is not shown in ${patience} s, but\n${text}`);
    await sleep(Math.max(LOOK, REST * (performance.now() - looked)));
  }
}

async function goThrough(kind: KindName): Promise<void> {
  const disc = await discOf(kind);
  const name = `installer-${kind}`;
  manage('define', '--name', name, '--accel', 'wasm', '--memory', String(MEMORY), '--cdrom', disc);
  manage('start', name);
  try {
    const menu = await shows(name, DIALOGS.menu);
    manage('send-key', name, 'KEY_ENTER');
    const first = await shows(name, DIALOGS.language);
    console.log(`${kind}: its menu after ${menu.toFixed(1)} s, the first dialog ${first.toFixed(1)} s later`);
    manage('send-key', name, 'KEY_ENTER');
    const next = await shows(name, DIALOGS.location);
    console.log(`${kind}: its answer is taken, the next dialog after ${next.toFixed(1)} s`);
    for (const key of KINDS[kind].back) manage('send-key', name, key);
    const back = await shows(name, DIALOGS.language);
    console.log(`${kind}: and back after ${back.toFixed(1)} s`);
  } finally {
    manage('destroy', name);
    manage('undefine', name);
  }
}

for (const kind of kinds) await goThrough(kind);
