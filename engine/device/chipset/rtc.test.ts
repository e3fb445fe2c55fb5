import { describe, expect, test } from 'vitest';
import { Arena } from '../../memory/layout.ts';
import { deviceConformance, ManualClock } from '../conformance.ts';
import { Rtc, rtcLayout } from './rtc.ts';

/** Friday, 13 March 2026, 15:30:45 UTC. */
const START = Date.UTC(2026, 2, 13, 15, 30, 45);

deviceConformance(
  'rtc',
  (place, world) => {
    const wall = { unixMilliseconds: () => START + world.clock.time / 1e6 };
    const device = new Rtc(
      place.place(rtcLayout),
      world.clock,
      wall,
      world.line('irq8'),
      world.line('nmi mask'),
    );
    return {
      device,
      ports: [{ device: device.ports, length: 4 }],
      timers: [device],
      stimuli: [
        // Half of the accesses go to the clock's own registers.
        (random) => device.ports.portWrite(0, 1, random.below(14)),
        (random) => device.ports.portWrite(1, 1, random.next() & 0xff),
      ],
    };
  },
  { persistent: true },
);

class Bench {
  readonly clock = new ManualClock();
  readonly rtc: Rtc;
  irq = false;
  nmiMasked = false;
  /** Wall-clock milliseconds at guest time 0. */
  wall = START;

  constructor() {
    const arena = new Arena(new SharedArrayBuffer(0x1000), 0, 0x1000);
    const wall = { unixMilliseconds: (): number => this.wall + this.clock.time / 1e6 };
    this.rtc = new Rtc(
      arena.place(rtcLayout),
      this.clock,
      wall,
      (level) => (this.irq = level),
      (level) => (this.nmiMasked = level),
    );
    this.rtc.reset();
  }

  read(address: number): number {
    const port = address < 128 ? 0 : 2;
    this.rtc.ports.portWrite(port, 1, address & 0x7f);
    return this.rtc.ports.portRead(port + 1, 1);
  }

  write(address: number, value: number): void {
    const port = address < 128 ? 0 : 2;
    this.rtc.ports.portWrite(port, 1, address & 0x7f);
    this.rtc.ports.portWrite(port + 1, 1, value);
  }

  pass(milliseconds: number): void {
    this.clock.time += milliseconds * 1e6;
    this.rtc.service(this.clock.time);
  }

  /** Century, year, month, day, weekday, hour, minute, second, in hexadecimal. */
  time(): string {
    return [0x32, 9, 8, 7, 6, 4, 2, 0].map((at) => this.read(at).toString(16).padStart(2, '0')).join(' ');
  }
}

const SET = 0x80;
const H24 = 2;
const BINARY = 4;

describe('time', () => {
  test('BCD and 24 hours after power-on; 1 is Sunday', () => {
    expect(new Bench().time()).toBe('20 26 03 13 06 15 30 45');
  });

  test('binary, and 12 hours with PM in bit 7', () => {
    const b = new Bench();
    b.write(0x0b, BINARY | H24);
    expect(b.time()).toBe('14 1a 03 0d 06 0f 1e 2d');
    b.write(0x0b, 0);
    expect(b.read(4)).toBe(0x83);
    b.wall = Date.UTC(2026, 0, 1, 0, 5);
    expect(b.read(4)).toBe(0x12);
    b.wall = Date.UTC(2026, 0, 1, 12, 5);
    expect(b.read(4)).toBe(0x92);
  });

  test('goes on with the wall clock, over the end of a year and of February', () => {
    const b = new Bench();
    b.wall = Date.UTC(2027, 11, 31, 23, 59, 59);
    b.pass(1000);
    expect(b.time()).toBe('20 28 01 01 07 00 00 00');
    b.wall = Date.UTC(2028, 1, 28, 23, 59, 58);
    b.pass(1000);
    expect(b.time()).toBe('20 28 02 29 03 00 00 00');
  });

  test('SET holds the time while it is written; from then on it keeps its offset', () => {
    const b = new Bench();
    b.write(0x0b, SET | H24);
    b.pass(5000);
    expect(b.read(0)).toBe(0x45);
    for (const [at, value] of [[0x32, 0x19], [9, 0x99], [8, 0x12], [7, 0x31], [6, 6], [4, 0x23], [2, 0x59], [0, 0x58]] as const) b.write(at, value); // prettier-ignore
    expect(b.time()).toBe('19 99 12 31 06 23 59 58');
    b.write(0x0b, H24);
    b.pass(3000);
    expect(b.time()).toBe('20 00 01 01 07 00 00 01');
  });

  test('a byte can be written while the clock goes; the weekday is a counter of its own', () => {
    const b = new Bench();
    b.write(2, 0x10);
    b.write(6, 2);
    expect(b.time()).toBe('20 26 03 13 02 15 10 45');
    b.pass(86_400_000);
    expect(b.time()).toBe('20 26 03 14 03 15 10 45');
  });

  test('after the divider is let go the first update comes in half a second', () => {
    const b = new Bench();
    b.write(0x0a, 0x76);
    b.pass(10_000);
    expect(b.read(0)).toBe(0x45);
    b.write(0x0a, 0x26);
    b.pass(499);
    expect(b.read(0)).toBe(0x45);
    b.pass(1);
    expect(b.read(0)).toBe(0x46);
  });

  test('UIP announces the update; not while the clock is held', () => {
    const b = new Bench();
    expect(b.read(0x0a)).toBe(0x26);
    b.pass(999);
    expect(b.read(0x0a)).toBe(0xa6);
    b.write(0x0b, SET | H24);
    expect(b.read(0x0a)).toBe(0x26);
    b.write(0x0a, 0xff);
    expect(b.read(0x0a)).toBe(0x7f);
  });
});

describe('interrupts', () => {
  test('update-ended: once a second, until register C is read', () => {
    const b = new Bench();
    b.read(0x0c);
    b.write(0x0b, 0x10 | H24);
    expect(b.rtc.deadline()).toBe(1e9);
    b.pass(1000);
    expect(b.irq).toBe(true);
    expect(b.read(0x0c)).toBe(0xd0); // the period, not enabled, has passed as well
    expect(b.irq).toBe(false);
    expect(b.read(0x0c)).toBe(0);
    b.pass(999);
    expect(b.irq).toBe(false);
    b.pass(1);
    expect(b.irq).toBe(true);
  });

  test('SET disables the update interrupt', () => {
    const b = new Bench();
    b.write(0x0b, SET | 0x10 | H24);
    expect(b.read(0x0b)).toBe(SET | H24);
    expect(b.rtc.deadline()).toBe(Infinity);
  });

  test('alarm: at the time of its bytes, found even when served late', () => {
    const b = new Bench();
    for (const [at, value] of [[1, 0x10], [3, 0x31], [5, 0x15]] as const) b.write(at, value); // prettier-ignore
    b.write(0x0b, 0x20 | H24);
    b.pass(24_000);
    expect(b.irq).toBe(false);
    b.pass(1000);
    expect(b.irq).toBe(true);
    expect(b.read(0x0c) & 0xa0).toBe(0xa0);
    b.pass(86_399_000);
    expect(b.irq).toBe(false);
    b.pass(10_000);
    expect(b.irq).toBe(true);
  });

  test('alarm bytes of 0xc0 and more match everything', () => {
    const b = new Bench();
    for (const [at, value] of [[1, 0x00], [3, 0xff], [5, 0xc0]] as const) b.write(at, value); // prettier-ignore
    b.write(0x0b, 0x20 | H24);
    b.pass(14_000);
    expect(b.irq).toBe(false);
    b.pass(1000); // 15:31:00
    expect(b.irq).toBe(true);
    b.read(0x0c);
    b.pass(60_000);
    expect(b.irq).toBe(true);
  });

  test('periodic: the rates of register A', () => {
    const b = new Bench();
    b.write(0x0b, 0x40 | H24);
    const deadlines = [0x26, 0x2f, 0x23, 0x21, 0x22].map((a) => {
      b.write(0x0a, a);
      return b.rtc.deadline();
    });
    // 1024 Hz, 2 Hz, 8192 Hz, 256 Hz, 128 Hz
    expect(deadlines).toEqual([1 / 1024, 1 / 2, 1 / 8192, 1 / 256, 1 / 128].map((s) => Math.ceil(s * 1e9)));
    b.write(0x0a, 0x20);
    expect(b.rtc.deadline()).toBe(Infinity);
    b.write(0x0a, 0x26);
    b.clock.time = b.rtc.deadline();
    b.rtc.service(b.clock.time);
    expect(b.irq).toBe(true);
    expect(b.read(0x0c)).toBe(0xc0);
    expect(b.rtc.deadline()).toBe(Math.ceil(2e9 / 1024));
  });

  test('flags are set without being enabled, and enabling one that is set interrupts', () => {
    const b = new Bench();
    b.pass(1000);
    expect(b.irq).toBe(false);
    b.write(0x0b, 0x10 | H24);
    expect(b.irq).toBe(true);
  });

  test('reset disables and clears interrupts and leaves time and memory alone', () => {
    const b = new Bench();
    b.write(0x40, 0x5a);
    b.write(0x0b, 0x70 | H24 | BINARY);
    b.pass(1000);
    b.rtc.reset();
    expect(b.irq).toBe(false);
    expect(b.read(0x0b)).toBe(H24 | BINARY);
    expect(b.read(0x0c)).toBe(0);
    expect(b.read(0x40)).toBe(0x5a);
    expect(b.read(0)).toBe(46);
  });
});

describe('CMOS memory and ports', () => {
  test('both banks keep what is written; C and D are read-only', () => {
    const b = new Bench();
    b.write(0x7f, 1);
    b.write(0xff, 2);
    expect([b.read(0x7f), b.read(0xff)]).toEqual([1, 2]);
    b.write(0x0d, 0);
    expect(b.read(0x0d)).toBe(0x80);
  });

  test('bit 7 of port 0x70 masks NMI; the port cannot be read', () => {
    const b = new Bench();
    b.rtc.ports.portWrite(0, 1, 0x8f);
    expect(b.nmiMasked).toBe(true);
    expect(b.rtc.ports.portRead(0, 1)).toBe(0xff);
    b.rtc.ports.portWrite(0, 1, 0x0f);
    expect(b.nmiMasked).toBe(false);
  });

  test('memory size: KiB to 640, KiB above 1 MiB, 64 KiB above 16 MiB and above 4 GiB', () => {
    const b = new Bench();
    b.rtc.setMemorySize(3 * 2 ** 30, 2 ** 30);
    const word = (at: number): number => b.read(at) | (b.read(at + 1) << 8);
    expect(word(0x15)).toBe(640);
    expect(word(0x17)).toBe(0xffff);
    expect(word(0x34)).toBe((3 * 1024 - 16) * 16);
    expect(word(0x5b) | (b.read(0x5d) << 16)).toBe(0x4000);
    b.rtc.setMemorySize(8 * 2 ** 20, 0);
    expect(word(0x30)).toBe(7 * 1024);
    expect(word(0x34)).toBe(0);
    let sum = 0;
    for (let at = 0x10; at <= 0x2d; at++) sum += b.read(at);
    expect((b.read(0x2e) << 8) | b.read(0x2f)).toBe(sum);
  });

  test('the clock registers are not memory', () => {
    const b = new Bench();
    b.rtc.setByte(0x0b, 0xff);
    b.rtc.setByte(0x10, 0x40);
    expect(b.read(0x0b)).toBe(H24);
    expect(b.read(0x10)).toBe(0x40);
  });
});
