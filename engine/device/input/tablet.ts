/** What points at places on the screen, however the guest is connected to it. */

/** Places go from 0 to this on both axes. */
export const TABLET_MOST = 0x7fff;

export interface Tablet {
  /** Whether a driver listens. */
  readonly ready: boolean;
  /**
   * Where the pointer is, and what is done with its buttons and wheel.
   *
   * @param x 0 (left) … {@link TABLET_MOST}, @param y likewise from the top
   * @param notches of the wheel away from the user
   * @param buttons held now: bit 0 left, 1 right, 2 middle
   */
  point(x: number, y: number, notches: number, buttons: number): void;
}

/** The nearest whole number that is no less than `least` and no more than `most`. */
export function within(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(most, Math.round(value)));
}
