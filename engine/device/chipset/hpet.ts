/**
 * High-precision event timer: a 64-bit counter at 100 MHz and three timers, each one-shot or periodic, 64 or
 * 32 bits wide, edge- or level-triggered, routed to the I/O APIC or in place of the PIT and the RTC
 * (IA-PC HPET specification 1.0a). Front-side-bus messages are not offered.
 */
import type { AccessSize, Clock, Device, Line, MmioDevice, TimedDevice } from '../device.ts';
import { layout, type View } from '../../memory/layout.ts';
import { LateTicks } from './late-ticks.ts';

export const HPET_TIMERS = 3;

/** Length of a tick in femtoseconds, as the capabilities register has it. */
export const HPET_PERIOD_FS = 10_000_000;
const TICK_NS = HPET_PERIOD_FS / 1e6;

/** Size of the register block in bytes. */
export const HPET_SIZE = 0x400;

export const hpetLayout = layout('hpet', 2, {
  /** General configuration: bit 0 enable, bit 1 legacy replacement. */
  config: 'u32',
  /** General interrupt status, one bit for each level-triggered timer. */
  status: 'u32',
  /** Timers whose line is asserted. */
  asserted: 'u32',
  /** Bits 31-0 of each configuration register, as far as they can be written. */
  timerConfig: ['u32', HPET_TIMERS],
  /** Main counter: its value at `countStart` (guest nanoseconds) while it runs, otherwise its value. */
  count: 'u64',
  countStart: 'f64',
  comparator: ['u64', HPET_TIMERS],
  /** Added to the comparator of a periodic timer whenever it is reached. */
  period: ['u64', HPET_TIMERS],
  /** Count up to which each timer has been compared. */
  compared: ['u64', HPET_TIMERS],
  /** Interrupts of periodic, edge-triggered timers that are late and still to be raised. */
  late: ['u32', HPET_TIMERS],
});

export type HpetState = View<typeof hpetLayout.fields>;

export interface HpetDeps {
  readonly clock: Clock;
  /** Input of the I/O APIC, 0 … 31, for timers that are routed there. */
  readonly setPin: (pin: number, level: boolean) => void;
  /** Whether a processor has yet to take what an input of the I/O APIC has requested. */
  readonly pinWaiting: (pin: number) => boolean;
  /** In place of the PIT: I/O APIC input 2 and PIC input 0. */
  readonly irq0: Line;
  /** In place of the RTC: input 8 of both. */
  readonly irq8: Line;
  /** Whether a processor has yet to take what IRQ 0 or 8 has requested. */
  readonly irqWaiting: (irq: 0 | 8) => boolean;
  /** Told when legacy replacement begins (true) and ends: while it lasts, the PIT and the RTC must not
   * interrupt. */
  readonly legacyReplacement: Line;
  /** The I/O APIC inputs that timers may be routed to, bit n for input n. */
  readonly routes: number;
}

const Offset = { Capabilities: 0x00, Config: 0x10, Status: 0x20, Count: 0xf0, Timers: 0x100 } as const;
const TimerOffset = { Config: 0x00, Comparator: 0x08 } as const;
const TIMER_STRIDE = 0x20;

const Config = { Enable: 1 << 0, Legacy: 1 << 1, Writable: 0x3 } as const;

/** Timer configuration, bits 31-0 (2.3.8). */
const Timer = {
  Level: 1 << 1,
  Enable: 1 << 2,
  Periodic: 1 << 3,
  PeriodicCapable: 1 << 4,
  Capable64: 1 << 5,
  SetValue: 1 << 6,
  Narrow: 1 << 8,
  Route: 0x1f << 9,
  /** But for the route, which takes only values that are offered. */
  Writable: 0x14e,
} as const;

/** Revision 1, three timers, 64 bits, legacy replacement, vendor Intel (2.3.4). */
const CAPABILITIES = (BigInt(HPET_PERIOD_FS) << 32n) | 0x8086_a001n | (BigInt(HPET_TIMERS - 1) << 8n);

const LOW = 0xffff_ffffn;
const ALL = 0xffff_ffff_ffff_ffffn;

export class Hpet implements Device, MmioDevice, TimedDevice {
  readonly name = 'hpet';
  readonly #state: HpetState;
  readonly #deps: HpetDeps;
  /** By timer. */
  readonly #ticks: readonly LateTicks[];

  constructor(state: HpetState, deps: HpetDeps) {
    this.#state = state;
    this.#deps = deps;
    this.#ticks = Array.from({ length: HPET_TIMERS }, (_, timer) => {
      const drive: Line = (level) => this.#drive(timer, level);
      return new LateTicks(state.late, timer, drive, () => this.#waiting(timer));
    });
  }

  /** The counter stands at 0; all timers are disabled. */
  reset(): void {
    const s = this.#state;
    for (let timer = 0; timer < HPET_TIMERS; timer++) this.#drive(timer, false);
    s.config = 0;
    s.status = 0;
    s.asserted = 0;
    s.timerConfig.fill(0);
    s.count = 0n;
    s.countStart = 0;
    s.comparator.fill(ALL);
    s.period.fill(0n);
    s.compared.fill(0n);
    s.late.fill(0);
    this.#deps.irq0(false);
    this.#deps.irq8(false);
    this.#deps.legacyReplacement(false);
  }

  mmioRead(offset: number, size: AccessSize, _vcpu: number): number {
    const value = this.#read(offset & ~7) >> BigInt(8 * (offset & 7));
    return Number(value & (size === 4 ? LOW : size === 2 ? 0xffffn : 0xffn));
  }

  mmioRead64(offset: number, _vcpu: number): bigint {
    return this.#read(offset);
  }

  /** Registers are written in aligned halves at least; narrower writes are ignored (2.3.2). */
  mmioWrite(offset: number, size: AccessSize, value: number, _vcpu: number): void {
    if (size !== 4 || (offset & 3) !== 0) return;
    const shift = (offset & 4) === 0 ? 0n : 32n;
    this.#write(offset & ~7, BigInt(value) << shift, LOW << shift);
  }

  mmioWrite64(offset: number, value: bigint, _vcpu: number): void {
    this.#write(offset, value, ALL);
  }

  deadline(): number {
    const s = this.#state;
    if (!this.#running()) return Infinity;
    let next = Infinity;
    for (let timer = 0; timer < HPET_TIMERS; timer++) {
      if ((s.timerConfig[timer]! & Timer.Enable) === 0) continue;
      const ticks = BigInt.asIntN(64, s.compared[timer]! - s.count) + this.#distance(timer);
      next = Math.min(next, s.countStart + Number(ticks) * TICK_NS);
    }
    return next;
  }

  /** Raises the interrupts of all timers whose comparator has been reached by `now`, those of a periodic timer
   * that has been reached several times one by one. */
  service(now: number): void {
    if (!this.#running()) return;
    const count = this.#countAt(now);
    for (let timer = 0; timer < HPET_TIMERS; timer++) this.#compare(timer, count);
  }

  /** A processor has taken an interrupt: a late one may follow. */
  interruptTaken(): void {
    for (let timer = 0; timer < HPET_TIMERS; timer++) this.#ticks[timer]!.raise();
  }

  // ---- Registers ----

  #read(offset: number): bigint {
    const s = this.#state;
    switch (offset) {
      case Offset.Capabilities:
        return CAPABILITIES;
      case Offset.Config:
        return BigInt(s.config);
      case Offset.Status:
        this.service(this.#deps.clock.now());
        return BigInt(s.status);
      case Offset.Count:
        return this.#present() & ALL;
      default:
        break;
    }
    const timer = Math.floor((offset - Offset.Timers) / TIMER_STRIDE);
    if (timer < 0 || timer >= HPET_TIMERS) return 0n;
    switch (offset & (TIMER_STRIDE - 1)) {
      case TimerOffset.Config: {
        const fixed = Timer.PeriodicCapable | Timer.Capable64;
        return (BigInt(this.#deps.routes >>> 0) << 32n) | BigInt(s.timerConfig[timer]! | fixed);
      }
      case TimerOffset.Comparator:
        this.service(this.#deps.clock.now());
        return s.comparator[timer]!;
      default:
        return 0n;
    }
  }

  /** @param mask the bits of the register that are written */
  #write(offset: number, value: bigint, mask: bigint): void {
    const s = this.#state;
    this.service(this.#deps.clock.now());
    switch (offset) {
      case Offset.Config:
        if ((mask & LOW) !== 0n) this.#writeConfig(Number(value & LOW));
        return;
      case Offset.Status:
        // Ones clear.
        s.status = (s.status & ~Number(value & mask & LOW)) >>> 0;
        this.#driveLevels();
        return;
      case Offset.Count:
        // Writable while it stands still (2.3.7).
        if (this.#running()) return;
        s.count = (s.count & ~mask) | (value & mask);
        s.compared.fill((s.count - 1n) & ALL);
        return;
      default:
        break;
    }
    const timer = Math.floor((offset - Offset.Timers) / TIMER_STRIDE);
    if (timer < 0 || timer >= HPET_TIMERS) return;
    switch (offset & (TIMER_STRIDE - 1)) {
      case TimerOffset.Config:
        if ((mask & LOW) !== 0n) this.#writeTimerConfig(timer, Number(value & LOW));
        break;
      case TimerOffset.Comparator:
        this.#writeComparator(timer, value, mask);
        break;
      default:
        break;
    }
  }

  #writeConfig(value: number): void {
    const s = this.#state;
    const now = this.#deps.clock.now();
    const changed = (s.config ^ value) & Config.Writable;
    if ((changed & Config.Legacy) !== 0) this.#release();
    if ((changed & Config.Enable) !== 0) {
      if ((value & Config.Enable) !== 0) s.countStart = now;
      else s.count = this.#countAt(now) & ALL;
    }
    s.config = value & Config.Writable;
    if (changed !== 0) s.late.fill(0);
    if ((changed & Config.Legacy) !== 0) this.#deps.legacyReplacement((value & Config.Legacy) !== 0);
    this.#driveLevels();
  }

  #writeTimerConfig(timer: number, value: number): void {
    const s = this.#state;
    const before = s.timerConfig[timer]!;
    const route = value & Timer.Route;
    const offered = (this.#deps.routes & (1 << (route >>> 9))) !== 0;
    const after = (value & Timer.Writable) | (offered ? route : before & Timer.Route);
    // A line is let go before it leads elsewhere, or is of another kind.
    if (((before ^ after) & (Timer.Route | Timer.Level)) !== 0) {
      this.#drive(timer, false);
      s.status &= ~(1 << timer);
    }
    s.timerConfig[timer] = after;
    this.#ticks[timer]!.forget();
    if ((after & Timer.Enable) === 0) this.#drive(timer, false);
    if ((after & Timer.Narrow) !== 0) {
      s.comparator[timer] = s.comparator[timer]! & LOW;
      s.period[timer] = s.period[timer]! & LOW;
    }
    this.#driveLevels();
  }

  /**
   * The comparator register. For a periodic timer a write sets the period, and with SetValue the comparator
   * as well, which is how the first interrupt is placed; SetValue then clears itself (2.3.9.2.2).
   */
  #writeComparator(timer: number, value: bigint, mask: bigint): void {
    const s = this.#state;
    const config = s.timerConfig[timer]!;
    const width = this.#width(timer);
    const periodic = (config & Timer.Periodic) !== 0;
    if (periodic) s.period[timer] = ((s.period[timer]! & ~mask) | (value & mask)) & width;
    if (!periodic || (config & Timer.SetValue) !== 0) {
      s.comparator[timer] = ((s.comparator[timer]! & ~mask) | (value & mask)) & width;
      // A comparator that equals the count has been reached.
      s.compared[timer] = (this.#present() - 1n) & ALL;
    }
    s.timerConfig[timer] = config & ~Timer.SetValue;
    this.#ticks[timer]!.forget();
    this.service(this.#deps.clock.now());
  }

  // ---- Counting ----

  #running(): boolean {
    return (this.#state.config & Config.Enable) !== 0;
  }

  /** The count at `now` while running, not yet reduced to 64 bits. */
  #countAt(now: number): bigint {
    const s = this.#state;
    return s.count + BigInt(Math.max(0, Math.floor((now - s.countStart) / TICK_NS)));
  }

  #present(): bigint {
    return this.#running() ? this.#countAt(this.#deps.clock.now()) : this.#state.count;
  }

  /** Ones in the bits that a timer compares. */
  #width(timer: number): bigint {
    return (this.#state.timerConfig[timer]! & Timer.Narrow) !== 0 ? LOW : ALL;
  }

  /** Ticks from `compared` to the next match, at least 1: the count goes round. */
  #distance(timer: number): bigint {
    const s = this.#state;
    return ((s.comparator[timer]! - s.compared[timer]! - 1n) & this.#width(timer)) + 1n;
  }

  #compare(timer: number, count: bigint): void {
    const s = this.#state;
    const gone = (count - s.compared[timer]!) & ALL;
    const distance = this.#distance(timer);
    s.compared[timer] = count & ALL;
    if (gone < distance) return;
    const period = s.period[timer]!;
    const config = s.timerConfig[timer]!;
    if ((config & Timer.Periodic) === 0 || period === 0n) {
      this.#fire(timer);
      return;
    }
    const periods = (gone - distance) / period + 1n;
    s.comparator[timer] = (s.comparator[timer]! + periods * period) & this.#width(timer);
    if ((config & (Timer.Level | Timer.Enable)) === Timer.Enable) this.#ticks[timer]!.add(Number(periods));
    else this.#fire(timer);
  }

  // ---- Interrupts ----

  #fire(timer: number): void {
    const config = this.#state.timerConfig[timer]!;
    if ((config & Timer.Enable) === 0) return;
    if ((config & Timer.Level) !== 0) {
      this.#state.status |= 1 << timer;
    } else {
      // What counts of an edge is its rise. The line stays up until the next, so that the request waits.
      this.#drive(timer, false);
    }
    this.#drive(timer, true);
  }

  /** Brings the lines of level-triggered timers in agreement with their status. */
  #driveLevels(): void {
    const s = this.#state;
    for (let timer = 0; timer < HPET_TIMERS; timer++) {
      const config = s.timerConfig[timer]!;
      if ((config & Timer.Level) === 0) continue;
      const level = this.#running() && (config & Timer.Enable) !== 0 && (s.status & (1 << timer)) !== 0;
      this.#drive(timer, level);
    }
  }

  #release(): void {
    for (let timer = 0; timer < HPET_TIMERS; timer++) this.#drive(timer, false);
  }

  #drive(timer: number, level: boolean): void {
    const s = this.#state;
    const bit = 1 << timer;
    if (((s.asserted & bit) !== 0) === level) return;
    s.asserted = (s.asserted ^ bit) >>> 0;
    const legacy = (s.config & Config.Legacy) !== 0;
    if (legacy && timer === 0) this.#deps.irq0(level);
    else if (legacy && timer === 1) this.#deps.irq8(level);
    else this.#drivePin((s.timerConfig[timer]! & Timer.Route) >>> 9, level);
  }

  #waiting(timer: number): boolean {
    const { config, timerConfig } = this.#state;
    if ((config & Config.Legacy) !== 0 && timer === 0) return this.#deps.irqWaiting(0);
    if ((config & Config.Legacy) !== 0 && timer === 1) return this.#deps.irqWaiting(8);
    return this.#deps.pinWaiting((timerConfig[timer]! & Timer.Route) >>> 9);
  }

  /** A timer that has not been routed yet leads nowhere. */
  #drivePin(pin: number, level: boolean): void {
    if ((this.#deps.routes & (1 << pin)) !== 0) this.#deps.setPin(pin, level);
  }
}
