/**
 * What is to become of the machine: requests from devices and from the control thread, noted in the shared
 * memory and carried out by the run loops between two entries into the guest.
 *
 * A request that needs every vCPU out of the guest (reset, pause) is carried out by vCPU 0 when all others
 * have parked. Ending the machine needs nobody's consent: each loop ends when it sees the request.
 */
import type { GuestClock } from './clock.ts';
import type { MachineControl } from '../device/device.ts';
import { type Arena, layout } from '../memory/layout.ts';
import type { VcpuSignals } from './signals.ts';
import { VcpuEvent } from './state.ts';

/** Bits of `requests`. */
const Request = {
  Reset: 1 << 0,
  Pause: 1 << 1,
  PowerOff: 1 << 2,
  Exit: 1 << 3,
  /** The control thread wants the machine to end. */
  Stop: 1 << 4,
  /** A vCPU cannot go on; the others end with it. */
  Fault: 1 << 5,
  /** Every vCPU must leave the guest and meet; comes with a reset or a pause, and only vCPU 0 clears it, so
   * none waits for a meeting that nobody holds. */
  Gather: 1 << 6,
} as const;

const ENDS = Request.PowerOff | Request.Exit | Request.Stop | Request.Fault;

/** Indices into the words of the layout. */
const Word = { Requests: 0, Epoch: 1, Parked: 2, ExitStatus: 3, Paused: 4 } as const;

const runStateLayout = layout('run-state', 1, {
  /** See {@link Word}: requests; the number of rendezvous so far; how many vCPUs are parked; the status the
   * guest asked to exit with; 1 while paused. */
  words: ['i32', 5],
});

/** How the guest's run ended. */
export type End =
  | { readonly kind: 'poweroff' }
  /** The debug exit port; `status` as the device made it. */
  | { readonly kind: 'exit'; readonly status: number }
  /** The control thread asked. */
  | { readonly kind: 'stopped' }
  /** Another vCPU could not go on and says why. */
  | { readonly kind: 'fault' };

export class RunState implements MachineControl {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #signals: VcpuSignals;
  readonly #clock: GuestClock;
  readonly #note: (line: string) => void;

  /** @param note takes one line about what was requested */
  constructor(arena: Arena, signals: VcpuSignals, clock: GuestClock, note: (line: string) => void) {
    const at = arena.reserve(runStateLayout.size);
    this.#words = new Int32Array(arena.buffer, at, 5);
    this.#signals = signals;
    this.#clock = clock;
    this.#note = note;
  }

  reset(cause: string): void {
    this.#note(`reset: ${cause}`);
    this.#request(Request.Reset | Request.Gather);
  }

  powerOff(): void {
    this.#request(Request.PowerOff);
  }

  exit(status: number): void {
    Atomics.compareExchange(this.#words, Word.ExitStatus, 0, status | 0);
    this.#request(Request.Exit);
  }

  systemManagementInterrupt(): void {
    this.#signals.raise(0, VcpuEvent.Smi);
  }

  /** Ends the machine, whatever the guest does. */
  stop(): void {
    this.#request(Request.Stop);
  }

  /** Ends the machine because this vCPU cannot go on. */
  fault(): void {
    this.#request(Request.Fault);
  }

  /** Stops every vCPU and guest time; see {@link paused}. */
  pause(): void {
    this.#request(Request.Pause | Request.Gather);
  }

  /** Lets the machine go on from {@link pause}. */
  resume(): void {
    Atomics.and(this.#words, Word.Requests, ~Request.Pause);
    Atomics.notify(this.#words, Word.Requests);
  }

  /** True while every vCPU is parked by {@link pause}. */
  get paused(): boolean {
    return Atomics.load(this.#words, Word.Paused) !== 0;
  }

  /**
   * Waits, without blocking the thread, until the machine is paused, is no longer to be paused, or ends.
   *
   * @param milliseconds to wait at most
   * @returns false where none of that happened in time
   */
  async waitPaused(milliseconds = Infinity): Promise<boolean> {
    const until = performance.now() + milliseconds;
    while (!this.paused && this.#pausing() && !this.#ending()) {
      if (performance.now() >= until) return false;
      const wait = Atomics.waitAsync(this.#words, Word.Paused, 0, 50);
      if (wait.async) await wait.value;
    }
    return true;
  }

  /** True where a run loop must call {@link attend}. */
  get requested(): boolean {
    return (Atomics.load(this.#words, Word.Requests) & (ENDS | Request.Gather)) !== 0;
  }

  /**
   * Carries out what was requested, with all vCPUs together; called by every run loop, out of the guest and
   * without the device lock.
   *
   * @param vcpu the caller's index
   * @param resetMachine performs a full reset; called in vCPU 0's thread while all others are parked
   * @returns how the machine ends, or null where the loop goes on
   */
  attend(vcpu: number, resetMachine: () => void): End | null {
    const requests = Atomics.load(this.#words, Word.Requests);
    const end = this.#endOf(requests);
    if (end !== null || (requests & Request.Gather) === 0) return end;
    if (vcpu === 0) this.#lead(resetMachine);
    else this.#park();
    return this.#endOf(Atomics.load(this.#words, Word.Requests));
  }

  #lead(resetMachine: () => void): void {
    const words = this.#words;
    for (;;) {
      const parked = Atomics.load(words, Word.Parked);
      if (parked === this.#signals.count - 1) break;
      if (this.#ending()) return;
      Atomics.wait(words, Word.Parked, parked, 10);
    }
    const requests = Atomics.and(words, Word.Requests, ~(Request.Gather | Request.Reset));
    if ((requests & Request.Reset) !== 0) resetMachine();
    this.#holdWhilePaused();
    Atomics.store(words, Word.Parked, 0);
    Atomics.add(words, Word.Epoch, 1);
    Atomics.notify(words, Word.Epoch);
  }

  #holdWhilePaused(): void {
    const words = this.#words;
    let requests = Atomics.load(words, Word.Requests);
    if ((requests & Request.Pause) === 0) return;
    this.#clock.stop();
    Atomics.store(words, Word.Paused, 1);
    Atomics.notify(words, Word.Paused);
    while ((requests & Request.Pause) !== 0 && (requests & ENDS) === 0) {
      Atomics.wait(words, Word.Requests, requests);
      requests = Atomics.load(words, Word.Requests);
    }
    Atomics.store(words, Word.Paused, 0);
    this.#clock.start();
  }

  #park(): void {
    const words = this.#words;
    const epoch = Atomics.load(words, Word.Epoch);
    Atomics.add(words, Word.Parked, 1);
    Atomics.notify(words, Word.Parked);
    while (Atomics.load(words, Word.Epoch) === epoch && !this.#ending()) {
      Atomics.wait(words, Word.Epoch, epoch, 10);
    }
  }

  #pausing(): boolean {
    return (Atomics.load(this.#words, Word.Requests) & Request.Pause) !== 0;
  }

  #ending(): boolean {
    return (Atomics.load(this.#words, Word.Requests) & ENDS) !== 0;
  }

  #endOf(requests: number): End | null {
    if ((requests & Request.Fault) !== 0) return { kind: 'fault' };
    if ((requests & Request.Exit) !== 0) {
      return { kind: 'exit', status: Atomics.load(this.#words, Word.ExitStatus) };
    }
    if ((requests & Request.PowerOff) !== 0) return { kind: 'poweroff' };
    return (requests & Request.Stop) !== 0 ? { kind: 'stopped' } : null;
  }

  #request(bit: number): void {
    Atomics.or(this.#words, Word.Requests, bit);
    Atomics.notify(this.#words, Word.Requests);
    this.#signals.raiseAll(VcpuEvent.Kick);
  }
}
