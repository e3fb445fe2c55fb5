/**
 * The PIIX3 ISA bridge (82371SB function 0): of interest here is the interrupt router, which ties the four
 * PCI interrupt lines PIRQA# … PIRQD# to ISA interrupts.
 *
 * Intel 82371SB data sheet, 2.2.9 "PIRQRC[A:D]—PIRQx route control registers".
 */
import { type Arena, layout, type View } from '../../memory/layout.ts';
import type { AccessSize, Line } from '../device.ts';
import { PciFunction } from './pci-function.ts';

/** Config offset of the route control register of PIRQA#; B, C and D follow. */
export const PIRQ_ROUTE = 0x60;

/** Set where a PIRQ goes nowhere. */
const DISABLED = 0x80;

/** ISA interrupts that a PIRQ can be routed to: 3-7, 9-12, 14, 15. */
const ROUTABLE = 0b1101_1110_1111_1000;

const ISA_LINES = 16;

const routerLayout = layout('pirq-router', 1, {
  /** For each PIRQ, which of the 32 devices' pins hold it: one bit each, by device and pin. */
  asserted: ['u32', 16],
  /** ISA lines driven now, one bit each. */
  driven: 'u32',
});

export class IsaBridge extends PciFunction {
  readonly #router: View<typeof routerLayout.fields>;
  readonly #isa: (irq: number, level: boolean) => void;

  /** @param isa drives ISA interrupt `irq` (0 … 15) on behalf of the router; only called for changes and,
   *   for all routable lines, by reset */
  constructor(arena: Arena, isa: (irq: number, level: boolean) => void) {
    super(arena, {
      name: 'piix3-isa',
      vendorId: 0x8086,
      deviceId: 0x7000,
      classCode: 0x06_01_00,
      registers: [
        // I/O recovery timer, X-bus chip select
        { offset: 0x4c, initial: [0x4d, 0x00, 0x03, 0x00], writable: [0x7f, 0x00, 0xff, 0x07] },
        { offset: PIRQ_ROUTE, initial: Array(4).fill(DISABLED), writable: Array(4).fill(0x8f) },
        // top of memory, miscellaneous status
        { offset: 0x69, initial: [0x02, 0x00, 0x00], writable: [0xfe, 0x00, 0x00] },
        // APIC base relocation, deterministic latency
        { offset: 0x80, initial: [0x00, 0x00, 0x00], writable: [0x7f, 0x00, 0x0f] },
      ],
    });
    this.#router = arena.place(routerLayout);
    this.#isa = isa;
  }

  override reset(): void {
    super.reset();
    this.#router.asserted.fill(0);
    this.#router.driven = 0;
    for (let irq = 0; irq < ISA_LINES; irq++) if (((ROUTABLE >> irq) & 1) !== 0) this.#isa(irq, false);
  }

  /** The line for a device's interrupt pin (1 … 4). Pins are swizzled over the PIRQs, so that the INTA# of
   * neighbouring devices do not share one: PIRQ = (device + pin - 2) modulo 4, device 1's INTA# being PIRQA#. */
  pin(device: number, pin: number): Line {
    const slot = pirqOf(device, pin) * 4 + (pin - 1);
    return (level) => {
      const { asserted } = this.#router;
      if (level) asserted[slot] |= 1 << device;
      else asserted[slot] &= ~(1 << device);
      this.#update();
    };
  }

  protected override configWritten(_offset: number, _size: AccessSize): void {
    this.#update();
  }

  #update(): void {
    let driven = 0;
    for (let pirq = 0; pirq < 4; pirq++) {
      const route = this.config[PIRQ_ROUTE + pirq];
      const { asserted } = this.#router;
      const level =
        (asserted[pirq * 4] | asserted[pirq * 4 + 1] | asserted[pirq * 4 + 2] | asserted[pirq * 4 + 3]) !== 0;
      if (level && (route & DISABLED) === 0) driven |= (1 << (route & 15)) & ROUTABLE;
    }
    const changed = driven ^ this.#router.driven;
    this.#router.driven = driven;
    for (let irq = 0; irq < ISA_LINES; irq++) {
      if (((changed >> irq) & 1) !== 0) this.#isa(irq, ((driven >> irq) & 1) !== 0);
    }
  }
}

/** The PIRQ (0 … 3) behind a device's interrupt pin (1 … 4); the DSDT's _PRT says the same. */
export function pirqOf(device: number, pin: number): number {
  return (device + pin - 2) & 3;
}
