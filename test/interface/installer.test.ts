/**
 * From an ISO image to the first dialog of what is on it, and an answer, in the desktop: entirely by mouse, and
 * entirely by keyboard. The disc boots by ISOLINUX, as installers' do, and its dialogs are ISOLINUX's own menus;
 * `INSTALLER=PATH` has a real installer take its place (README.md).
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectState, picture, Shell } from './harness.ts';

const LOADER = '/usr/lib/ISOLINUX/isolinux.bin';
const MODULES = '/usr/lib/syslinux/modules/bios';

/** A real installer, whose first dialog is about the language: an image, or a folder with `linux` and `initrd.gz` as
 * the packages debian-installer-*-netboot-* have them, which a disc is made of. */
const REAL = process.env['INSTALLER'];

/** Milliseconds for a test: an installer takes a while to its first dialog. */
const LIMIT = REAL === undefined ? 300_000 : 900_000;

let shell: Shell;
let page: Page;
let image: string;

beforeAll(async () => {
  shell = await Shell.start();
  const file = path.join(shell.home, 'install.iso');
  if (REAL === undefined) image = makeDisc(file, putMenus);
  else image = statSync(REAL).isDirectory() ? makeDisc(file, (folder) => putInstaller(folder, REAL)) : REAL;
  page = await shell.open();
});
afterAll(async () => {
  expect(shell.complaints).toEqual([]);
  await shell[Symbol.asyncDispose]();
});

/** Makes a disc that boots by ISOLINUX.
 * @param put puts `isolinux.cfg`, and what it names, into a folder */
function makeDisc(file: string, put: (folder: string) => void): string {
  const boot = path.join(shell.home, 'tree', 'isolinux');
  mkdirSync(boot, { recursive: true });
  copyFileSync(LOADER, path.join(boot, 'isolinux.bin'));
  for (const name of ['ldlinux.c32', 'libcom32.c32', 'libutil.c32', 'menu.c32']) {
    copyFileSync(path.join(MODULES, name), path.join(boot, name));
  }
  put(boot);
  const record = ['-b', 'isolinux/isolinux.bin', '-c', 'isolinux/boot.cat', '-no-emul-boot'];
  const options = [...record, '-boot-load-size', '4', '-boot-info-table', '-V', 'INSTALL', '-o', file];
  execFileSync('xorriso', ['-as', 'mkisofs', '-quiet', ...options, path.dirname(boot)], { stdio: 'pipe' });
  return file;
}

/** A kernel and its initial RAM disk, which are started after two seconds with dialogs in text mode. */
function putInstaller(folder: string, from: string): void {
  for (const name of ['linux', 'initrd.gz']) copyFileSync(path.join(from, name), path.join(folder, name));
  const entry = 'LABEL install\nKERNEL linux\nAPPEND initrd=initrd.gz vga=normal fb=false nomodeset';
  writeFileSync(path.join(folder, 'isolinux.cfg'), `UI menu.c32\nTIMEOUT 20\n${entry}\n`);
}

/** Menus: one that waits two seconds, then one that asks for the language, then one for the country. */
function putMenus(folder: string): void {
  const menu = (title: string, entries: ReadonlyArray<readonly [label: string, config: string]>): string =>
    [
      `UI menu.c32\nMENU TITLE ${title}`,
      ...entries.map(
        ([label, config], i) => `LABEL ${i}\nMENU LABEL ${label}\nKERNEL menu.c32\nAPPEND ${config}`,
      ),
    ].join('\n');
  const write = (name: string, text: string): void => writeFileSync(path.join(folder, name), `${text}\n`);
  write('isolinux.cfg', `TIMEOUT 20\n${menu('Boot menu', [['Install', 'language.cfg']])}`);
  write(
    'language.cfg',
    menu('Choose a language', [
      ['English', 'english.cfg'],
      ['Deutsch', 'german.cfg'],
    ]),
  );
  write('english.cfg', menu('Choose a country', [['Ireland', 'english.cfg']]));
  write('german.cfg', menu('Wo liegt Ihr Land', [['Irland', 'german.cfg']]));
}

/** Waits until something can be read on the machine's screen. */
async function shows(name: string, wanted: RegExp): Promise<void> {
  await expect
    .poll(() => shell.run('screenshot', name, '--text'), { timeout: LIMIT - 60_000, interval: 500 })
    .toMatch(wanted);
}

test(
  'entirely by mouse',
  async () => {
    await page.getByRole('button', { name: 'New machine…' }).click();
    const dialog = page.getByRole('dialog', { name: 'New machine' });
    await dialog.getByRole('radio', { name: 'Installation media' }).click();
    await dialog.getByRole('button', { name: 'Choose a file: CD-ROM image' }).click();
    const files = page.getByRole('dialog', { name: 'Choose a file: CD-ROM image' });
    const up = files.getByRole('button', { name: 'Parent folder' });
    const place = files.locator('.path');
    for (;;) {
      await place.filter({ hasText: '/' }).waitFor();
      if (await up.isDisabled()) break;
      const before = await place.innerText();
      await up.click();
      await expect.poll(() => place.innerText()).not.toBe(before);
    }
    for (const part of image.split('/').slice(1)) {
      await files
        .getByRole('option')
        .filter({ has: page.getByText(part, { exact: true }) })
        .dblclick();
    }
    await files.waitFor({ state: 'detached' });
    await dialog.getByRole('button', { name: 'Next' }).click();
    await dialog.getByRole('button', { name: 'Less: Memory' }).click();
    await dialog.getByRole('button', { name: 'Next' }).click();
    const name = await dialog.getByRole('textbox', { name: 'Name' }).inputValue();
    const [window] = await Promise.all([
      page.waitForEvent('popup'),
      dialog.getByRole('button', { name: 'Create and start' }).click(),
    ]);
    await window.getByRole('tab', { name: 'Screen', selected: true }).waitFor();
    await expectState(window, 'Running');
    await window.locator('canvas').waitFor();
    await shows(name, /language/i);
    await picture(window, 'installer-light');
    await window.close();
    await shell.run('destroy', name);
  },
  LIMIT,
);

test(
  'entirely by keyboard',
  async () => {
    await page.keyboard.press('Control+n');
    const dialog = page.getByRole('dialog', { name: 'New machine' });
    await dialog.waitFor();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Tab');
    await page.keyboard.type(image);
    await page.keyboard.press('Enter');
    await dialog.getByText('Step 2 of 3').waitFor();
    await page.keyboard.press('Enter');
    await dialog.getByText('Step 3 of 3').waitFor();
    const field = page.locator(':focus');
    await page.keyboard.press('Control+a');
    await page.keyboard.type('by keyboard');
    expect(await field.inputValue()).toBe('by keyboard');
    const popup = page.waitForEvent('popup');
    await page.keyboard.press('Enter');
    const window = await popup;
    await expectState(window, 'Running');
    await shows('by keyboard', /language/i);
    if (REAL === undefined) {
      await window.keyboard.press('ArrowDown');
      await window.keyboard.press('Enter');
      await shows('by keyboard', /Wo liegt Ihr Land/);
    } else {
      await window.keyboard.press('Enter');
      await shows('by keyboard', /location|country/i);
    }
    // And out of the screen again.
    await window.keyboard.press('Control+Shift+Escape');
    expect(await window.locator(':focus').innerText()).toContain('Screen');
    await window.close();
  },
  LIMIT,
);
