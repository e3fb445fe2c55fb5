/**
 * Conversion between guest nanoseconds and the ticks of a clock of another frequency, both counted from
 * power-on. The two functions agree: a tick has begun at `nanosecondsAt` of it, and not earlier.
 */

/** The tick that has begun last at `ns`, at `hz` ticks a second. */
export function ticksAt(ns: number, hz: number): number {
  return Math.floor((ns * hz) / 1e9);
}

/** The first whole nanosecond at which `tick` has begun. Infinity stays infinity. */
export function nanosecondsAt(tick: number, hz: number): number {
  const ns = Math.ceil((tick * 1e9) / hz);
  // Products beyond 2^53 are rounded, by less than a nanosecond's worth.
  return ticksAt(ns, hz) < tick ? ns + 2 : ns;
}
