import { beforeEach, expect, test } from 'vitest';
import { TABLET_MOST } from '../device/input/tablet.ts';
import { InputPort } from './input.ts';

let done: string[] = [];
let ready = false;
let port: InputPort;

beforeEach(() => {
  done = [];
  ready = false;
  const board = {
    tablet: {
      get ready() {
        return ready;
      },
      point: (...what: number[]) => void done.push(`tablet ${what.join(' ')}`),
    },
    chipset: {
      keyboard: { key: (code: number, down: boolean) => done.push(`key ${code} ${down}`) > 0 },
      mouse: { move: (...what: number[]) => void done.push(`mouse ${what.join(' ')}`) },
    },
  };
  port = new InputPort(board, (body) => body());
});

const at = (x: number, y: number) => ({ x, y, width: 101, height: 51 });

test('the mouse moves by as much as the pointer does, and its buttons are in its own order', () => {
  port.pointer(at(10, 10), 0);
  port.pointer(at(15, 8), 1);
  port.pointer(at(15, 8), 2 | 4);
  expect(done).toEqual(['mouse 0 0 0 0', 'mouse 5 2 0 1', 'mouse 0 0 0 6']);
  expect(port.absolute).toBe(false);
});

test('the wheel turns once for each press', () => {
  for (const buttons of [8, 8, 0, 16]) port.pointer(at(1, 1), buttons);
  expect(done).toEqual(['mouse 0 0 -1 0', 'mouse 0 0 0 0', 'mouse 0 0 0 0', 'mouse 0 0 1 0']);
});

test('a grabbed pointer moves the mouse without being anywhere', () => {
  port.move(3, 4, 1);
  expect(done).toEqual(['mouse 3 -4 0 1']);
});

test('a tablet that a driver listens to takes over, and what the mouse held is let go', () => {
  port.pointer(at(0, 0), 1);
  ready = true;
  expect(port.absolute).toBe(true);
  port.pointer(at(100, 25), 1);
  expect(done).toEqual(['mouse 0 0 0 1', 'mouse 0 0 0 0', `tablet ${TABLET_MOST} ${TABLET_MOST / 2} 0 1`]);
  // What a viewer did before it knew leaves the pointer where it is.
  port.move(3, 4, 8);
  expect(done.at(-1)).toBe(`tablet ${TABLET_MOST} ${TABLET_MOST / 2} 1 0`);
});
