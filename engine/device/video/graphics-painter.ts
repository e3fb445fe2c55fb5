/**
 * Draws graphics modes, a line at a time, into 0xRRGGBB pixels.
 */
import type { IndexedMode, LinearMode, PlanarMode } from './display-mode.ts';
import { VIDEO_BYTES } from './vga-state.ts';

/** Dwords that the CRT controller reaches. */
const DWORDS = 0x1_0000;

/** Dword of the first pixel of line `y`, panning aside. */
function lineStart(mode: PlanarMode | IndexedMode, y: number): number {
  return y < mode.split ? mode.start + y * mode.pitch : (y - mode.split) * mode.pitch;
}

/** 16 colours in planes, or 4 in pairs of bits. @param line of `mode.width` pixels */
export function drawPlanarLine(
  video: Uint8Array,
  mode: PlanarMode,
  colors: Uint32Array,
  y: number,
  line: Uint32Array,
): void {
  const odd = mode.interleave !== 0 && (y & 1) !== 0 ? mode.interleave : 0;
  const start = lineStart(mode, mode.interleave === 0 ? y : y >> 1) + odd;
  const panning = y < mode.split ? mode.panning : 0;
  for (let x = 0; x < mode.width; x++) {
    const at = x + panning;
    const dword = (start + (at >> 3)) & (DWORDS - 1);
    let color = 0;
    if (mode.pairs) {
      // Four pixels in plane 0, then four in plane 1; the same in planes 2 and 3 makes the upper bits.
      const plane = (at >> 2) & 1;
      const shift = 6 - 2 * (at & 3);
      const low = (video[4 * dword + plane] >> shift) & 3;
      const high = (video[4 * dword + plane + 2] >> shift) & 3;
      color = low | (high << 2);
    } else {
      const bit = 7 - (at & 7);
      for (let plane = 0; plane < 4; plane++) color |= ((video[4 * dword + plane] >> bit) & 1) << plane;
    }
    line[x] = colors[color & mode.planes];
  }
}

/** A byte a pixel, in modes of the VGA: four to a dword. */
export function drawIndexedLine(
  video: Uint8Array,
  mode: IndexedMode,
  colors: Uint32Array,
  y: number,
  line: Uint32Array,
): void {
  const start = 4 * lineStart(mode, y) + (y < mode.split ? mode.panning : 0);
  for (let x = 0; x < mode.width; x++) line[x] = colors[video[(start + x) & (4 * DWORDS - 1)]];
}

/** Modes of the VBE extension. */
export function drawLinearLine(
  video: Uint8Array,
  mode: LinearMode,
  colors: Uint32Array,
  y: number,
  line: Uint32Array,
): void {
  let at = (mode.start + y * mode.pitch) % VIDEO_BYTES;
  switch (mode.depth) {
    case 8:
      for (let x = 0; x < mode.width; x++) line[x] = colors[video[at + x]];
      return;
    case 15:
      for (let x = 0; x < mode.width; x++, at += 2) {
        const value = video[at] | (video[at + 1] << 8);
        line[x] = (widen5(value >> 10) << 16) | (widen5(value >> 5) << 8) | widen5(value);
      }
      return;
    case 16:
      for (let x = 0; x < mode.width; x++, at += 2) {
        const value = video[at] | (video[at + 1] << 8);
        const green = (value >> 5) & 0x3f;
        line[x] = (widen5(value >> 11) << 16) | (((green << 2) | (green >> 4)) << 8) | widen5(value);
      }
      return;
    case 24:
      for (let x = 0; x < mode.width; x++, at += 3) {
        line[x] = video[at] | (video[at + 1] << 8) | (video[at + 2] << 16);
      }
      return;
    default: {
      const dwords = new Uint32Array(video.buffer, video.byteOffset + at, mode.width);
      for (let x = 0; x < mode.width; x++) line[x] = dwords[x] & 0xff_ffff;
    }
  }
}

/** Five bits of a colour as eight. */
function widen5(value: number): number {
  const bits = value & 0x1f;
  return (bits << 3) | (bits >> 2);
}
