/** What a viewer has of a screen: how often it can be drawn as a whole, and how soon a key shows. */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Viewer } from '../engine/backend/display/testing/viewer.ts';
import { assemble } from '../test/guest/assemble.ts';
import { guesthouseCommand } from '../test/guest/engines.ts';
import { Console } from '../test/machine/harness.ts';

/** The guest's. */
export const SCREEN = { width: 1280, height: 800 } as const;

/** Codes of keys in set 1: F and Space. */
const KEY_F = 0x21;
const KEY_SPACE = 0x39;

/** CopyRect, Tight, DesktopSize, extended key events: as noVNC asks for. */
const ENCODINGS = [1, 7, -223, -258];

/** How long the whole screen is drawn for, in milliseconds, before what is counted and while it is. */
const WARM = 2000;
const FILM = 5000;

const KEYS = 50;
/** Milliseconds between two keys. */
const PAUSE = 100;

export interface ScreenFigures {
  /** A second: updates with every line of the picture, and pictures that the guest has drawn. */
  readonly updates: number;
  readonly drawn: number;
  /** From a key to its pixels at the viewer, in milliseconds. */
  readonly latencies: readonly number[];
}

/** @throws Error where the guest does not come up in `limit` seconds */
export async function measureScreen(limit: number): Promise<ScreenFigures> {
  const folder = mkdtempSync(path.join(tmpdir(), 'guesthouse-screen-'));
  try {
    const socket = path.join(folder, 'vnc');
    const kernel = assemble(path.join(import.meta.dirname, 'screen.asm'));
    const options = ['--memory', '64', '--kernel', kernel, '--serial', 'null', '--debugcon', 'stdio'];
    await using machine = Console.start(
      guesthouseCommand('run', '--accel', 'wasm', ...options, '--display', `vnc=${socket}`),
    );
    await machine.expect('R', limit);
    const viewer = await Viewer.connect(connect(socket), { encodings: ENCODINGS });
    await viewer.update();
    if (viewer.width !== SCREEN.width || viewer.height !== SCREEN.height)
      throw new Error(`the screen is ${viewer.width}×${viewer.height}`);
    const latencies: number[] = [];
    for (let i = 0; i < KEYS; i++) {
      latencies.push(await typeAndSee(viewer));
      await sleep(PAUSE);
    }
    const film = await watch(viewer, machine);
    viewer.close();
    return { ...film, latencies };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function press(viewer: Viewer, key: number): void {
  viewer.key(key, true);
  viewer.key(key, false);
}

/** @returns milliseconds from a key to the pixels that it inverts */
async function typeAndSee(viewer: Viewer): Promise<number> {
  const [before] = viewer.pixels;
  viewer.request(true);
  const start = performance.now();
  press(viewer, KEY_SPACE);
  for (;;) {
    await viewer.next();
    if (viewer.pixels[0] !== before) return performance.now() - start;
    viewer.request(true);
  }
}

/** Watches the whole screen being drawn. */
async function watch(viewer: Viewer, machine: Console): Promise<Pick<ScreenFigures, 'updates' | 'drawn'>> {
  press(viewer, KEY_F);
  const from = performance.now() + WARM;
  let updates = 0;
  let drawn = 0;
  let start = Infinity;
  for (;;) {
    const lines = firstPixels(viewer);
    await viewer.update(true);
    const now = performance.now();
    if (start === Infinity && now >= from) {
      start = now;
      drawn = machine.output.length;
    } else if (now > start + FILM) {
      const seconds = (now - start) / 1000;
      return { updates: updates / seconds, drawn: (machine.output.length - drawn) / seconds };
    } else if (firstPixels(viewer).every((pixel, y) => pixel !== lines[y])) updates++;
  }
}

/** The first pixel of each line. */
function firstPixels(viewer: Viewer): number[] {
  return Array.from({ length: SCREEN.height }, (_, y) => viewer.pixels[y * SCREEN.width]);
}
