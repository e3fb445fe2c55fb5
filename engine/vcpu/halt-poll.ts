/**
 * How a vCPU that has halted waits: before its thread sleeps it looks for an event for a while, since falling asleep
 * and being woken take time of their own. How long it looks follows from how long it had to
 * wait before, as with the halt polling of Linux's KVM (Documentation/virt/kvm/halt-polling.rst): an idle guest, whose sleeps
 * are long, costs nothing.
 */
import { availableParallelism } from 'node:os';
import type { VcpuSignals } from './signals.ts';

/** Milliseconds that it looks at least, where it does, and at most: more than the I/O thread takes for a MiB that the host has
 * in memory. */
const LEAST = 0.02;
const MOST = 0.4;
/** Looks between two at the clock. */
const LOOKS = 20;

export class HaltPoll {
  readonly #signals: Pick<VcpuSignals, 'load' | 'wait'>;
  readonly #vcpu: number;
  readonly #now: () => number;
  /** Only where there is a core for whom it waits for. */
  readonly #most: number;
  /** How long it looks, in milliseconds. */
  #window = 0;

  /**
   * @param vcpus of the machine
   * @param cores of the host
   * @param now milliseconds of a clock
   */
  constructor(
    signals: Pick<VcpuSignals, 'load' | 'wait'>,
    vcpu: number,
    vcpus: number,
    cores = availableParallelism(),
    now = () => performance.now(),
  ) {
    this.#signals = signals;
    this.#vcpu = vcpu;
    this.#now = now;
    this.#most = vcpus < cores ? MOST : 0;
  }

  /** Waits until the events word is no longer `seen`, for at most `milliseconds`. May return early. */
  wait(seen: number, milliseconds: number): void {
    const begun = this.#now();
    if (this.#looks(seen, begun + Math.min(this.#window, milliseconds))) return;
    this.#signals.wait(this.#vcpu, seen, milliseconds - (this.#now() - begun));
    const waited = this.#now() - begun;
    this.#window = waited > this.#most ? 0 : Math.min(Math.max(2 * this.#window, LEAST), this.#most);
  }

  /** Looks for an event. @returns whether there is one */
  #looks(seen: number, end: number): boolean {
    if (this.#window === 0) return false;
    do {
      for (let look = 0; look < LOOKS; look++) {
        if (this.#signals.load(this.#vcpu) !== seen) return true;
        Atomics.pause();
      }
    } while (this.#now() < end);
    return false;
  }
}
