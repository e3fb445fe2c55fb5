/**
 * Which parts of a picture have changed: a grid of tiles, marked one by one and read as rectangles.
 */

/** Pixels of a tile. */
export const TILE = { width: 64, height: 16 } as const;

export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export class Damage {
  readonly width: number;
  readonly height: number;
  readonly #columns: number;
  readonly #rows: number;
  readonly #tiles: Uint8Array;

  /** Nothing marked. @param width, @param height of the picture, in pixels */
  constructor(width: number, height: number) {
    this.width = width;
    this.height = height;
    this.#columns = Math.ceil(width / TILE.width);
    this.#rows = Math.ceil(height / TILE.height);
    this.#tiles = new Uint8Array(this.#columns * this.#rows);
  }

  get any(): boolean {
    return this.#tiles.includes(1);
  }

  /** Marks the tiles that hold pixels from `left` up to `right` (inclusive) of line `y`. */
  mark(left: number, right: number, y: number): void {
    const row = Math.floor(y / TILE.height) * this.#columns;
    const last = Math.floor(right / TILE.width);
    for (let column = Math.floor(left / TILE.width); column <= last; column++) this.#tiles[row + column] = 1;
  }

  /** Marks what touches a rectangle; what of it is outside of the picture is left out. */
  markRectangle({ x, y, width, height }: Rectangle): void {
    const right = Math.min(x + width, this.width) - 1;
    const bottom = Math.min(y + height, this.height) - 1;
    if (right < x || x < 0 || y < 0) return;
    const step = (from: number) => (Math.floor(from / TILE.height) + 1) * TILE.height;
    for (let line = y; line <= bottom; line = step(line)) this.mark(x, right, line);
  }

  /** Marks whatever is marked in `other`, of a picture of the same size. */
  add(other: Damage): void {
    for (let i = 0; i < this.#tiles.length; i++) this.#tiles[i] |= other.#tiles[i];
  }

  clear(): void {
    this.#tiles.fill(0);
  }

  /** Takes the marked tiles that touch `within` as rectangles that do not overlap, clipped to it; they are not
   * marked any more. */
  take(within: Rectangle): Rectangle[] {
    const found: Rectangle[] = [];
    const right = Math.min(within.x + within.width, this.width);
    const bottom = Math.min(within.y + within.height, this.height);
    for (let row = 0; row < this.#rows; row++) {
      const top = Math.max(row * TILE.height, within.y);
      const end = Math.min((row + 1) * TILE.height, bottom);
      if (end <= top) continue;
      for (let column = 0; column < this.#columns; column++) {
        if (this.#tiles[row * this.#columns + column] === 0) continue;
        const first = column;
        while (column + 1 < this.#columns && this.#tiles[row * this.#columns + column + 1] !== 0) column++;
        const left = Math.max(first * TILE.width, within.x);
        const limit = Math.min((column + 1) * TILE.width, right);
        if (limit <= left) continue;
        this.#tiles.fill(0, row * this.#columns + first, row * this.#columns + column + 1);
        const above = found.findIndex(
          (each) => each.x === left && each.width === limit - left && each.y + each.height === top,
        );
        if (above < 0) found.push({ x: left, y: top, width: limit - left, height: end - top });
        else found[above] = { ...found[above], height: found[above].height + end - top };
      }
    }
    return found;
  }
}
