/**
 * How rectangles of pixels are written for an RFB client.
 *
 * RFC 6143, 7.7 "Encodings"; for Tight the RFB protocol description of the community (rfbproto), 7.7.6.
 */
import type { Rectangle } from '../../device/video/damage.ts';
import type { PixelWriter } from './pixel-format.ts';
import type { ZlibStream } from './zlib-stream.ts';

/** A picture: 0xRRGGBB, `width` pixels a line. */
export interface Picture {
  readonly pixels: Uint32Array;
  readonly width: number;
}

/** The pixels of a rectangle, line by line. */
export function cut({ pixels, width }: Picture, area: Rectangle): Uint32Array {
  const taken = new Uint32Array(area.width * area.height);
  for (let y = 0; y < area.height; y++) {
    const from = (area.y + y) * width + area.x;
    taken.set(pixels.subarray(from, from + area.width), y * area.width);
  }
  return taken;
}

/** The colours that occur, in order of their first; undefined where there are more than `most`. */
export function paletteOf(pixels: Uint32Array, most: number): Map<number, number> | undefined {
  const found = new Map<number, number>();
  let last = -1;
  for (let i = 0; i < pixels.length; i++) {
    const color = pixels[i];
    if (color === last) continue;
    last = color;
    if (found.has(color)) continue;
    if (found.size === most) return undefined;
    found.set(color, found.size);
  }
  return found;
}

/** A rectangle by its colours: those that occur, and for each pixel, line by line, which it is. */
export interface IndexedArea {
  readonly colors: readonly number[];
  readonly indices: Uint8Array;
}

/** A rectangle by its colours, looked at once; undefined where there are more than `most`, at most 256. */
export function indexArea(
  { pixels, width }: Picture,
  area: Rectangle,
  most: number,
): IndexedArea | undefined {
  const colors: number[] = [];
  const known = new Map<number, number>();
  const indices = new Uint8Array(area.width * area.height);
  // Pixels are mostly like the one before, and then like the one before that differed: looking each up takes longer
  // than all the rest.
  let [color, index, other, otherIndex] = [-1, 0, -1, 0];
  let to = 0;
  for (let y = area.y; y < area.y + area.height; y++) {
    const end = y * width + area.x + area.width;
    for (let from = end - area.width; from < end; from++, to++) {
      const next = pixels[from];
      if (next !== color) {
        const found = next === other ? otherIndex : (known.get(next) ?? colors.length);
        if (found === colors.length) {
          if (found === most) return undefined;
          known.set(next, found);
          colors.push(next);
        }
        [other, otherIndex] = [color, index];
        [color, index] = [next, found];
      }
      indices[to] = index;
    }
  }
  return { colors, indices };
}

/** 7.7.1. */
export function encodeRaw({ pixels, width }: Picture, area: Rectangle, writer: PixelWriter): Uint8Array {
  const bytes = new Uint8Array(area.width * area.height * writer.bytes);
  let at = 0;
  for (let y = area.y; y < area.y + area.height; y++) {
    const from = y * width + area.x;
    at = writer.putAll(bytes, at, pixels.subarray(from, from + area.width));
  }
  return bytes;
}

/** Lines of pixels as indices of a palette, `bits` each, the first in the highest bits, lines ending on bytes. */
function packIndices(
  pixels: Uint32Array,
  width: number,
  palette: Map<number, number>,
  bits: number,
): Uint8Array {
  const pitch = Math.ceil((width * bits) / 8);
  const bytes = new Uint8Array(pitch * (pixels.length / width));
  let line = 0;
  // Pixels are mostly like the one before: looking each up takes longer than all the rest.
  let last = -1;
  let index = 0;
  for (let from = 0; from < pixels.length; from += width) {
    for (let x = 0; x < width; x++) {
      const color = pixels[from + x];
      if (color !== last) {
        last = color;
        index = palette.get(color) ?? 0;
      }
      const bit = x * bits;
      bytes[line + (bit >> 3)] |= index << (8 - bits - (bit & 7));
    }
    line += pitch;
  }
  return bytes;
}

const ZRLE_TILE = 64;

/** Palette sizes that ZRLE packs, by bits an index. */
const ZRLE_BITS = (colors: number): number => (colors <= 2 ? 1 : colors <= 4 ? 2 : 4);

/** 7.7.6: tiles of 64 × 64, each of one colour, of packed indices, or raw; compressed together. */
export async function encodeZrle(
  picture: Picture,
  area: Rectangle,
  writer: PixelWriter,
  zlib: ZlibStream,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (let y = area.y; y < area.y + area.height; y += ZRLE_TILE) {
    for (let x = area.x; x < area.x + area.width; x += ZRLE_TILE) {
      const width = Math.min(ZRLE_TILE, area.x + area.width - x);
      const height = Math.min(ZRLE_TILE, area.y + area.height - y);
      parts.push(zrleTile(cut(picture, { x, y, width, height }), width, writer));
    }
  }
  const compressed = await zlib.compress(Buffer.concat(parts));
  const bytes = new Uint8Array(4 + compressed.length);
  new DataView(bytes.buffer).setUint32(0, compressed.length);
  bytes.set(compressed, 4);
  return bytes;
}

function zrleTile(pixels: Uint32Array, width: number, writer: PixelWriter): Uint8Array {
  const palette = paletteOf(pixels, 16);
  const colors = palette === undefined ? pixels : Uint32Array.from(palette.keys());
  const head = new Uint8Array(1 + colors.length * writer.compactBytes);
  head[0] = palette === undefined ? 0 : palette.size;
  let at = 1;
  for (const color of colors) at = writer.putCompact(head, at, color);
  if (palette === undefined || palette.size === 1) return head;
  return Buffer.concat([head, packIndices(pixels, width, palette, ZRLE_BITS(palette.size))]);
}

/** Widest rectangle of Tight. */
export const TIGHT_MOST_WIDTH = 2048;

const TIGHT = { Fill: 0x80, ExplicitFilter: 0x40, PaletteFilter: 1 } as const;

/** Data of fewer bytes is not compressed. */
const TIGHT_LEAST = 12;

/** Streams of Tight that are used: for pixels, for indices of two colours, and of more. */
export const TIGHT_STREAMS = 3;
const TIGHT_STREAM = { Pixels: 0, TwoColors: 1, Palette: 2 } as const;

/** A rectangle by its colours where Tight writes indices of them; undefined where it writes pixels. */
export function indexForTight(picture: Picture, area: Rectangle): IndexedArea | undefined {
  return indexArea(picture, area, Math.min(256, Math.max(2, (area.width * area.height) >> 3)));
}

/**
 * Tight: one colour, indices of a palette, or pixels; the latter two compressed in streams of their own.
 *
 * @param indexed the rectangle by {@link indexForTight}
 */
export async function encodeTight(
  picture: Picture,
  area: Rectangle,
  indexed: IndexedArea | undefined,
  writer: PixelWriter,
  streams: readonly ZlibStream[],
): Promise<Uint8Array> {
  const pixelBytes = writer.threeBytes ? 3 : writer.bytes;
  if (indexed === undefined) {
    const pixels = cut(picture, area);
    const data = new Uint8Array(pixels.length * pixelBytes);
    let at = 0;
    for (const color of pixels) at = writer.putTight(data, at, color);
    return tightData(Uint8Array.of(TIGHT_STREAM.Pixels << 4), data, streams[TIGHT_STREAM.Pixels]);
  }
  const { colors, indices } = indexed;
  if (colors.length === 1) {
    const bytes = new Uint8Array(1 + pixelBytes);
    bytes[0] = TIGHT.Fill;
    writer.putTight(bytes, 1, colors[0]);
    return bytes;
  }
  const two = colors.length === 2;
  const stream = two ? TIGHT_STREAM.TwoColors : TIGHT_STREAM.Palette;
  const head = new Uint8Array(3 + colors.length * pixelBytes);
  head.set([(stream << 4) | TIGHT.ExplicitFilter, TIGHT.PaletteFilter, colors.length - 1]);
  let at = 3;
  for (const color of colors) at = writer.putTight(head, at, color);
  return tightData(head, two ? packBits(indices, area.width) : indices, streams[stream]);
}

/** Indices of two colours, a bit each, the first in the highest bit, lines ending on bytes. */
function packBits(indices: Uint8Array, width: number): Uint8Array {
  const pitch = Math.ceil(width / 8);
  const bytes = new Uint8Array(pitch * (indices.length / width));
  for (let line = 0, from = 0; from < indices.length; line += pitch, from += width) {
    for (let x = 0; x < width; x++) bytes[line + (x >> 3)] |= indices[from + x] << (7 - (x & 7));
  }
  return bytes;
}

async function tightData(head: Uint8Array, data: Uint8Array, stream: ZlibStream): Promise<Uint8Array> {
  if (data.length < TIGHT_LEAST) return Buffer.concat([head, data]);
  const compressed = await stream.compress(data);
  return Buffer.concat([head, compactLength(compressed.length), compressed]);
}

/** A length in one to three bytes, seven bits each, the lowest first. */
function compactLength(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length);
  if (length < 0x4000) return Uint8Array.of((length & 0x7f) | 0x80, length >> 7);
  return Uint8Array.of((length & 0x7f) | 0x80, ((length >> 7) & 0x7f) | 0x80, length >> 14);
}

const HEXTILE = { Raw: 1, Background: 2, Foreground: 4, AnySubrectangles: 8 } as const;
const HEXTILE_TILE = 16;

/** 7.7.4: tiles of 16 × 16, raw, of one colour, or of runs in a second colour on the first. */
export function encodeHextile(picture: Picture, area: Rectangle, writer: PixelWriter): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let y = area.y; y < area.y + area.height; y += HEXTILE_TILE) {
    for (let x = area.x; x < area.x + area.width; x += HEXTILE_TILE) {
      const width = Math.min(HEXTILE_TILE, area.x + area.width - x);
      const height = Math.min(HEXTILE_TILE, area.y + area.height - y);
      parts.push(hextile(cut(picture, { x, y, width, height }), width, writer));
    }
  }
  return Buffer.concat(parts);
}

function hextile(pixels: Uint32Array, width: number, writer: PixelWriter): Uint8Array {
  const raw = 1 + pixels.length * writer.bytes;
  const palette = paletteOf(pixels, 2);
  const bytes = new Uint8Array(raw);
  if (palette !== undefined) {
    const [background, foreground] = [...palette.keys()];
    bytes[0] = HEXTILE.Background;
    let at = writer.put(bytes, 1, background);
    if (foreground === undefined) return bytes.subarray(0, at);
    bytes[0] |= HEXTILE.Foreground | HEXTILE.AnySubrectangles;
    at = writer.put(bytes, at, foreground);
    const counted = at++;
    const runs = runsOf(pixels, width, foreground);
    if (runs.length < 256 && at + 2 * runs.length < raw) {
      bytes[counted] = runs.length;
      for (const { x, y, length } of runs) {
        bytes[at++] = (x << 4) | y;
        bytes[at++] = (length - 1) << 4;
      }
      return bytes.subarray(0, at);
    }
  }
  bytes[0] = HEXTILE.Raw;
  writer.putAll(bytes, 1, pixels);
  return bytes;
}

/** Where a colour is, as horizontal runs. */
function runsOf(pixels: Uint32Array, width: number, color: number) {
  const runs: Array<{ x: number; y: number; length: number }> = [];
  for (let i = 0; i < pixels.length; i++) {
    if (pixels[i] !== color) continue;
    const x = i % width;
    let length = 1;
    while (x + length < width && pixels[i + length] === color) length++;
    runs.push({ x, y: Math.floor(i / width), length });
    i += length - 1;
  }
  return runs;
}
