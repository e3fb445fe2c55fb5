/**
 * The calendar of a real-time clock: between seconds since 1970 and register bytes, in BCD or binary, with
 * 12 or 24 hours (Motorola MC146818A data sheet, "Time, Calendar and Alarm Locations").
 */

/** How register B has the bytes. */
export interface TimeFormat {
  /** DM: binary rather than BCD. */
  readonly binary: boolean;
  /** 24/12: 24 hours rather than 12, where bit 7 of the hours is PM. */
  readonly hours24: boolean;
}

/** A date and time as numbers; any whole numbers are legal, as a guest may write nonsense. */
export interface CalendarTime {
  readonly year: number;
  /** 1 … 12. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
}

/** `value` modulo `by`, never negative: a guest can set a date before the year 0. */
export function modulo(value: number, by: number): number {
  return ((value % by) + by) % by;
}

/** A number 0 … 99 as the registers hold it: binary or two BCD digits. */
export function encodeByte(value: number, { binary }: TimeFormat): number {
  return binary ? value : (Math.floor(value / 10) << 4) | (value % 10);
}

/** The number that a register holds; what is no BCD digit counts as it is. */
export function decodeByte(byte: number, { binary }: TimeFormat): number {
  return binary ? byte : (byte >> 4) * 10 + (byte & 0xf);
}

/** @param hour 0 … 23 */
export function encodeHour(hour: number, format: TimeFormat): number {
  if (format.hours24) return encodeByte(hour, format);
  return encodeByte(hour % 12 || 12, format) | (hour >= 12 ? 0x80 : 0);
}

/** The hour 0 … 23 that the hours register holds; in 12-hour format bit 7 is PM. */
export function decodeHour(byte: number, format: TimeFormat): number {
  if (format.hours24) return decodeByte(byte, format);
  return (decodeByte(byte & 0x7f, format) % 12) + ((byte & 0x80) !== 0 ? 12 : 0);
}

/** @param seconds since 1970, UTC */
export function calendarFromSeconds(seconds: number): CalendarTime {
  const date = new Date(seconds * 1000);
  return {
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    second: date.getUTCSeconds(),
  };
}

/** Seconds since 1970, UTC; fields beyond their range carry into the next. */
export function secondsFromCalendar(time: CalendarTime): number {
  const date = new Date(0);
  date.setUTCFullYear(time.year, time.month - 1, time.day);
  date.setUTCHours(time.hour, time.minute, time.second);
  return Math.floor(date.getTime() / 1000);
}

/** 0 … 6, Sunday is 0. */
export function weekdayFromSeconds(seconds: number): number {
  return modulo(Math.floor(seconds / 86_400) + 4, 7);
}
