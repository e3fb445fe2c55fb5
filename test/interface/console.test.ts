/** The console on an engine without a guest, whose output the tests choose. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { violations } from './accessibility.ts';
import { expectScreen, picture, row, Shell, typeLine } from './harness.ts';
import { openWatched, putMachines, runStandIns } from './measure.ts';
import type { StandIn } from './stand-in.ts';

let shell: Shell;
let engine: StandIn;
let list: Page;
let window: Page;

beforeAll(async () => {
  shell = await Shell.start();
  await shell.endServer();
  putMachines(shell, 1);
  const [first] = await runStandIns(shell, 1);
  if (first === undefined) throw new Error('no machine');
  engine = first;
  await shell.serve();
  list = await shell.open();
  window = await openWatched(list);
});
afterAll(async () => {
  await engine?.[Symbol.asyncDispose]();
  await shell?.[Symbol.asyncDispose]();
});

const write = (text: string): Promise<void> => engine.history.write(Buffer.from(text));

test('colours of every kind are drawn', async () => {
  const palette = Array.from({ length: 256 }, (_, i) => `\x1b[48;5;${i}m ${i % 36 === 15 ? '\r\n' : ''}`);
  await write(
    `${palette.join('')}\x1b[0m\r\n\x1b[38;2;255;100;10mtrue\x1b[0m \x1b[31mred\x1b[0m\r\nfind, find\r\n`,
  );
  await expectScreen(window, /^find, find/m);
  const colourOf = (text: string) =>
    window.getByText(text, { exact: true }).evaluate((element) => getComputedStyle(element).color);
  expect(await colourOf('true')).toBe('rgb(255, 100, 10)');
  expect(await colourOf('red')).toBe('rgb(255, 123, 114)');
});

test('matches are marked', async () => {
  await window.keyboard.press('Control+Shift+F');
  const field = window.getByRole('textbox', { name: 'Find in the output' });
  await field.fill('find');
  await window.getByText('2 of 2').waitFor();
  await field.press('Enter');
  await window.getByText('1 of 2').waitFor();
  await picture(window, 'console-colours-light');
  await field.press('Escape');
});

test('what is asked of the terminal is answered once', async () => {
  // Device attributes (ECMA-48 8.3.24).
  await write('\x1b[c');
  await expect.poll(() => engine.typed).toContain('\x1b[?');
  const answered = engine.typed.length;
  await window.reload();
  await expectScreen(window, /^find, find/m);
  await typeLine(window, 'now');
  await expect.poll(() => engine.typed).toMatch(/now\r$/);
  expect(engine.typed).toHaveLength(answered + 'now\r'.length);
});

test('a machine that the host has paused says why, and goes on when it is told to', async () => {
  const reason = 'vda: cannot write /srv/images/data.qcow2: no space left on the device';
  engine.failDisk(reason);
  const held = row(list, 'machine-000');
  await held.getByText('Paused').waitFor();
  await held.click();
  for (const page of [list, window]) {
    const card = page.getByRole('group', { name: 'Paused: the host has failed a disk' });
    // As it was said: a disk's name begins with a small letter.
    await card.getByText(reason, { exact: true }).waitFor();
    await card.getByText(/see to the host’s disk, then resume/i).waitFor();
    await picture(page, page === list ? 'held-list-light' : 'held-window-light');
    expect(await violations(page)).toEqual([]);
  }
  await window.getByRole('group').getByRole('button', { name: 'Resume' }).click();
  await held.getByText('Running').waitFor();
  await list
    .getByRole('group', { name: 'Paused: the host has failed a disk' })
    .waitFor({ state: 'detached' });
});

test('the reset button is pressed after a question', async () => {
  const question = window.getByRole('alertdialog', { name: 'Reset the machine?' });
  const choose = async (answer: string): Promise<void> => {
    await window.getByRole('button', { name: 'More actions' }).click();
    await window.getByRole('menuitem', { name: 'Reset' }).click();
    await question.getByRole('button', { name: answer }).click();
    await question.waitFor({ state: 'detached' });
  };
  await choose('Cancel');
  expect(engine.requests).not.toContain('reset');
  await choose('Reset');
  await expect.poll(() => engine.requests).toContain('reset');
});

test('nothing broke the security policy', () => {
  expect(shell.complaints).toEqual([]);
});
