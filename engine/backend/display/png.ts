/**
 * Pictures as PNG files: 8 bits a component, no transparency.
 *
 * Portable Network Graphics Specification (Second Edition), ISO/IEC 15948.
 */
import { crc32, deflateSync } from 'node:zlib';

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

/** Colour type 2: red, green, blue. */
const TRUE_COLOR = 2;

/** The file's bytes.
 * @param pixels 0xRRGGBB, `width` to a line */
export function encodePng(pixels: Uint32Array, width: number): Uint8Array {
  const height = pixels.length / width;
  // A line begins with its filter: none.
  const lines = new Uint8Array(height * (1 + 3 * width));
  let at = 0;
  for (let i = 0; i < pixels.length; i++) {
    if (i % width === 0) at++;
    const color = pixels[i];
    lines[at++] = color >> 16;
    lines[at++] = color >> 8;
    lines[at++] = color;
  }
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, TRUE_COLOR], 8);
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(lines)),
    chunk('IEND', new Uint8Array()),
  ]);
}

/** Length, type, data, and the checksum over the latter two. */
function chunk(type: string, data: Uint8Array): Uint8Array {
  const typed = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const bytes = Buffer.alloc(4 + typed.length + 4);
  bytes.writeUInt32BE(data.length, 0);
  typed.copy(bytes, 4);
  bytes.writeUInt32BE(crc32(typed), 4 + typed.length);
  return bytes;
}
