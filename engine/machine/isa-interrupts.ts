/**
 * The ISA interrupt lines: each goes to the PIC and to the I/O APIC, and may be driven by several devices
 * (PCI interrupts share lines with others), which are OR-ed.
 *
 * The timer's IRQ 0 is wired to input 2 of the I/O APIC, where the PIC's cascade has no line of its own; the
 * ACPI tables say so with an interrupt source override (ACPI 6.5, 5.2.12.5).
 */
import type { Device, Line } from '../device/device.ts';
import { type Arena, layout, type View } from '../memory/layout.ts';

const LINES = 16;

/** Drivers of one line at most. */
const DRIVERS = 32;

const linesLayout = layout('isa-interrupts', 1, {
  /** For each line, one bit per driver that asserts it. */
  asserted: ['u32', LINES],
});

/** The input of the I/O APIC that an ISA interrupt is wired to. */
export const ioapicPin = (irq: number): number => (irq === 0 ? 2 : irq);

export class IsaInterrupts implements Device {
  readonly name = 'isa-interrupts';
  readonly #at: View<typeof linesLayout.fields>;
  readonly #drivers = new Uint8Array(LINES);
  readonly #pic: (irq: number, level: boolean) => void;
  readonly #ioapic: (pin: number, level: boolean) => void;

  constructor(
    arena: Arena,
    pic: (irq: number, level: boolean) => void,
    ioapic: (pin: number, level: boolean) => void,
  ) {
    this.#at = arena.place(linesLayout);
    this.#pic = pic;
    this.#ioapic = ioapic;
  }

  /** All lines low. Both controllers are reset by themselves. */
  reset(): void {
    this.#at.asserted.fill(0);
  }

  /** Connects another driver to line `irq` (0 … 15). */
  connect(irq: number): Line {
    const driver = this.#drivers[irq]++;
    if (irq < 0 || irq >= LINES || driver >= DRIVERS) throw new RangeError(`no driver for interrupt ${irq}`);
    const bit = 1 << driver;
    const pin = ioapicPin(irq);
    return (level) => {
      const { asserted } = this.#at;
      const before = asserted[irq];
      asserted[irq] = level ? before | bit : before & ~bit;
      if ((before !== 0) === (asserted[irq] !== 0)) return;
      this.#pic(irq, level);
      this.#ioapic(pin, level);
    };
  }
}
