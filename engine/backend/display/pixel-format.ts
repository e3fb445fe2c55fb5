/**
 * Pixels as an RFB client wants them.
 *
 * RFC 6143, 7.4 "Pixel Format Data Structure".
 */
import { endianness } from 'node:os';

export interface PixelFormat {
  readonly bitsPerPixel: 8 | 16 | 32;
  readonly depth: number;
  readonly bigEndian: boolean;
  readonly redMax: number;
  readonly greenMax: number;
  readonly blueMax: number;
  readonly redShift: number;
  readonly greenShift: number;
  readonly blueShift: number;
}

/** The server's own: 0xRRGGBB in 32 bits, little-endian. */
export const NATIVE_FORMAT: PixelFormat = {
  bitsPerPixel: 32,
  depth: 24,
  bigEndian: false,
  redMax: 255,
  greenMax: 255,
  blueMax: 255,
  redShift: 16,
  greenShift: 8,
  blueShift: 0,
};

export const FORMAT_BYTES = 16;

/** The structure on the wire. */
export function packFormat(format: PixelFormat): Uint8Array {
  const bytes = new Uint8Array(FORMAT_BYTES);
  const view = new DataView(bytes.buffer);
  bytes[0] = format.bitsPerPixel;
  bytes[1] = format.depth;
  bytes[2] = format.bigEndian ? 1 : 0;
  bytes[3] = 1; // true colour
  view.setUint16(4, format.redMax);
  view.setUint16(6, format.greenMax);
  view.setUint16(8, format.blueMax);
  bytes.set([format.redShift, format.greenShift, format.blueShift], 10);
  return bytes;
}

/** Reads the structure; undefined for what makes no pixels, or asks for a colour map. */
export function unpackFormat(bytes: Uint8Array): PixelFormat | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, FORMAT_BYTES);
  const bits = bytes[0];
  if ((bits !== 8 && bits !== 16 && bits !== 32) || bytes[3] === 0) return undefined;
  const maxima = [view.getUint16(4), view.getUint16(6), view.getUint16(8)];
  const shifts = [bytes[10], bytes[11], bytes[12]];
  const fits = maxima.every((max, i) => {
    const width = Math.log2(max + 1);
    return Number.isInteger(width) && width >= 1 && width <= 8 && shifts[i] + width <= bits;
  });
  if (!fits) return undefined;
  return {
    bitsPerPixel: bits,
    depth: bytes[1],
    bigEndian: bytes[2] !== 0,
    redMax: maxima[0],
    greenMax: maxima[1],
    blueMax: maxima[2],
    redShift: shifts[0],
    greenShift: shifts[1],
    blueShift: shifts[2],
  };
}

const HOST_IS_LITTLE_ENDIAN = endianness() === 'LE';

/** Writes pixels in a client's format. */
export class PixelWriter {
  readonly format: PixelFormat;
  /** Bytes of a pixel, and of one in the encodings that leave out an unused byte (ZRLE's CPIXEL). */
  readonly bytes: number;
  readonly compactBytes: number;
  /** Whether Tight's three-byte pixels (TPIXEL) are used. */
  readonly threeBytes: boolean;
  readonly #native: boolean;
  /** Whether a pixel is a word of the host's with eight bits of each colour. */
  readonly #whole: boolean;
  /** Bits by which each component of 8 bits is too wide. */
  readonly #red: number;
  readonly #green: number;
  readonly #blue: number;

  constructor(format: PixelFormat) {
    this.format = format;
    this.bytes = format.bitsPerPixel / 8;
    const used = (format.redMax << format.redShift) | (format.greenMax << format.greenShift) | (format.blueMax << format.blueShift); // prettier-ignore
    const wide = format.bitsPerPixel === 32 && format.depth <= 24;
    this.compactBytes = wide && (used >>> 24 === 0 || (used & 0xff) === 0) ? 3 : this.bytes;
    this.threeBytes =
      wide &&
      format.depth === 24 &&
      format.redMax === 255 &&
      format.greenMax === 255 &&
      format.blueMax === 255;
    this.#native =
      this.threeBytes && format.redShift === 16 && format.greenShift === 8 && format.blueShift === 0;
    this.#whole = this.threeBytes && !format.bigEndian && HOST_IS_LITTLE_ENDIAN;
    this.#red = 8 - Math.log2(format.redMax + 1);
    this.#green = 8 - Math.log2(format.greenMax + 1);
    this.#blue = 8 - Math.log2(format.blueMax + 1);
  }

  /** A colour (0xRRGGBB) as a pixel value. */
  value(color: number): number {
    if (this.#native) return color;
    const { redShift, greenShift, blueShift } = this.format;
    const red = ((color >> 16) & 0xff) >> this.#red;
    const green = ((color >> 8) & 0xff) >> this.#green;
    const blue = (color & 0xff) >> this.#blue;
    return ((red << redShift) | (green << greenShift) | (blue << blueShift)) >>> 0;
  }

  /** Writes a pixel at `at` and returns where the next one goes. */
  put(to: Uint8Array, at: number, color: number): number {
    return this.#write(to, at, this.value(color), this.bytes, 0);
  }

  /** Writes pixels (0xRRGGBB) one after another from `at` on, and returns where the next one goes. */
  putAll(to: Uint8Array, at: number, colors: Uint32Array): number {
    if (!this.#whole || (to.byteOffset + at) % 4 !== 0) {
      let end = at;
      for (const color of colors) end = this.put(to, end, color);
      return end;
    }
    // A picture has a million of them: whole words, without a call for each.
    const words = new Uint32Array(to.buffer, to.byteOffset + at, colors.length);
    if (this.#native) words.set(colors);
    else {
      const { redShift, greenShift, blueShift } = this.format;
      for (let i = 0; i < colors.length; i++) {
        const color = colors[i];
        words[i] =
          (((color >> 16) & 0xff) << redShift) |
          (((color >> 8) & 0xff) << greenShift) |
          ((color & 0xff) << blueShift);
      }
    }
    return at + 4 * colors.length;
  }

  /** The same for a CPIXEL (RFC 6143, 7.7.6): the three bytes of four that hold colour. */
  putCompact(to: Uint8Array, at: number, color: number): number {
    if (this.compactBytes === this.bytes) return this.put(to, at, color);
    const { redMax, redShift, greenMax, greenShift, blueMax, blueShift } = this.format;
    const used = (redMax << redShift) | (greenMax << greenShift) | (blueMax << blueShift);
    return this.#write(to, at, this.value(color), 3, used >>> 24 === 0 ? 0 : 8);
  }

  /** The same for a TPIXEL: red, green, blue where that can be, else a whole pixel. */
  putTight(to: Uint8Array, at: number, color: number): number {
    if (!this.threeBytes) return this.put(to, at, color);
    to[at] = color >> 16;
    to[at + 1] = color >> 8;
    to[at + 2] = color;
    return at + 3;
  }

  #write(to: Uint8Array, at: number, value: number, bytes: number, shift: number): number {
    const last = bytes - 1;
    for (let i = 0; i < bytes; i++) {
      to[at + (this.format.bigEndian ? last - i : i)] = value >>> (8 * i + shift);
    }
    return at + bytes;
  }
}
