/**
 * The 8254 programmable interval timer of a PC with the part of port 0x61 that belongs to it: counter 0 is
 * the system timer (IRQ 0), counter 1 once paced memory refresh, counter 2 sounds the speaker
 * (Intel 82C54 data sheet; Intel 82371AB (PIIX4) data sheet, 4.2.4 and 4.2.6.1).
 */
import type { Clock, Device, Line, PortDevice, TimedDevice } from '../device.ts';
import { bytePorts } from './byte-ports.ts';
import { LateTicks } from './late-ticks.ts';
import { PitCounter, pitLayout, type PitState } from './pit-counter.ts';
import { nanosecondsAt, ticksAt } from './ticks.ts';

export { pitLayout, type PitState };

/** The counters' input: a third of the NTSC colour subcarrier, in hertz. */
export const PIT_HZ = 1_193_182;

/** Refresh requests are 18 ticks apart, and each toggles bit 4 of port 0x61. */
const REFRESH_TICKS = 18;

const CONTROL = 3;
const READ_BACK = 3;

const PortB = { Gate2: 1 << 0, Writable: 0x0f, Refresh: 1 << 4, Out2: 1 << 5 } as const;

export class Pit implements Device, TimedDevice {
  readonly name = 'pit';
  /** Four ports at 0x40: the counters and the control word. */
  readonly counters: PortDevice;
  /** One port at 0x61. */
  readonly portB: PortDevice;

  readonly #state: PitState;
  readonly #clock: Clock;
  readonly #irq: Line;
  readonly #ticks: LateTicks;
  readonly #counter: readonly [PitCounter, PitCounter, PitCounter];

  /**
   * @param irq OUT of counter 0. What counts is its rise; each one is seen as the line going low and high
   *   again, and between two of them it stays high, so that a request waits for a guest that is slow to
   *   take it.
   * @param waiting whether a processor has yet to take what `irq` has requested
   */
  constructor(state: PitState, clock: Clock, irq: Line, waiting: () => boolean) {
    this.#state = state;
    this.#clock = clock;
    this.#irq = irq;
    this.#ticks = new LateTicks(state.late, 0, irq, waiting);
    this.#counter = [new PitCounter(state, 0), new PitCounter(state, 1), new PitCounter(state, 2)];
    this.counters = bytePorts(
      4,
      (offset) => this.#read(offset),
      (offset, value) => this.#write(offset, value),
    );
    this.portB = bytePorts(
      1,
      () => this.#readPortB(),
      (_offset, value) => this.#writePortB(value),
    );
  }

  /** No counter counts until it has been programmed; the speaker is off. */
  reset(): void {
    for (const [index, counter] of this.#counter.entries()) counter.reset(index !== 2);
    this.#state.portB = 0;
    this.#ticks.forget();
    this.#irq(false);
  }

  deadline(): number {
    return nanosecondsAt(this.#counter[0].nextRise(), PIT_HZ);
  }

  /** Raises IRQ 0 for the rises of counter 0 up to `now`, those of a periodic mode one by one. */
  service(now: number): void {
    const tick = ticksAt(now, PIT_HZ);
    const rises = this.#counter[0].advance(tick);
    this.#counter[1].advance(tick);
    this.#counter[2].advance(tick);
    if (rises === 0) return;
    if (this.#counter[0].isPeriodic) {
      this.#ticks.add(rises);
    } else {
      this.#irq(false);
      this.#irq(true);
    }
  }

  /** A processor has taken an interrupt: a late one of IRQ 0 may follow. */
  interruptTaken(): void {
    this.#ticks.raise();
  }

  /** Brings everything up to the present, and returns the present tick. */
  #present(): number {
    const now = this.#clock.now();
    this.service(now);
    return ticksAt(now, PIT_HZ);
  }

  #read(offset: number): number {
    const counter = this.#counter[offset];
    // The control word cannot be read.
    return counter === undefined ? 0xff : counter.readByte(this.#present());
  }

  #write(offset: number, value: number): void {
    const tick = this.#present();
    if (offset !== CONTROL) {
      this.#counter[offset]!.writeByte(value, tick);
      if (offset === 0) this.#programmed(tick);
      return;
    }
    const select = value >> 6;
    if (select === READ_BACK) {
      for (const [index, counter] of this.#counter.entries()) {
        if ((value & (2 << index)) === 0) continue;
        if ((value & 0x20) === 0) counter.latchCount(tick);
        if ((value & 0x10) === 0) counter.latchStatus(tick);
      }
    } else if ((value & 0x30) === 0) {
      this.#counter[select]!.latchCount(tick);
    } else {
      this.#counter[select]!.setControl(value);
      if (select === 0) this.#programmed(tick);
    }
  }

  /** Counter 0 has been written: late interrupts of what it did before are void, and OUT may be another. */
  #programmed(tick: number): void {
    const counter = this.#counter[0];
    this.#ticks.forget();
    this.#irq(counter.mode > 1 || counter.out(tick));
  }

  #readPortB(): number {
    const tick = this.#present();
    const refresh = Math.floor(tick / REFRESH_TICKS) % 2 === 0 ? 0 : PortB.Refresh;
    const out2 = this.#counter[2].out(tick) ? PortB.Out2 : 0;
    return this.#state.portB | refresh | out2;
  }

  #writePortB(value: number): void {
    const tick = this.#present();
    this.#state.portB = value & PortB.Writable;
    this.#counter[2].setGate((value & PortB.Gate2) !== 0, tick);
  }
}
