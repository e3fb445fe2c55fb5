/**
 * What the adapter's registers make of its memory: the mode that a monitor would show.
 *
 * Addresses are in dwords of video memory (four planes' bytes at one offset), as the CRT controller counts, except
 * for modes of the VBE extension, which count bytes.
 *
 * IBM Personal System/2 Hardware Interface Technical Reference, "Video subsystem", "CRT controller registers".
 */
import {
  Attr, Crtc, Gfx, PALETTE_ADDRESS_SOURCE, Seq, Vbe, VBE_MOST, VbeEnable, vbeEnabled, type VgaState, VIDEO_BYTES,
} from './vga-state.ts'; // prettier-ignore
import { storedBits } from './vbe-ports.ts';

/** Dimensions of the picture in pixels. */
interface Size {
  readonly width: number;
  readonly height: number;
}

/** Where a mode of the VGA reads its lines. */
interface Scan {
  /** First dword, and dwords from one line to the next. */
  readonly start: number;
  readonly pitch: number;
  /** Pixels by which the picture is moved to the left. */
  readonly panning: number;
  /** Number of the line from which on memory is read from its beginning. */
  readonly split: number;
}

export interface TextMode extends Size, Scan {
  readonly kind: 'text';
  readonly columns: number;
  readonly rows: number;
  readonly cellWidth: 8 | 9;
  /** 2 where each pixel is shown twice, side by side. */
  readonly widen: 1 | 2;
  readonly cellHeight: number;
  /** Dword of the character under the cursor, and the cursor's first and last line; no cursor where they are the
   * wrong way round. */
  readonly cursor: { readonly at: number; readonly first: number; readonly last: number };
  /** Offsets in video memory of the fonts for characters with attribute bit 3 clear, and set. */
  readonly fonts: readonly [number, number];
  /** Bit 7 of the attribute is for blinking, not for the background. */
  readonly blink: boolean;
  /** The ninth column of characters C0 … DF repeats the eighth. */
  readonly lineGraphics: boolean;
  /** Line of the underline in characters with attribute 1 or 9; -1 where there is none. */
  readonly underline: number;
}

/** 16 colours in four planes, 4 colours in pairs of bits, or 2 colours. */
export interface PlanarMode extends Size, Scan {
  readonly kind: 'planar';
  /** Lines that one line of memory is shown for. */
  readonly repeat: number;
  /** Odd lines are at this distance from even ones, in dwords; 0 where they follow each other (CGA has 2000h). */
  readonly interleave: number;
  /** Pixels are pairs of bits, first in planes 0 and 1. */
  readonly pairs: boolean;
  /** Planes that take part. */
  readonly planes: number;
}

/** 256 colours, a byte each. */
export interface IndexedMode extends Size, Scan {
  readonly kind: 'indexed';
  readonly repeat: number;
}

/** A mode of the VBE extension with 8 bits or more. */
export interface LinearMode extends Size {
  readonly kind: 'linear';
  /** 8, 15, 16, 24 or 32. */
  readonly depth: number;
  /** Bytes. */
  readonly start: number;
  readonly pitch: number;
}

/** Nothing to be seen: the guest has turned the display off, or has not set a mode. */
export interface BlankMode extends Size {
  readonly kind: 'blank';
}

export type DisplayMode = TextMode | PlanarMode | IndexedMode | LinearMode | BlankMode;

/** Bits of single registers. */
const DOUBLE_SCAN = 0x80;
const EIGHT_DOTS = 0x01;
const HALF_DOT_CLOCK = 0x08;
const SCREEN_OFF = 0x20;
const GRAPHICS = 0x01;
const NO_CURSOR = 0x20;
const ROW_SCAN_AS_A13 = 0x01;
const ATTR_MODE = { Mono: 0x02, LineGraphics: 0x04, Blink: 0x08, Pixels8: 0x40 } as const;

/** The mode that the registers describe. Whatever they hold, its size is at most that of the largest VBE mode. */
export function displayMode(state: VgaState): DisplayMode {
  if (vbeEnabled(state) && state.vbe[Vbe.Depth] >= 8) return linearMode(state);
  const { crtc, sequencer, attribute, graphics } = state;
  const overflow = crtc[Crtc.Overflow];
  const lines = 1 + (crtc[Crtc.VerticalDisplayEnd] | ((overflow & 0x02) << 7) | ((overflow & 0x40) << 3));
  const columns = 1 + crtc[Crtc.HorizontalDisplayEnd];
  const scan: Scan = {
    start: (crtc[Crtc.StartHigh] << 8) | crtc[Crtc.StartLow],
    pitch: crtc[Crtc.Offset] * 2,
    panning: attribute[Attr.Panning] & 7,
    split: lineCompare(state) + 1,
  };
  const repeat =
    ((crtc[Crtc.MaximumScanLine] & DOUBLE_SCAN) === 0 ? 1 : 2) * ((crtc[Crtc.MaximumScanLine] & 0x1f) + 1);
  const vbe = vbeEnabled(state);
  const off =
    (state.attributeIndex & PALETTE_ADDRESS_SOURCE) === 0 || (sequencer[Seq.Clocking] & SCREEN_OFF) !== 0;
  if (off && !vbe) return { kind: 'blank', width: 640, height: 480 };
  if ((graphics[Gfx.Miscellaneous] & GRAPHICS) === 0 && !vbe) return textMode(state, columns, lines, scan);
  if (vbe) {
    const { vbe: registers } = state;
    const size = { width: registers[Vbe.Width], height: registers[Vbe.Height] };
    const pitch = registers[Vbe.VirtualWidth] >> 3;
    const start = registers[Vbe.OffsetY] * pitch + (registers[Vbe.OffsetX] >> 3);
    const whole = { start, pitch, panning: registers[Vbe.OffsetX] & 7, split: size.height };
    return { kind: 'planar', ...size, ...whole, repeat: 1, interleave: 0, pairs: false, planes: 0x0f };
  }
  const shift = (graphics[Gfx.Mode] >> 5) & 3;
  if (shift >= 2) {
    const halved = (attribute[Attr.Mode] & ATTR_MODE.Pixels8) !== 0;
    // Panning counts half pixels here.
    const panned = { ...scan, panning: halved ? scan.panning >> 1 : scan.panning };
    const width = halved ? columns * 4 : columns * 8;
    return { kind: 'indexed', ...clamp(width, Math.ceil(lines / repeat)), ...panned, repeat: 1 };
  }
  const interleaved = (crtc[Crtc.Mode] & ROW_SCAN_AS_A13) === 0;
  const shown = interleaved ? Math.max(repeat >> 1, 1) : repeat;
  return {
    kind: 'planar',
    ...clamp(columns * 8, Math.ceil(lines / shown)),
    ...scan,
    repeat: 1,
    interleave: interleaved ? 0x2000 : 0,
    pairs: shift === 1,
    planes: attribute[Attr.PlaneEnable] & 0x0f,
  };
}

function textMode(state: VgaState, columns: number, lines: number, scan: Scan): TextMode {
  const { crtc, sequencer, attribute } = state;
  const cellHeight = (crtc[Crtc.MaximumScanLine] & 0x1f) + 1;
  const rows = Math.max(Math.floor(lines / cellHeight), 1);
  const cellWidth = (sequencer[Seq.Clocking] & EIGHT_DOTS) === 0 ? 9 : 8;
  const widen = (sequencer[Seq.Clocking] & HALF_DOT_CLOCK) === 0 ? 1 : 2;
  const map = sequencer[Seq.CharacterMap];
  const cursorOff = (crtc[Crtc.CursorStart] & NO_CURSOR) !== 0;
  const mode = attribute[Attr.Mode];
  return {
    kind: 'text',
    ...scan,
    ...clamp(columns * cellWidth * widen, rows * cellHeight),
    columns,
    rows,
    cellWidth,
    widen,
    cellHeight,
    cursor: {
      at: (crtc[Crtc.CursorHigh] << 8) | crtc[Crtc.CursorLow],
      first: cursorOff ? 1 : crtc[Crtc.CursorStart] & 0x1f,
      last: cursorOff ? 0 : Math.min(crtc[Crtc.CursorEnd] & 0x1f, cellHeight - 1),
    },
    // A font has 8 KiB of plane 2; the select bits are spread over the register.
    fonts: [fontOffset(((map >> 4) & 1) | ((map << 1) & 6)), fontOffset(((map >> 5) & 1) | ((map >> 1) & 6))],
    blink: (mode & ATTR_MODE.Blink) !== 0,
    lineGraphics: (mode & ATTR_MODE.LineGraphics) !== 0,
    underline: (mode & ATTR_MODE.Mono) === 0 ? -1 : crtc[Crtc.UnderlineLocation] & 0x1f,
  };
}

/** Where font `select` (0 … 7) begins in video memory: plane 2. */
function fontOffset(select: number): number {
  return select * 0x2000 * 4 + 2;
}

function lineCompare({ crtc }: VgaState): number {
  const high = ((crtc[Crtc.Overflow] & 0x10) << 4) | ((crtc[Crtc.MaximumScanLine] & 0x40) << 3);
  return crtc[Crtc.LineCompare] | high;
}

function linearMode({ vbe }: VgaState): LinearMode {
  const depth = vbe[Vbe.Depth];
  const bits = storedBits(depth);
  const pitch = (vbe[Vbe.VirtualWidth] * bits) / 8;
  const size = { width: vbe[Vbe.Width], height: vbe[Vbe.Height] };
  const wanted = vbe[Vbe.OffsetY] * pitch + (vbe[Vbe.OffsetX] * bits) / 8;
  // What would be beyond the memory is not shown.
  const last = VIDEO_BYTES - ((size.height - 1) * pitch + (size.width * bits) / 8);
  const start = Math.max(0, Math.min(Math.floor(wanted), Math.floor(last)));
  return { kind: 'linear', ...size, depth, start: start - (start % (bits / 8)), pitch };
}

function clamp(width: number, height: number): Size {
  return { width: Math.min(width, VBE_MOST.width), height: Math.min(height, VBE_MOST.height) };
}

/** Colours as 0xRRGGBB: 256 for bytes, and the 16 of text and planar modes. */
export interface Colors {
  readonly all: Uint32Array;
  readonly sixteen: Uint32Array;
}

/** The palette as the display uses it. */
export function colors(state: VgaState): Colors {
  const { palette, paletteMask, attribute, vbe } = state;
  const wide = vbeEnabled(state) && (vbe[Vbe.Enable] & VbeEnable.EightBitPalette) !== 0;
  const component = (at: number) => (wide ? palette[at] : ((palette[at] << 2) | (palette[at] >> 4)) & 0xff);
  const all = Uint32Array.from({ length: 256 }, (_, index) => {
    const at = 3 * (index & paletteMask);
    return (component(at) << 16) | (component(at + 1) << 8) | component(at + 2);
  });
  const select = attribute[Attr.ColorSelect];
  const halves = (attribute[Attr.Mode] & 0x80) !== 0;
  const sixteen = Uint32Array.from({ length: 16 }, (_, index) => {
    const own = attribute[index];
    const color = halves ? ((select & 3) << 4) | (own & 0x0f) : own & 0x3f;
    return all[((select & 0x0c) << 4) | color];
  });
  return { all, sixteen };
}
