/**
 * The picture on the screen: pixels, kept up to date with what the guest does to the display adapter, and which parts
 * of them have changed.
 *
 * It looks at the adapter when it is asked to, from whatever thread, and asks the dirty log which pages of video
 * memory have been written: a picture that stands still costs next to nothing.
 */
import type { Clock } from '../device.ts';
import { Damage } from './damage.ts';
import { type Colors, colors, type DisplayMode, displayMode } from './display-mode.ts';
import { drawIndexedLine, drawLinearLine, drawPlanarLine } from './graphics-painter.ts';
import { drawNoSignalLine, NO_SIGNAL_AFTER } from './no-signal.ts';
import { TextPainter } from './text-painter.ts';
import type { Vga } from './vga.ts';
import { TEXT_WINDOW_BYTES, VIDEO_BYTES } from './vga-state.ts';

const PAGE = 4096;

/** What a PC's font shows for each code. */
const CODE_PAGE_437 = [
  ' ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼',
  String.fromCharCode(...Array.from({ length: 0x5f }, (_, i) => 0x20 + i)),
  '⌂ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■ ',
].join('');

/** Pages of video memory that modes of the VGA show. */
const VGA_PAGES = 0x4_0000 / PAGE;

/** What has written to the video memory. Pages count from its beginning. */
export interface VideoDirt {
  /** Whether writes are noticed at all; a reset of the machine ends that. */
  readonly enabled: boolean;
  enable(pages: number): void;
  /** Pages among the first `pages` that were written since they were last asked for, in order. */
  collect(pages: number): number[];
}

/** What the screen looks at. */
export interface ScreenParts {
  readonly vga: Vga;
  /** The video memory. */
  readonly video: Uint8Array;
  readonly dirt: VideoDirt;
  readonly clock: Clock;
  /** Runs something with the device lock held. */
  readonly locked: <T>(body: () => T) => T;
}

/** What an update found. */
export interface ScreenChange {
  /** The picture has another size, and is new as a whole. */
  readonly resized: boolean;
  /** What has changed in it. */
  readonly damage: Damage;
}

export class Screen {
  readonly #parts: ScreenParts;
  readonly #text: TextPainter;
  #mode: DisplayMode = { kind: 'blank', width: 640, height: 480 };
  /** When the guest was first seen to show nothing, in its nanoseconds; undefined while it shows something. */
  #blankSince: number | undefined;
  /** Whether the picture says so. */
  #saysNoSignal = false;
  /** What the picture as a whole depends on, as text. */
  #look = '';
  #changes = -1;
  #colors: Colors = { all: new Uint32Array(256), sixteen: new Uint32Array(16) };
  #line = new Uint32Array();
  /** Pixels as 0xRRGGBB, line by line, {@link width} to a line. */
  pixels = new Uint32Array(640 * 480);

  constructor(parts: ScreenParts) {
    this.#parts = parts;
    this.#text = new TextPainter(parts.video);
  }

  get width(): number {
    return this.#mode.width;
  }

  get height(): number {
    return this.#mode.height;
  }

  /** Whether the guest shows anything at all. */
  get signal(): boolean {
    return this.#mode.kind !== 'blank';
  }

  /** The mode as it was at the last update. */
  get mode(): DisplayMode {
    return this.#mode;
  }

  /** The characters on the screen, a string for each row, without colours; undefined where it shows no text.
   * As of the last update. */
  text(): string[] | undefined {
    const mode = this.#mode;
    if (mode.kind !== 'text') return undefined;
    return Array.from({ length: mode.rows }, (_, row) => {
      const start = 4 * (mode.start + row * mode.pitch);
      const codes = Array.from(
        { length: mode.columns },
        (_, column) => this.#parts.video[start + 4 * column],
      );
      return codes
        .map((code) => CODE_PAGE_437[code])
        .join('')
        .trimEnd();
    });
  }

  /** Brings the pixels up to date. */
  update(): ScreenChange {
    const { vga, dirt, clock } = this.#parts;
    const seen = this.#parts.locked(() => {
      const fresh = !dirt.enabled;
      const pages = (VIDEO_BYTES + TEXT_WINDOW_BYTES) / PAGE;
      if (fresh) dirt.enable(pages);
      const dirty = dirt.collect(pages);
      if (dirty.some((page) => page >= VIDEO_BYTES / PAGE) || fresh) vga.settle();
      const { changes } = vga.state;
      if (changes === this.#changes && !fresh) return { fresh, dirty, now: clock.now() };
      this.#changes = changes;
      return { fresh, dirty, now: clock.now(), mode: displayMode(vga.state), colors: colors(vga.state) };
    });
    const before = this.#mode;
    if (seen.mode !== undefined) {
      // A display that is off keeps its size: viewers' windows stay as they are.
      const { width, height } = before;
      this.#mode = seen.mode.kind === 'blank' ? { kind: 'blank', width, height } : seen.mode;
      this.#colors = seen.colors;
    }
    const mode = this.#mode;
    const resized = mode.width !== before.width || mode.height !== before.height;
    if (resized) this.pixels = new Uint32Array(mode.width * mode.height);
    if (this.#line.length !== mode.width) this.#line = new Uint32Array(mode.width);
    const damage = new Damage(mode.width, mode.height);
    const look = mode.kind === 'text' ? 'text' : `${JSON.stringify(mode)} ${this.#colors.all.join()}`;
    const anew = seen.fresh || resized || (seen.mode !== undefined && look !== this.#look);
    if (seen.mode !== undefined) this.#look = look;
    this.#draw(mode, seen.dirty, anew, damage, seen.now);
    if (resized) damage.markRectangle({ x: 0, y: 0, width: mode.width, height: mode.height });
    return { resized, damage };
  }

  #draw(mode: DisplayMode, dirty: readonly number[], anew: boolean, damage: Damage, now: number): void {
    const { video } = this.#parts;
    const { all, sixteen } = this.#colors;
    if (mode.kind !== 'blank') this.#blankSince = undefined;
    switch (mode.kind) {
      case 'text':
        // Planes that were written other than through the text window may hold the font.
        if (anew || dirty.some((page) => page < VGA_PAGES)) this.#text.forget();
        this.#text.draw(mode, sixteen, this.pixels, damage, now);
        break;
      case 'blank': {
        this.#blankSince ??= now;
        const says = now - this.#blankSince >= NO_SIGNAL_AFTER;
        if (!anew && says === this.#saysNoSignal) return;
        this.#saysNoSignal = says;
        this.#drawLines(0, mode.height, damage, (y, line) =>
          says ? drawNoSignalLine(line, y, mode.height) : line.fill(0),
        );
        return;
      }
      case 'planar':
      case 'indexed': {
        if (!anew && !dirty.some((page) => page < VGA_PAGES)) break;
        this.#drawLines(0, mode.height, damage, (y, line) =>
          mode.kind === 'planar'
            ? drawPlanarLine(video, mode, sixteen, y, line)
            : drawIndexedLine(video, mode, all, y, line),
        );
        break;
      }
      case 'linear': {
        const draw = (y: number, line: Uint32Array) => drawLinearLine(video, mode, all, y, line);
        if (anew) this.#drawLines(0, mode.height, damage, draw);
        else for (const [first, end] of linesOf(dirty, mode)) this.#drawLines(first, end, damage, draw);
      }
    }
  }

  /** Draws lines and marks what differs from before. */
  #drawLines(first: number, end: number, damage: Damage, draw: (y: number, line: Uint32Array) => void): void {
    const { pixels } = this;
    const { width } = this.#mode;
    const line = this.#line;
    for (let y = first; y < end; y++) {
      draw(y, line);
      const at = y * width;
      let left = 0;
      while (left < width && pixels[at + left] === line[left]) left++;
      if (left === width) continue;
      let right = width - 1;
      while (pixels[at + right] === line[right]) right--;
      pixels.set(left === 0 && right === width - 1 ? line : line.subarray(left, right + 1), at + left);
      damage.mark(left, right, y);
    }
  }
}

/** The lines that pages hold, as ranges that do not overlap: first, and one past the last. */
function linesOf(
  pages: readonly number[],
  { start, pitch, height }: { start: number; pitch: number; height: number },
): Array<[first: number, end: number]> {
  const found: Array<[number, number]> = [];
  let done = 0;
  for (const page of pages) {
    const first = Math.max(Math.floor((page * PAGE - start) / pitch), done);
    const end = Math.min(Math.floor((page * PAGE + PAGE - 1 - start) / pitch) + 1, height);
    if (end <= first) continue;
    found.push([first, end]);
    done = end;
  }
  return found;
}
