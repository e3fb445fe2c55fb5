/**
 * How a PC reports x87 exceptions where CR0.NE is clear: the processor's FERR# raises IRQ 13, whose handler writes
 * to port 0xF0; that ends the interrupt and asserts IGNNE#, so that the handler can use the x87 although the
 * exception is still there.
 *
 * Intel SDM 1, 8.7.1; Intel 82371AB (PIIX4) data sheet, 4.2.8 (coprocessor error register).
 */
import { type Arena, layout, type View } from '../../memory/layout.ts';
import type { AccessSize, Device, Line, PortDevice } from '../device.ts';

const errorLayout = layout('numeric-error', 1, {
  /** 1 from FERR# to the write. */
  latched: 'u8',
});

export class NumericError implements Device, PortDevice {
  readonly name = 'numeric-error';
  readonly #at: View<typeof errorLayout.fields>;
  readonly #irq: Line;
  readonly #ignore: () => void;

  /**
   * @param irq IRQ 13
   * @param ignore asserts IGNNE#, which the processor lets go of together with the exception
   */
  constructor(arena: Arena, irq: Line, ignore: () => void) {
    this.#at = arena.place(errorLayout);
    this.#irq = irq;
    this.#ignore = ignore;
  }

  reset(): void {
    this.#at.latched = 0;
    this.#irq(false);
  }

  /** FERR# has been asserted. */
  readonly assert = (): void => {
    this.#at.latched = 1;
    this.#irq(true);
  };

  portRead(_offset: number, size: AccessSize): number {
    return 2 ** (8 * size) - 1;
  }

  /** Any value at port 0xF0. Without FERR# there is nothing to ignore. */
  portWrite(offset: number): void {
    if (offset !== 0 || this.#at.latched === 0) return;
    this.#at.latched = 0;
    this.#irq(false);
    this.#ignore();
  }
}
