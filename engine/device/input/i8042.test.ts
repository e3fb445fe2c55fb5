import { beforeEach, describe, expect, test } from 'vitest';
import { PAUSE, PRINT } from '../../api/keys.ts';
import { Arena } from '../../memory/layout.ts';
import { ManualClock } from '../conformance.ts';
import { I8042 } from './i8042.ts';
import { Ps2Keyboard } from './keyboard.ts';

const clock = new ManualClock();
let controller: I8042;
let keyboard: Ps2Keyboard;
let irq1 = false;
let irq12 = false;
let edges = 0;
let a20 = false;
let resets: string[] = [];

beforeEach(() => {
  irq1 = irq12 = false;
  clock.time = 0;
  edges = 0;
  resets = [];
  const arena = new Arena(new SharedArrayBuffer(4096), 0, 4096);
  keyboard = new Ps2Keyboard(arena, clock);
  controller = new I8042(arena, {
    keyboardIrq: (level) => {
      if (level && !irq1) edges++;
      irq1 = level;
    },
    auxiliaryIrq: (level) => (irq12 = level),
    a20: (level) => (a20 = level),
    control: {
      reset: (cause) => void resets.push(cause),
      powerOff() {},
      exit() {},
      systemManagementInterrupt() {},
    },
    keyboard,
  });
  keyboard.reset();
  controller.reset();
});

const status = () => controller.command.portRead(0, 1);
const command = (byte: number) => controller.command.portWrite(0, 1, byte);
const data = (byte: number) => controller.data.portWrite(0, 1, byte);
const read = () => controller.data.portRead(0, 1);
const drain = () => {
  const bytes: number[] = [];
  while ((status() & 1) !== 0 && bytes.length < 100) bytes.push(read());
  return bytes;
};
const mode = (byte: number) => (command(0x60), data(byte));
const modeAfter = (byte: number) => (command(byte), command(0x20), drain()[0]);

test('self-test answers 55h and sets the system flag; interface tests answer 00h', () => {
  expect(status() & 0x05).toBe(0);
  command(0xaa);
  expect(status() & 0x05).toBe(0x05);
  expect(read()).toBe(0x55);
  command(0xab);
  expect(drain()).toEqual([0]);
  command(0xa9);
  expect(drain()).toEqual([0]);
});

test('the command byte and the RAM behind it can be written and read back', () => {
  mode(0x47);
  command(0x20);
  expect(drain()).toEqual([0x47]);
  command(0x7f);
  data(0x5a);
  command(0x3f);
  expect(drain()).toEqual([0x5a]);
});

test('disable and enable commands show in the command byte', () => {
  expect(modeAfter(0xae) & 0x10).toBe(0);
  expect(modeAfter(0xad) & 0x10).toBe(0x10);
  expect(modeAfter(0xa8) & 0x20).toBe(0);
  expect(modeAfter(0xa7) & 0x20).toBe(0x20);
});

test('status bit 3 tells a command from data', () => {
  command(0xae);
  expect(status() & 8).toBe(8);
  data(0xee);
  expect(status() & 8).toBe(0);
});

test('the keyboard resets with FA AA and identifies itself with FA AB 83', () => {
  mode(0x00);
  data(0xff);
  expect(drain()).toEqual([0xfa, 0xaa]);
  data(0xf2);
  expect(drain()).toEqual([0xfa, 0xab, 0x83]);
  data(0xee);
  expect(drain()).toEqual([0xee]);
});

test('translation applies to everything the keyboard sends, its identity too', () => {
  mode(0x40);
  data(0xf2);
  expect(drain()).toEqual([0xfa, 0xab, 0x41]);
});

test('keys: set 2 as they are, set 1 by translation, with the break prefix merged', () => {
  mode(0x00);
  keyboard.key(0x1e, true); // A
  keyboard.key(0x1e, false);
  expect(drain()).toEqual([0x1c, 0xf0, 0x1c]);
  mode(0x40);
  keyboard.key(0x1e, true);
  keyboard.key(0x1e, false);
  keyboard.key(0xc8, true); // up
  keyboard.key(0xc8, false);
  keyboard.key(0x41, true); // F7
  expect(drain()).toEqual([0x1e, 0x9e, 0xe0, 0x48, 0xe0, 0xc8, 0x41]);
});

test('scan code set: F0 00 asks, F0 01 selects set 1, a set that is not there is refused', () => {
  mode(0x00);
  data(0xf0);
  expect(drain()).toEqual([0xfa]);
  data(0x00);
  expect(drain()).toEqual([0xfa, 0x02]);
  data(0xf0);
  expect(drain()).toEqual([0xfa]);
  data(0x01);
  expect(drain()).toEqual([0xfa]);
  keyboard.key(0x1e, false);
  expect(drain()).toEqual([0x9e]);
  data(0xf0);
  drain();
  data(0x04);
  expect(drain()).toEqual([0xfe]);
});

describe('set 3', () => {
  const typed = (key: number) => (keyboard.key(key, true), keyboard.key(key, false), drain());
  /** Letters, left Control, right Control, up, Pause, a Windows key. */
  const KEYS = [0x1e, 0x1d, 0x9d, 0xc8, PAUSE, 0xdb];

  beforeEach(() => {
    mode(0x00);
    data(0xf0);
    data(0x03);
    drain();
    data(0xf0);
    drain();
    data(0x00);
    expect(drain()).toEqual([0xfa, 0x03]);
  });

  test('has one code for each key, and releases of shifts alone', () => {
    expect(KEYS.map(typed)).toEqual([[0x1c], [0x11, 0xf0, 0x11], [0x58], [0x63], [0x62], [0x8b]]);
  });

  test.each([
    [0xf7, false, true],
    [0xf8, true, false],
    [0xf9, false, false],
    [0xfa, true, true],
  ])('command %i: releases are sent: %s; keys repeat: %s', (all, breaks, repeats) => {
    data(all);
    expect(drain()).toEqual([0xfa]);
    expect(KEYS.map(typed)).toEqual(
      [0x1c, 0x11, 0x58, 0x63, 0x62, 0x8b].map((code) => (breaks ? [code, 0xf0, code] : [code])),
    );
    keyboard.key(PAUSE, true);
    drain();
    clock.time += 1e9;
    keyboard.service(clock.time);
    expect(drain()).toEqual(repeats ? [0x62] : []);
    // Other sets have no types, and a default ends them.
    data(0xf6);
    drain();
    expect(typed(0x1e)).toEqual([0x1c, 0xf0, 0x1c]);
  });

  test('commands for one key name it by its code', () => {
    for (const [one, sent] of [[0xfc, [0x63, 0xf0, 0x63]], [0xfd, [0x63]], [0xfb, [0x63]]] as const) {
      data(one);
      expect(drain()).toEqual([0xfa]);
      data(0x63);
      expect(drain()).toEqual([0xfa]);
      expect([typed(0xc8), typed(0xcb)]).toEqual([sent, [0x61]]);
    } // prettier-ignore
    data(0xfc);
    drain();
    data(0xe9); // no key has it
    expect(drain()).toEqual([0xfa]);
    expect(typed(0x1e)).toEqual([0x1c]);
  });
});

test('LEDs and typematic rate take a parameter, which a new command replaces', () => {
  mode(0x00);
  data(0xed);
  expect(drain()).toEqual([0xfa]);
  data(0x04);
  expect(drain()).toEqual([0xfa]);
  expect(keyboard.leds).toBe(4);
  data(0xed);
  drain();
  data(0xf2);
  expect(drain()).toEqual([0xfa, 0xab, 0x83]);
  expect(keyboard.leds).toBe(4);
});

describe('a key that is held', () => {
  /** Lets time pass in steps, and gives back what was typed. */
  function wait(milliseconds: number): number[] {
    const bytes: number[] = [];
    for (let i = 0; i < milliseconds; i++) {
      clock.time += 1e6;
      if (clock.time >= keyboard.deadline()) keyboard.service(clock.time);
      bytes.push(...drain());
    }
    return bytes;
  }

  test('repeats after half a second, 10.9 times a second, until it is released', () => {
    mode(0x00);
    keyboard.key(0xc8, true);
    expect(drain()).toEqual([0xe0, 0x75]);
    expect(wait(499)).toEqual([]);
    const typed = wait(1000).length / 2;
    expect([11, 12]).toContain(typed);
    keyboard.key(0xc8, false);
    expect(drain()).toEqual([0xe0, 0xf0, 0x75]);
    expect(wait(1000)).toEqual([]);
    expect(keyboard.deadline()).toBe(Infinity);
  });

  test('repeats as the guest has set it: 30 times a second after a quarter of one', () => {
    mode(0x00);
    data(0xf3);
    data(0x00);
    drain();
    keyboard.key(0x1e, true);
    expect(wait(249)).toEqual([0x1c]);
    expect([30, 31]).toContain(wait(1000 + 1).length);
  });

  test('gives way to the next, which alone repeats then; what others repeat means nothing', () => {
    mode(0x00);
    keyboard.key(0x1e, true);
    for (let i = 0; i < 5; i++) keyboard.key(0x1e, true);
    keyboard.key(0x1f, true);
    keyboard.key(0x1e, false);
    expect(drain()).toEqual([0x1c, 0x1b, 0xf0, 0x1c]);
    expect(new Set(wait(1000))).toEqual(new Set([0x1b]));
  });

  test('is Pause never, and of Print the key without its shift', () => {
    mode(0x00);
    for (const code of [PAUSE, PRINT]) keyboard.key(code, true);
    drain();
    expect(wait(505)).toEqual([0xe0, 0x7c]);
    keyboard.key(PRINT, false);
    drain();
    expect(wait(1000)).toEqual([]);
  });

  test('fills no queue that nobody empties', () => {
    mode(0x10);
    keyboard.key(0x1e, true);
    for (clock.time = 0; clock.time < 10e9; clock.time += 10e6) keyboard.service(clock.time);
    command(0xae);
    expect(drain()).not.toContain(0x00);
  });
});

test('F5 stops scanning, F4 starts it; FE sends the last byte again; an unknown command is refused', () => {
  mode(0x00);
  data(0xf5);
  drain();
  expect(keyboard.key(0x1e, true)).toBe(false);
  keyboard.key(0x1e, false);
  data(0xf4);
  drain();
  expect(keyboard.key(0x1e, true)).toBe(true);
  expect(drain()).toEqual([0x1c]);
  data(0xfe);
  expect(drain()).toEqual([0x1c]);
  data(0x12);
  expect(drain()).toEqual([0xfe]);
});

test('a full keyboard queue ends with one overrun code', () => {
  mode(0x10); // keyboard disabled: nothing leaves
  for (let i = 0; i < 15; i++) for (const key of [0x1e, 0x1f]) keyboard.key(key, true);
  command(0xae);
  const bytes = drain();
  expect(bytes).toEqual([...Array.from({ length: 15 }, (_, i) => (i % 2 === 0 ? 0x1c : 0x1b)), 0x00]);
});

test('IRQ 1 has one edge for each byte and follows its enable bit', () => {
  mode(0x01);
  keyboard.key(0xc8, true);
  expect([irq1, edges]).toEqual([true, 1]);
  read();
  expect([irq1, edges]).toEqual([true, 2]);
  read();
  expect(irq1).toBe(false);
  keyboard.key(0x1e, true);
  mode(0x00);
  expect(irq1).toBe(false);
});

test('writing to the output buffers: D2 as the keyboard, D3 as the auxiliary device with IRQ 12', () => {
  mode(0x03);
  command(0xd2);
  data(0x5a);
  expect([status() & 0x21, irq1, read()]).toEqual([0x01, true, 0x5a]);
  command(0xd3);
  data(0xa5);
  expect([status() & 0x21, irq12, read()]).toEqual([0x21, true, 0xa5]);
  expect(irq12).toBe(false);
});

test('with nothing on the auxiliary port a byte sent there times out', () => {
  mode(0x00);
  command(0xd4);
  data(0xf2);
  expect(status() & 0x61).toBe(0x61);
  expect(read()).toBe(0xfe);
});

test('the output port: A20, and reset by a cleared bit 0 or by a pulse', () => {
  expect(a20).toBe(true);
  command(0xd1);
  data(0xdd);
  expect(a20).toBe(false);
  command(0xd0);
  expect(drain()[0] & 0x03).toBe(0x01);
  command(0xd1);
  data(0xdf);
  expect(a20).toBe(true);
  command(0xff);
  expect(resets).toEqual([]);
  command(0xfe);
  expect(resets.length).toBe(1);
  command(0xd1);
  data(0xde);
  expect(resets.length).toBe(2);
});

test('an answer waits for the byte in the buffer, and goes before the keyboard', () => {
  mode(0x00);
  keyboard.key(0x1e, true);
  keyboard.key(0x1f, true);
  command(0x20);
  expect(drain()).toEqual([0x1c, 0x00, 0x1b]);
});

test('as firmware leaves it: translated, IRQ 1, the system flag set', () => {
  controller.initialize();
  keyboard.key(0x1e, true);
  expect([irq1, status() & 0x05, read()]).toEqual([true, 0x05, 0x1e]);
});

test('fuzz: whatever is written, reads stay bytes, and self-test and reset still work afterwards', () => {
  let seed = 7;
  const random = () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) >>> 8;
  for (let i = 0; i < 20_000; i++) {
    const port = random() % 2 === 0 ? controller.data : controller.command;
    const size = ([1, 2, 4] as const)[random() % 3];
    if (random() % 3 === 0) keyboard.key(random() & 0xff, random() % 2 === 0);
    port.portWrite(0, size, random());
    expect(port.portRead(0, size) % 2 ** 32).toBeGreaterThanOrEqual(0);
  }
  mode(0x00);
  data(0xff);
  data(0xff);
  expect(drain().slice(-2)).toEqual([0xfa, 0xaa]);
  command(0xaa);
  expect(drain().at(-1)).toBe(0x55);
});
