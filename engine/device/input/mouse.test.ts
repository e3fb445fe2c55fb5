import { beforeEach, expect, test } from 'vitest';
import { Arena } from '../../memory/layout.ts';
import { I8042 } from './i8042.ts';
import { Ps2Keyboard } from './keyboard.ts';
import { Ps2Mouse } from './mouse.ts';

let controller: I8042;
let mouse: Ps2Mouse;
let irq12 = false;

beforeEach(() => {
  const arena = new Arena(new SharedArrayBuffer(4096), 0, 4096);
  const keyboard = new Ps2Keyboard(arena, { now: () => 0 });
  mouse = new Ps2Mouse(arena);
  controller = new I8042(arena, {
    keyboardIrq: () => {},
    auxiliaryIrq: (level) => (irq12 = level),
    a20: () => {},
    control: { reset() {}, powerOff() {}, exit() {}, systemManagementInterrupt() {} },
    keyboard,
    auxiliary: mouse,
  });
  keyboard.reset();
  mouse.reset();
  controller.reset();
  controller.command.portWrite(0, 1, 0x60);
  controller.data.portWrite(0, 1, 0x02); // IRQ 12, both ports on
});

function drain(): number[] {
  const bytes: number[] = [];
  while ((controller.command.portRead(0, 1) & 1) !== 0 && bytes.length < 100) {
    expect(controller.command.portRead(0, 1) & 0x20).toBe(0x20);
    bytes.push(controller.data.portRead(0, 1));
  }
  return bytes;
}

function send(...bytes: number[]): number[] {
  return bytes.flatMap((byte) => {
    controller.command.portWrite(0, 1, 0xd4);
    controller.data.portWrite(0, 1, byte);
    return drain();
  });
}

test('reset answers FA AA 00; the identity is 0, then 3 after the rates 200, 100, 80', () => {
  expect(send(0xff)).toEqual([0xfa, 0xaa, 0x00]);
  expect(send(0xf2)).toEqual([0xfa, 0x00]);
  expect(send(0xf3, 200, 0xf3, 100, 0xf3, 80)).toEqual(Array(6).fill(0xfa));
  expect(send(0xf2)).toEqual([0xfa, 0x03]);
});

test('movement is reported only once enabled, in packets of three bytes, with IRQ 12', () => {
  mouse.move(5, 5, 0, 0);
  expect(drain()).toEqual([]);
  send(0xf4);
  mouse.move(5, -3, 0, 1);
  expect(irq12).toBe(true);
  expect(drain()).toEqual([0x29, 5, 0xfd]);
  expect(irq12).toBe(false);
  mouse.move(0, 0, 0, 0);
  expect(drain()).toEqual([0x08, 0, 0]);
});

test('movement beyond one packet, or while the host is slow, gathers and follows', () => {
  send(0xf4);
  mouse.move(300, 0, 0, 0);
  mouse.move(1, -2, 0, 0);
  expect(drain()).toEqual([0x08, 255, 0, 0x28, 46, 0xfe]);
});

test('with a wheel, packets have four bytes', () => {
  send(0xf3, 200, 0xf3, 100, 0xf3, 80, 0xf4);
  mouse.move(0, 0, -1, 0);
  expect(drain()).toEqual([0x08, 0, 0, 0xff]);
});

test('status: buttons, mode, resolution and rate; parameters are checked', () => {
  send(0xf4, 0xe8, 3, 0xe7);
  mouse.move(0, 0, 0, 1);
  drain();
  expect(send(0xe9)).toEqual([0xfa, 0x34, 3, 100]);
  expect(send(0xe8, 4)).toEqual([0xfa, 0xfc]);
  expect(send(0x11)).toEqual([0xfe]);
  expect(send(0xf6, 0xe9)).toEqual([0xfa, 0xfa, 0x04, 2, 100]);
});

test('remote mode gives a packet when asked, wrap mode gives back what it is sent', () => {
  send(0xf0);
  mouse.move(1, 2, 0, 0);
  expect(drain()).toEqual([]);
  expect(send(0xeb)).toEqual([0xfa, 0x08, 1, 2]);
  send(0xee);
  expect(send(0xf4, 0x12)).toEqual([0xf4, 0x12]);
  expect(send(0xec)).toEqual([0xfa]);
});
