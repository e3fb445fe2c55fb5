/**
 * The events word of every vCPU, as other threads use it: raise an event, and wait for one.
 *
 * Raising wakes a vCPU that sleeps in HLT; one that runs notices at the next point where its accelerator
 * looks at the word.
 */
import { vcpuLayout } from './state.ts';

export class VcpuSignals {
  readonly #words: ReadonlyArray<Int32Array<SharedArrayBuffer>>;
  readonly #kick: (vcpu: number) => void;

  /**
   * @param addresses of the vCPU states ({@link vcpuLayout}) in the shared memory, by vCPU index
   * @param kick called after each event: gets a vCPU out of the guest where its accelerator does not look at
   *   the word by itself
   */
  constructor(
    buffer: SharedArrayBuffer,
    addresses: readonly number[],
    kick: (vcpu: number) => void = () => {},
  ) {
    this.#kick = kick;
    this.#words = addresses.map((at) => new Int32Array(buffer, at + vcpuLayout.offset.events, 1));
  }

  get count(): number {
    return this.#words.length;
  }

  /** Sets bits of VcpuEvent and wakes the vCPU. A vCPU that does not exist takes nothing. */
  raise(vcpu: number, events: number): void {
    const word = this.#words[vcpu];
    if (word === undefined) return;
    Atomics.or(word, 0, events);
    Atomics.notify(word, 0);
    this.#kick(vcpu);
  }

  /** As {@link raise}, but lets a vCPU that sleeps or is in the guest find out by itself. */
  post(vcpu: number, events: number): void {
    const word = this.#words[vcpu];
    if (word !== undefined) Atomics.or(word, 0, events);
  }

  raiseAll(events: number): void {
    for (let vcpu = 0; vcpu < this.#words.length; vcpu++) this.raise(vcpu, events);
  }

  /** Clears bits of VcpuEvent.
   * @returns those of them that were set */
  clear(vcpu: number, events: number): number {
    return Atomics.and(this.#words[vcpu], 0, ~events) & events;
  }

  /** As {@link clear}, for those who keep a level there and do not care what it was. */
  lower(vcpu: number, events: number): void {
    this.clear(vcpu, events);
  }

  /** The word as it is now. */
  load(vcpu: number): number {
    return Atomics.load(this.#words[vcpu], 0);
  }

  /** Sleeps until the word is no longer `seen`, for at most `milliseconds`. May wake early. */
  wait(vcpu: number, seen: number, milliseconds: number): void {
    Atomics.wait(this.#words[vcpu], 0, seen, milliseconds);
  }
}
