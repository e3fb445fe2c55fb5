/**
 * The A20 gate: address line 20 is forced low unless the keyboard controller's output port or the system
 * control port (0x92) lets it through. The two are OR-ed, as PC chipsets do it.
 */
import { type Arena, layout, type View } from '../../memory/layout.ts';
import type { Device, Line } from '../device.ts';

const a20Layout = layout('a20-gate', 1, { keyboard: 'u8', fast: 'u8' });

export class A20Gate implements Device {
  readonly name = 'a20-gate';
  readonly #at: View<typeof a20Layout.fields>;
  readonly #out: Line;

  /** @param out true where address line 20 follows the address, false where it is forced low */
  constructor(arena: Arena, out: Line) {
    this.#at = arena.place(a20Layout);
    this.#out = out;
  }

  /** Open: the keyboard controller's output port powers up with all bits set. */
  reset(): void {
    this.#at.keyboard = 1;
    this.#at.fast = 0;
    this.#out(true);
  }

  /** From the keyboard controller's output port, bit 1. */
  readonly keyboard: Line = (level) => this.#change('keyboard', level);

  /** From port 0x92, bit 1. */
  readonly fast: Line = (level) => this.#change('fast', level);

  get #open(): boolean {
    return (this.#at.keyboard | this.#at.fast) !== 0;
  }

  /** Tells of changes only: each costs every processor its TLB. */
  #change(source: 'keyboard' | 'fast', level: boolean): void {
    const before = this.#open;
    this.#at[source] = level ? 1 : 0;
    if (this.#open !== before) this.#out(!before);
  }
}
