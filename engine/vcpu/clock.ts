/**
 * Guest time: nanoseconds since power-on, the same in every thread to the last of them (a guest compares the
 * TSCs of its vCPUs), stopped while the machine is paused.
 *
 * It follows the monotonic clock of the host, read by `process.hrtime`: `performance.now()` counts from each
 * thread's own start.
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

/** The host's monotonic clock in nanoseconds. */
const hostNow = (): number => Number(process.hrtime.bigint());

export class GuestClock {
  readonly #state: View<typeof clockLayout.fields>;

  constructor(arena: Arena) {
    this.#state = arena.place(clockLayout);
  }

  /** Guest nanoseconds; whole numbers. */
  now(): number {
    const state = this.#state;
    if (state.running === 0) return state.stoppedAt;
    return Math.max(0, hostNow() - state.origin);
  }

  /** Starts or continues. */
  start(): void {
    const state = this.#state;
    if (state.running !== 0) return;
    state.origin = hostNow() - state.stoppedAt;
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
