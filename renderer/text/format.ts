/** Figures as people read them. */

const NUMBER = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const COMPACT = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const TIME = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** Bytes in the unit that leaves 1 to 4 digits: `212 MiB`. */
function bytes(count: number): string {
  const exponent = Math.min(UNITS.length - 1, Math.floor(Math.log2(Math.max(count, 1)) / 10));
  const value = count / 2 ** (10 * exponent);
  return `${value >= 100 ? Math.round(value) : NUMBER.format(value)} ${UNITS[exponent]}`;
}

/** How long something has been going on, from seconds: `2 h 5 min`. */
function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

const machines = (count: number): string => (count === 1 ? '1 machine' : `${count} machines`);

export const FORMATS = {
  bytes,
  duration,
  /** A line that was written to follow a name, standing by itself. One that begins with a name of its own, as `vda:`,
   * stays as it is. */
  sentence: (line: string) =>
    /^\p{Ll}+(?=[\s,.]|$)/u.test(line) ? line.slice(0, 1).toLocaleUpperCase('en') + line.slice(1) : line,
  percent: (value: number) => `${Math.round(value)} %`,
  rate: (value: number) => `${bytes(value)}/s`,
  perSecond: (value: number) => `${COMPACT.format(value)}/s`,
  count: (value: number) => COMPACT.format(value),
  seconds: (value: number) => `${value < 10 ? value.toFixed(2) : NUMBER.format(value)} s`,
  mebibytes: (value: number) => bytes(value * 2 ** 20),
  gibibytes: (value: number) => bytes(value * 2 ** 30),
  time: (milliseconds: number) => TIME.format(milliseconds),
  machines,
  processors: (count: number) => (count === 1 ? '1 processor' : `${count} processors`),
} as const;
