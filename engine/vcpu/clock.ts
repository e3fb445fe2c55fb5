/**
 * Guest time: nanoseconds since power-on, the same in every thread, stopped while the machine is paused.
 *
 * The monotonic clock of the host process is shared by its threads, but `performance.now()`, the cheap way
 * to read it, counts from each thread's own start. So each thread measures that distance once.
 */
import { type Arena, layout, type View } from '../memory/layout.ts';

const clockLayout = layout('clock', 1, {
  /** Host nanoseconds at which guest time would have been 0, had it never been paused. */
  origin: 'f64',
  /** Guest nanoseconds at which the machine was paused. */
  stoppedAt: 'f64',
  /** 1 while running. */
  running: 'u32',
});

/** Nanoseconds from the origin of the process's monotonic clock to the origin of this thread's
 * `performance.now()`: the least of a few readings, since a delay between the two can only add. */
function threadOrigin(): number {
  let least = Infinity;
  for (let i = 0; i < 32; i++) {
    const relative = performance.now() * 1e6;
    least = Math.min(least, Number(process.hrtime.bigint()) - relative);
  }
  return least;
}

export class GuestClock {
  readonly #state: View<typeof clockLayout.fields>;
  readonly #threadOrigin = threadOrigin();

  constructor(arena: Arena) {
    this.#state = arena.place(clockLayout);
  }

  /** Guest nanoseconds; whole numbers. */
  now(): number {
    const state = this.#state;
    if (state.running === 0) return state.stoppedAt;
    return Math.max(0, Math.floor(performance.now() * 1e6 + this.#threadOrigin - state.origin));
  }

  /** Starts or continues. */
  start(): void {
    const state = this.#state;
    if (state.running !== 0) return;
    state.origin = performance.now() * 1e6 + this.#threadOrigin - state.stoppedAt;
    state.running = 1;
  }

  /** Stops; {@link now} keeps its value until {@link start}. To be called while no vCPU runs. */
  stop(): void {
    const state = this.#state;
    if (state.running === 0) return;
    state.stoppedAt = this.now();
    state.running = 0;
  }
}

/** Guest TSC frequency in hertz: one tick a nanosecond, so that TSC and clock need no conversion. */
export const TSC_FREQUENCY = 1_000_000_000;

/** The TSC at a guest time, before a vCPU's offset is added. */
export function tscAt(nanoseconds: number): bigint {
  return BigInt(Math.floor(nanoseconds));
}

/** Guest nanoseconds at which the TSC (before a vCPU's offset) has a value. */
export function timeOfTsc(tsc: bigint): number {
  return Number(tsc);
}
