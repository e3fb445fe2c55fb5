/**
 * Getting a vCPU out of KVM_RUN: by a signal to its thread, from another thread, or from a timer.
 *
 * Both signals are blocked in the thread all the time, so that no handler is needed and Node never sees
 * them; only in KVM_RUN they are not (KVM_SET_SIGNAL_MASK, api.rst 4.21), where one that is pending makes
 * it come back with EINTR, also when it came before the thread was in the kernel. Afterwards it is taken
 * from the queue (sigtimedwait(2)). A kick is sent once for each entry at most and always taken, so none is
 * left to hit a thread that comes later.
 */
import { Presence, SCRATCH_AT, scratchLayout } from './area.ts';
import { Errno, type Host, Syscall } from './host.ts';

/** Real-time signals that the C library leaves alone (signal(7)). */
const KICK_SIGNAL = 42;
const ALARM_SIGNAL = 43;

/** Of sigprocmask(2). */
const SIG_BLOCK = 0;
const SIG_SETMASK = 2;
/** Bytes of the kernel's signal set. */
const SET_BYTES = 8;

const CLOCK_MONOTONIC = 1;
const SIGEV_THREAD_ID = 4;

/** Bytes, from the start of the scratch for signals. */
const At = { kickSet: 0, alarmSet: 8, blocked: 16, before: 24, time: 32, event: 64 } as const;

/** How long a signal that has been announced may take, in seconds. */
const PATIENCE = 2n;

const setOf = (...signals: number[]): bigint =>
  signals.reduce((set, signal) => set | (1n << BigInt(signal - 1)), 0n);

/** Byte address of a word of a vCPU's area. */
const wordAt = (area: number, name: 'presence' | 'thread'): number =>
  area + SCRATCH_AT + scratchLayout.offset[name];

/**
 * What gets vCPUs out of the guest from any thread of the process.
 *
 * @param areas the vCPUs' areas, by index
 * @returns to be called after an event has been noted: does nothing where the vCPU is not in the guest
 */
export function kicker(
  buffer: SharedArrayBuffer,
  areas: readonly number[],
  host: () => Host,
): (vcpu: number) => void {
  const words = new Int32Array(buffer);
  return (vcpu) => {
    const area = areas[vcpu];
    if (area === undefined) return;
    const presence = wordAt(area, 'presence') >> 2;
    if (Atomics.load(words, presence) !== Presence.Inside) return;
    if (Atomics.compareExchange(words, presence, Presence.Inside, Presence.Kicked) !== Presence.Inside)
      return;
    host().call(Syscall.Tgkill, process.pid, Atomics.load(words, wordAt(area, 'thread') >> 2), KICK_SIGNAL);
  };
}

/** The vCPU thread's own side. */
export class KickTarget {
  readonly #host: Host;
  readonly #words: Int32Array;
  readonly #view: DataView;
  readonly #presence: number;
  /** Address of the scratch, in the shared memory and in the process. */
  readonly #at: number;
  readonly #address: number;
  readonly #timer: number;
  /** Host time in milliseconds at which the alarm goes off; Infinity where it does not. */
  #armed = Infinity;

  /**
   * Blocks the signals in this thread, which must be the vCPU's.
   *
   * @param base address of the shared memory in the process
   * @throws Error where the host refuses a timer
   */
  constructor(host: Host, buffer: SharedArrayBuffer, base: number, area: number) {
    this.#host = host;
    this.#words = new Int32Array(buffer);
    this.#view = new DataView(buffer);
    this.#presence = wordAt(area, 'presence') >> 2;
    this.#at = area + SCRATCH_AT + scratchLayout.offset.signals;
    this.#address = base + this.#at;
    const view = this.#view;
    const thread = host.call(Syscall.Gettid);
    Atomics.store(this.#words, wordAt(area, 'thread') >> 2, thread);
    view.setBigUint64(this.#at + At.kickSet, setOf(KICK_SIGNAL), true);
    view.setBigUint64(this.#at + At.alarmSet, setOf(ALARM_SIGNAL), true);
    view.setBigUint64(this.#at + At.blocked, setOf(KICK_SIGNAL, ALARM_SIGNAL), true);
    const [blocked, before] = [this.#address + At.blocked, this.#address + At.before];
    host.call(Syscall.RtSigprocmask, SIG_BLOCK, blocked, before, SET_BYTES);
    // sigevent: the value, the signal, how to notify, the thread.
    view.setBigUint64(this.#at + At.event, 0n, true);
    view.setInt32(this.#at + At.event + 8, ALARM_SIGNAL, true);
    view.setInt32(this.#at + At.event + 12, SIGEV_THREAD_ID, true);
    view.setInt32(this.#at + At.event + 16, thread, true);
    const [event, id] = [this.#address + At.event, this.#address + At.time];
    const made = host.call(Syscall.TimerCreate, CLOCK_MONOTONIC, event, id);
    if (made < 0) throw new Error(`the host has no timer for a vCPU (error ${-made})`);
    this.#timer = view.getInt32(this.#at + At.time, true);
  }

  /** The signals that KVM_RUN is to leave blocked: all that were blocked before, but these. */
  get maskInGuest(): bigint {
    return this.#view.getBigUint64(this.#at + At.before, true) & ~setOf(KICK_SIGNAL, ALARM_SIGNAL);
  }

  /** From here on a kick sends the signal. */
  enter(): void {
    Atomics.store(this.#words, this.#presence, Presence.Inside);
  }

  /** The guest has been left. */
  leave(): void {
    const was = Atomics.exchange(this.#words, this.#presence, Presence.Outside);
    if (was === Presence.Kicked) this.#take(At.kickSet, PATIENCE);
  }

  /** To be called where KVM_RUN was interrupted: takes the alarm if it was that. */
  interrupted(): void {
    if (this.#take(At.alarmSet, 0n)) this.#armed = Infinity;
  }

  /** Makes sure that KVM_RUN is interrupted in so many milliseconds at the latest. */
  alarm(milliseconds: number): void {
    const when = performance.now() + milliseconds;
    // An alarm that comes early does no harm: it is set again then.
    if (when >= this.#armed) return;
    this.#armed = when;
    const nanoseconds = BigInt(Math.max(1, Math.ceil(milliseconds * 1e6)));
    this.#setTime(nanoseconds / 1_000_000_000n, nanoseconds % 1_000_000_000n);
    this.#host.call(Syscall.TimerSettime, this.#timer, 0, this.#address + At.time, 0);
  }

  /** Gives the timer back, and this thread its signals. */
  close(): void {
    this.leave();
    this.#host.call(Syscall.TimerDelete, this.#timer);
    this.#take(At.alarmSet, 0n);
    this.#host.call(Syscall.RtSigprocmask, SIG_SETMASK, this.#address + At.before, 0, SET_BYTES);
  }

  /** Takes a signal of a set from the queue, waiting so many seconds for it.
   * @returns whether there was one */
  #take(set: number, seconds: bigint): boolean {
    this.#setTime(seconds, 0n);
    const time = this.#address + At.time + 16;
    for (;;) {
      const taken = this.#host.call(Syscall.RtSigtimedwait, this.#address + set, 0, time, SET_BYTES);
      if (taken !== -Errno.EINTR) return taken > 0;
    }
  }

  /** An itimerspec that goes off once; its second half serves as a timespec. */
  #setTime(seconds: bigint, nanoseconds: bigint): void {
    const at = this.#at + At.time;
    this.#view.setBigUint64(at, 0n, true);
    this.#view.setBigUint64(at + 8, 0n, true);
    this.#view.setBigUint64(at + 16, seconds, true);
    this.#view.setBigUint64(at + 24, nanoseconds, true);
  }
}
