/**
 * The repetition of a key that is held: the keyboard's own, after the delay and at the rate that the guest has set.
 * Viewers and window systems repeat keys as well; theirs are not taken.
 *
 * IBM Personal System/2 Hardware Interface Technical Reference, "Set Typematic Rate/Delay (Hex F3)".
 */
import { type Arena, layout, type View } from '../../memory/layout.ts';
import type { Clock } from '../device.ts';
import { BREAK } from './scancode.ts';

/** 10.9 characters a second after half a second. */
export const TYPEMATIC_DEFAULT = 0x2b;

/** Of which delays and periods are multiples, in nanoseconds: a quarter of a second, and 1/240. */
const DELAY_UNIT = 250e6;
const PERIOD_UNIT = 1e9 / 240;

/** Pause has neither a release nor a repetition. */
const PAUSE_PREFIX = 0xe1;

/** Codes of a key at most; a longer sequence is no key. */
const MOST_CODES = 8;

const typematicLayout = layout('typematic', 1, {
  /** When the key that is held repeats next, in guest nanoseconds. */
  next: 'f64',
  /** Its make sequence in set 2. */
  codes: ['u8', MOST_CODES],
  /** How long that is; 0 where no key is held. */
  length: 'u8',
  /** Bits 6-5 delay, 4-0 rate. */
  rate: 'u8',
});

export class Typematic {
  readonly #at: View<typeof typematicLayout.fields>;
  readonly #clock: Clock;

  constructor(arena: Arena, clock: Clock) {
    this.#at = arena.place(typematicLayout);
    this.#clock = clock;
  }

  reset(): void {
    this.release();
    this.#at.next = 0;
    this.#at.codes.fill(0);
    this.#at.rate = TYPEMATIC_DEFAULT;
  }

  /** @param rate as command F3 has it */
  setRate(rate: number): void {
    this.#at.rate = rate & 0x7f;
  }

  /** No key repeats any more. */
  release(): void {
    this.#at.length = 0;
  }

  /**
   * A key pressed or released, by its sequence in set 2.
   *
   * @returns false for a key that is pressed again without having been released
   */
  key(codes: readonly number[]): boolean {
    const at = this.#at;
    const held = at.codes.subarray(0, at.length);
    if (codes.includes(BREAK)) {
      // Print has its codes in another order when it is released.
      const released = codes.filter((code) => code !== BREAK);
      if (released.length === held.length && held.every((code) => released.includes(code))) this.release();
      return true;
    }
    if (codes[0] === PAUSE_PREFIX || codes.length > MOST_CODES) return true;
    if (held.length === codes.length && held.every((code, i) => code === codes[i])) return false;
    at.codes.set(codes);
    at.length = codes.length;
    at.next = this.#clock.now() + (1 + (at.rate >> 5)) * DELAY_UNIT;
    return true;
  }

  /** When {@link due} is to be asked next, in guest nanoseconds; Infinity while no key is held. */
  deadline(): number {
    return this.#at.length === 0 ? Infinity : this.#at.next;
  }

  /** The sequence that repeats now, undefined where none does. What was missed is not made up for.
   * @param now guest nanoseconds */
  due(now: number): readonly number[] | undefined {
    const at = this.#at;
    if (now < this.deadline()) return undefined;
    at.next = now + (8 + (at.rate & 7)) * 2 ** ((at.rate >> 3) & 3) * PERIOD_UNIT;
    // Of Print, and keys with a shift of their own before them, the key itself.
    return [...at.codes.subarray(Math.max(0, at.length - 2), at.length)];
  }
}
