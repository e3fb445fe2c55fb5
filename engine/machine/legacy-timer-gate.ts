/**
 * What keeps the PIT and the RTC from interrupting while the HPET has taken their place (IA-PC HPET
 * specification 1.0a, 2.3.5, "LegacyReplacement Route").
 */
import type { Device, Line } from '../device/device.ts';
import { type Arena, layout, type View } from '../memory/layout.ts';

const gateLayout = layout('legacy-timer-gate', 1, { replaced: 'u8', pit: 'u8', rtc: 'u8' });

export class LegacyTimerGate implements Device {
  readonly name = 'legacy-timer-gate';
  readonly #at: View<typeof gateLayout.fields>;
  readonly #irq0: Line;
  readonly #irq8: Line;

  /** @param irq0 where the PIT's interrupt goes, @param irq8 and the RTC's */
  constructor(arena: Arena, irq0: Line, irq8: Line) {
    this.#at = arena.place(gateLayout);
    this.#irq0 = irq0;
    this.#irq8 = irq8;
  }

  /** Open, both lines low. */
  reset(): void {
    this.#at.replaced = 0;
    this.#at.pit = 0;
    this.#at.rtc = 0;
    this.#update();
  }

  /** The PIT's output. */
  readonly pit: Line = (level) => {
    this.#at.pit = level ? 1 : 0;
    this.#update();
  };

  /** The RTC's output. */
  readonly rtc: Line = (level) => {
    this.#at.rtc = level ? 1 : 0;
    this.#update();
  };

  /** True while the HPET takes their place. */
  readonly replaced: Line = (level) => {
    this.#at.replaced = level ? 1 : 0;
    this.#update();
  };

  #update(): void {
    const open = this.#at.replaced === 0;
    this.#irq0(open && this.#at.pit !== 0);
    this.#irq8(open && this.#at.rtc !== 0);
  }
}
