/**
 * Real-time clock and CMOS memory: an MC146818A with 256 bytes, as in PIIX (Motorola MC146818A data sheet;
 * Intel 82371AB (PIIX4) data sheet, 4.2.7). The century is at 0x32, where ACPI's FADT says it is.
 *
 * The clock shows wall-clock time plus an offset, and setting it changes the offset: a machine that was
 * paused or saved shows the right time when it goes on. While the guest holds the clock (SET, or a divider
 * that is off) its bytes stand still.
 */
import type { Clock, Device, Line, PortDevice, TimedDevice, WallClock } from '../device.ts';
import { layout, type View } from '../../memory/layout.ts';
import { bytePorts } from './byte-ports.ts';
import {
  calendarFromSeconds,
  decodeByte,
  decodeHour,
  encodeByte,
  encodeHour,
  modulo,
  secondsFromCalendar,
  type TimeFormat,
  weekdayFromSeconds,
} from './rtc-calendar.ts';
import { nanosecondsAt, ticksAt } from './ticks.ts';

export const rtcLayout = layout('rtc', 2, {
  /** Time bytes are kept here only while the clock is held; registers A and B always. */
  cmos: ['u8', 256],
  /** Selected byte of each bank of 128. */
  index: ['u8', 2],
  /** Interrupt flags of register C: PF, AF, UF in bits 6-4. */
  flags: 'u8',
  /** 1 once the registers have had their first values, which outlast every later reset. */
  valid: 'u8',
  /** Added to the day of the week that follows from the date; 0 … 6. */
  weekdayShift: 'u8',
  /** Added to wall-clock time, in milliseconds. */
  offset: 'f64',
  /** Seconds since 1970 as shown, up to which updates and alarms have been seen to. */
  lastSecond: 'f64',
  /** Ticks of 32768 Hz since power-on, up to which periodic interrupts have been seen to. */
  lastTick: 'f64',
});

export type RtcState = View<typeof rtcLayout.fields>;

/** Byte addresses. */
const At = {
  Second: 0x00, SecondAlarm: 0x01, Minute: 0x02, MinuteAlarm: 0x03, Hour: 0x04, HourAlarm: 0x05,
  Weekday: 0x06, Day: 0x07, Month: 0x08, Year: 0x09, A: 0x0a, B: 0x0b, C: 0x0c, D: 0x0d, Century: 0x32,
} as const; // prettier-ignore

const TIME_BYTES: readonly number[] = [
  At.Second, At.Minute, At.Hour, At.Weekday, At.Day, At.Month, At.Year, At.Century,
]; // prettier-ignore

const RegA = { Rate: 0x0f, Divider: 0x70, DividerOn: 0x20, DividerReset: 0x60, Uip: 0x80 } as const;
const RegB = { Hours24: 1 << 1, Binary: 1 << 2, Square: 1 << 3, Set: 1 << 7 } as const;
/** The same bits are flags in register C and enables in register B. */
const Interrupt = { Update: 1 << 4, Alarm: 1 << 5, Periodic: 1 << 6, All: 0x70 } as const;
const IRQF = 0x80;
/** Register D: the contents are valid. */
const VRT = 0x80;

const CRYSTAL_HZ = 32_768;
/** UIP rises 244 µs before an update, which takes 1984 µs with this crystal. */
const UIP_MS = 2.228;
/** The first update comes half a second after the divider has been let go. */
const DIVIDER_PHASE_MS = 500;
const ALARM_ANY = 0xc0;
const DAY_SECONDS = 86_400;

export class Rtc implements Device, TimedDevice {
  readonly name = 'rtc';
  /** Four ports at 0x70: index and data of the standard bank, then of the extended bank. A machine without
   * the extended bank registers the first two. */
  readonly ports: PortDevice;

  readonly #state: RtcState;
  readonly #clock: Clock;
  readonly #wall: WallClock;
  readonly #irq: Line;
  readonly #maskNmi: Line;

  /**
   * @param irq IRQ 8, a level until register C is read
   * @param maskNmi bit 7 of port 0x70, which has found its place here
   */
  constructor(state: RtcState, clock: Clock, wall: WallClock, irq: Line, maskNmi: Line) {
    this.#state = state;
    this.#clock = clock;
    this.#wall = wall;
    this.#irq = irq;
    this.#maskNmi = maskNmi;
    this.ports = bytePorts(
      4,
      (offset) => this.#readPort(offset),
      (offset, value) => this.#writePort(offset, value),
    );
  }

  /** Interrupts are disabled and their flags cleared. The battery keeps the rest. */
  reset(): void {
    const s = this.#state;
    if (s.valid === 0) {
      s.valid = 1;
      s.cmos[At.A] = RegA.DividerOn | 0x06;
      s.cmos[At.B] = RegB.Hours24;
      s.lastSecond = this.#seconds();
    }
    s.cmos[At.B] = s.cmos[At.B]! & ~(Interrupt.All | RegB.Square);
    s.flags = 0;
    s.index.fill(0);
    this.#maskNmi(false);
    s.lastTick = ticksAt(this.#clock.now(), CRYSTAL_HZ);
    this.#irq(false);
  }

  /** Sets a byte of CMOS memory outside of the clock's registers (0x0e … 0xff), as firmware setup would. */
  setByte(address: number, value: number): void {
    if (address > At.D && address !== At.Century) this.#state.cmos[address] = value;
  }

  /**
   * Writes the fields by which firmware learns the size of memory, and the checksum over 0x10 … 0x2d.
   *
   * @param below4G bytes of RAM below 4 GiB, from address 0
   * @param above4G bytes of RAM from 4 GiB on
   */
  setMemorySize(below4G: number, above4G: number): void {
    const field = (address: number, bytes: number, value: number): void => {
      for (let n = 0; n < bytes; n++) this.setByte(address + n, Math.floor(value / 2 ** (8 * n)) & 0xff);
    };
    const MIB = 0x10_0000;
    const extended = Math.min(0xffff, Math.max(0, (below4G - MIB) / 1024));
    field(0x15, 2, Math.min(640, below4G / 1024)); // KiB
    field(0x17, 2, extended); // KiB above 1 MiB, as set up
    field(0x30, 2, extended); // and as found by the memory test
    field(0x34, 2, Math.min(0xffff, Math.max(0, (below4G - 16 * MIB) / 0x1_0000))); // 64 KiB above 16 MiB
    field(0x5b, 3, Math.min(0xff_ffff, above4G / 0x1_0000)); // 64 KiB above 4 GiB
    let sum = 0;
    for (let address = 0x10; address <= 0x2d; address++) sum += this.#state.cmos[address]!;
    this.#state.cmos[0x2e] = sum >> 8;
    this.#state.cmos[0x2f] = sum & 0xff;
  }

  deadline(): number {
    const enabled = this.#state.cmos[At.B]! & Interrupt.All;
    let next = Infinity;
    if ((enabled & (Interrupt.Update | Interrupt.Alarm)) !== 0 && this.#running()) {
      const left = 1000 - this.#millisecondOfSecond();
      next = this.#clock.now() + Math.max(1, Math.ceil(left * 1e6));
    }
    const period = this.#periodTicks();
    if ((enabled & Interrupt.Periodic) !== 0 && period > 0) {
      const tick = (Math.floor(this.#state.lastTick / period) + 1) * period;
      next = Math.min(next, nanosecondsAt(tick, CRYSTAL_HZ));
    }
    return next;
  }

  /** Sets the flags of what has happened up to `now`: an update in each second, the alarm, the period.
   * A flag that is still set when it happens again stays one flag. */
  service(now: number): void {
    const s = this.#state;
    const tick = ticksAt(now, CRYSTAL_HZ);
    const period = this.#periodTicks();
    if (period > 0 && Math.floor(tick / period) > Math.floor(s.lastTick / period)) {
      s.flags |= Interrupt.Periodic;
    }
    s.lastTick = Math.max(s.lastTick, tick);

    const second = this.#seconds();
    if (this.#running() && second > s.lastSecond) {
      s.flags |= Interrupt.Update;
      if (this.#alarmBetween(s.lastSecond + 1, second)) s.flags |= Interrupt.Alarm;
    }
    s.lastSecond = second;
    this.#update();
  }

  #readPort(offset: number): number {
    // The index ports are write-only.
    if ((offset & 1) === 0) return 0xff;
    const bank = offset >> 1;
    return this.#read(bank * 128 + this.#state.index[bank]!);
  }

  #writePort(offset: number, value: number): void {
    const s = this.#state;
    const bank = offset >> 1;
    if ((offset & 1) !== 0) {
      this.#write(bank * 128 + s.index[bank]!, value);
      return;
    }
    s.index[bank] = value & 0x7f;
    if (bank === 0) this.#maskNmi((value & 0x80) !== 0);
  }

  #read(address: number): number {
    const s = this.#state;
    switch (address) {
      case At.A:
        return s.cmos[At.A]! | (this.#updating() ? RegA.Uip : 0);
      case At.C: {
        this.service(this.#clock.now());
        const value = s.flags | ((s.flags & s.cmos[At.B]!) !== 0 ? IRQF : 0);
        s.flags = 0;
        this.#update();
        return value;
      }
      case At.D:
        return VRT;
      default:
        return TIME_BYTES.includes(address) && this.#running() ? this.#timeByte(address) : s.cmos[address]!;
    }
  }

  #write(address: number, value: number): void {
    const s = this.#state;
    switch (address) {
      case At.A:
        this.#control(() => (s.cmos[At.A] = value & ~RegA.Uip));
        break;
      case At.B:
        // Holding the clock disables the update interrupt as well.
        this.#control(() => {
          s.cmos[At.B] = (value & RegB.Set) !== 0 ? value & ~Interrupt.Update : value;
        });
        break;
      case At.C:
      case At.D:
        break;
      default:
        if (TIME_BYTES.includes(address)) {
          this.#setTimeByte(address, value);
        } else {
          // An alarm that has come by now is not to be judged by the new bytes.
          if (address < At.A) this.service(this.#clock.now());
          s.cmos[address] = value;
        }
        break;
    }
  }

  /** Changes register A or B: sees to what happened before, and holds the clock or lets it go. */
  #control(change: () => void): void {
    const s = this.#state;
    this.service(this.#clock.now());
    const ran = this.#running();
    const reset = this.#dividerReset();
    // The bytes of a running clock are taken in the format it was in.
    const held = ran ? TIME_BYTES.map((address) => this.#timeByte(address)) : [];
    const phase = this.#millisecondOfSecond();
    change();
    const runs = this.#running();
    if (ran && !runs) {
      for (const [n, address] of TIME_BYTES.entries()) s.cmos[address] = held[n]!;
    } else if (!ran && runs) {
      this.#letGo(reset ? DIVIDER_PHASE_MS : phase);
    }
    this.#update();
  }

  #setTimeByte(address: number, value: number): void {
    const s = this.#state;
    if (!this.#running()) {
      s.cmos[address] = value;
      return;
    }
    this.service(this.#clock.now());
    const phase = this.#millisecondOfSecond();
    for (const each of TIME_BYTES) s.cmos[each] = this.#timeByte(each);
    s.cmos[address] = value;
    this.#letGo(phase);
  }

  /** Sets the clock to the bytes that are held, `phase` milliseconds into the second. */
  #letGo(phase: number): void {
    const s = this.#state;
    const format = this.#format();
    const byte = (address: number): number => decodeByte(s.cmos[address]!, format);
    const seconds = secondsFromCalendar({
      year: byte(At.Century) * 100 + byte(At.Year),
      month: byte(At.Month),
      day: byte(At.Day),
      hour: decodeHour(s.cmos[At.Hour]!, format),
      minute: byte(At.Minute),
      second: byte(At.Second),
    });
    s.offset = seconds * 1000 + phase - this.#wall.unixMilliseconds();
    s.lastSecond = seconds;
    s.weekdayShift = modulo(byte(At.Weekday) - 1 - weekdayFromSeconds(seconds), 7);
  }

  #timeByte(address: number): number {
    const seconds = this.#seconds();
    const format = this.#format();
    const time = calendarFromSeconds(seconds);
    switch (address) {
      case At.Second:
        return encodeByte(time.second, format);
      case At.Minute:
        return encodeByte(time.minute, format);
      case At.Hour:
        return encodeHour(time.hour, format);
      case At.Weekday:
        // 1 is Sunday.
        return ((weekdayFromSeconds(seconds) + this.#state.weekdayShift) % 7) + 1;
      case At.Day:
        return encodeByte(time.day, format);
      case At.Month:
        return encodeByte(time.month, format);
      case At.Year:
        return encodeByte(modulo(time.year, 100), format);
      default:
        return encodeByte(modulo(Math.floor(time.year / 100), 100), format);
    }
  }

  #format(): TimeFormat {
    const b = this.#state.cmos[At.B]!;
    return { binary: (b & RegB.Binary) !== 0, hours24: (b & RegB.Hours24) !== 0 };
  }

  /** Whether the clock shows the time and goes on: not held by SET, and the divider set for its crystal. */
  #running(): boolean {
    const { cmos } = this.#state;
    return (cmos[At.B]! & RegB.Set) === 0 && (cmos[At.A]! & RegA.Divider) === RegA.DividerOn;
  }

  #dividerReset(): boolean {
    return (this.#state.cmos[At.A]! & RegA.DividerReset) === RegA.DividerReset;
  }

  /** Milliseconds since 1970 as shown. */
  #milliseconds(): number {
    return this.#wall.unixMilliseconds() + this.#state.offset;
  }

  #seconds(): number {
    return Math.floor(this.#milliseconds() / 1000);
  }

  #millisecondOfSecond(): number {
    return this.#milliseconds() - this.#seconds() * 1000;
  }

  /** UIP: the update at the end of this second is near or under way. */
  #updating(): boolean {
    return this.#running() && this.#millisecondOfSecond() >= 1000 - UIP_MS;
  }

  /** Period of the periodic interrupt in ticks of the crystal, 0 where it is off. Rates 1 and 2 are, with
   * this crystal, those of 8 and 9. */
  #periodTicks(): number {
    const a = this.#state.cmos[At.A]!;
    const rate = a & RegA.Rate;
    if (rate === 0 || (a & RegA.Divider) !== RegA.DividerOn) return 0;
    return 1 << ((rate <= 2 ? rate + 7 : rate) - 1);
  }

  /** Whether the alarm matches one of the seconds `first` … `last` (since 1970). */
  #alarmBetween(first: number, last: number): boolean {
    const { cmos } = this.#state;
    const format = this.#format();
    const matches = (address: number, shown: number): boolean =>
      cmos[address]! >= ALARM_ANY || cmos[address] === shown;
    // After a day it all comes again.
    for (let second = Math.max(first, last - DAY_SECONDS + 1); second <= last; second++) {
      const ofDay = modulo(second, DAY_SECONDS);
      if (!matches(At.SecondAlarm, encodeByte(ofDay % 60, format))) continue;
      if (!matches(At.MinuteAlarm, encodeByte(Math.floor(ofDay / 60) % 60, format))) continue;
      if (matches(At.HourAlarm, encodeHour(Math.floor(ofDay / 3600), format))) return true;
    }
    return false;
  }

  #update(): void {
    this.#irq((this.#state.flags & this.#state.cmos[At.B]! & Interrupt.All) !== 0);
  }
}
