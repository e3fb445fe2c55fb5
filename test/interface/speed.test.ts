/** Speed as people meet it: many machines, and a console that much scrolls by on. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectScreen, openMachine, PROMPT, row, screenText, Shell, typeLine } from './harness.ts';

const MACHINES = 200;

/** Milliseconds from the address to the list. */
const LIST_WITHIN = 1500;

/** Milliseconds that a key may take to be seen. */
const INPUT_WITHIN = 50;

/** Numbered lines that scroll by. */
const LINES = 30_000;

let shell: Shell;

beforeAll(async () => {
  shell = await Shell.start();
  await shell.endServer();
  for (let i = 0; i < MACHINES; i++) {
    const name = `machine-${String(i).padStart(3, '0')}`;
    const document = { format: 'guesthouse machine', version: 1, name, sample: true, memory: 256 };
    shell.put(name, JSON.stringify(document));
  }
  await shell.serve();
});
afterAll(async () => {
  await shell?.[Symbol.asyncDispose]();
});

test('200 machines are listed at once, and the list answers at once', async () => {
  const page = await shell.open();
  await page.reload();
  const shown = await page.evaluate(async () => {
    while (document.querySelectorAll('[role=row]').length < 5) await new Promise(requestAnimationFrame);
    return performance.now();
  });
  expect(shown).toBeLessThan(LIST_WITHIN);
  // Only what is in sight is drawn.
  expect(await page.getByRole('row').count()).toBeLessThan(60);
  await row(page, 'machine-000').click();
  await page.keyboard.press('End');
  await row(page, 'machine-199').waitFor();
  await page.keyboard.press('Home');
  // From the key to the frame that shows it, the middle of many.
  const times = await page.evaluate(async () => {
    const grid = document.querySelector('[role=treegrid]');
    const taken: number[] = [];
    for (let i = 0; i < 30; i++) {
      const start = performance.now();
      grid?.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowDown', bubbles: true }));
      await new Promise(requestAnimationFrame);
      taken.push(performance.now() - start);
    }
    return taken.sort((a, b) => a - b);
  });
  expect(times[15]).toBeLessThan(INPUT_WITHIN);
  await page.close();
});

test('much output scrolls by without loss, and the interface goes on answering', async () => {
  const list = await shell.open();
  await row(list, 'machine-000').click();
  await list.getByRole('button', { name: 'Start', exact: true }).first().click();
  const window = await openMachine(list, 'machine-000');
  await expectScreen(window, PROMPT);
  // The end is told from the command that is echoed.
  await typeLine(window, `seq 1 ${LINES}; echo end-$((5 * 5))`);
  await expectScreen(window, /^\d{4,}$/m);
  const frames = await window.evaluate(async () => {
    const gaps: number[] = [];
    for (let i = 0; i < 60; i++) {
      const start = performance.now();
      await new Promise(requestAnimationFrame);
      gaps.push(performance.now() - start);
    }
    return gaps.sort((a, b) => a - b);
  });
  expect(frames[30]).toBeLessThan(4 * INPUT_WITHIN);
  await expectScreen(window, /^end-25/m, 200);
  // What is on the screen is the end, line by line.
  const shown = (await screenText(window)).match(/^\d{4,}$/gm) ?? [];
  expect(shown.length).toBeGreaterThan(5);
  expect(shown.map(Number)).toEqual(shown.map((_, i) => LINES - shown.length + 1 + i));
  await list.close();
});
