/**
 * The board's NMI signal on its way to the processors: bit 7 of port 0x70 holds it back (Intel 82371AB (PIIX4) data
 * sheet, 4.2.5, "NMI enable and real-time clock address").
 */
import { type Arena, layout, type View } from '../../memory/layout.ts';
import type { Device, Line } from '../device.ts';

const gateLayout = layout('nmi-gate', 1, { signal: 'u8', masked: 'u8' });

export class NmiGate implements Device {
  readonly name = 'nmi-gate';
  readonly #at: View<typeof gateLayout.fields>;
  readonly #out: Line;

  /** @param out the local APICs' LINT1: a rising edge is an NMI */
  constructor(arena: Arena, out: Line) {
    this.#at = arena.place(gateLayout);
    this.#out = out;
  }

  /** Open, the signal low. */
  reset(): void {
    this.#at.signal = 0;
    this.#at.masked = 0;
    this.#out(false);
  }

  /** The signal. One that is still asserted when the mask goes is an edge then. */
  readonly signal: Line = (level) => {
    this.#at.signal = level ? 1 : 0;
    this.#update();
  };

  /** Bit 7 of port 0x70. */
  readonly mask: Line = (level) => {
    this.#at.masked = level ? 1 : 0;
    this.#update();
  };

  #update(): void {
    this.#out(this.#at.signal !== 0 && this.#at.masked === 0);
  }
}
