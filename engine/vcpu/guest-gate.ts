/**
 * Which vCPUs are in guest code at this moment, and how one of them makes the others stand still.
 *
 * A vCPU passes the gate inwards before it touches guest memory and outwards when it is about to wait or to
 * leave the guest. What another vCPU wants of it (a translation dropped, a moment alone with the memory) it
 * does at the latest when it next passes inwards, so whoever is outside need not be waited for.
 *
 * The order of things rests on sequentially consistent atomics: the one who wants something posts the request
 * and then looks who is inside; the one who enters says so and then looks at its requests. One of the two
 * sees the other.
 */
import type { Arena } from '../memory/layout.ts';

/** Words from one vCPU's to the next: a cache line of its own each. */
const STRIDE = 16;

/** Of the machine's line: the vCPU that is alone, plus 1, or 0; how many wait for another's turn. */
const Machine = { Alone: 0, Waiting: 1 } as const;
/** Of a vCPU's line: whether it is inside; how often its translations for writing were dropped; raised when
 * either changes and somebody waits. */
const Own = { Inside: 0, Epoch: 1, Turn: 2 } as const;

/** Longest sleep in milliseconds: who is waited for may have ended. */
const LONGEST_SLEEP = 20;

/** Bytes for a machine of so many vCPUs. */
export const gateBytes = (vcpus: number): number => (vcpus + 1) * STRIDE * 4 + 64;

export class GuestGate {
  readonly vcpus: number;
  readonly #words: Int32Array<SharedArrayBuffer>;

  constructor(arena: Arena, vcpus: number) {
    this.vcpus = vcpus;
    const words = (vcpus + 1) * STRIDE;
    this.#words = new Int32Array(arena.buffer, arena.reserve(words * 4, 64), words);
  }

  /** Passes inwards; waits while another vCPU is alone. Requests are to be looked at after this. */
  enter(vcpu: number): void {
    const words = this.#words;
    for (;;) {
      Atomics.store(words, at(vcpu) + Own.Inside, 1);
      const alone = Atomics.load(words, Machine.Alone);
      if (alone === 0 || alone === vcpu + 1) return;
      this.leave(vcpu);
      Atomics.wait(words, Machine.Alone, alone, LONGEST_SLEEP);
    }
  }

  /** Passes outwards. */
  leave(vcpu: number): void {
    Atomics.store(this.#words, at(vcpu) + Own.Inside, 0);
    this.#turn(vcpu);
  }

  /** How often the vCPU has dropped its translations for writing; 24 bits. */
  epoch(vcpu: number): number {
    return Atomics.load(this.#words, at(vcpu) + Own.Epoch) & 0xff_ffff;
  }

  /** Says that this vCPU has dropped its translations for writing. */
  advance(vcpu: number): void {
    Atomics.add(this.#words, at(vcpu) + Own.Epoch, 1);
    this.#turn(vcpu);
  }

  /**
   * Waits until another vCPU is outside, or `done` says that it has done what it was asked for. To be called
   * from outside, after the request was posted.
   */
  waitFor(vcpu: number, done: () => boolean): void {
    const words = this.#words;
    const line = at(vcpu);
    const over = () => Atomics.load(words, line + Own.Inside) === 0 || done();
    if (over()) return;
    Atomics.add(words, Machine.Waiting, 1);
    for (;;) {
      const turn = Atomics.load(words, line + Own.Turn);
      if (over()) break;
      Atomics.wait(words, line + Own.Turn, turn, LONGEST_SLEEP);
    }
    Atomics.sub(words, Machine.Waiting, 1);
  }

  /**
   * Becomes the only vCPU in the guest. The caller is inside and stays there, but may have been outside
   * meanwhile: it has to look at its requests as after {@link enter}.
   *
   * @param ask makes a vCPU pass outwards soon
   */
  beAlone(vcpu: number, ask: (other: number) => void): void {
    const words = this.#words;
    for (;;) {
      const alone = Atomics.compareExchange(words, Machine.Alone, 0, vcpu + 1);
      if (alone === 0) break;
      this.leave(vcpu);
      Atomics.wait(words, Machine.Alone, alone, LONGEST_SLEEP);
      this.enter(vcpu);
    }
    for (let other = 0; other < this.vcpus; other++) if (other !== vcpu) ask(other);
    for (let other = 0; other < this.vcpus; other++) if (other !== vcpu) this.waitFor(other, () => false);
  }

  /** Ends {@link beAlone}. */
  beTogether(): void {
    Atomics.store(this.#words, Machine.Alone, 0);
    Atomics.notify(this.#words, Machine.Alone);
  }

  #turn(vcpu: number): void {
    const words = this.#words;
    if (Atomics.load(words, Machine.Waiting) === 0) return;
    Atomics.add(words, at(vcpu) + Own.Turn, 1);
    Atomics.notify(words, at(vcpu) + Own.Turn);
  }
}

/** Index of a vCPU's line. */
const at = (vcpu: number): number => (vcpu + 1) * STRIDE;
