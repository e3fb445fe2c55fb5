/**
 * `npm run test:installer -- [--kind text|graphical]…`
 *
 * Takes Debian's installer, as the distribution packs it for booting from a network, through the firmware and
 * ISOLINUX to its first dialog, answers that with the keyboard, and goes back to it. What is on the screen is read: in
 * text mode from the adapter's memory, else by `tesseract`. Status 1 where a dialog does not come.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { fetch, find, systemLists, unpack } from '../../main/sample/packages.ts';
import { testHome } from '../../main/testing/home.ts';
import { CACHE } from '../guest/assemble.ts';
import { guesthouseCommand } from '../guest/engines.ts';

const PACKAGE = 'debian-installer-12-netboot-amd64';
const FOLDER = path.join(CACHE, 'installer');
const LOADER = '/usr/lib/ISOLINUX/isolinux.bin';
const MODULE = '/usr/lib/syslinux/modules/bios/ldlinux.c32';

/** Seconds for a dialog, on a host that has other work as well. */
const PATIENCE = 900;
/** Milliseconds between two looks. */
const LOOK = 2000;

const LANGUAGE = /Select a language/i;
const LOCATION = /Select your location/i;

interface Kind {
  /** The folder of its images in the package. */
  readonly images: string;
  /** Kernel command line: text mode without a frame buffer, or one that X can use. */
  readonly append: string;
  /** MiB */
  readonly memory: number;
  /** Keys that go back from a dialog. */
  readonly back: readonly string[];
}

const KINDS = {
  text: {
    images: 'text',
    append: 'vga=normal nomodeset fb=false',
    memory: 512,
    back: ['KEY_TAB', 'KEY_ENTER'],
  },
  graphical: { images: 'gtk', append: 'vga=788', memory: 1024, back: ['KEY_ESC'] },
} as const satisfies Record<string, Kind>;
type KindName = keyof typeof KINDS;
const NAMES: readonly KindName[] = ['text', 'graphical'];

const { values } = parseArgs({ options: { kind: { type: 'string', multiple: true } } });
const unknown = values.kind?.find((name) => !NAMES.some((kind) => kind === name));
if (unknown !== undefined) throw new Error(`--kind takes ${NAMES.join(' or ')}, not '${unknown}'`);

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
async function makeDisc(kind: KindName): Promise<string> {
  const disc = path.join(FOLDER, `${kind}.iso`);
  if (existsSync(disc)) return disc;
  mkdirSync(FOLDER, { recursive: true });
  const { images, append } = KINDS[kind];
  const inside = `usr/lib/debian-installer/images/12/amd64/${images}/debian-installer/amd64`;
  const tree = path.join(home.directory, 'tree');
  const unpacked = path.join(home.directory, 'unpacked');
  const file = await packageFile();
  mkdirSync(tree);
  for (const name of ['linux', 'initrd.gz']) {
    await unpack(file, `${inside}/${name}`, unpacked);
    copyFileSync(path.join(unpacked, inside, name), path.join(tree, name));
  }
  for (const name of [LOADER, MODULE]) copyFileSync(name, path.join(tree, path.basename(name)));
  const config = ['DEFAULT install', 'LABEL install', 'KERNEL linux', `APPEND initrd=initrd.gz ${append}`];
  writeFileSync(path.join(tree, 'isolinux.cfg'), `${config.join('\n')}\n`);
  const part = `${disc}.part`;
  rmSync(part, { force: true });
  const record = ['-b', 'isolinux.bin', '-c', 'boot.cat', '-no-emul-boot'];
  const options = [...record, '-boot-load-size', '4', '-boot-info-table', '-V', 'INSTALL'];
  execFileSync('xorriso', ['-as', 'mkisofs', '-quiet', ...options, '-o', part, tree], { stdio: 'pipe' });
  renameSync(part, disc);
  for (const folder of [tree, unpacked]) rmSync(folder, { recursive: true });
  return disc;
}

/** What can be read on a machine's screen; nothing, in text mode, while it shows a picture. */
function read(name: string, kind: KindName): string {
  if (kind === 'text') return manage('screenshot', name, '--text');
  const picture = path.join(home.directory, 'screen.png');
  manage('screenshot', name, picture);
  return execFileSync('tesseract', [picture, '-', '--psm', '11'], { encoding: 'utf8', stdio: 'pipe' });
}

/** Waits until something can be read. @returns seconds it took */
async function shows(name: string, kind: KindName, wanted: RegExp): Promise<number> {
  const started = performance.now();
  for (;;) {
    const state = manage('domstate', name).trim();
    if (state !== 'running') throw new Error(`the machine is ${state} before it shows ${wanted}`);
    const text = read(name, kind);
    const seconds = (performance.now() - started) / 1000;
    if (wanted.test(text)) return seconds;
    if (seconds > PATIENCE) throw new Error(`${wanted} is not shown in ${PATIENCE} s, but\n${text}`);
    await sleep(LOOK);
  }
}

async function goThrough(kind: KindName): Promise<void> {
  const { memory, back } = KINDS[kind];
  const disc = await makeDisc(kind);
  const name = `installer-${kind}`;
  manage('define', '--name', name, '--accel', 'wasm', '--memory', String(memory), '--cdrom', disc);
  manage('start', name);
  try {
    const first = await shows(name, kind, LANGUAGE);
    console.log(`${kind}: the first dialog after ${first.toFixed(1)} s`);
    manage('send-key', name, 'KEY_ENTER');
    const next = await shows(name, kind, LOCATION);
    console.log(`${kind}: its answer is taken, the next dialog after ${next.toFixed(1)} s`);
    for (const key of back) manage('send-key', name, key);
    await shows(name, kind, LANGUAGE);
    console.log(`${kind}: and back`);
  } finally {
    manage('destroy', name);
    manage('undefine', name);
  }
}

for (const kind of NAMES) if (values.kind?.includes(kind) ?? true) await goThrough(kind);
