import { describe, expect, test } from 'vitest';
import { Arena } from '../../memory/layout.ts';
import { deviceConformance, type ManualClock, TestWorld } from '../conformance.ts';
import { Hpet, HPET_SIZE, type HpetDeps, hpetLayout } from './hpet.ts';

const ROUTES = 0x00f0_0000;

function deps(world: TestWorld, waiting: () => boolean = () => false): HpetDeps {
  return {
    clock: world.clock,
    setPin: (pin, level) => world.line(`pin${pin}`)(level),
    pinWaiting: waiting,
    irq0: world.line('irq0'),
    irq8: world.line('irq8'),
    irqWaiting: waiting,
    legacyReplacement: world.line('legacy'),
    routes: ROUTES,
  };
}

deviceConformance('hpet', (place, world) => {
  const device = new Hpet(
    place.place(hpetLayout),
    deps(world, () => true),
  );
  return {
    device,
    mmio: [{ device, length: HPET_SIZE }],
    timers: [device],
    stimuli: [
      // Mostly the registers that are there, so that timers do run.
      (random) => device.mmioWrite(random.pick([0x10, 0x20]), 4, random.below(8), 0),
      (random) => device.mmioWrite(0x100 + 0x20 * random.below(3), 4, 0x2800 | random.below(0x200), 0),
      (random) => device.mmioWrite(0x108 + 0x20 * random.below(3), 4, random.below(1_000_000), 0),
      () => device.interruptTaken(),
    ],
  };
});

const T0 = 0x100;
const T1 = 0x120;
const T2 = 0x140;
const COMPARATOR = 8;
const LEVEL = 2;
const ENABLE = 4;
const PERIODIC = 8;
const SET_VALUE = 0x40;
const NARROW = 0x100;
const route = (pin: number): number => pin << 9;

class Bench {
  readonly world = new TestWorld();
  readonly clock: ManualClock = this.world.clock;
  readonly hpet: Hpet;
  /** A request has not been taken yet. */
  waiting = false;

  constructor() {
    const arena = new Arena(new SharedArrayBuffer(0x1000), 0, 0x1000);
    this.hpet = new Hpet(
      arena.place(hpetLayout),
      deps(this.world, () => this.waiting),
    );
    this.hpet.reset();
    this.world.journal.length = 0;
  }

  read(offset: number): number {
    return this.hpet.mmioRead(offset, 4, 0);
  }

  write(offset: number, value: number): this {
    this.hpet.mmioWrite(offset, 4, value, 0);
    return this;
  }

  /** What was done to lines by now, and since the last call. */
  lines(): string {
    return this.world.journal.splice(0).join(' ');
  }

  /** Runs to `ns`, serving every deadline in time; the times at which there was one. */
  run(ns: number): number[] {
    const served: number[] = [];
    while (this.hpet.deadline() <= ns) {
      this.clock.time = this.hpet.deadline();
      served.push(this.clock.time);
      this.hpet.service(this.clock.time);
    }
    this.clock.time = ns;
    return served;
  }
}

describe('capabilities and the main counter', () => {
  test('100 MHz, Intel, legacy replacement, 64 bits, three timers, revision 1', () => {
    const b = new Bench();
    expect(b.hpet.mmioRead64(0, 0)).toBe((10_000_000n << 32n) | 0x8086_a201n);
    expect(b.read(4)).toBe(10_000_000);
    expect(b.hpet.mmioRead64(T2, 0)).toBe((BigInt(ROUTES) << 32n) | 0x30n);
  });

  test('counts while enabled, stands still otherwise, and can be written only then', () => {
    const b = new Bench();
    b.clock.time = 1000;
    expect(b.read(0xf0)).toBe(0);
    b.hpet.mmioWrite64(0xf0, 0xffff_fff0n, 0);
    b.write(0x10, 1);
    b.clock.time = 1159;
    expect(b.hpet.mmioRead64(0xf0, 0)).toBe(0xffff_ffffn);
    b.clock.time = 1160;
    expect(b.hpet.mmioRead64(0xf0, 0)).toBe(0x1_0000_0000n);
    expect([b.read(0xf0), b.read(0xf4)]).toEqual([0, 1]);
    b.write(0xf0, 5);
    expect(b.read(0xf0)).toBe(0);
    b.write(0x10, 0);
    b.clock.time = 9000;
    expect(b.read(0xf0)).toBe(0);
    b.write(0xf4, 7);
    expect(b.hpet.mmioRead64(0xf0, 0)).toBe(0x7_0000_0000n);
  });

  test('goes round at 2^64', () => {
    const b = new Bench();
    b.hpet.mmioWrite64(0xf0, 0xffff_ffff_ffff_ffffn, 0);
    b.hpet.mmioWrite64(T0 + COMPARATOR, 5n, 0);
    b.write(T0, ENABLE | route(20)).write(0x10, 1);
    expect(b.hpet.deadline()).toBe(60);
    b.run(100);
    expect(b.hpet.mmioRead64(0xf0, 0)).toBe(9n);
    expect(b.lines()).toBe('pin20=1');
  });
});

describe('one-shot', () => {
  test('interrupts when the comparator is reached, and not before', () => {
    const b = new Bench().write(0x10, 1).write(T2, ENABLE | route(21));
    b.hpet.mmioWrite64(T2 + COMPARATOR, 100n, 0);
    expect(b.hpet.deadline()).toBe(1000);
    b.hpet.service(999);
    expect(b.lines()).toBe('');
    b.clock.time = 1000;
    b.hpet.service(1000);
    expect(b.lines()).toBe('pin21=1');
    b.hpet.mmioWrite64(T2 + COMPARATOR, 200n, 0);
    b.run(2000);
    expect(b.lines()).toBe('pin21=0 pin21=1'); // an edge
  });

  test('with 32 bits it matches again whenever the low half goes round', () => {
    const b = new Bench().write(0x10, 1).write(T0, ENABLE | NARROW | route(20));
    b.write(T0 + COMPARATOR, 100);
    expect(b.run(100e9)).toEqual([1000, 1000 + 10 * 2 ** 32, 1000 + 20 * 2 ** 32]);
  });

  test('a timer that is not enabled is silent', () => {
    const b = new Bench().write(0x10, 1).write(T0, route(20));
    b.hpet.mmioWrite64(T0 + COMPARATOR, 100n, 0);
    expect(b.hpet.deadline()).toBe(Infinity);
    b.clock.time = 5000;
    b.write(T0, ENABLE | route(20));
    expect(b.lines()).toBe('');
  });

  test('writing a comparator that equals the count interrupts at once', () => {
    const b = new Bench().write(0x10, 1).write(T0, ENABLE | route(20));
    b.clock.time = 500;
    b.hpet.mmioWrite64(T0 + COMPARATOR, 50n, 0);
    expect(b.lines()).toBe('pin20=1');
  });
});

function periodic(): Bench {
  const b = new Bench().write(0x10, 1);
  b.write(T0, ENABLE | PERIODIC | SET_VALUE | NARROW | route(20));
  b.write(T0 + COMPARATOR, 500); // with SetValue: the first interrupt
  b.write(T0 + COMPARATOR, 100); // without: the period
  return b;
}

describe('periodic', () => {
  test('the first by SetValue, then at every period', () => {
    const b = periodic();
    expect(b.read(T0) & SET_VALUE).toBe(0);
    expect(b.run(8000)).toEqual([5000, 6000, 7000, 8000]);
    expect(b.read(T0 + COMPARATOR)).toBe(900);
  });

  test('served late it stays in phase; each interrupt follows when the last was taken', () => {
    const b = periodic();
    b.waiting = true;
    b.clock.time = 7300;
    b.hpet.service(7300); // 5000, 6000 and 7000 are due
    expect(b.lines()).toBe('');
    expect(b.hpet.deadline()).toBe(8000);
    b.waiting = false;
    b.hpet.interruptTaken();
    expect(b.lines()).toBe('pin20=1');
  });

  test.each([
    ['the timer', (b: Bench) => b.write(T0, ENABLE | PERIODIC | NARROW | route(20))],
    ['its period', (b: Bench) => b.write(T0 + COMPARATOR, 200)],
    ['the counter', (b: Bench) => b.write(0x10, 0).write(0x10, 1)],
  ])('setting %s anew forgets what was late', (_, set) => {
    const b = periodic();
    b.waiting = true;
    b.clock.time = 7300;
    b.hpet.service(7300);
    set(b);
    b.waiting = false;
    b.hpet.interruptTaken();
    expect(b.lines()).toBe('');
  });
});

describe('interrupt routing', () => {
  test('only offered inputs can be chosen', () => {
    const b = new Bench().write(T0, route(21));
    b.write(T0, route(3));
    expect(b.read(T0) & 0x3e00).toBe(route(21));
  });

  test('a level stays until its status bit is cleared by writing one', () => {
    const b = new Bench().write(0x10, 1).write(T1, ENABLE | LEVEL | route(22));
    b.hpet.mmioWrite64(T1 + COMPARATOR, 100n, 0);
    b.run(1000);
    expect(b.lines()).toBe('pin22=1');
    expect(b.read(0x20)).toBe(2);
    b.write(0x20, 5);
    expect(b.lines()).toBe('');
    b.write(0x20, 2);
    expect(b.lines()).toBe('pin22=0');
    expect(b.read(0x20)).toBe(0);
  });

  test('legacy replacement: timer 0 is IRQ 0, timer 1 is IRQ 8, timer 2 keeps its route', () => {
    const b = new Bench().write(0x10, 3);
    expect(b.lines()).toBe('legacy=1');
    for (const at of [T0, T1, T2]) {
      b.write(at, ENABLE | route(23));
      b.hpet.mmioWrite64(at + COMPARATOR, 100n, 0);
    }
    b.run(1000);
    expect(b.lines()).toBe('irq0=1 irq8=1 pin23=1');
    b.write(0x10, 1);
    expect(b.lines()).toBe('irq0=0 irq8=0 pin23=0 legacy=0');
  });

  test('a timer that has not been routed leads nowhere', () => {
    const b = new Bench().write(0x10, 1).write(T0, ENABLE);
    b.hpet.mmioWrite64(T0 + COMPARATOR, 100n, 0);
    b.run(1000);
    expect(b.lines()).toBe('');
  });
});
