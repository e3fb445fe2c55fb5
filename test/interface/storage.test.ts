/** The storage page: pools, and images made, grown and deleted where nobody needs them. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { violations } from './accessibility.ts';
import { picture, row, Shell } from './harness.ts';

let shell: Shell;
let page: Page;

beforeAll(async () => {
  shell = await Shell.start();
  page = await shell.open();
});
afterAll(async () => {
  await shell?.[Symbol.asyncDispose]();
});

const image = (name: string): Locator =>
  page.getByRole('grid', { name: 'Images' }).getByRole('row', { name });

test('an image is made and grown, and the command line knows it', async () => {
  await page.getByRole('button', { name: 'Storage' }).click();
  await page.getByText('There are no images here.').waitFor();
  await page.getByRole('button', { name: 'New image…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('textbox', { name: 'Name' }).fill('../evil');
  await dialog.getByText(/Name must be a file name/).waitFor();
  await dialog.getByRole('textbox', { name: 'Name' }).fill('data');
  await dialog.getByText('Becomes data.qcow2.').waitFor();
  await dialog.getByRole('spinbutton', { name: 'Size' }).fill('3');
  await picture(page, 'storage-new-light');
  await dialog.getByRole('button', { name: 'Create' }).click();
  await image('data.qcow2').getByText('3 GiB').waitFor();
  expect(await shell.run('vol-info', 'data.qcow2')).toMatch(/Capacity: +3 GiB/);

  await page.getByRole('button', { name: 'Grow…' }).click();
  await dialog.getByRole('spinbutton', { name: 'Size' }).fill('2');
  await dialog.getByText(/Size must be a whole number from 4/).waitFor();
  await dialog.getByRole('spinbutton', { name: 'Size' }).fill('5');
  await dialog.getByRole('button', { name: 'Grow' }).click();
  await image('data.qcow2').getByText('5 GiB').waitFor();
});

test('what a machine uses says so and stays', async () => {
  const file = path.join(shell.home, 'data', 'guesthouse', 'images', 'data.qcow2');
  await shell.run('define', '--name', 'user', '--disk', file);
  await image('data.qcow2').getByText('user (vda)').waitFor();
  await image('data.qcow2').click();
  await page.getByText('it is used by user').waitFor();
  expect(await page.getByRole('button', { name: 'Delete…' }).isDisabled()).toBe(true);
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    await picture(page, `storage-${colorScheme}`);
    expect(await violations(page)).toEqual([]);
  }
  await page.emulateMedia({ colorScheme: 'light' });

  // By the keyboard, when nobody needs it any more.
  await shell.run('undefine', 'user');
  await image('data.qcow2').getByText('user (vda)').waitFor({ state: 'detached' });
  await page.getByRole('grid', { name: 'Images' }).focus();
  await page.keyboard.press('Home');
  await page.keyboard.press('Delete');
  const question = page.getByRole('alertdialog');
  await question.getByText(file).waitFor();
  await picture(page, 'storage-delete-light');
  await question.getByRole('button', { name: 'Delete' }).click();
  await image('data.qcow2').waitFor({ state: 'detached' });
  expect(existsSync(file)).toBe(false);
});

test('a folder becomes a pool, and is forgotten', async () => {
  const folder = path.join(shell.home, 'isos');
  mkdirSync(folder);
  writeFileSync(path.join(folder, 'tools.iso'), Buffer.alloc(4096));
  await page.getByRole('button', { name: 'Add a pool…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('textbox', { name: 'Folder' }).fill(folder);
  expect(await dialog.getByRole('textbox', { name: 'Name' }).inputValue()).toBe('isos');
  await dialog.getByRole('button', { name: 'Add' }).click();
  await image('tools.iso').waitFor();
  expect(await shell.run('vol-list', 'isos')).toContain('tools.iso');
  await page.reload();
  await page.getByRole('tab', { name: 'isos' }).click();
  await page.getByRole('button', { name: 'Forget this pool' }).click();
  await page.getByRole('tab', { name: 'isos' }).waitFor({ state: 'detached' });
  expect(existsSync(path.join(folder, 'tools.iso'))).toBe(true);
});

test('the machines are one click away, and the one that was selected still is', async () => {
  // In no pool, while every pool is empty.
  const disk = path.join(shell.home, 'lone.img');
  writeFileSync(disk, Buffer.alloc(4096));
  await shell.run('define', '--name', 'other', '--disk', disk);
  await page.getByRole('button', { name: 'All machines' }).click();
  await row(page, 'other').click();
  await page.getByRole('heading', { name: 'other' }).waitFor();
  await page.getByRole('button', { name: 'Storage' }).click();
  await image('lone.img').waitFor();
  await page.getByRole('button', { name: 'All machines' }).click();
  await page.getByRole('heading', { name: 'other' }).waitFor();
  expect(shell.complaints).toEqual([]);
});
