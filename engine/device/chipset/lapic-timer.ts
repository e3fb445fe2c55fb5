/**
 * The timer of a local APIC (Intel SDM 3A, 11.5.4): counting down once or periodically at the bus frequency
 * over a divisor, or waiting for a TSC value. Nothing ticks; all is worked out from when a count began.
 */
import { Lvt, LvtBit, type LapicState } from './lapic-state.ts';

/** Frequency of the clock that the divide configuration divides; CPUID leaf 0x15 tells the guest. At 1 GHz
 * one count at divisor 1 is one guest nanosecond. */
export const APIC_BUS_HZ = 1_000_000_000;
const NS_PER_COUNT = 1_000_000_000 / APIC_BUS_HZ;

export const TimerMode = { OneShot: 0, Periodic: 1, TscDeadline: 2 } as const;

/** Mode in bits 18-17 of the LVT entry; 3 is reserved, and such a timer does not count. */
export function timerMode(apic: LapicState): number {
  return (apic.lvt[Lvt.Timer]! >>> 17) & 3;
}

/** Divisor of a divide configuration: bits 3, 1, 0 give 2, 4 … 128, then 1 (SDM 3A, figure 11-10). */
function divisor(divide: number): number {
  const code = (divide & 3) | ((divide & 8) >> 1);
  return 1 << ((code + 1) & 7);
}

function countNs(apic: LapicState): number {
  return divisor(apic.divide) * NS_PER_COUNT;
}

/** Moves the timer on to `now`, and returns true where it has run out since the last call. A periodic
 * timer that has run out several times says so once: the request register holds no more. */
export function timerExpire(apic: LapicState, now: number): boolean {
  const mode = timerMode(apic);
  if (mode === TimerMode.TscDeadline) {
    if (apic.tscDeadline === 0n || now < apic.tscDeadlineAt) return false;
    apic.tscDeadline = 0n;
    return true;
  }
  if (apic.countFrom === 0) return false;
  const end = apic.countStart + apic.countFrom * countNs(apic);
  if (now < end) return false;
  if (mode === TimerMode.Periodic) {
    const period = apic.initialCount * countNs(apic);
    apic.countStart = end + Math.floor((now - end) / period) * period;
    apic.countFrom = apic.initialCount;
  } else {
    apic.countFrom = 0;
  }
  return true;
}

/** When the timer interrupts next, in guest nanoseconds; Infinity where it does not. */
export function timerDeadline(apic: LapicState): number {
  if ((apic.lvt[Lvt.Timer]! & LvtBit.Mask) !== 0) return Infinity;
  if (timerMode(apic) === TimerMode.TscDeadline) {
    return apic.tscDeadline === 0n ? Infinity : apic.tscDeadlineAt;
  }
  return apic.countFrom === 0 ? Infinity : apic.countStart + apic.countFrom * countNs(apic);
}

/** Current count register; the timer must have been moved on to `now`. */
export function timerCurrentCount(apic: LapicState, now: number): number {
  if (apic.countFrom === 0) return 0;
  const gone = Math.floor((now - apic.countStart) / countNs(apic));
  return Math.min(apic.countFrom, Math.max(0, apic.countFrom - gone));
}

/** Writes the initial count register, which starts the count; 0 stops it. In TSC-deadline mode the write is
 * ignored. */
export function timerSetInitialCount(apic: LapicState, now: number, count: number): void {
  const mode = timerMode(apic);
  if (mode === TimerMode.TscDeadline) return;
  apic.initialCount = count;
  apic.countFrom = mode <= TimerMode.Periodic ? count : 0;
  apic.countStart = now;
}

/** Writes the divide configuration register; a running count goes on from where it is. */
export function timerSetDivide(apic: LapicState, now: number, divide: number): void {
  const count = timerCurrentCount(apic, now);
  apic.divide = divide & 0xb;
  apic.countFrom = count;
  apic.countStart = now;
}

/** Writes the LVT entry (already masked to its writable bits). Going to or from TSC-deadline mode disarms
 * the timer (SDM 3A, 11.5.4.1). */
export function timerSetEntry(apic: LapicState, entry: number): void {
  const before = timerMode(apic);
  apic.lvt[Lvt.Timer] = entry;
  const after = timerMode(apic);
  if (before === after) return;
  if (after > TimerMode.Periodic || before > TimerMode.Periodic) {
    apic.countFrom = 0;
    apic.initialCount = 0;
    apic.tscDeadline = 0n;
  }
}
