/**
 * Speed as people meet it, within bounds that a busy host keeps as well: they show what grows with the number of
 * machines or with the length of output. `npm run bench -- --only desktop` has the figures.
 */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { picture, row, Shell } from './harness.ts';
import { flood, keyTimes, load, openWatched, putMachines, runStandIns, serverMemory } from './measure.ts';
import type { StandIn } from './stand-in.ts';

const MACHINES = 200;
const RUNNING = 8;

let shell: Shell;
let standIns: StandIn[];
let page: Page;

beforeAll(async () => {
  shell = await Shell.start();
  await shell.endServer();
  putMachines(shell, MACHINES);
  standIns = await runStandIns(shell, RUNNING);
  await shell.serve();
  page = await shell.open();
});
afterAll(async () => {
  await Promise.all(standIns.map((each) => each[Symbol.asyncDispose]()));
  await shell?.[Symbol.asyncDispose]();
});

test('of many machines, those in sight are drawn', async () => {
  await row(page, 'machine-000').click();
  expect(await page.getByRole('row').count()).toBeLessThan(60);
  await page.keyboard.press('End');
  await row(page, 'machine-199').waitFor();
  expect(await page.getByRole('row').count()).toBeLessThan(60);
  await page.keyboard.press('Home');
  await row(page, 'machine-000').waitFor();
});

test('machines that run cost little, and keys are answered', async () => {
  await row(page, 'machine-007').getByText(/%$/).waitFor();
  await row(page, 'machine-007').getByText(/\/s$/).waitFor();
  // Graphs have something to show.
  await expect.poll(() => standIns[0]?.asked ?? 0).toBeGreaterThan(6);
  await picture(page, 'many-light');
  const { server, pages } = await load(shell, page, 3);
  expect(server + pages).toBeLessThan(40);
  const times = await keyTimes(page, ['ArrowDown', 'ArrowUp'], 8);
  expect(times).toHaveLength(16);
  expect(times[8]).toBeLessThan(400);
});

test('much output scrolls by without loss or growth', async () => {
  const [first] = standIns;
  if (first === undefined) throw new Error('no machine');
  const window = await openWatched(page);
  const once = await flood(shell, window, first, 50_000);
  const twice = await flood(shell, window, first, 50_000);
  for (const result of [once, twice]) expect(result).toMatchObject({ whole: true, shown: true });
  expect(twice.frame.median).toBeLessThan(400);
  // The terminal is full after the first time.
  expect(twice.heap).toBeLessThan(once.heap + 4);
  await window.close();
});

test('the manager stays small', () => {
  expect(serverMemory(shell)).toBeLessThan(300);
});
