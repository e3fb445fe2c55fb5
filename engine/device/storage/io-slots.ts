/**
 * The bell between devices and their I/O thread, and the word by which a reset waits until the I/O thread has let
 * go of guest memory.
 */
import { type Arena, layout } from '../../memory/layout.ts';

/** Devices of a machine that have an I/O thread's half. */
export const MOST_SLOTS = 32;

/** Indices into the words. */
const Word = { Rung: 0, Stop: 1, Resume: 2, Media: 3, Idle: 4, Held: 5, Active: 6 } as const;

const slotsLayout = layout('io-slots', 2, {
  /** {@link Word}: a bit for each slot that has rung; 1 when the thread is to end; raised when requests that were
   * held are to be tried again; raised when something about a drive's medium has changed; how many vCPUs have
   * halted; a bit for each slot that holds something back while none has; then two words for each slot: 1 while a
   * request is in work, and how often what it was doing was called off. */
  words: ['i32', Word.Active + 2 * MOST_SLOTS],
});

export class IoSlots {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #afterwards: (wake: () => void) => void;
  #count = 0;

  /** @param afterwards runs what wakes the I/O thread, once the device lock is not held any more */
  constructor(arena: Arena, afterwards: (wake: () => void) => void = (wake) => wake()) {
    this.#words = arena.place(slotsLayout).words;
    this.#afterwards = afterwards;
  }

  /** A slot for another device; the same in every thread where devices are made in the same order.
   * @throws RangeError where there are too many */
  slot(): IoSlot {
    if (this.#count === MOST_SLOTS) throw new RangeError(`more than ${MOST_SLOTS} storage devices`);
    return new IoSlot(this.#words, this.#count++, this.#ring);
  }

  /** Waits until a slot has rung, the thread is to end, or it is time (`performance.now()`).
   * @returns a bit for each slot that has rung, which it then has not any more; undefined at the end */
  wait(due = Infinity): number | undefined {
    for (;;) {
      const rung = Atomics.exchange(this.#words, Word.Rung, 0);
      if (rung !== 0) return rung;
      if (Atomics.load(this.#words, Word.Stop) !== 0) return undefined;
      const left = due - performance.now();
      if (left <= 0) return 0;
      Atomics.wait(this.#words, Word.Rung, 0, left);
    }
  }

  /** Has every slot looked at. */
  ringAll(): void {
    this.#ring(-1);
  }

  /** Whoever has rung first and has not been heard yet wakes the thread for all. */
  readonly #ring = (bits: number): void => {
    if (Atomics.or(this.#words, Word.Rung, bits) === 0) this.#afterwards(this.#wake);
  };

  readonly #wake = (): void => {
    Atomics.notify(this.#words, Word.Rung);
  };

  /** A vCPU has halted: whatever is held back is to be told of. In its thread. */
  halted(): void {
    Atomics.add(this.#words, Word.Idle, 1);
    const held = Atomics.load(this.#words, Word.Held);
    if (held !== 0) this.#ring(held);
  }

  /** It goes on. */
  woken(): void {
    Atomics.sub(this.#words, Word.Idle, 1);
  }

  /** Ends the I/O thread, when it has done what has rung already. */
  stop(): void {
    Atomics.store(this.#words, Word.Stop, 1);
    this.ringAll();
    this.resume();
  }

  /** Has requests that are held because the host failed tried again. */
  resume(): void {
    Atomics.add(this.#words, Word.Resume, 1);
    Atomics.notify(this.#words, Word.Resume);
  }

  get stopping(): boolean {
    return Atomics.load(this.#words, Word.Stop) !== 0;
  }

  /** Says that a tray was moved or locked, or a medium changed. In whichever thread has done it. */
  mediumMoved(): void {
    Atomics.add(this.#words, Word.Media, 1);
    Atomics.notify(this.#words, Word.Media);
  }

  /** How often {@link mediumMoved} was called. */
  get mediaMoved(): number {
    return Atomics.load(this.#words, Word.Media);
  }

  /** Resolves when {@link mediumMoved} is called; at once where that has been since.
   * @param seen what {@link mediaMoved} was */
  async waitMediaMoved(seen: number): Promise<void> {
    const { async, value } = Atomics.waitAsync(this.#words, Word.Media, seen);
    if (async) await value;
  }

  /** How often {@link resume} was called. */
  get resumed(): number {
    return Atomics.load(this.#words, Word.Resume);
  }

  /** Waits for {@link resume}, a moment at most.
   * @param seen what {@link resumed} was */
  waitResumed(seen: number, milliseconds: number): void {
    Atomics.wait(this.#words, Word.Resume, seen, milliseconds);
  }
}

/** One device's part. */
export class IoSlot {
  readonly index: number;
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #active: number;
  readonly #ring: (bits: number) => void;
  /** What {@link calledOff} was when the present work was begun: the I/O thread's alone. */
  #begun = 0;

  constructor(words: Int32Array<SharedArrayBuffer>, index: number, ring: (bits: number) => void) {
    this.#words = words;
    this.#ring = ring;
    this.index = index;
    this.#active = Word.Active + 2 * index;
  }

  /** Says that there is something to do. With the device lock held, when it has been noted. */
  ring(): void {
    this.#ring(1 << this.index);
  }

  /** Says whether something is held back, which rings where a vCPU halts after that. In the I/O thread. */
  hold(held: boolean): void {
    if (held) Atomics.or(this.#words, Word.Held, 1 << this.index);
    else Atomics.and(this.#words, Word.Held, ~(1 << this.index));
  }

  /** Whether a vCPU has halted. */
  get idle(): boolean {
    return Atomics.load(this.#words, Word.Idle) > 0;
  }

  /** Calls off what is in work, and waits until guest memory is not touched for it any more: as long as a call
   * of the host takes. With the device lock held. */
  callOff(): void {
    Atomics.add(this.#words, this.#active + 1, 1);
    while (Atomics.load(this.#words, this.#active) !== 0) Atomics.wait(this.#words, this.#active, 1, 100);
  }

  /** Begins work on a request. In the I/O thread, with the device lock held.
   * @returns to be handed to {@link current} */
  begin(): number {
    Atomics.store(this.#words, this.#active, 1);
    this.#begun = this.calledOff;
    return this.#begun;
  }

  /** The work is done, and guest memory will not be touched any more. Without the device lock, or with it. */
  end(): void {
    Atomics.store(this.#words, this.#active, 0);
    Atomics.notify(this.#words, this.#active);
  }

  /** Whether the present work is still wanted. In the I/O thread. */
  get wanted(): boolean {
    return this.current(this.#begun);
  }

  /** Takes work up again after {@link end}; to be followed by a look at {@link wanted}. */
  again(): void {
    Atomics.store(this.#words, this.#active, 1);
  }

  /** How often work was called off. */
  get calledOff(): number {
    return Atomics.load(this.#words, this.#active + 1);
  }

  /** Whether work begun then has not been called off since. With the device lock held. */
  current(begun: number): boolean {
    return this.calledOff === begun;
  }
}
