/** The machine's screen in its window: seen, typed at, and lost when the machine is turned off. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectState, openMachine, picture, Shell } from './harness.ts';

let shell: Shell;
let window: Page;

beforeAll(async () => {
  shell = await Shell.start();
  await shell.run('define', '--name', 'screen', '--memory', '64', '--serial', 'null', '--boot', 'menu=on');
  // What firmware boots is met on its screen.
  window = await openMachine(await shell.open(), 'screen');
  await window.getByRole('tab', { name: 'Screen', selected: true }).waitFor();
});
afterAll(async () => {
  await shell?.[Symbol.asyncDispose]();
});

/** What can be read on the screen, as the command line says. */
const read = (): Promise<string> => shell.run('screenshot', 'screen', '--text');

/** Waits until the screen shows something, pressing a key again and again until then. */
async function shows(wanted: string, key?: string): Promise<void> {
  await expect
    .poll(
      async () => {
        if (key !== undefined) await window.keyboard.press(key);
        return read();
      },
      { timeout: 40_000, interval: 300 },
    )
    .toContain(wanted);
}

test('the screen appears when the machine is started, and takes keys', async () => {
  await window.getByText('Its screen appears here when it runs.').waitFor();
  await window.getByRole('tabpanel').getByRole('button', { name: 'Start' }).click();
  await expectState(window, 'Running');
  const canvas = window.locator('canvas');
  await canvas.waitFor();
  await shows('Select boot device', 'Escape');
  await expect.poll(() => canvas.evaluate((element: HTMLCanvasElement) => element.width)).toBe(720);
  await picture(window, 'screen-light');
  await shows('No bootable device', 'Escape');
});

test('keys are sent from the menu', async () => {
  await window.getByRole('button', { name: 'Send keys' }).click();
  await window.getByRole('menuitem', { name: 'Ctrl+Alt+Del' }).click();
  await expect.poll(read, { timeout: 20_000 }).not.toContain('No bootable device');
});

test('the keyboard comes out of the screen again', async () => {
  const canvas = window.locator('canvas');
  const isFocused = () => canvas.evaluate((element) => element === document.activeElement);
  await canvas.click();
  await window.keyboard.press('Tab');
  expect(await isFocused()).toBe(true);
  await window.keyboard.press('Control+Shift+Escape');
  expect(await isFocused()).toBe(false);
  expect(await window.locator(':focus').innerText()).toContain('Screen');

  // Out of full screen as well.
  const isFull = () => window.evaluate(() => document.fullscreenElement !== null);
  await window.getByRole('button', { name: 'Full screen' }).click();
  await expect.poll(isFull).toBe(true);
  await expect.poll(isFocused).toBe(true);
  await window.keyboard.press('Control+Shift+Escape');
  await expect.poll(isFull).toBe(false);
  await expect.poll(() => window.locator(':focus').innerText()).toContain('Screen');
});

test('the picture is as large as the guest makes it, or as the window has room for', async () => {
  const canvas = window.locator('canvas');
  const natural = await canvas.evaluate(({ width, height }: HTMLCanvasElement) => [width, height]);
  /** Sizes of the picture and of its frame. */
  const sizes = () =>
    window.locator('.frame').evaluate((frame) => {
      const { width, height } = frame.querySelector('canvas')!.getBoundingClientRect();
      return { picture: [width, height], frame: [frame.clientWidth, frame.clientHeight] };
    });
  const fit = window.getByLabel('Fit to the window', { exact: true });
  await fit.uncheck();
  await expect.poll(async () => (await sizes()).picture).toEqual(natural);
  await picture(window, 'screen-natural-light');
  await fit.check();
  // It fills the frame in one direction, and keeps its shape.
  await expect
    .poll(async () => {
      const { picture: shown, frame } = await sizes();
      return Math.max(shown[0]! / frame[0]!, shown[1]! / frame[1]!);
    })
    .toBeCloseTo(1, 2);
  const { picture: shown } = await sizes();
  expect(shown[0]! / shown[1]!).toBeCloseTo(natural[0]! / natural[1]!, 1);

  // Or the window becomes as large as the picture needs; this one's size is the test's, which hears of what is asked.
  const asked = window.evaluate(
    () => new Promise<number[]>((resolve) => (globalThis.resizeBy = (...by) => resolve(by))),
  );
  const { frame } = await sizes();
  await window.getByRole('button', { name: 'Fit the window to the screen' }).click();
  expect(await asked).toEqual([natural[0]! - frame[0]!, natural[1]! - frame[1]!]);
});

test('how it started is shown, in proportion to time', async () => {
  await window.getByRole('tab', { name: 'Performance' }).click();
  const milestones = window.getByRole('list', { name: 'Start-up' }).getByRole('listitem');
  await milestones.filter({ hasText: 'Protected mode' }).waitFor();
  const seconds = (await milestones.allInnerTexts()).map((text) => Number(/([\d.]+) s$/.exec(text)?.[1]));
  expect(seconds[0]).toBe(0);
  expect(seconds).toEqual(seconds.toSorted((a, b) => a - b));
  const strip = await window
    .locator('.strip > *')
    .evaluateAll((all) => all.map((element) => element.getBoundingClientRect().width));
  const whole = strip.reduce((sum, width) => sum + width, 0);
  const shares = seconds
    .slice(1)
    .flatMap((each, i) => (each > seconds[i]! ? [(each - seconds[i]!) / seconds.at(-1)!] : []));
  expect(strip).toHaveLength(shares.length);
  for (const [i, width] of strip.entries()) expect(Math.abs(width / whole - shares[i]!)).toBeLessThan(0.02);
  await picture(window, 'boot-timeline-light');
  await window.getByRole('tab', { name: 'Screen' }).click();
});

test('the picture is saved', async () => {
  const [download] = await Promise.all([
    window.waitForEvent('download'),
    window.getByRole('button', { name: 'Save a picture' }).click(),
  ]);
  expect(download.suggestedFilename()).toBe('screen.png');
});

test('with the machine goes its screen', async () => {
  await shell.run('destroy', 'screen');
  await window.getByText('Its screen appears here when it runs.').waitFor();
  expect(shell.complaints).toEqual([]);
});
