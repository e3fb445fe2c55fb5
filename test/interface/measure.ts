/** How quick the interface is, as people meet it. For the tests, which have wide bounds, and for the bench. */
import { readFileSync } from 'node:fs';
import type { Page } from 'playwright-core';
import { expectScreen, openMachine, row, screenText, type Shell } from './harness.ts';
import { LINE, lineOf, StandIn } from './stand-in.ts';

/** USER_HZ, which proc_pid_stat(5) counts in: 100 on every architecture of Linux. */
const TICKS = 100;

const nameOf = (i: number): string => `machine-${String(i).padStart(3, '0')}`;

/** Fills a library with machines that are off, `machine-000` and so on; the shell's server must not run. */
export function putMachines(shell: Shell, count: number): void {
  for (let i = 0; i < count; i++) shell.put(nameOf(i), documentOf(i));
}

function documentOf(i: number): string {
  const document = { format: 'guesthouse machine', version: 1, name: nameOf(i), sample: true, memory: 256 };
  return JSON.stringify(document);
}

/** Has the first `count` of them run, without guests. */
export async function runStandIns(shell: Shell, count: number): Promise<StandIn[]> {
  return Promise.all(Array.from({ length: count }, (_, i) => StandIn.run(shell, nameOf(i), documentOf(i))));
}

/** Milliseconds from the start of the server to a list on the screen, and processor time that it and the page took
 * of them. The browser is there already. */
export async function timeToList(shell: Shell): Promise<{ time: number; server: number; page: number }> {
  await shell.endServer();
  const before = await shell.pageSeconds();
  const start = performance.now();
  await shell.serve();
  const page = await shell.open();
  await row(page, nameOf(0)).waitFor();
  const time = performance.now() - start;
  const server = 1000 * processorSeconds(shell.pid);
  const taken = { time, server, page: 1000 * ((await shell.pageSeconds()) - before) };
  await page.close();
  return taken;
}

/** Milliseconds from each press of a key to the frame that shows what came of it, the shortest first. */
export async function keyTimes(page: Page, keys: readonly string[], each: number): Promise<number[]> {
  await page.evaluate(() => {
    const times: number[] = [];
    Object.assign(window, { keyTimes: times });
    window.addEventListener(
      'keydown',
      ({ timeStamp }) => {
        // A task that is posted from a frame runs when that has been drawn.
        requestAnimationFrame(() => {
          const drawn = new MessageChannel();
          drawn.port1.addEventListener('message', () => times.push(performance.now() - timeStamp));
          drawn.port1.start();
          drawn.port2.postMessage(null);
        });
      },
      { capture: true },
    );
  });
  for (let i = 0; i < each; i++) {
    for (const key of keys) {
      await page.keyboard.press(key);
      await page.waitForTimeout(40);
    }
  }
  const times = await page.evaluate(() => (window as Window & { keyTimes?: number[] }).keyTimes ?? []);
  return times.toSorted((a, b) => a - b);
}

/** Processor time of a process and its threads, in seconds (proc_pid_stat(5), fields 14 and 15). */
function processorSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

/** Percent of one processor that the server and the pages take, over a while. */
export async function load(
  shell: Shell,
  page: Page,
  seconds: number,
): Promise<{ server: number; pages: number }> {
  const look = async () => ({
    time: performance.now() / 1000,
    server: processorSeconds(shell.pid),
    pages: await shell.pageSeconds(),
  });
  const before = await look();
  await page.waitForTimeout(1000 * seconds);
  const after = await look();
  const share = (key: 'server' | 'pages') => (100 * (after[key] - before[key])) / (after.time - before.time);
  return { server: share('server'), pages: share('pages') };
}

/** Resident memory of the server in MiB. */
export function serverMemory(shell: Shell): number {
  const kibibytes = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${shell.pid}/status`, 'utf8'))?.[1];
  return Number(kibibytes) / 1024;
}

export interface FloodResult {
  readonly seconds: number;
  readonly bytes: number;
  /** Whether all came, once and in order. */
  readonly whole: boolean;
  /** Whether the terminal shows the end, line by line. */
  readonly shown: boolean;
  /** Milliseconds between frames meanwhile: the median and the longest. */
  readonly frame: { readonly median: number; readonly longest: number };
  /** MiB at the end: of the page's heap, garbage apart, and of the server. */
  readonly heap: number;
  readonly server: number;
}

/** What a page counts of the console output it is sent. */
interface Count {
  bytes: number;
  gaps: number;
  sum: number;
  frames: number[];
}

/** Opens the window of the first machine, with its console attached and watched. */
export async function openWatched(list: Page): Promise<Page> {
  await list.context().addInitScript(watchConsole);
  const window = await openMachine(list, nameOf(0));
  // What is written before somebody reads it is kept only so far back.
  await window.getByRole('button', { name: 'Paste', disabled: false }).waitFor();
  return window;
}

/** Has numbered lines scroll by in a watched window. */
export async function flood(
  shell: Shell,
  window: Page,
  standIn: StandIn,
  lines: number,
): Promise<FloodResult> {
  await window.evaluate(() => {
    const { count } = self as Window & { count?: Count };
    if (count !== undefined) Object.assign(count, { bytes: 0, sum: 0, frames: [] });
  });
  const end = `end ${standIn.history.end}`;
  const start = performance.now();
  await standIn.flood(lines);
  await standIn.history.write(Buffer.from(`${end}\r\n`));
  await expectScreen(window, new RegExp(`^${end}`, 'm'), 240);
  const seconds = (performance.now() - start) / 1000;
  const count = await window.evaluate(() => (self as Window & { count?: Count }).count);
  if (count === undefined) throw new Error('the window is not watched');
  const frames = count.frames.toSorted((a, b) => a - b);
  const numbers = ((await screenText(window)).match(/^\d{8}(?=\.)/gm) ?? []).map(Number);
  const wanted = { bytes: lines * LINE + end.length + 2, sum: sumOf(lines, end) };
  return {
    seconds,
    bytes: count.bytes,
    whole: count.gaps === 0 && count.bytes === wanted.bytes && count.sum === wanted.sum,
    shown: numbers.length > 5 && numbers.every((number, i) => number === lines - numbers.length + 1 + i),
    frame: { median: frames[frames.length >> 1] ?? NaN, longest: frames.at(-1) ?? NaN },
    heap: await heapOf(window),
    server: serverMemory(shell),
  };
}

/** The sum of all bytes of a flood, modulo 2³². */
function sumOf(lines: number, end: string): number {
  let sum = 0;
  for (const byte of Buffer.from(`${end}\r\n`)) sum += byte;
  for (let i = 1; i <= lines; i++) for (const byte of Buffer.from(lineOf(i))) sum += byte;
  return sum % 2 ** 32;
}

/** In a page, before its own scripts: counts what its WebSocket brings for consoles, and its frames. */
function watchConsole(): void {
  const count: Count = { bytes: 0, gaps: 0, sum: 0, frames: [] };
  Object.assign(window, { count });
  const ends = new Map<number, number>();
  const Native = WebSocket;
  window.WebSocket = class extends Native {
    constructor(url: string | URL) {
      super(url);
      this.addEventListener('message', ({ data }: MessageEvent<unknown>) => {
        if (!(data instanceof ArrayBuffer)) return;
        // A console's frame: main/contract/frame.ts.
        const view = new DataView(data);
        const stream = view.getUint32(0, true);
        const position = Number(view.getBigUint64(4, true));
        if (position !== (ends.get(stream) ?? 0)) count.gaps++;
        ends.set(stream, position + data.byteLength - 12);
        count.bytes += data.byteLength - 12;
        let sum = count.sum;
        for (const byte of new Uint8Array(data, 12)) sum += byte;
        count.sum = sum % 2 ** 32;
      });
    }
  };
  let last = performance.now();
  const frame = (now: number): void => {
    count.frames.push(now - last);
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}

/** A page's heap in MiB, garbage apart. */
async function heapOf(page: Page): Promise<number> {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable');
  await session.send('HeapProfiler.collectGarbage');
  const { metrics } = await session.send('Performance.getMetrics');
  await session.detach();
  return (metrics.find(({ name }) => name === 'JSHeapUsedSize')?.value ?? NaN) / 2 ** 20;
}
