import { describe, expect, test } from 'vitest';
import { Arena } from '../../memory/layout.ts';
import { deviceConformance, ManualClock } from '../conformance.ts';
import { MOST_LATE_TICKS } from './late-ticks.ts';
import { Pit, PIT_HZ, pitLayout } from './pit.ts';
import { nanosecondsAt } from './ticks.ts';

deviceConformance('pit', (place, world) => {
  const device = new Pit(place.place(pitLayout), world.clock, world.line('irq0'), () => true);
  return {
    device,
    ports: [
      { device: device.counters, length: 4 },
      { device: device.portB, length: 1 },
    ],
    timers: [device],
    stimuli: [() => device.interruptTaken()],
  };
});

class Bench {
  readonly clock = new ManualClock();
  readonly pit: Pit;
  /** How often IRQ 0 has risen, and its level. */
  rises = 0;
  level = false;
  /** Whether a request has not been taken yet; one that is not `slow` takes it at once. */
  waiting = false;
  slow = false;

  constructor() {
    const arena = new Arena(new SharedArrayBuffer(0x1000), 0, 0x1000);
    const irq = (level: boolean): void => {
      if (level && !this.level) {
        this.rises++;
        this.waiting = this.slow;
      }
      this.level = level;
    };
    this.pit = new Pit(arena.place(pitLayout), this.clock, irq, () => this.waiting);
    this.pit.reset();
  }

  /** A processor takes what is requested, and what follows upon it. */
  take(): this {
    while (this.waiting) {
      this.waiting = false;
      this.pit.interruptTaken();
    }
    return this;
  }

  /** Moves time to the beginning of `tick`, with nothing done on the way. */
  at(tick: number): this {
    this.clock.time = nanosecondsAt(tick, PIT_HZ);
    return this;
  }

  /** Runs to the beginning of `tick`, serving every deadline in time. */
  run(tick: number): this {
    const end = nanosecondsAt(tick, PIT_HZ);
    while (this.pit.deadline() <= end) {
      this.clock.time = this.pit.deadline();
      this.pit.service(this.clock.time);
    }
    this.clock.time = end;
    return this;
  }

  write(port: number, ...bytes: number[]): this {
    for (const byte of bytes) this.pit.counters.portWrite(port, 1, byte);
    return this;
  }

  /** Sets a mode and a count for counter 2, low byte first, at the present tick. */
  program(mode: number, count: number, bcd = 0): this {
    return this.write(3, 0xb0 | (mode << 1) | bcd).write(2, count & 0xff, count >> 8);
  }

  /** Count of counter 2 by the latch command. */
  count(): number {
    this.write(3, 0x80);
    return this.pit.counters.portRead(2, 1) | (this.pit.counters.portRead(2, 1) << 8);
  }

  /** Status of counter 2 by the read-back command. */
  status(): number {
    this.write(3, 0xe8);
    return this.pit.counters.portRead(2, 1);
  }

  out(): number {
    return (this.pit.portB.portRead(0, 1) >> 5) & 1;
  }

  gate(level: number): this {
    this.pit.portB.portWrite(0, 1, level);
    return this;
  }
}

/** OUT of counter 2 over a range of ticks. */
function trace(bench: Bench, from: number, to: number): string {
  let levels = '';
  for (let tick = from; tick < to; tick++) levels += bench.at(tick).out();
  return levels;
}

describe('modes (82C54, "Mode Definitions"): written at tick 0, loaded at tick 1', () => {
  test('0: OUT rises N + 1 ticks after the count is written', () => {
    const b = new Bench().gate(1).program(0, 4);
    expect(trace(b, 0, 10)).toBe('0000011111');
    expect(b.at(12).count()).toBe(0xfff9); // goes on below zero
  });

  test('0: the gate stops the count; the first byte of a new count stops it and lowers OUT', () => {
    const b = new Bench().gate(1).program(0, 100);
    b.at(11).gate(0);
    expect(b.at(500).count()).toBe(90);
    b.gate(1);
    expect(b.at(510).count()).toBe(80);
    expect(b.at(600).out()).toBe(1);
    b.write(2, 10);
    expect(b.out()).toBe(0);
    b.write(2, 0);
    expect([b.at(610).out(), b.at(611).out()]).toEqual([0, 1]);
  });

  test('1: a rising gate starts a pulse of N ticks, and can lengthen it', () => {
    const b = new Bench().program(1, 3);
    expect(trace(b, 0, 3)).toBe('111');
    b.at(10).gate(1);
    expect(trace(b, 11, 17)).toBe('000111');
    b.at(20).gate(0).gate(1);
    b.at(22).gate(0).gate(1);
    expect(trace(b, 23, 28)).toBe('00011');
  });

  test('2: low for the last tick of N', () => {
    const b = new Bench().gate(1).program(2, 3);
    expect(trace(b, 1, 10)).toBe('110110110');
    expect([1, 2, 3, 4].map((tick) => new Bench().gate(1).program(2, 3).at(tick).count())).toEqual([
      3, 2, 1, 3,
    ]);
  });

  test('2: a new count takes effect at the end of the cycle; a low gate holds OUT high, its rise starts anew', () => {
    const b = new Bench().gate(1).program(2, 10);
    b.at(4).write(2, 4, 0);
    expect(b.at(10).count()).toBe(1);
    expect(b.at(11).count()).toBe(4);
    b.at(14).gate(0); // would be low now
    expect(b.out()).toBe(1);
    b.at(100).gate(1);
    expect(trace(b, 101, 106)).toBe('11101');
  });

  test('3: high and low for half of N each; odd counts are high for one longer', () => {
    expect(trace(new Bench().gate(1).program(3, 4), 1, 9)).toBe('11001100');
    expect(trace(new Bench().gate(1).program(3, 5), 1, 11)).toBe('1110011100');
    const counts = (count: number): number[] =>
      [1, 2, 3, 4, 5].map((tick) => new Bench().gate(1).program(3, count).at(tick).count());
    expect(counts(4)).toEqual([4, 2, 4, 2, 4]);
    expect(counts(5)).toEqual([4, 2, 0, 4, 2]);
  });

  test('4: one tick low, N + 1 ticks after the count is written', () => {
    expect(trace(new Bench().gate(1).program(4, 3), 0, 8)).toBe('11110111');
  });

  test('5: the same after each rise of the gate', () => {
    const b = new Bench().program(5, 3);
    expect(trace(b, 0, 6)).toBe('111111');
    b.at(10).gate(1);
    expect(trace(b, 10, 18)).toBe('11110111');
  });

  test('codes 6 and 7 are modes 2 and 3', () => {
    expect(trace(new Bench().gate(1).program(6, 3), 1, 7)).toBe('110110');
    expect(trace(new Bench().gate(1).program(7, 4), 1, 5)).toBe('1100');
  });
});

describe('reading and writing', () => {
  test('0 is the greatest count: 65536, in BCD 10000', () => {
    expect(new Bench().gate(1).program(2, 0).at(1).count()).toBe(0);
    expect(new Bench().gate(1).program(2, 0).at(2).count()).toBe(0xffff);
    expect(new Bench().gate(1).program(2, 0, 1).at(2).count()).toBe(0x9999);
    expect(new Bench().gate(1).program(2, 0x1234, 1).at(36).count()).toBe(0x1199);
  });

  test('a latched count stays until both bytes are read; a second latch in between is ignored', () => {
    const b = new Bench().gate(1).program(2, 0x1000).at(1);
    b.write(3, 0x80).at(0x101).write(3, 0x80);
    expect(b.pit.counters.portRead(2, 1)).toBe(0x00);
    expect(b.pit.counters.portRead(2, 1)).toBe(0x10);
    expect(b.pit.counters.portRead(2, 1)).toBe(0x00);
    expect(b.pit.counters.portRead(2, 1)).toBe(0x0f);
  });

  test('low byte only and high byte only', () => {
    const low = new Bench().gate(1).write(3, 0x94).write(2, 0x20).at(1);
    expect(low.pit.counters.portRead(2, 1)).toBe(0x20);
    expect(low.pit.counters.portRead(2, 1)).toBe(0x20);
    const high = new Bench().gate(1).write(3, 0xa4).write(2, 0x20).at(2);
    expect(high.pit.counters.portRead(2, 1)).toBe(0x1f);
  });

  test('status: OUT, null count, and the control word', () => {
    const b = new Bench().gate(1).program(2, 100);
    expect(b.status()).toBe(0x80 | 0x40 | 0x34);
    expect(b.at(1).status()).toBe(0x80 | 0x34);
    b.write(2, 50, 0);
    expect(b.at(60).status()).toBe(0x80 | 0x40 | 0x34);
    expect(b.at(101).status()).toBe(0x80 | 0x34);
    b.write(2, 50, 0); // the same again waits for the end of a cycle too
    expect(b.at(102).status()).toBe(0x80 | 0x40 | 0x34);
    expect(b.at(151).status()).toBe(0x80 | 0x34);
  });

  test('read-back latches status and count of several counters; status is read first', () => {
    const b = new Bench().gate(1).program(2, 0x300).write(3, 0x34).write(0, 0, 2).at(1);
    b.write(3, 0xc0 | (1 << 1) | (1 << 3)).at(50);
    expect([0, 0, 0].map(() => b.pit.counters.portRead(0, 1))).toEqual([0xb4, 0x00, 0x02]);
    expect([2, 2, 2].map((port) => b.pit.counters.portRead(port, 1))).toEqual([0xb4, 0x00, 0x03]);
  });

  test('the control word cannot be read', () => {
    expect(new Bench().pit.counters.portRead(3, 1)).toBe(0xff);
  });

  test('port 0x61: bits 3-0 read back, bit 4 toggles with refresh, bit 5 is OUT of counter 2', () => {
    const b = new Bench();
    b.pit.portB.portWrite(0, 1, 0xff);
    expect(b.pit.portB.portRead(0, 1) & 0xcf).toBe(0x0f);
    const toggles = [0, 17, 18, 35, 36].map((tick) => (b.at(tick).pit.portB.portRead(0, 1) >> 4) & 1);
    expect(toggles).toEqual([0, 0, 1, 1, 0]);
  });
});

describe('IRQ 0', () => {
  test('rises once in every cycle, at the exact frequency', () => {
    const b = new Bench().write(3, 0x34).write(0, 11932 & 0xff, 11932 >> 8);
    b.rises = 0;
    b.run(PIT_HZ);
    expect(b.rises).toBe(Math.floor(PIT_HZ / 11932));
    expect(b.level).toBe(true);
    b.write(3, 0x36).write(0, 0, 0);
    b.rises = 0;
    b.run(3 * PIT_HZ);
    expect(b.rises).toBe(Math.floor((2 * PIT_HZ) / 65536));
  });

  test('mode 0: low from the control word to the end of the count', () => {
    const b = new Bench().write(3, 0x30).write(0, 100, 0);
    b.run(100);
    expect(b.level).toBe(false);
    b.run(101);
    expect(b.level).toBe(true);
    expect(b.pit.deadline()).toBe(Infinity);
    b.write(0, 100);
    expect(b.level).toBe(false);
  });

  /** A guest that is slow to take interrupts, with one due every 1000 ticks. */
  function slowGuest(): Bench {
    const b = new Bench().write(3, 0x34).write(0, 0xe8, 3);
    b.rises = 0;
    b.slow = true;
    return b;
  }

  test('late interrupts come one by one, each when the last was taken', () => {
    const b = slowGuest().at(5500);
    b.pit.service(b.clock.time);
    expect(b.rises).toBe(1);
    b.run(7500); // two more are due meanwhile
    expect(b.rises).toBe(1);
    expect(b.take().rises).toBe(7);
    expect(b.run(8500).take().rises).toBe(8);
  });

  test('but not without bound', () => {
    const b = slowGuest().run(1_000_500).take();
    expect(b.rises).toBe(1 + MOST_LATE_TICKS);
    for (let n = 1; n <= 3; n++) b.run(1_000_500 + n * 1000).take();
    expect(b.rises).toBe(4 + MOST_LATE_TICKS);
  });

  test('setting the counter anew forgets what was late', () => {
    const b = slowGuest().run(20_500);
    b.write(3, 0x34).take();
    expect(b.rises).toBe(1);
    expect(b.pit.deadline()).toBe(Infinity);
  });
});
