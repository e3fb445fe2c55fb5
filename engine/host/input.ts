/**
 * What people do with keyboard and pointer, handed to the machine's devices.
 */
import type { InputTarget } from '../backend/display/rfb-client.ts';
import type { Ps2Keyboard } from '../device/input/keyboard.ts';
import type { Ps2Mouse } from '../device/input/mouse.ts';
import { type Tablet, TABLET_MOST } from '../device/input/tablet.ts';

/** Buttons as RFB has them (RFC 6143, 7.5.5), and as PS/2 mice have them. */
const BUTTON = { Left: 1, Middle: 2, Right: 4, WheelUp: 8, WheelDown: 16 } as const;
const PS2 = { Left: 1, Right: 2, Middle: 4 } as const;

/** A place in a picture. */
type Place = Parameters<InputTarget['pointer']>[0];

/** The devices of a board that are worked with by hand. */
export interface InputDevices {
  readonly tablet: Tablet | undefined;
  readonly chipset: {
    readonly keyboard: Pick<Ps2Keyboard, 'key'>;
    readonly mouse: Pick<Ps2Mouse, 'move'> | undefined;
  };
}

export class InputPort implements InputTarget {
  readonly #board: InputDevices;
  readonly #withDevices: (body: () => void) => void;
  #last: Place | undefined;
  #buttons = 0;

  /** @param withDevices runs something with the device lock held */
  constructor(board: InputDevices, withDevices: (body: () => void) => void) {
    this.#board = board;
    this.#withDevices = withDevices;
  }

  key(code: number, down: boolean): void {
    this.#withDevices(() => this.#board.chipset.keyboard.key(code, down));
  }

  get absolute(): boolean {
    return this.#board.tablet?.ready === true;
  }

  pointer(at: Place, buttons: number): void {
    const last = this.#last ?? at;
    this.#last = at;
    this.#point(at.x - last.x, at.y - last.y, buttons);
  }

  move(dx: number, dy: number, buttons: number): void {
    this.#point(dx, dy, buttons);
  }

  /** The pointer is where it was last said to be, and has been moved by so much. */
  #point(dx: number, dy: number, buttons: number): void {
    const { tablet } = this.#board;
    const { mouse } = this.#board.chipset;
    const pressed = buttons & ~this.#buttons;
    this.#buttons = buttons;
    const held =
      ((buttons & BUTTON.Left) !== 0 ? PS2.Left : 0) |
      ((buttons & BUTTON.Middle) !== 0 ? PS2.Middle : 0) |
      ((buttons & BUTTON.Right) !== 0 ? PS2.Right : 0);
    const wheel = ((pressed & BUTTON.WheelDown) !== 0 ? 1 : 0) - ((pressed & BUTTON.WheelUp) !== 0 ? 1 : 0);
    this.#withDevices(() => {
      const at = this.#last;
      // A tablet with a driver knows where the pointer is; a mouse only that it has moved.
      if (tablet?.ready === true && at !== undefined) {
        // What was pressed before there was a driver is let go.
        mouse?.move(0, 0, 0, 0);
        tablet.point(onTablet(at.x, at.width), onTablet(at.y, at.height), -wheel, held);
      } else {
        mouse?.move(dx, -dy, wheel, held);
      }
    });
  }
}

/** A place in a picture of `size` pixels, on the tablet. */
function onTablet(place: number, size: number): number {
  return size > 1 ? (place / (size - 1)) * TABLET_MOST : 0;
}
