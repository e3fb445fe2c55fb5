/** The list: damaged machines, the keyboard alone, search, groups, many machines, both colour schemes. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { violations } from './accessibility.ts';
import { expectScreen, openMachine, picture, PROMPT, row, Shell } from './harness.ts';

let shell: Shell;
let page: Page;

beforeAll(async () => {
  shell = await Shell.start();
  page = await shell.open();
});
afterAll(async () => {
  await shell?.[Symbol.asyncDispose]();
});

const focused = () =>
  page.evaluate(() => document.activeElement?.getAttribute('aria-activedescendant') ?? '');

test('the keyboard alone makes, opens, names and deletes machines', async () => {
  for (const name of ['alpha', 'beta', 'gamma']) {
    await page.keyboard.press('Control+n');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Enter');
    await page.getByRole('spinbutton', { name: 'Memory' }).waitFor();
    await page.keyboard.press('Enter');
    const field = page.getByRole('textbox', { name: 'Name' });
    await field.waitFor();
    await page.keyboard.press('Control+a');
    await page.keyboard.type(name);
    await page.keyboard.press('Tab');
    await page.keyboard.press('Space');
    const popup = page.waitForEvent('popup');
    await page.keyboard.press('Enter');
    await (await popup).close();
    await row(page, name).waitFor();
    // It is what one goes on with.
    await expect.poll(() => row(page, name).getAttribute('aria-selected')).toBe('true');
  }
  // From the search field into the list.
  await page.keyboard.press('Control+f');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Home');
  expect(await row(page, 'alpha').getAttribute('aria-selected')).toBe('true');
  await page.keyboard.press('g');
  expect(await row(page, 'gamma').getAttribute('aria-selected')).toBe('true');
  await page.keyboard.press('Shift+ArrowUp');
  expect(await page.getByRole('row', { selected: true }).count()).toBe(2);
  await page.keyboard.press('Home');
  await page.keyboard.press('F2');
  const field = page.getByRole('textbox', { name: 'New name' });
  await field.waitFor();
  await page.keyboard.press('Control+a');
  await page.keyboard.type('alpha two');
  await page.keyboard.press('Enter');
  await row(page, 'alpha two').waitFor();
  expect(await focused()).not.toBe('');
  // The menu by its key, and an item by its first letter.
  await page.keyboard.press('Shift+F10');
  await page.getByRole('menu').waitFor();
  await page.keyboard.press('d');
  await page.keyboard.press('Enter');
  await page.getByRole('alertdialog').waitFor();
  await page
    .getByRole('alertdialog')
    .getByText(/machine\.json/)
    .waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('alertdialog').waitFor({ state: 'detached' });
  await row(page, 'alpha two').waitFor();
});

test('group and tags are given to several at once, listed together and searched', async () => {
  await row(page, 'beta').click();
  await row(page, 'gamma').click({ modifiers: ['Control'] });
  await row(page, 'gamma').click({ button: 'right' });
  await page.getByRole('menuitem', { name: 'Group and tags…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('combobox', { name: 'Group' }).fill('Build');
  await dialog.getByRole('textbox', { name: 'Tags' }).fill('nightly, arm');
  await dialog.getByRole('button', { name: 'Save' }).click();
  const heading = page.getByRole('row', { name: 'Build' });
  await heading.waitFor();
  expect(await heading.getAttribute('aria-expanded')).toBe('true');
  await page.getByRole('searchbox').fill('NIGHT build');
  await row(page, 'alpha two').waitFor({ state: 'detached' });
  expect(await row(page, 'beta').count()).toBe(1);
  await page.getByRole('searchbox').fill('nothing like it');
  await page.getByText(/No machine matches/).waitFor();
  await page.getByRole('searchbox').fill('');
  await heading.click();
  await row(page, 'beta').waitFor({ state: 'detached' });
  await heading.click();
  await row(page, 'beta').waitFor();
});

test('a damaged configuration is shown as such, and left as it is', async () => {
  const text = '{ "format": "guesthouse machine", "version": 1, "name": "broken", ';
  shell.put('broken', text);
  const broken = row(page, 'broken');
  await broken.getByText('Unreadable').waitFor();
  await broken.click();
  await page.getByRole('group', { name: 'The configuration cannot be read' }).waitFor();
  expect(await page.getByRole('button', { name: 'Start', exact: true }).first().isDisabled()).toBe(true);
  await picture(page, 'damaged-light');
  const window = await openMachine(page, 'broken');
  await window.getByRole('tab', { name: 'Configuration' }).click();
  await window.getByLabel('Configuration as JSON').getByText('"name": "broken"').waitFor();
  await window.close();
});

test('what is wrong with a new machine is said beside the field', async () => {
  await page.getByRole('button', { name: 'New machine…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Kernel and initial RAM disk').check();
  await dialog.getByRole('button', { name: 'Next' }).click();
  await dialog.getByText('Kernel is empty').waitFor();
  await dialog.getByRole('textbox', { name: 'Kernel' }).fill('/no/such/file');
  await dialog.getByText('Kernel does not exist').waitFor();
  await picture(page, 'wizard-wrong-light');
  await dialog.getByRole('button', { name: 'Choose a file: Kernel' }).click();
  const files = page.getByRole('dialog', { name: 'Choose a file: Kernel' });
  await files.getByRole('listbox').waitFor();
  await files.getByRole('button', { name: 'Parent folder' }).click();
  await files.getByRole('option').first().waitFor();
  await picture(page, 'files-light');
  await page.keyboard.press('Escape');
  await files.waitFor({ state: 'detached' });
  await dialog.getByLabel('Sample guest').check();
  await dialog.getByRole('button', { name: 'Next' }).click();
  await dialog.getByRole('spinbutton', { name: 'Memory' }).fill('lots');
  await dialog.getByText(/Memory must be a whole number/).waitFor();
  await dialog.getByRole('button', { name: 'Cancel' }).click();
});

test('a machine to install on gets its media and a new disk, and more hardware', async () => {
  const medium = path.join(shell.home, 'install.iso');
  const content = path.join(shell.home, 'medium');
  mkdirSync(path.join(content, '.disk'), { recursive: true });
  writeFileSync(
    path.join(content, '.disk', 'info'),
    'Debian GNU/Linux 13.1.0 "Trixie" - Official amd64 NETINST\n',
  );
  execFileSync('xorriso', ['-as', 'mkisofs', '-quiet', '-R', '-V', 'DEBIAN', '-o', medium, content], {
    stdio: 'ignore',
  });
  await page.getByRole('button', { name: 'New machine…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Installation media').check();
  await dialog.getByRole('textbox', { name: 'CD-ROM image' }).fill(`${medium}.missing`);
  await dialog.getByText('CD-ROM image does not exist').waitFor();
  await dialog.getByRole('textbox', { name: 'CD-ROM image' }).fill(medium);
  await dialog.getByText('CD-ROM image does not exist').waitFor({ state: 'detached' });
  await dialog.getByText('Debian GNU/Linux 13: memory and disk are set to suit it.').waitFor();
  await picture(page, 'wizard-media-light');
  await dialog.getByRole('button', { name: 'Next' }).click();
  const size = dialog.getByRole('spinbutton', { name: 'New disk' });
  await size.fill('much');
  await dialog.getByRole('button', { name: 'Next' }).click();
  await dialog.getByText(/New disk must be a whole number/).waitFor();
  await size.fill('3');
  await dialog.getByText('Deleted with the machine.').waitFor();
  await dialog.getByRole('combobox', { name: 'Kept in' }).selectOption('The pool default');
  await dialog.getByText(/images, .* free$/).waitFor();
  await picture(page, 'wizard-disk-light');
  await dialog.getByRole('button', { name: 'Next' }).click();
  await dialog.getByText('3 GiB (virtio), in the pool default').waitFor();
  expect(await dialog.getByRole('textbox', { name: 'Name' }).inputValue()).toBe('debian13');
  await dialog.getByLabel('Customise before starting').check();
  const [window] = await Promise.all([
    page.waitForEvent('popup'),
    dialog.getByRole('button', { name: 'Create', exact: true }).click(),
  ]);
  await window.getByRole('tab', { name: 'Disk 1' }).click();
  expect(await window.getByRole('textbox', { name: 'Image' }).inputValue()).toMatch(
    /\/images\/debian13\.qcow2$/,
  );
  await picture(window, 'details-disk-light');
  await window.getByRole('button', { name: 'Grow…' }).click();
  const grow = window.getByRole('dialog');
  await grow.getByRole('spinbutton', { name: 'Size' }).fill('5');
  await grow.getByRole('button', { name: 'Grow' }).click();
  await grow.waitFor({ state: 'detached' });
  const made = await window.getByRole('textbox', { name: 'Image' }).inputValue();
  expect(await shell.run('image', 'info', made)).toMatch(/Size: +5 GiB/);
  await window.getByRole('tab', { name: 'CD-ROM drive 1' }).click();
  expect(await window.getByRole('textbox', { name: 'Image' }).inputValue()).toBe(medium);
  await window.getByRole('tab', { name: 'Boot' }).click();
  const order = window.getByRole('list', { name: 'Boot order' });
  const kinds = async (): Promise<readonly string[]> => order.getByRole('listitem').allInnerTexts();
  await order.getByText('CD-ROM drives').dragTo(order.getByText('Hard disks'));
  await expect.poll(kinds).toEqual(['CD-ROM drives', 'Hard disks', 'Network']);
  await order.getByRole('checkbox', { name: 'CD-ROM drives' }).press('Alt+ArrowDown');
  await expect.poll(kinds).toEqual(['Hard disks', 'CD-ROM drives', 'Network']);
  await order.getByRole('button', { name: 'Earlier: CD-ROM drives' }).click();
  await expect.poll(kinds).toEqual(['CD-ROM drives', 'Hard disks', 'Network']);
  await picture(window, 'details-boot-devices-light');
  await window.getByRole('tab', { name: 'Processors' }).click();
  await window.getByRole('checkbox', { name: 'Set sockets, cores and threads' }).check();
  await window.getByRole('spinbutton', { name: 'Sockets' }).fill('2');
  await window.getByRole('spinbutton', { name: 'Cores of each' }).fill('2');
  expect(await window.getByRole('spinbutton', { name: 'Processors' }).inputValue()).toBe('4');
  await picture(window, 'details-topology-light');
  await window.getByRole('button', { name: 'Add hardware' }).click();
  await window.getByRole('menuitem', { name: 'Disk', exact: true }).click();
  await window.getByText('Image is empty').waitFor();
  await window.getByRole('button', { name: 'Remove this disk' }).click();
  await window.getByRole('tablist', { name: 'Hardware' }).getByRole('tab', { name: 'Screen' }).click();
  await window.getByRole('combobox', { name: 'Shown to' }).selectOption('VNC viewers');
  await window.getByRole('combobox', { name: 'Pointer' }).selectOption('PS/2 mouse');
  await picture(window, 'details-screen-light');
  await window.getByRole('button', { name: 'Apply' }).click();
  await window.getByRole('button', { name: 'Apply', disabled: true }).waitFor();
  const stored: unknown = JSON.parse(await shell.run('dumpconfig', 'debian13'));
  expect(stored).toMatchObject({
    boot: { order: ['cdrom', 'disk'] },
    vcpus: 4,
    topology: { sockets: 2, cores: 2, threads: 1 },
    disks: [
      { device: 'disk', bus: 'virtio' },
      { device: 'cdrom', file: medium },
    ],
    display: { kind: 'vnc', address: '127.0.0.1:5900' },
    tablet: 'none',
  });
  await window.close();
  await shell.run('undefine', 'debian13');
  await row(page, 'debian13').waitFor({ state: 'detached' });
});

test('every screen is usable by everybody, in both colour schemes', async () => {
  const found: string[] = [];
  const look = async (of: Page, name: string): Promise<void> => {
    for (const colorScheme of ['light', 'dark'] as const) {
      await of.emulateMedia({ colorScheme });
      await picture(of, `${name}-${colorScheme}`);
      const wrong = await violations(of, colorScheme === 'light' ? 'all' : 'colours');
      found.push(...wrong.map((violation) => `${name}, ${colorScheme}: ${violation}`));
    }
  };
  const list = await shell.open();
  await row(list, 'beta').click();
  await list.getByRole('button', { name: 'Start', exact: true }).first().click();
  await row(list, 'beta').getByText('Running').waitFor({ timeout: 90_000 });
  // Figures come a while after the start.
  await row(list, 'beta').getByText(/%$/).waitFor();
  await look(list, 'list');
  await row(list, 'beta').click({ button: 'right' });
  await list.getByRole('menu').waitFor();
  await look(list, 'menu');
  await list.keyboard.press('Escape');
  await row(list, 'broken').click();
  await look(list, 'list-damaged');
  await list.keyboard.press('Control+n');
  const dialog = list.getByRole('dialog');
  for (const step of ['boot', 'resources', 'summary']) {
    await dialog.getByText(`Step ${['boot', 'resources', 'summary'].indexOf(step) + 1} of 3`).waitFor();
    await look(list, `wizard-${step}`);
    if (step !== 'summary') await dialog.getByRole('button', { name: 'Next' }).click();
  }
  await list.keyboard.press('Escape');
  for (const item of ['Preferences…', 'Keyboard shortcuts']) {
    await list.getByRole('button', { name: 'Menu', exact: true }).click();
    await list.getByRole('menuitem', { name: item }).click();
    await dialog.waitFor();
    await look(list, item.replaceAll(/\W+/g, '').toLowerCase());
    await list.keyboard.press('Escape');
  }
  const window = await openMachine(list, 'beta');
  await expectScreen(window, PROMPT);
  await look(window, 'machine-console');
  for (const item of ['Details', 'Performance', 'Log', 'Configuration']) {
    await window.getByRole('tab', { name: item }).click();
    await look(window, `machine-${item.toLowerCase()}`);
  }
  await window.getByRole('tab', { name: 'Details' }).click();
  for (const item of ['Boot', 'Processors', 'Memory', 'Serial port 1', 'Debug ports']) {
    await window.getByRole('tab', { name: item }).click();
    await look(window, `details-${item.replaceAll(' ', '-').toLowerCase()}`);
  }
  await shell.run('destroy', 'beta');
  await window.close();
  await list.close();
  expect(found).toEqual([]);
});

test('cloning a large disk shows how far it is, and is cancelled without a trace', async () => {
  await shell.run('define', '--name', 'large', '--sample');
  const folders = (): string[] => readdirSync(shell.library).sort();
  const textOf = (id: string): string => readFileSync(path.join(shell.library, id, 'machine.json'), 'utf8');
  const id = folders().find((each) => textOf(each).includes('"name": "large"'));
  if (id === undefined) throw new Error('no folder of large');
  // Takes no space, and longer to read than anybody waits.
  const disk = path.join(shell.library, id, 'disk.raw');
  writeFileSync(disk, '');
  truncateSync(disk, 2 ** 40);
  const before = folders();
  await row(page, 'large').click({ button: 'right' });
  await page.getByRole('menuitem', { name: 'Clone…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('textbox', { name: 'Name of the clone' }).fill('copy');
  await dialog.getByRole('button', { name: 'Clone', exact: true }).click();
  const card = page.getByLabel('Details of the selection');
  const progress = card.getByRole('progressbar', { name: 'Progress of large' });
  await progress.waitFor();
  await card.getByText("copying to 'copy'").waitFor();
  await picture(page, 'cloning-light');
  await card.getByRole('button', { name: 'Cancel', exact: true }).click();
  await progress.waitFor({ state: 'detached' });
  expect(folders()).toEqual(before);
  expect(await shell.run('list', '--all')).not.toContain('copy');
  // It was wanted, so nothing is complained of, and the machine is free again.
  expect(await page.getByText('Cloning failed').count()).toBe(0);
  await shell.run('undefine', 'large');
  await row(page, 'large').waitFor({ state: 'detached' });
});

test('choices are remembered', async () => {
  await page.getByRole('button', { name: 'Menu', exact: true }).click();
  await page.getByRole('menuitemcheckbox', { name: 'Disk' }).click();
  await page.keyboard.press('Escape');
  await page.getByRole('columnheader', { name: 'Disk' }).waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Show details beside the list' }).click();
  await page.reload();
  await row(page, 'beta').waitFor();
  expect(await page.getByRole('columnheader', { name: 'Disk' }).count()).toBe(0);
  expect(await page.getByLabel('Details of the selection').count()).toBe(0);
});

test('a lost connection is said, and machines go on', async () => {
  await shell.endServer();
  await page.getByText(/connection to the manager was lost/).waitFor();
  await picture(page, 'lost-light');
  await shell.serve();
  const again = await shell.open();
  await row(again, 'beta').waitFor();
});

test('no script failed and nothing broke the security policy', () => {
  // What a browser says about a socket whose server has gone is not ours.
  expect(shell.complaints.filter((text) => !/WebSocket|ERR_CONNECTION_REFUSED/.test(text))).toEqual([]);
});
