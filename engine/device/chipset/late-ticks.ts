/**
 * A periodic interrupt that loses no tick to a processor which is late, as where the host runs it but now and then:
 * while one request waits to be taken, another would be the same one. So the others are counted, and raised one by
 * one, each as soon as the last was taken, as KVM does for the PIT (Linux, Documentation/virt/kvm/api.rst,
 * KVM_REINJECT_CONTROL).
 *
 * What is not taken in at all (the input is masked) is lost, as on a PC.
 */
import type { Line } from '../device.ts';

/** At most so many ticks are made up for; what is beyond is lost, as where a PC's interrupts are off for long. */
export const MOST_LATE_TICKS = 32;

export class LateTicks {
  readonly #late: Uint32Array;
  readonly #index: number;
  readonly #line: Line;
  readonly #waiting: () => boolean;

  /**
   * @param late where the number of ticks that are still to be raised is kept, at `index`
   * @param line what counts is its rise; it stays high until the next
   * @param waiting whether a processor has yet to take what the line has requested
   */
  constructor(late: Uint32Array, index: number, line: Line, waiting: () => boolean) {
    this.#late = late;
    this.#index = index;
    this.#line = line;
    this.#waiting = waiting;
  }

  /** So many ticks have become due. */
  add(ticks: number): void {
    this.#late[this.#index] = Math.min(this.#late[this.#index]! + ticks, MOST_LATE_TICKS);
    this.raise();
  }

  /** Raises the next, if there is one and the last has been taken. To be called whenever a processor has taken an
   * interrupt. */
  raise(): void {
    const late = this.#late[this.#index]!;
    if (late === 0 || this.#waiting()) return;
    this.#line(false);
    this.#line(true);
    this.#late[this.#index] = this.#waiting() ? late - 1 : 0;
  }

  /** The timer has been set anew: what it was late with is void. */
  forget(): void {
    this.#late[this.#index] = 0;
  }
}
