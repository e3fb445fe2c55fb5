/** What the screen says while the guest shows nothing, so that a viewer is not taken for a dead one. */

/** Pixels of the screen for each of a letter's. */
const SCALE = 3;
const COLOR = 0xa0a0a0;
/** Lines of a letter; the last is below the base line. */
const LETTER_LINES = 8;
/** Columns from one letter to the next. */
const ADVANCE = 6;

/** Letters of five columns, a bit for each pixel, the highest on the left. */
const LETTERS: Readonly<Record<string, readonly number[]>> = {
  N: [0b10001, 0b11001, 0b10101, 0b10011, 0b10001, 0b10001, 0b10001, 0],
  o: [0, 0, 0b01110, 0b10001, 0b10001, 0b10001, 0b01110, 0],
  s: [0, 0, 0b01111, 0b10000, 0b01110, 0b00001, 0b11110, 0],
  i: [0b00100, 0, 0b01100, 0b00100, 0b00100, 0b00100, 0b01110, 0],
  g: [0, 0, 0b01111, 0b10001, 0b10001, 0b01111, 0b00001, 0b01110],
  n: [0, 0, 0b11110, 0b10001, 0b10001, 0b10001, 0b10001, 0],
  a: [0, 0, 0b01110, 0b00001, 0b01111, 0b10001, 0b01111, 0],
  l: [0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110, 0],
};

const WORDS = 'No signal';

/** Nanoseconds of the guest's time that a screen is blank before it says so: modes are set with the screen off. */
export const NO_SIGNAL_AFTER = 1e9;

/**
 * Draws a line of a screen without a signal: the words in its middle, cut off where they have no room.
 *
 * @param line 0xRRGGBB each
 * @param y which of `height` lines it is
 */
export function drawNoSignalLine(line: Uint32Array, y: number, height: number): void {
  line.fill(0);
  const row = Math.floor((y - (height - LETTER_LINES * SCALE) / 2) / SCALE);
  if (row < 0 || row >= LETTER_LINES) return;
  const left = Math.floor((line.length - (WORDS.length * ADVANCE - 1) * SCALE) / 2);
  for (let i = 0; i < WORDS.length; i++) {
    const bits = LETTERS[WORDS[i]]?.[row] ?? 0;
    for (let column = 0; column < 5; column++) {
      if (((bits >> (4 - column)) & 1) === 0) continue;
      const x = left + (i * ADVANCE + column) * SCALE;
      if (x >= 0) line.fill(COLOR, x, x + SCALE);
    }
  }
}
