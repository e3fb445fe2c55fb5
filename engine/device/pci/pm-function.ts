/**
 * The power-management function of the PIIX4 (82371AB function 3), which firmware for this chipset puts to use:
 * where the ACPI registers and the SMBus controller are in port space, and whether a command at port 0xB2 is a
 * system-management interrupt.
 *
 * Intel 82371AB data sheet, 7.1 "Power management PCI configuration registers".
 */
import type { Arena } from '../../memory/layout.ts';
import type { AccessSize } from '../device.ts';
import { PciFunction } from './pci-function.ts';

/** Configuration registers. */
export const PM_REGISTER = {
  /** Base of the ACPI registers: 64 ports, bits 15-6. */
  PmBase: 0x40,
  /** Device activity B: bit 25 (APMC_EN) makes commands at 0xB2 raise SMI#. */
  DevActB: 0x58,
  /** Bit 0 lets the ACPI registers be decoded. */
  PmRegMisc: 0x80,
  /** Base of the SMBus controller: 16 ports, bits 15-4. */
  SmbBase: 0x90,
  /** Bit 0 lets it be decoded. */
  SmbHostConfig: 0xd2,
} as const;

const APMC_ENABLE = 1 << 1; // of the byte at DevActB + 3

/** The SCI, as the interrupt line register says it. */
const SCI = 9;

/** What the function moves and switches. All are called by reset too, and may be called without a change. */
export interface PmWires {
  readonly placePm: (port: number, enabled: boolean) => void;
  readonly placeSmBus: (port: number, enabled: boolean) => void;
  readonly setSmiEnabled: (enabled: boolean) => void;
}

export class PmFunction extends PciFunction {
  readonly #wires: PmWires;
  readonly #systemManagement: boolean;

  /** @param systemManagement whether the machine's processors have a system-management mode; where they have
   *   none, APMC_EN reads as set already, which is how firmware is told to leave it alone */
  constructor(arena: Arena, systemManagement: boolean, wires: PmWires) {
    super(arena, {
      name: 'piix4-pm',
      vendorId: 0x8086,
      deviceId: 0x7113,
      classCode: 0x06_80_00,
      revision: 3,
      decodes: ['io'],
      registers: [
        { offset: PM_REGISTER.PmBase, initial: [0x01, 0, 0, 0], writable: [0xc0, 0xff, 0, 0] },
        {
          offset: 0x44,
          initial: Array(0x3c).fill(0),
          writable: Array(0x3c).fill(0xff),
        },
        {
          offset: PM_REGISTER.DevActB,
          initial: [0, 0, 0, systemManagement ? 0 : APMC_ENABLE],
          writable: [0xff, 0xff, 0xff, systemManagement ? 0x03 : 0],
        },
        { offset: PM_REGISTER.PmRegMisc, initial: [0], writable: [0x01] },
        { offset: PM_REGISTER.SmbBase, initial: [0x01, 0, 0, 0], writable: [0xf0, 0xff, 0, 0] },
        { offset: PM_REGISTER.SmbHostConfig, initial: Array(4).fill(0), writable: [0x0f, 0xff, 0xff, 0xff] },
        { offset: 0x3c, initial: [SCI], writable: [0xff] },
      ],
    });
    this.#wires = wires;
    this.#systemManagement = systemManagement;
  }

  override reset(): void {
    super.reset();
    this.#place();
  }

  protected override configWritten(_offset: number, _size: AccessSize): void {
    this.#place();
  }

  #place(): void {
    const { config } = this;
    const port = (at: number, mask: number) => (config[at] | (config[at + 1] << 8)) & mask;
    this.#wires.placePm(port(PM_REGISTER.PmBase, 0xffc0), (config[PM_REGISTER.PmRegMisc] & 1) !== 0);
    this.#wires.placeSmBus(port(PM_REGISTER.SmbBase, 0xfff0), (config[PM_REGISTER.SmbHostConfig] & 1) !== 0);
    const smi = this.#systemManagement && (config[PM_REGISTER.DevActB + 3] & APMC_ENABLE) !== 0;
    this.#wires.setSmiEnabled(smi);
  }
}
