/**
 * The repetition of a key that is held: the keyboard's own, after the delay and at the rate that the guest has set.
 * Viewers and window systems repeat keys as well; theirs are not taken.
 *
 * IBM Personal System/2 Hardware Interface Technical Reference, "Set Typematic Rate/Delay (Hex F3)".
 */
import { type Arena, layout, type View } from '../../memory/layout.ts';
import type { Clock } from '../device.ts';

/** 10.9 characters a second after half a second. */
export const TYPEMATIC_DEFAULT = 0x2b;

/** Of which delays and periods are multiples, in nanoseconds: a quarter of a second, and 1/240. */
const DELAY_UNIT = 250e6;
const PERIOD_UNIT = 1e9 / 240;

const typematicLayout = layout('typematic', 2, {
  /** When the key that is held repeats next, in guest nanoseconds. */
  next: 'f64',
  /** That key; 0 where none is held. */
  held: 'u8',
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
    this.#at.rate = TYPEMATIC_DEFAULT;
  }

  /** @param rate as command F3 has it */
  setRate(rate: number): void {
    this.#at.rate = rate & 0x7f;
  }

  /** No key repeats any more. */
  release(): void {
    this.#at.held = 0;
  }

  /**
   * A key pressed or released.
   *
   * @returns false for a key that is pressed again without having been released
   */
  key(key: number, down: boolean): boolean {
    const at = this.#at;
    if (!down) {
      if (key === at.held) this.release();
      return true;
    }
    if (key === at.held) return false;
    at.held = key;
    at.next = this.#clock.now() + (1 + (at.rate >> 5)) * DELAY_UNIT;
    return true;
  }

  /** When {@link due} is to be asked next, in guest nanoseconds; Infinity while no key is held. */
  deadline(): number {
    return this.#at.held === 0 ? Infinity : this.#at.next;
  }

  /** The key that repeats now, undefined where none does. What was missed is not made up for.
   * @param now guest nanoseconds */
  due(now: number): number | undefined {
    const at = this.#at;
    if (now < this.deadline()) return undefined;
    at.next = now + (8 + (at.rate & 7)) * 2 ** ((at.rate >> 3) & 3) * PERIOD_UNIT;
    return at.held;
  }
}
