/** A person's first hour: a machine is made, started, worked on, paused, shut down, edited, copied, deleted. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  expectScreen,
  expectState,
  makeSample,
  openMachine,
  picture,
  PROMPT,
  row,
  screenText,
  Shell,
  typeLine,
} from './harness.ts';

let shell: Shell;
let list: Page;
/** The window of the machine `first`. */
let window: Page;

beforeAll(async () => {
  shell = await Shell.start();
  list = await shell.open();
});
afterAll(async () => {
  await shell?.[Symbol.asyncDispose]();
});

const off = async (of: Page) => expectState(of, 'Off', 60);

test('the first run leads to the first machine, which boots with what the wizard offers', async () => {
  await list.getByRole('heading', { name: 'No machines yet' }).waitFor();
  await picture(list, 'empty-light');
  await list.getByRole('button', { name: 'Make your first machine' }).click();
  const dialog = list.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Next' }).click();
  await dialog.getByRole('button', { name: 'Next' }).click();
  await dialog.getByRole('textbox', { name: 'Name' }).fill('first');
  [window] = await Promise.all([
    list.waitForEvent('popup'),
    dialog.getByRole('button', { name: 'Create and start' }).click(),
  ]);
  await expectScreen(window, PROMPT);
  await expectState(window, 'Running');
  await row(list, 'first').getByText('Running').waitFor();
});

test('what is typed runs in the guest, and its output is shown', async () => {
  await typeLine(window, 'echo $((6 * 7)) of /proc/version; uname -r');
  await expectScreen(window, /^42 of \/proc\/version\s+\d+\.\d+/m);
  await picture(window, 'console-light');
});

test('output is found, and copied', async () => {
  await window.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await window.keyboard.press('Control+Shift+F');
  const field = window.getByRole('textbox', { name: 'Find in the output' });
  await field.fill('42 of');
  await window.getByText('1 of 1').waitFor();
  await window.getByRole('button', { name: 'Copy the selection' }).click();
  await expect.poll(() => window.evaluate(() => navigator.clipboard.readText())).toBe('42 of');
  await field.fill('no such text');
  await window.getByText('No match').waitFor();
  await window.keyboard.press('Escape');
});

test('text is pasted into the guest', async () => {
  await window.evaluate(() => navigator.clipboard.writeText('echo pasted-$((1 + 1))\n'));
  await window.getByRole('button', { name: 'Paste' }).click();
  await expectScreen(window, /^pasted-2/m);
});

test('a paused machine stands still and goes on', async () => {
  await window.getByRole('button', { name: 'Pause' }).click();
  await expectState(window, 'Paused');
  await row(list, 'first').getByText('Paused').waitFor();
  await typeLine(window, 'echo after-$((2 + 1))');
  await window.waitForTimeout(1500);
  expect(await screenText(window)).not.toMatch(/^after-3/m);
  await window.getByRole('button', { name: 'Resume' }).click();
  await expectState(window, 'Running');
  await expectScreen(window, /^after-3/m);
});

test('a window that is loaded again has the history', async () => {
  await window.reload();
  await expectScreen(window, /^after-3/m);
  await typeLine(window, 'echo again-$((3 + 1))');
  await expectScreen(window, /^again-4/m);
});

test('two windows show one machine', async () => {
  const other = await openMachine(await shell.open(), 'first');
  await expectScreen(other, /^again-4/m);
  await typeLine(other, 'echo both-$((4 + 1))');
  await expectScreen(window, /^both-5/m);
  await expectScreen(other, /^both-5/m);
  await other.close();
});

test('the keyboard alone leaves the console, changes views, pauses and resumes', async () => {
  await window.getByRole('textbox', { name: 'Serial console' }).focus();
  // Keys are the guest's, also those that move the focus elsewhere.
  await window.keyboard.type('echo tab-$((5 + 1))');
  await window.keyboard.press('Tab');
  await window.keyboard.press('Enter');
  await expectScreen(window, /^tab-6/m);
  await window.keyboard.press('Control+Shift+Escape');
  const focused = window.locator(':focus');
  expect(await focused.innerText()).toContain('Console');
  await window.keyboard.press('ArrowRight');
  await window.getByRole('heading', { name: 'Overview' }).waitFor();
  await window.keyboard.press('Alt+4');
  await window.getByRole('region', { name: 'Performance' }).waitFor();
  // Back through the tool bar.
  const press = async (label: string): Promise<void> => {
    const button = window.getByRole('button', { name: label });
    const isFocused = () => button.evaluate((element) => element === document.activeElement);
    for (let i = 0; i < 8 && !(await isFocused()); i++) await window.keyboard.press('Shift+Tab');
    expect(await isFocused()).toBe(true);
    await window.keyboard.press('Enter');
  };
  await press('Pause');
  await expectState(window, 'Paused');
  await window.keyboard.press('Alt+3');
  await press('Resume');
  await expectState(window, 'Running');
  await window.keyboard.press('Alt+2');
  await typeLine(window, 'echo back-$((6 + 1))');
  await expectScreen(window, /^back-7/m);
});

test('graphs and exits are shown', async () => {
  await window.getByRole('tab', { name: 'Performance' }).click();
  await window.getByRole('img', { name: /^CPU\..*%/ }).waitFor();
  await window.getByRole('rowheader').first().waitFor();
  expect(await window.getByRole('rowheader').count()).toBeGreaterThan(1);
  await picture(window, 'performance-light');
  await window.getByRole('tab', { name: 'Log' }).click();
  await window.getByRole('cell', { name: 'started' }).waitFor();
  await picture(window, 'log-light');
});

test('a change is marked until it is applied, and waits for the next start', async () => {
  await window.getByRole('tab', { name: 'Details' }).click();
  await window.getByRole('tab', { name: 'Memory' }).click();
  const memory = window.getByRole('spinbutton', { name: 'Memory' });
  const before = await memory.inputValue();
  await memory.fill('9999999');
  await window.getByText(/^Memory must be a whole number/).waitFor();
  expect(await window.getByRole('button', { name: 'Apply' }).isDisabled()).toBe(true);
  await picture(window, 'details-wrong-light');
  await memory.fill('300');
  await window.getByText('1 change not applied').waitFor();
  await window.getByRole('button', { name: 'Revert' }).click();
  expect(await memory.inputValue()).toBe(before);
  await memory.fill('300');
  await window.getByRole('button', { name: 'Apply' }).click();
  await window.getByText(/changes take effect when it is started next/).waitFor();
  await window.getByText(`Runs with ${before} MiB.`).waitFor();
  await picture(window, 'details-pending-light');
  expect(await shell.run('dumpconfig', 'first')).toContain('"memory": 300');
});

test('the configuration is edited as text', async () => {
  await window.getByRole('tab', { name: 'Configuration' }).click();
  const text = window.getByRole('textbox', { name: 'Configuration as JSON' });
  const before = await text.inputValue();
  await text.fill(before.replace('"memory": 300', '"memory": 300 oops'));
  await window
    .getByText(/^This is not JSON/)
    .first()
    .waitFor();
  await text.fill(before.replace('"memory": 300', '"memory": 0, "colour": 1'));
  await window.getByText('colour is not a known field').first().waitFor();
  await picture(window, 'configuration-wrong-light');
  await text.fill(before.replace('"memory": 300', '"memory": 288'));
  await window.getByRole('button', { name: 'Apply' }).click();
  await expect.poll(() => shell.run('dumpconfig', 'first')).toContain('"memory": 288');
  await window.getByRole('tab', { name: 'Console' }).click();
});

test('the guest is shut down from the interface', async () => {
  await window.getByRole('button', { name: 'Shut down' }).click();
  await off(window);
  await row(list, 'first').getByText('Off').waitFor();
  await window.getByText('The machine is off.').filter({ visible: true }).waitFor();
});

test('disks are attached and detached by the command line', async () => {
  const disk = path.join(shell.home, 'data.qcow2');
  await shell.run('image', 'create', disk, '16M');
  expect(await shell.run('attach-disk', 'first', disk, 'vda')).toContain('attached as vda');
  expect(await shell.run('attach-disk', 'first', 'none', '--type', 'cdrom')).toContain('attached as hdc');
  expect(await shell.run('domblklist', 'first')).toMatch(/hdc\s+-\s+vda|vda\s+\S*data\.qcow2\s+hdc/);
  await expect(shell.run('attach-disk', 'first', disk)).rejects.toThrow('as another disk does');
  await expect(shell.run('attach-disk', 'first', 'none', 'sdz')).rejects.toThrow();
  expect(await shell.run('detach-disk', 'first', disk)).toContain('vda detached');
  expect(await shell.run('domblklist', 'first')).not.toContain('vda');
});

test('the next run has the changed configuration, below what was shown before', async () => {
  await window.getByRole('button', { name: 'Start' }).last().click();
  await expectState(window, 'Running', 60);
  await expectScreen(window, PROMPT);
  await typeLine(window, "awk '/MemTotal/ { print ($2 < 288 * 1024 && $2 > 150 * 1024) }' /proc/meminfo");
  await expectScreen(window, /^1\s*$/m);
});

test('a disc is put in, read, ejected by the guest, and taken away while the machine runs', async () => {
  const image = path.join(shell.home, 'tools.iso');
  writeFileSync(image, Buffer.alloc(64 * 2048, 'tools '));
  await shell.run('change-media', 'first', 'hdc', '--insert', image);
  await typeLine(window, 'head -c 5 /dev/sr0; echo; echo read-$((6 + 1))');
  await expectScreen(window, /^tools\s[^]*^read-7/m);
  expect(await shell.run('domblklist', 'first')).toMatch(/hdc\s+\S*tools\.iso/);
  expect(await shell.run('domblkstat', 'first', 'hdc')).toMatch(/^hdc rd_bytes [1-9]\d+$/m);

  await window.getByRole('tab', { name: 'Details' }).click();
  await window.getByRole('tab', { name: 'CD-ROM drive 1' }).click();
  const drive = window.getByRole('group', { name: 'In the drive now' });
  await drive.getByText(image).waitFor();
  await window.getByRole('tab', { name: 'Console' }).click();
  // A drive that opens when its last reader has closed it.
  await typeLine(window, 'echo 1 >/proc/sys/dev/cdrom/autoeject; head -c 1 /dev/sr0 >/dev/null');
  await window.getByRole('tab', { name: 'Details' }).click();
  await window.getByRole('tab', { name: 'CD-ROM drive 1' }).click();
  await drive.getByText('ejected by the guest').waitFor();
  await picture(window, 'details-ejected-light');
  await drive.getByRole('button', { name: 'Push it back in' }).click();
  await drive.getByRole('button', { name: 'Eject', exact: true }).click();
  await drive.getByText('Empty').waitFor();
  expect(await shell.run('domblklist', 'first')).toMatch(/hdc\s+-/);
  // Chosen from the host's files.
  await drive.getByRole('button', { name: 'Choose a file: Disc' }).click();
  const files = window.getByRole('dialog');
  await files.getByRole('listbox').waitFor();
  await window.keyboard.press('Escape');
  await window.getByRole('tab', { name: 'Console' }).click();
});

test('the power is cut after a question', async () => {
  await row(list, 'first').click({ button: 'right' });
  await list.getByRole('menuitem', { name: 'Force off' }).click();
  const question = list.getByRole('alertdialog');
  await question.getByText(/first is cut at once/).waitFor();
  await question.getByRole('button', { name: 'Cancel' }).click();
  await row(list, 'first').getByText('Running').waitFor();
  await row(list, 'first').click({ button: 'right' });
  await list.getByRole('menuitem', { name: 'Force off' }).click();
  await question.getByRole('button', { name: 'Force off' }).click();
  await off(window);
});

test('an engine that is killed is said, with what to do and details to copy', async () => {
  await window.getByRole('button', { name: 'Start' }).first().click();
  await expectState(window, 'Running', 60);
  await row(list, 'first').click();
  const pid = Number(
    await list.getByLabel('Details of the selection').locator('dt:text-is("Process") + dd').innerText(),
  );
  process.kill(pid, 'SIGKILL');
  const failure = list.getByRole('group', { name: 'The last run failed' });
  await failure.getByText(/SIGKILL|killed/i).waitFor();
  await failure.getByText('What to do:').waitFor();
  await picture(list, 'killed-light');
  await list.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await failure.getByRole('button', { name: 'Copy details' }).click();
  await expect
    .poll(() => list.evaluate(() => navigator.clipboard.readText()))
    .toContain('The last run failed');
  await window.getByRole('group', { name: 'The last run failed' }).waitFor();
  await failure.getByRole('button', { name: 'Dismiss' }).click();
  await failure.waitFor({ state: 'detached' });
});

test('a clone is a machine of its own', async () => {
  await row(list, 'first').click({ button: 'right' });
  await list.getByRole('menuitem', { name: 'Clone…' }).click();
  const dialog = list.getByRole('dialog');
  const name = dialog.getByRole('textbox', { name: 'Name of the clone' });
  await name.fill('first');
  await dialog.getByText('Name of the clone is taken by another machine').waitFor();
  await name.fill('second');
  await dialog.getByRole('button', { name: 'Clone', exact: true }).click();
  await row(list, 'second').waitFor();
  expect(await shell.run('dumpconfig', 'second')).toContain('"memory": 288');
  // The keyboard goes on in the list, which the menu belonged to.
  const inList = (element: Element): boolean => element === document.activeElement;
  await expect.poll(() => list.getByRole('treegrid').evaluate(inList)).toBe(true);
});

test('a machine is deleted with what belongs to it, after all of that is named', async () => {
  await row(list, 'second').click();
  await list.keyboard.press('Delete');
  const question = list.getByRole('alertdialog');
  await question.getByText(/second and these files/).waitFor();
  await question.getByText(/machine\.json/).waitFor();
  await picture(list, 'delete-light');
  await question.getByRole('button', { name: 'Delete' }).click();
  await row(list, 'second').waitFor({ state: 'detached' });
  expect(await shell.run('list', '--all')).not.toContain('second');
});

test('a machine made by the command line appears, and one made here is known there', async () => {
  const second = await makeSample(list, 'made-here', 'Create');
  await second.getByRole('tab', { name: 'Overview' }).waitFor();
  expect(await shell.run('list', '--all')).toContain('made-here');
  await shell.run('undefine', 'made-here');
  await second.getByText('This machine no longer exists.').waitFor();
  await row(list, 'made-here').waitFor({ state: 'detached' });
  await second.close();
});

test('no script failed and nothing broke the security policy', () => {
  expect(shell.complaints).toEqual([]);
});
