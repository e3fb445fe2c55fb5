/**
 * Draws text modes, with the guest's font: characters that have changed since they were last drawn, the cursor, and
 * what blinks.
 */
import type { Damage } from './damage.ts';
import type { TextMode } from './display-mode.ts';

/** Blinking, in nanoseconds: the cursor changes after 16 frames of 70 Hz, characters after 32. */
const CURSOR_BLINK = (16 / 70) * 1e9;
const TEXT_BLINK = (32 / 70) * 1e9;

/** Characters whose ninth column may repeat the eighth. */
const LINE_GRAPHICS = { first: 0xc0, last: 0xdf } as const;

/** What a cell looks like: character and attribute, whether it shows its foreground, whether the cursor is on it. */
const HIDDEN = 1 << 16;
const CURSOR = 1 << 17;
const UNKNOWN = 0xffff_ffff;

const VIDEO_DWORDS = 0x1_0000;

export class TextPainter {
  readonly #video: Uint8Array;
  readonly #cells: Uint32Array;
  #drawn = new Uint32Array();
  /** What all cells depend on, as text. */
  #look = '';

  /** @param video the video memory, with planes 0 and 1 up to date, 4-byte aligned */
  constructor(video: Uint8Array) {
    this.#video = video;
    this.#cells = new Uint32Array(video.buffer, video.byteOffset, VIDEO_DWORDS);
  }

  /** Has everything drawn anew: the font may have changed, or something else was drawn over it. */
  forget(): void {
    this.#look = '';
  }

  /**
   * Draws what has changed.
   *
   * @param colors sixteen, as 0xRRGGBB
   * @param pixels the picture, `mode.width` pixels a line
   * @param now nanoseconds, for what blinks
   */
  draw(mode: TextMode, colors: Uint32Array, pixels: Uint32Array, damage: Damage, now: number): void {
    const { columns, rows, cursor } = mode;
    const look = `${JSON.stringify({ ...mode, cursor: 0, start: 0 })} ${colors.join()}`;
    if (look !== this.#look) {
      this.#look = look;
      this.#drawn = new Uint32Array(columns * rows).fill(UNKNOWN);
    }
    const hidden = mode.blink && Math.floor(now / TEXT_BLINK) % 2 === 1;
    const cursorShown = cursor.first <= cursor.last && Math.floor(now / CURSOR_BLINK) % 2 === 0;
    const splitRow = Math.ceil(mode.split / mode.cellHeight);
    for (let row = 0; row < rows; row++) {
      const line = row < splitRow ? mode.start + row * mode.pitch : (row - splitRow) * mode.pitch;
      for (let column = 0; column < columns; column++) {
        const at = (line + column) & (VIDEO_DWORDS - 1);
        let cell = this.#cells[at] & 0xffff;
        if (hidden && (cell & 0x8000) !== 0) cell |= HIDDEN;
        if (cursorShown && at === cursor.at) cell |= CURSOR;
        const index = row * columns + column;
        if (this.#drawn[index] === cell) continue;
        this.#drawn[index] = cell;
        this.#drawCell(mode, colors, pixels, cell, column, row);
        const { width } = mode;
        const left = column * mode.cellWidth * mode.widen;
        const right = Math.min(left + mode.cellWidth * mode.widen, width) - 1;
        for (let y = row * mode.cellHeight; y < (row + 1) * mode.cellHeight; y++) damage.mark(left, right, y);
      }
    }
  }

  #drawCell(
    mode: TextMode,
    colors: Uint32Array,
    pixels: Uint32Array,
    cell: number,
    column: number,
    row: number,
  ): void {
    const { cellWidth, cellHeight, widen, width } = mode;
    const character = cell & 0xff;
    const attribute = (cell >> 8) & 0xff;
    const background = colors[(attribute >> 4) & (mode.blink ? 7 : 15)];
    const foreground = (cell & HIDDEN) === 0 ? colors[attribute & 15] : background;
    const font = mode.fonts[(attribute >> 3) & 1] + character * 32 * 4;
    const repeats =
      mode.lineGraphics && character >= LINE_GRAPHICS.first && character <= LINE_GRAPHICS.last ? 1 : 0;
    const underlined = (attribute & 0x77) === 0x01 ? mode.underline : -1;
    const limit = Math.min(cellWidth * widen, width - column * cellWidth * widen);
    for (let y = 0; y < cellHeight; y++) {
      const eight = this.#video[font + 4 * y];
      let bits = cellWidth === 9 ? (eight << 1) | (eight & repeats) : eight;
      const inCursor = (cell & CURSOR) !== 0 && y >= mode.cursor.first && y <= mode.cursor.last;
      if (inCursor || y === underlined) bits = 0x1ff;
      const to = (row * cellHeight + y) * width + column * cellWidth * widen;
      for (let x = 0; x < limit; x++) {
        const bit = cellWidth - 1 - (widen === 2 ? x >> 1 : x);
        pixels[to + x] = ((bits >> bit) & 1) === 0 ? background : foreground;
      }
    }
  }
}
