/**
 * What people do with keyboard and pointer, handed to the machine's devices.
 */
import type { InputTarget } from '../backend/display/rfb-client.ts';
import { TABLET_MOST } from '../device/input/tablet.ts';
import type { Board } from '../machine/board.ts';

/** Buttons as RFB has them (RFC 6143, 7.5.5), and as PS/2 mice have them. */
const BUTTON = { Left: 1, Middle: 2, Right: 4, WheelUp: 8, WheelDown: 16 } as const;
const PS2 = { Left: 1, Right: 2, Middle: 4 } as const;

export class InputPort implements InputTarget {
  readonly #board: Board;
  readonly #withDevices: (body: () => void) => void;
  #last: { x: number; y: number } | undefined;
  #buttons = 0;

  /** @param withDevices runs something with the device lock held */
  constructor(board: Board, withDevices: (body: () => void) => void) {
    this.#board = board;
    this.#withDevices = withDevices;
  }

  key(code: number, down: boolean): void {
    this.#withDevices(() => this.#board.chipset.keyboard.key(code, down));
  }

  pointer(at: { x: number; y: number; width: number; height: number }, buttons: number): void {
    const { tablet } = this.#board;
    const { mouse } = this.#board.chipset;
    const last = this.#last ?? at;
    const pressed = buttons & ~this.#buttons;
    this.#last = { x: at.x, y: at.y };
    this.#buttons = buttons;
    const held =
      ((buttons & BUTTON.Left) !== 0 ? PS2.Left : 0) |
      ((buttons & BUTTON.Middle) !== 0 ? PS2.Middle : 0) |
      ((buttons & BUTTON.Right) !== 0 ? PS2.Right : 0);
    const wheel = ((pressed & BUTTON.WheelDown) !== 0 ? 1 : 0) - ((pressed & BUTTON.WheelUp) !== 0 ? 1 : 0);
    this.#withDevices(() => {
      // A tablet with a driver knows where the pointer is; a mouse only that it has moved.
      if (tablet?.ready === true) {
        // What was pressed before there was a driver is let go.
        mouse?.move(0, 0, 0, 0);
        tablet.point(onTablet(at.x, at.width), onTablet(at.y, at.height), -wheel, held);
      } else {
        mouse?.move(at.x - last.x, last.y - at.y, wheel, held);
      }
    });
  }
}

/** A place in a picture of `size` pixels, on the tablet. */
function onTablet(place: number, size: number): number {
  return size > 1 ? (place / (size - 1)) * TABLET_MOST : 0;
}
