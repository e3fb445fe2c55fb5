/**
 * The picture as a viewer has it, to find out what of the present one the viewer need only move: text that scrolls, and
 * windows that are scrolled. Movements up and down are found, which is what scrolls.
 */
import { Damage, type Rectangle, TILE } from '../../device/video/damage.ts';
import type { Picture } from './rfb-encodings.ts';

/** A pixel that the viewer does not have, as none is that color. */
const UNKNOWN = 0xffff_ffff;

/** What is smaller is as well sent anew. */
const LEAST = { width: 64, height: 16 } as const;
/** Pixels of a line that are looked at to tell it from others, about. */
const SAMPLES = 256;
/** Lines that have to agree on a movement before it is looked at more closely. */
const LEAST_VOTES = 8;
/** Updates at most that movements are not looked for in, where none were found before. */
const MOST_PATIENCE = 16;

/** What the viewer moves: from the same columns at `fromY`. */
export interface Move extends Rectangle {
  readonly fromY: number;
}

export class SentPicture {
  readonly #width: number;
  readonly #height: number;
  readonly #pixels: Uint32Array;
  /** For how many large updates nothing is looked for, after one in which nothing was found; and how many are left. */
  #patience = 0;
  #left = 0;

  /** Nothing has been sent. @param width, @param height pixels */
  constructor(width: number, height: number) {
    this.#width = width;
    this.#height = height;
    this.#pixels = new Uint32Array(width * height).fill(UNKNOWN);
  }

  /** Whether it is of this size. */
  fits({ width, height }: { readonly width: number; readonly height: number }): boolean {
    return width === this.#width && height === this.#height;
  }

  /** Notes that the viewer may have lost what it had, there. */
  forget({ x, y, width, height }: Rectangle): void {
    for (let line = y; line < y + height; line++) {
      const at = line * this.#width + x;
      this.#pixels.fill(UNKNOWN, at, at + width);
    }
  }

  /** Notes that the viewer gets an area as it is now. */
  sent(screen: Picture, { x, y, width, height }: Rectangle): void {
    for (let line = y; line < y + height; line++) {
      const at = line * this.#width + x;
      this.#pixels.set(screen.pixels.subarray(at, at + width), at);
    }
  }

  /**
   * Looks for something that has only moved, and notes that the viewer moves it.
   *
   * @param screen of the same size
   * @param areas what has changed in it
   * @returns undefined where nothing was found
   */
  move(screen: Picture, areas: readonly Rectangle[]): Move | undefined {
    const box = this.#differenceBox(screen, areas);
    if (box === undefined || box.width < LEAST.width || box.height < 2 * LEAST.height) return undefined;
    // What the viewer does not have cannot have moved, which says nothing of what comes next.
    if (this.#pixels[box.y * this.#width + box.x] === UNKNOWN) return undefined;
    if (this.#left > 0) {
      this.#left--;
      return undefined;
    }
    const found = this.#find(screen, box);
    this.#patience = found === undefined ? Math.min(Math.max(1, 2 * this.#patience), MOST_PATIENCE) : 0;
    this.#left = this.#patience;
    if (found !== undefined) this.#apply(found);
    return found;
  }

  /** What of `areas` the viewer does not have yet, by tiles. */
  different(screen: Picture, areas: readonly Rectangle[]): Rectangle[] {
    const damage = new Damage(this.#width, this.#height);
    for (const { x, y, width, height } of areas) {
      for (let line = y; line < y + height; line++) {
        for (let left = x; left < x + width;) {
          const end = Math.min((Math.floor(left / TILE.width) + 1) * TILE.width, x + width);
          if (!this.#isSame(screen, line, line, left, end)) damage.mark(left, end - 1, line);
          left = end;
        }
      }
    }
    return areas.flatMap((area) => damage.take(area));
  }

  /** The longest run of lines within `box` that have all moved alike. */
  #find(screen: Picture, box: Rectangle): Move | undefined {
    const { x, y, width, height } = box;
    const distance = this.#likelyDistance(screen, box);
    if (distance === undefined) return undefined;
    let best = { start: 0, length: 0 };
    let start = y;
    for (let line = y; line <= y + height; line++) {
      const from = line + distance;
      const isMoved =
        line < y + height &&
        from >= 0 &&
        from < this.#height &&
        this.#isSame(screen, line, from, x, x + width);
      if (isMoved) continue;
      if (line - start > best.length) best = { start, length: line - start };
      start = line + 1;
    }
    if (best.length < LEAST.height) return undefined;
    return { x, y: best.start, width, height: best.length, fromY: best.start + distance };
  }

  /** The smallest rectangle that has all that is different in `areas`. */
  #differenceBox(screen: Picture, areas: readonly Rectangle[]): Rectangle | undefined {
    const [now, before, across] = [screen.pixels, this.#pixels, this.#width];
    let [left, right, top, bottom] = [across, -1, this.#height, -1];
    for (const { x, y, width, height } of areas) {
      for (let line = y; line < y + height; line++) {
        const at = line * across;
        let first = x;
        while (first < x + width && now[at + first] === before[at + first]) first++;
        if (first === x + width) continue;
        let last = x + width - 1;
        while (now[at + last] === before[at + last]) last--;
        left = Math.min(left, first);
        right = Math.max(right, last);
        top = Math.min(top, line);
        bottom = Math.max(bottom, line);
      }
    }
    if (right < 0) return undefined;
    return { x: left, y: top, width: right - left + 1, height: bottom - top + 1 };
  }

  /** How far most lines seem to have come from, counted downwards; only lines that are like no other are asked. */
  #likelyDistance(screen: Picture, { x, y, width, height }: Rectangle): number | undefined {
    const step = Math.max(1, Math.floor(width / SAMPLES)) | 1;
    const hash = (pixels: Uint32Array, line: number): number => {
      const end = line * this.#width + x + width;
      let value = 0;
      for (let at = line * this.#width + x; at < end; at += step) {
        value = Math.imul(value ^ pixels[at], 0x9e37_79b1);
        value ^= value >>> 15;
      }
      return value;
    };
    /** Where a line was, by its hash; -1 where several were alike. */
    const places = new Map<number, number>();
    for (let line = y; line < y + height; line++) {
      const value = hash(this.#pixels, line);
      places.set(value, places.has(value) ? -1 : line);
    }
    const votes = new Map<number, number>();
    for (let line = y; line < y + height; line++) {
      const from = places.get(hash(screen.pixels, line)) ?? -1;
      if (from >= 0 && from !== line) votes.set(from - line, (votes.get(from - line) ?? 0) + 1);
    }
    let best: number | undefined;
    let most = LEAST_VOTES - 1;
    for (const [distance, count] of votes) if (count > most) [best, most] = [distance, count];
    return best;
  }

  /** Whether a line of the picture, from `left` up to `end`, is what the viewer has on line `from`. */
  #isSame(screen: Picture, line: number, from: number, left: number, end: number): boolean {
    const [now, before] = [screen.pixels, this.#pixels];
    const [to, back] = [line * this.#width, from * this.#width];
    for (let x = left; x < end; x++) if (now[to + x] !== before[back + x]) return false;
    return true;
  }

  #apply({ x, y, width, height, fromY }: Move): void {
    for (let i = 0; i < height; i++) {
      // Lines that are yet to be copied are not written over.
      const line = fromY > y ? i : height - 1 - i;
      const from = (fromY + line) * this.#width + x;
      this.#pixels.copyWithin((y + line) * this.#width + x, from, from + width);
    }
  }
}
