/**
 * From an ISO image to the first dialog of what is on it, an answer, and back, in the desktop: entirely by mouse, and
 * entirely by keyboard. The disc boots by ISOLINUX, as installers' do, and its dialogs are ISOLINUX's own menus;
 * `INSTALLER=FOLDER` has a real installer take its place (README.md).
 */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DIALOGS, makeInstallerDisc, readPicture } from '../debian/installer-disc.ts';
import { makeIsolinuxDisc, SYSLINUX_MODULES } from '../guest/isolinux-disc.ts';
import { expectState, picture, Shell } from './harness.ts';

/** A folder with a real installer's images in text mode, as the packages debian-installer-*-netboot-* have them, which a
 * disc is made of. */
const REAL = process.env['INSTALLER'];

/** Milliseconds for a test: an installer takes a while to its first dialog, and many times that beside other work. */
const LIMIT = REAL === undefined ? 300_000 : 1_800_000;

/** Milliseconds between two looks at the screen: reading a picture takes time that the guest could have. */
const LOOK = REAL === undefined ? 500 : 4000;

let shell: Shell;
let page: Page;
let image: string;

beforeAll(async () => {
  shell = await Shell.start();
  const file = path.join(shell.home, 'install.iso');
  if (REAL === undefined) makeDisc(file);
  else makeInstallerDisc(REAL, file);
  image = file;
  page = await shell.open();
});
afterAll(async () => {
  expect(shell.complaints).toEqual([]);
  await shell[Symbol.asyncDispose]();
});

/** Makes a disc that boots by ISOLINUX, with menus. */
function makeDisc(file: string): void {
  const boot = path.join(shell.home, 'tree', 'isolinux');
  mkdirSync(boot, { recursive: true });
  for (const name of ['libcom32.c32', 'libutil.c32', 'menu.c32']) {
    copyFileSync(path.join(SYSLINUX_MODULES, name), path.join(boot, name));
  }
  putMenus(boot);
  makeIsolinuxDisc(path.dirname(boot), 'isolinux', file, ['-V', 'INSTALL']);
}

/** Menus: the first, then one that asks for the language, then one for the country, which leads back as well. */
function putMenus(folder: string): void {
  const menu = (title: string, entries: ReadonlyArray<readonly [label: string, config: string]>): string =>
    [
      `UI menu.c32\nMENU TITLE ${title}`,
      ...entries.map(
        ([label, config], i) => `LABEL ${i}\nMENU LABEL ${label}\nKERNEL menu.c32\nAPPEND ${config}`,
      ),
    ].join('\n');
  const write = (name: string, text: string): void => writeFileSync(path.join(folder, name), `${text}\n`);
  write('isolinux.cfg', menu('Boot menu', [['Install', 'language.cfg']]));
  write('language.cfg', menu('Select a language', [['English', 'country.cfg']]));
  const countries: ReadonlyArray<readonly [string, string]> = [
    ['Ireland', 'country.cfg'],
    ['Go back', 'language.cfg'],
  ];
  write('country.cfg', menu('Select your location', countries));
}

/** What can be read on the machine's screen: in text modes from its memory, else in the picture. */
async function readScreen(name: string): Promise<string> {
  if (REAL === undefined) return shell.run('screenshot', name, '--text');
  const file = path.join(shell.home, 'screen.png');
  await shell.run('screenshot', name, file);
  return readPicture(file);
}

/** Goes through the dialogs and says how long each took.
 * @param press has keys pressed, one after another, by their names in the menu of keys */
async function goThrough(name: string, press: (...keys: readonly string[]) => Promise<void>): Promise<void> {
  let since = performance.now();
  const shows = async (what: string, wanted: RegExp): Promise<void> => {
    await expect.poll(() => readScreen(name), { timeout: LIMIT - 60_000, interval: LOOK }).toMatch(wanted);
    if (REAL !== undefined) console.log(`${name}: ${what} after ${seconds(since)}`);
    since = performance.now();
  };
  await shows('the boot menu', REAL === undefined ? /Boot menu/ : DIALOGS.menu);
  await press('Enter');
  await shows('the first dialog', DIALOGS.language);
  await press('Enter');
  await shows('the next', DIALOGS.location);
  await press(...(REAL === undefined ? ['Down', 'Enter'] : ['Tab', 'Enter']));
  await shows('the first again', DIALOGS.language);
}

const seconds = (since: number): string => `${((performance.now() - since) / 1000).toFixed(1)} s`;

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
    await dialog.getByRole('button', { name: 'More: Memory' }).click();
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
    const press = async (...keys: readonly string[]): Promise<void> => {
      for (const key of keys) {
        await window.getByRole('button', { name: 'Send keys' }).click();
        await window.getByRole('menuitem', { name: key, exact: true }).click();
      }
    };
    await goThrough(name, press);
    await picture(window, 'installer-light');
    if (REAL === undefined) {
      // The menu's key for a line to edit.
      await press('Tab');
      await window.context().grantPermissions(['clipboard-read', 'clipboard-write']);
      await window.evaluate(() => navigator.clipboard.writeText(' Quiet_=1'));
      await window.getByRole('button', { name: 'Type the clipboard’s text' }).click();
      await expect.poll(() => readScreen(name), { interval: LOOK }).toContain('country.cfg Quiet_=1');
    }
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
    const named: Readonly<Record<string, string>> = { Down: 'ArrowDown' };
    await goThrough('by keyboard', async (...keys) => {
      for (const key of keys) await window.keyboard.press(named[key] ?? key);
    });
    // And out of the screen again.
    await window.keyboard.press('Control+Shift+Escape');
    expect(await window.locator(':focus').innerText()).toContain('Screen');
    await window.close();
  },
  LIMIT,
);
