/**
 * Draws the icons in resources/icons: PNG in all sizes, and the containers that Windows and macOS want. To be run
 * by hand when the drawing changes: node scripts/make-icons.ts
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { crc32, deflateSync } from 'node:zlib';

type Point = readonly [x: number, y: number];
type Colour = readonly [red: number, green: number, blue: number];

/** The drawing stands in a square of so many units. */
const UNITS = 32;

const BLUE: Colour = [0x2a, 0x5b, 0xb5];
const WHITE: Colour = [0xff, 0xff, 0xff];

const HOUSE: readonly Point[] = [
  [6, 15.5],
  [16, 7],
  [26, 15.5],
  [26, 26],
  [6, 26],
];
/** A prompt: `>_`. */
const STROKES: ReadonlyArray<readonly [Point, Point]> = [
  [
    [11.5, 17],
    [15, 20],
  ],
  [
    [15, 20],
    [11.5, 23],
  ],
  [
    [17, 23],
    [21, 23],
  ],
];
const STROKE_WIDTH = 2;
const CORNER = 7;

/** Distance of a point from a line's end or side. */
function distanceToSegment([x, y]: Point, [[ax, ay], [bx, by]]: readonly [Point, Point]): number {
  const [dx, dy] = [bx - ax, by - ay];
  const along = Math.max(0, Math.min(1, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy)));
  return Math.hypot(x - ax - along * dx, y - ay - along * dy);
}

/** Whether a point lies in a polygon, by the number of sides a ray from it crosses. */
function isInside([x, y]: Point, polygon: readonly Point[]): boolean {
  let inside = false;
  for (const [i, [ax, ay]] of polygon.entries()) {
    const [bx, by] = polygon[(i + 1) % polygon.length];
    if (ay > y !== by > y && x < ax + ((y - ay) / (by - ay)) * (bx - ax)) inside = !inside;
  }
  return inside;
}

/** The colour at a point; undefined where there is none. */
function colourAt([x, y]: Point): Colour | undefined {
  const edge = (value: number) => Math.max(0, Math.abs(value - UNITS / 2) - (UNITS / 2 - CORNER));
  if (Math.hypot(edge(x), edge(y)) > CORNER) return undefined;
  if (!isInside([x, y], HOUSE)) return BLUE;
  return STROKES.some((stroke) => distanceToSegment([x, y], stroke) <= STROKE_WIDTH / 2) ? BLUE : WHITE;
}

/** Points looked at across a pixel, each way: the smaller the picture, the more its edges matter. */
const samplesFor = (size: number): number => (size > 64 ? 3 : 8);

/** The drawing as RGBA, row by row, with a filter byte of 0 before each row as PNG has it (PNG, 9.2). */
function draw(size: number): Uint8Array {
  const samples = samplesFor(size);
  const stride = 1 + 4 * size;
  const pixels = new Uint8Array(stride * size);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const sum = [0, 0, 0];
      let count = 0;
      for (let i = 0; i < samples * samples; i++) {
        const at = (pixel: number, part: number) => ((pixel + (part + 0.5) / samples) * UNITS) / size;
        const colour = colourAt([at(x, i % samples), at(y, Math.floor(i / samples))]);
        if (colour === undefined) continue;
        count++;
        for (const [channel, value] of colour.entries()) sum[channel] += value;
      }
      const mean = sum.map((value) => Math.round(value / Math.max(1, count)));
      pixels.set([...mean, Math.round((255 * count) / samples ** 2)], stride * y + 1 + 4 * x);
    }
  }
  return pixels;
}

const bigEndian = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

/** A PNG file (PNG, 5.3 and 11.2): 8 bits a channel, with alpha. */
function png(size: number): Buffer {
  const chunk = (type: string, data: Uint8Array) => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    return Buffer.concat([bigEndian(data.length), body, bigEndian(crc32(body))]);
  };
  const header = Buffer.concat([bigEndian(size), bigEndian(size), Buffer.from([8, 6, 0, 0, 0])]);
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(draw(size), { level: 9 })),
    chunk('IEND', new Uint8Array(0)),
  ]);
}

/** Windows' container: a directory of 16 bytes an image, then the images, which may be PNG files. */
function ico(images: ReadonlyMap<number, Buffer>): Buffer {
  const head = Buffer.alloc(6 + 16 * images.size);
  head.writeUInt16LE(1, 2);
  head.writeUInt16LE(images.size, 4);
  let offset = head.length;
  let at = 6;
  for (const [size, image] of images) {
    // 256 is written as 0.
    head[at] = size & 0xff;
    head[at + 1] = size & 0xff;
    head.writeUInt16LE(1, at + 4);
    head.writeUInt16LE(32, at + 6);
    head.writeUInt32LE(image.length, at + 8);
    head.writeUInt32LE(offset, at + 12);
    offset += image.length;
    at += 16;
  }
  return Buffer.concat([head, ...images.values()]);
}

/** macOS's container: a type and a length before each image. */
function icns(images: ReadonlyMap<string, Buffer>): Buffer {
  const parts = [...images].map(([type, image]) =>
    Buffer.concat([Buffer.from(type, 'latin1'), bigEndian(image.length + 8), image]),
  );
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from('icns', 'latin1'), bigEndian(body.length + 8), body]);
}

const folder = path.join(path.dirname(import.meta.dirname), 'resources', 'icons');
const images = new Map([16, 32, 48, 64, 128, 256, 512].map((size) => [size, png(size)]));
for (const [size, image] of images) writeFileSync(path.join(folder, `${size}x${size}.png`), image);
const pick = <K>(...wanted: ReadonlyArray<readonly [K, number]>): Map<K, Buffer> =>
  new Map(wanted.map(([key, size]) => [key, images.get(size) ?? png(size)]));
writeFileSync(path.join(folder, 'icon.ico'), ico(pick([16, 16], [32, 32], [48, 48], [64, 64], [256, 256])));
writeFileSync(
  path.join(folder, 'icon.icns'),
  icns(pick(['icp4', 16], ['icp5', 32], ['ic07', 128], ['ic08', 256], ['ic09', 512])),
);
