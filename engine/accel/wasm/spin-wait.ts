/**
 * PAUSE: what a guest executes while it spins for something that another vCPU is to do. Where that vCPU's
 * thread waits for a core of the host, spinning keeps it from getting one. So a vCPU that has spun for a while
 * sleeps a little, again and again (as processors with pause-loop exiting leave the guest: SDM 3C, 25.1.3).
 */
import { availableParallelism } from 'node:os';
import type { Coherence } from '../../vcpu/coherence.ts';

/** Executions of PAUSE that are a while: some tenths of a millisecond where every vCPU can have a core to itself,
 * less where some have to wait for one. They need not be in a row: a sleep too many does no harm. */
const WHILE = { alone: 2000, crowded: 200 } as const;

/** Milliseconds of a sleep; the host makes it some 50 µs longer. */
const SLEEP = 0.05;

export class SpinWait {
  readonly #coherence: Coherence;
  readonly #vcpu: number;
  readonly #events: Int32Array<SharedArrayBuffer>;
  readonly #while: number;
  #count = 0;

  /** @param events the vCPU's event word, which ends a sleep */
  constructor(coherence: Coherence, vcpu: number, events: Int32Array<SharedArrayBuffer>) {
    this.#coherence = coherence;
    this.#vcpu = vcpu;
    this.#events = events;
    const { vcpus } = coherence.gate;
    this.#while = vcpus > availableParallelism() ? WHILE.crowded : WHILE.alone;
  }

  /** The guest has executed PAUSE. @returns true where the vCPU has slept: its requests are to be looked at */
  pause(): boolean {
    if (!this.#coherence.shared || ++this.#count < this.#while) return false;
    this.#count = 0;
    const { gate } = this.#coherence;
    // Asleep, it need not be waited for.
    gate.leave(this.#vcpu);
    Atomics.wait(this.#events, 0, Atomics.load(this.#events, 0), SLEEP);
    gate.enter(this.#vcpu);
    return true;
  }
}
