/** What viewers are told to move, by a viewer that does so. */
import { duplexPair } from 'node:stream';
import { afterEach, expect, test } from 'vitest';
import { Random } from '../../base/random.ts';
import { Damage, type Rectangle, TILE } from '../../device/video/damage.ts';
import { RfbClient } from './rfb-client.ts';
import { Encoding } from './rfb-protocol.ts';
import { Viewer } from './testing/viewer.ts';

const WIDTH = 300;
const HEIGHT = 200;
const WHOLE: Rectangle = { x: 0, y: 0, width: WIDTH, height: HEIGHT };

const screen = { width: WIDTH, height: HEIGHT, pixels: new Uint32Array(WIDTH * HEIGHT) };
const clients: RfbClient[] = [];
const random = new Random(11);

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});

async function connect(encodings: readonly number[]): Promise<{ client: RfbClient; viewer: Viewer }> {
  const [here, there] = duplexPair();
  const input = { key: () => {}, pointer: () => {}, move: () => {}, absolute: true };
  const nothing = () => {};
  const options = {
    name: '',
    password: undefined,
    screen,
    input,
    local: false,
    wants: nothing,
    gone: nothing,
  };
  const client = new RfbClient({ ...options, stream: here });
  clients.push(client);
  return { client, viewer: await Viewer.connect(there, { encodings }) };
}

/** Lines of text of a kind: of few colours, none like another. */
function write({ x, y, width, height }: Rectangle): void {
  for (let line = y; line < y + height; line++) {
    for (let at = x; at < x + width; at++)
      screen.pixels[line * WIDTH + at] = random.below(4) === 0 ? 0xc0c0c0 : 0;
  }
}

/** Scrolls an area upwards, or downwards where `by` is negative; what comes free is written anew. */
function scroll({ x, y, width, height }: Rectangle, by: number): void {
  const before = screen.pixels.slice();
  for (let line = y; line < y + height; line++) {
    const from = line + by;
    if (from < y || from >= y + height) write({ x, y: line, width, height: 1 });
    else {
      screen.pixels.set(before.subarray(from * WIDTH + x, from * WIDTH + x + width), line * WIDTH + x);
    }
  }
}

/** The tiles that differ between two pictures, as the screen notes them. */
function damageSince(before: Uint32Array): Damage {
  const damage = new Damage(WIDTH, HEIGHT);
  for (const [i, pixel] of screen.pixels.entries()) {
    if (pixel !== before[i]) damage.mark(i % WIDTH, i % WIDTH, Math.floor(i / WIDTH));
  }
  return damage;
}

const isUpToDate = (viewer: Viewer) => Buffer.compare(Buffer.from(viewer.pixels.buffer), Buffer.from(screen.pixels.buffer)) === 0; // prettier-ignore

const { CopyRect, Raw } = Encoding;

test.each([
  ['the whole picture, upwards', WHOLE, 16],
  ['the whole picture, downwards', WHOLE, -16],
  ['a part, beside what stays', { x: 37, y: 21, width: 201, height: 150 }, 13],
  ['a part, downwards and far', { x: 70, y: 3, width: 80, height: 190 }, -90],
])('what scrolls is moved, and what is new is sent: %s', async (_name, area, by) => {
  write(WHOLE);
  const { client, viewer } = await connect([CopyRect, Raw]);
  await viewer.update();
  viewer.seen.length = 0;
  const before = screen.pixels.slice();
  scroll(area, by);
  viewer.request(true);
  client.changed(damageSince(before), false);
  await viewer.next();
  expect(isUpToDate(viewer)).toBe(true);
  const lines = Math.abs(by);
  const [moved, ...sent] = viewer.areas.slice(-viewer.seen.length);
  expect(viewer.seen[0]).toBe(CopyRect);
  expect(moved).toEqual({ ...area, y: by > 0 ? area.y : area.y + lines, height: area.height - lines });
  // What is new, with the rest of its tiles.
  const pixels = sent.reduce((sum, { width, height }) => sum + width * height, 0);
  expect(pixels).toBeLessThanOrEqual((area.width + 2 * TILE.width) * (lines + 2 * TILE.height));
});

test('what a viewer may have lost is not moved but sent, and a viewer that cannot move is sent all', async () => {
  for (const encodings of [[CopyRect, Raw], [Raw]]) {
    write(WHOLE);
    const { client, viewer } = await connect(encodings);
    await viewer.update();
    viewer.seen.length = 0;
    const before = screen.pixels.slice();
    scroll(WHOLE, 16);
    client.changed(damageSince(before), false);
    await viewer.update(encodings.length === 1);
    expect(new Set(viewer.seen)).toEqual(new Set([Raw]));
    expect(isUpToDate(viewer)).toBe(true);
  }
});

test('of a picture that has had another size in between, a viewer has nothing', async () => {
  write(WHOLE);
  const { client, viewer } = await connect([CopyRect, Raw, Encoding.DesktopSize]);
  await viewer.update();
  const whole = screen.pixels;
  for (const [height, pixels] of [
    [100, new Uint32Array(WIDTH * 100)],
    [HEIGHT, whole],
  ] as const) {
    viewer.request(true);
    Object.assign(screen, { height, pixels });
    client.changed(new Damage(WIDTH, height), true);
    await viewer.next();
    expect(viewer.height).toBe(height);
  }
  viewer.seen.length = 0;
  scroll(WHOLE, 16);
  await viewer.update(true);
  expect(isUpToDate(viewer)).toBe(true);
  expect(viewer.seen).not.toContain(CopyRect);
});

test('fuzz: whatever moves, overlaps and is missed, the viewer has the picture', async () => {
  for (const encoding of [Raw, Encoding.Tight, Encoding.Zrle, Encoding.Hextile]) {
    write(WHOLE);
    const { client, viewer } = await connect([CopyRect, encoding]);
    await viewer.update();
    for (let round = 0; round < 60; round++) {
      // A slow viewer misses some.
      for (let missed = random.below(3); missed >= 0; missed--) {
        const before = screen.pixels.slice();
        const [x, y] = [random.below(WIDTH - 80), random.below(HEIGHT - 50)];
        const size = { width: 20 + random.below(WIDTH - x - 20), height: 10 + random.below(HEIGHT - y - 10) };
        const area = random.below(2) === 0 ? WHOLE : { x, y, ...size };
        if (random.below(6) === 0) write(area);
        else scroll(area, random.below(81) - 40);
        client.changed(damageSince(before), false);
      }
      // Nothing would come where nothing has changed.
      await viewer.update(random.below(8) !== 0 && damageSince(viewer.pixels).any);
      expect(isUpToDate(viewer)).toBe(true);
    }
    expect(viewer.seen.filter((each) => each === CopyRect).length).toBeGreaterThan(10);
    expect(viewer.seen).toContain(encoding);
  }
});
