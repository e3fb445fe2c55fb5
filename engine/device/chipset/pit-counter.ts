/**
 * One counter of an 8254 programmable interval timer (Intel 82C54 data sheet). Time is counted in ticks of
 * its 1.193182 MHz input. Nothing is done tick by tick: what the counting element holds and how often OUT
 * has risen follow from the tick at which the present cycle began.
 */
import { layout, type View } from '../../memory/layout.ts';

/** Arrays are indexed by counter. */
export const pitLayout = layout('pit', 2, {
  /** Bits 5-0 of the control word as written: access, mode, BCD. */
  control: ['u8', 3],
  gate: ['u8', 3],
  /** See {@link Phase}. */
  phase: ['u8', 3],
  /** The count register, 1 … 65536; and the count that the present cycle began with. */
  reload: ['u32', 3],
  initial: ['u32', 3],
  /** Counting: the tick at which the cycle began, that is, the counting element was loaded. */
  origin: ['f64', 3],
  /** Held: how far the cycle has gone, in ticks. */
  elapsed: ['f64', 3],
  /** Mode 3: 1 in the half of the cycle in which OUT is high. */
  high: ['u8', 3],
  /** Modes 0, 1, 4, 5: 1 once the count has been reached and OUT has risen. */
  done: ['u8', 3],
  /** Whether the count register waits to be loaded; see {@link Null}. */
  nullCount: ['u8', 3],
  /** First byte of a count that is written in two. */
  writeLow: ['u8', 3],
  writeHighNext: ['u8', 3],
  readHighNext: ['u8', 3],
  /** Latched count, and the number of its bytes still to be read. */
  latch: ['u16', 3],
  latchBytes: ['u8', 3],
  statusLatch: ['u8', 3],
  statusLatched: ['u8', 3],

  /** Port 0x61, bits 3-0. */
  portB: 'u8',
  /** Interrupts of counter 0 that are late and still to be raised. */
  late: ['u32', 1],
});

export type PitState = View<typeof pitLayout.fields>;

const Phase = {
  /** A mode has been set, but no count. */
  Idle: 0,
  /** There is a count, but it takes a trigger to begin. */
  Waiting: 1,
  Counting: 2,
  /** Stopped by the gate. */
  Held: 3,
} as const;

const Null = { Loaded: 0, UntilNextTick: 1, UntilEndOfCycle: 2 } as const;

const Access = { Low: 1, High: 2, Both: 3 } as const;

export class PitCounter {
  readonly #state: PitState;
  readonly #index: number;

  constructor(state: PitState, index: number) {
    this.#state = state;
    this.#index = index;
  }

  /** As at power-on: OUT low and no count. */
  reset(gate: boolean): void {
    const { latch, reload, initial, origin, elapsed } = this.#state;
    const n = this.#index;
    for (const array of [latch, reload, initial, origin, elapsed]) array[n] = 0;
    this.#state.gate[n] = gate ? 1 : 0;
    this.#state.writeLow[n] = 0;
    this.#state.statusLatch[n] = 0;
    this.setControl(Access.Both << 4);
  }

  /** Mode 0 … 5; codes 6 and 7 are 2 and 3. */
  get mode(): number {
    const code = (this.#state.control[this.#index]! >> 1) & 7;
    return code > 5 ? code - 4 : code;
  }

  /** Modes 2 and 3 go on by themselves. */
  get isPeriodic(): boolean {
    return this.mode === 2 || this.mode === 3;
  }

  /** Takes a control word that sets a mode: the counter stops, and waits for a count. */
  setControl(control: number): void {
    const s = this.#state;
    const n = this.#index;
    s.control[n] = control & 0x3f;
    s.phase[n] = Phase.Idle;
    s.high[n] = 1;
    s.done[n] = 0;
    s.nullCount[n] = Null.UntilNextTick;
    s.writeHighNext[n] = 0;
    s.readHighNext[n] = 0;
    s.latchBytes[n] = 0;
    s.statusLatched[n] = 0;
  }

  /** Takes a byte written to the counter's port; the counter must have been advanced to `tick`. */
  writeByte(value: number, tick: number): void {
    const s = this.#state;
    const n = this.#index;
    switch (s.control[n]! >> 4) {
      case Access.Low:
        this.#setCount(value, tick);
        break;
      case Access.High:
        this.#setCount(value << 8, tick);
        break;
      default:
        if (s.writeHighNext[n] === 0) {
          s.writeLow[n] = value;
          s.writeHighNext[n] = 1;
          // In mode 0 the first byte stops the count and lowers OUT.
          if (this.mode === 0) {
            s.phase[n] = Phase.Idle;
            s.done[n] = 0;
          }
        } else {
          s.writeHighNext[n] = 0;
          this.#setCount((value << 8) | s.writeLow[n]!, tick);
        }
        break;
    }
  }

  /** Gives the next byte at the counter's port: latched status, latched count, or the count as it is. */
  readByte(tick: number): number {
    const s = this.#state;
    const n = this.#index;
    if (s.statusLatched[n] !== 0) {
      s.statusLatched[n] = 0;
      return s.statusLatch[n]!;
    }
    let count = this.#count(tick);
    if (s.latchBytes[n] !== 0) {
      count = s.latch[n]!;
      s.latchBytes[n] = s.latchBytes[n]! - 1;
    }
    const access = s.control[n]! >> 4;
    const high = access === Access.High || (access === Access.Both && s.readHighNext[n] !== 0);
    if (access === Access.Both) s.readHighNext[n] = high ? 0 : 1;
    return high ? count >> 8 : count & 0xff;
  }

  /** Keeps the count for the next reads; one already kept stays. */
  latchCount(tick: number): void {
    const s = this.#state;
    const n = this.#index;
    if (s.latchBytes[n] !== 0) return;
    s.latch[n] = this.#count(tick);
    s.latchBytes[n] = s.control[n]! >> 4 === Access.Both ? 2 - s.readHighNext[n]! : 1;
  }

  /** Keeps the status for the next read: OUT, null count, and the control word. */
  latchStatus(tick: number): void {
    const s = this.#state;
    const n = this.#index;
    if (s.statusLatched[n] !== 0) return;
    const nullCount = s.nullCount[n] === Null.Loaded ? 0 : 0x40;
    s.statusLatch[n] = (this.out(tick) ? 0x80 : 0) | nullCount | s.control[n]!;
    s.statusLatched[n] = 1;
  }

  get gate(): boolean {
    return this.#state.gate[this.#index] !== 0;
  }

  /** Sets the gate; the counter must have been advanced to `tick`. In modes 0 and 4 it is a stop, in 2 and 3 a
   * stop that starts the cycle anew, in 1 and 5 its rise is the trigger. */
  setGate(level: boolean, tick: number): void {
    if (level === this.gate) return;
    const s = this.#state;
    const n = this.#index;
    s.gate[n] = level ? 1 : 0;
    const phase = s.phase[n];
    if (phase === Phase.Idle) return;
    switch (this.mode) {
      case 1:
      case 5:
        if (level) this.#begin(tick);
        break;
      case 2:
      case 3:
        if (level) this.#begin(tick);
        else if (phase === Phase.Counting) this.#hold(tick);
        break;
      default:
        if (!level && phase === Phase.Counting) {
          this.#hold(tick);
        } else if (level && phase === Phase.Held) {
          s.origin[n] = tick - s.elapsed[n]!;
          s.phase[n] = Phase.Counting;
        }
        break;
    }
  }

  /** Moves the counter on to `tick`, and returns how many times OUT has risen since it was there last. */
  advance(tick: number): number {
    const s = this.#state;
    const n = this.#index;
    if (s.phase[n] !== Phase.Counting) return 0;
    let gone = tick - s.origin[n]!;
    if (gone < 0) return 0;
    if (s.nullCount[n] === Null.UntilNextTick) s.nullCount[n] = Null.Loaded;

    const { mode } = this;
    if (mode !== 2 && mode !== 3) {
      if (s.done[n] !== 0 || gone < this.#rise()) return 0;
      s.done[n] = 1;
      return 1;
    }
    let rises = 0;
    for (;;) {
      if (s.initial[n] === s.reload[n]) {
        const cycles = Math.floor(gone / s.initial[n]!);
        rises += cycles;
        if (cycles > 0) s.nullCount[n] = Null.Loaded;
        gone -= cycles * s.initial[n]!;
      }
      const length = this.#stretch();
      if (gone < length) break;
      // A new count takes effect at the end of a cycle, in mode 3 of half a cycle.
      gone -= length;
      if (mode === 3) s.high[n] = s.high[n] === 0 ? 1 : 0;
      if (mode === 2 || s.high[n] !== 0) rises++;
      s.initial[n] = s.reload[n]!;
      s.nullCount[n] = Null.Loaded;
    }
    s.origin[n] = tick - gone;
    return rises;
  }

  /** The tick at which OUT rises next if nothing is written, Infinity if it does not. */
  nextRise(): number {
    const s = this.#state;
    const n = this.#index;
    if (s.phase[n] !== Phase.Counting) return Infinity;
    const { mode } = this;
    if (mode === 2) return s.origin[n]! + s.initial[n]!;
    if (mode === 3) {
      const high = s.high[n] !== 0;
      return s.origin[n]! + this.#stretch() + (high ? Math.floor(s.reload[n]! / 2) : 0);
    }
    return s.done[n] !== 0 ? Infinity : s.origin[n]! + this.#rise();
  }

  /** Level of OUT; the counter must have been advanced to `tick`. */
  out(tick: number): boolean {
    const s = this.#state;
    const n = this.#index;
    const counting = s.phase[n] === Phase.Counting;
    const gone = tick - s.origin[n]!;
    switch (this.mode) {
      case 0:
        return s.done[n] !== 0;
      case 1:
        return !counting || s.done[n] !== 0;
      case 2:
        return !counting || gone !== s.initial[n]! - 1;
      case 3:
        return !counting || s.high[n] !== 0;
      default:
        return !counting || gone !== s.initial[n];
    }
  }

  /** Takes a complete count, in binary or BCD; 0 is the greatest. */
  #setCount(written: number, tick: number): void {
    const s = this.#state;
    const n = this.#index;
    s.reload[n] = this.#bcd() ? fromBcd(written) % 10_000 || 10_000 : written || 0x1_0000;
    s.nullCount[n] = Null.UntilNextTick;
    const phase = s.phase[n];
    switch (this.mode) {
      case 1:
      case 5:
        if (phase === Phase.Idle) s.phase[n] = Phase.Waiting;
        break;
      case 2:
      case 3:
        if (phase === Phase.Counting) s.nullCount[n] = Null.UntilEndOfCycle;
        else if (this.gate) this.#begin(tick);
        else if (phase === Phase.Idle) s.phase[n] = Phase.Waiting;
        break;
      default:
        this.#begin(tick);
        if (!this.gate) {
          // The count is loaded all the same, but goes no further.
          s.phase[n] = Phase.Held;
          s.elapsed[n] = 0;
          s.nullCount[n] = Null.Loaded;
        }
        break;
    }
  }

  /** Starts a cycle: the count register is loaded at the next tick. */
  #begin(tick: number): void {
    const s = this.#state;
    const n = this.#index;
    s.initial[n] = s.reload[n]!;
    s.origin[n] = tick + 1;
    s.high[n] = 1;
    s.done[n] = 0;
    s.nullCount[n] = Null.UntilNextTick;
    s.phase[n] = Phase.Counting;
  }

  #hold(tick: number): void {
    const s = this.#state;
    const n = this.#index;
    s.elapsed[n] = tick - s.origin[n]!;
    s.phase[n] = Phase.Held;
  }

  /** Modes 0, 1, 4, 5: ticks from the beginning to the rise of OUT. */
  #rise(): number {
    const initial = this.#state.initial[this.#index]!;
    return this.mode >= 4 ? initial + 1 : initial;
  }

  /** Modes 2, 3: ticks from the origin to where the count is loaded anew. Odd counts are high for one longer. */
  #stretch(): number {
    const initial = this.#state.initial[this.#index]!;
    if (this.mode === 2) return initial;
    return this.#state.high[this.#index] !== 0 ? Math.ceil(initial / 2) : Math.floor(initial / 2);
  }

  /** What the counting element reads as, 16 bits. */
  #count(tick: number): number {
    const s = this.#state;
    const n = this.#index;
    const gone =
      s.phase[n] === Phase.Counting ? tick - s.origin[n]! : s.phase[n] === Phase.Held ? s.elapsed[n]! : 0;
    const initial = s.initial[n]!;
    const modulus = this.#bcd() ? 10_000 : 0x1_0000;
    // In mode 3 an even count goes down by twos in each half.
    const left =
      this.mode === 3
        ? Math.max(0, initial - (initial % 2) - 2 * Math.max(0, gone))
        : initial - Math.max(0, gone);
    const count = ((left % modulus) + modulus) % modulus;
    return this.#bcd() ? toBcd(count) : count;
  }

  #bcd(): boolean {
    return (this.#state.control[this.#index]! & 1) !== 0;
  }
}

function fromBcd(value: number): number {
  return (value >> 12) * 1000 + ((value >> 8) & 0xf) * 100 + ((value >> 4) & 0xf) * 10 + (value & 0xf);
}

function toBcd(value: number): number {
  const digit = (unit: number): number => Math.floor(value / unit) % 10;
  return (digit(1000) << 12) | (digit(100) << 8) | (digit(10) << 4) | digit(1);
}
