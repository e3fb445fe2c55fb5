/**
 * The advanced power management ports 0xB2 (APMC, the FADT's SMI_CMD) and 0xB3 (APMS, a scratch byte).
 * Writing the first raises an SMI where the chipset has been told so (82371AB data sheet, 7.3.1 and
 * DEVACTB's APMC_EN); and since a machine that was booted without firmware has no SMI handler, the commands
 * that turn ACPI on and off are carried out here as well.
 */
import { type Arena, layout, type View } from '../../memory/layout.ts';
import { readBytes, writeBytes } from '../byte-access.ts';
import type { AccessSize, Device, MachineControl, PortDevice } from '../device.ts';

/** SMI_CMD values, for the FADT. */
export const ACPI_ENABLE = 0xf1;
export const ACPI_DISABLE = 0xf0;

const apmLayout = layout('apm-control', 1, { command: 'u8', status: 'u8', smiEnabled: 'u8' });

export class ApmControl implements Device, PortDevice {
  readonly name = 'apm-control';
  readonly #at: View<typeof apmLayout.fields>;
  readonly #control: MachineControl;
  readonly #setAcpiMode: (enabled: boolean) => void;

  /** @param setAcpiMode sets or clears SCI_EN */
  constructor(arena: Arena, control: MachineControl, setAcpiMode: (enabled: boolean) => void) {
    this.#at = arena.place(apmLayout);
    this.#control = control;
    this.#setAcpiMode = setAcpiMode;
  }

  reset(): void {
    this.#at.command = 0;
    this.#at.status = 0;
    this.#at.smiEnabled = 0;
  }

  /** APMC_EN: whether writing 0xB2 raises an SMI. Off after reset. */
  setSmiEnabled(enabled: boolean): void {
    this.#at.smiEnabled = enabled ? 1 : 0;
  }

  portRead(offset: number, size: AccessSize): number {
    return readBytes(offset, size, (at) => (at === 0 ? this.#at.command : at === 1 ? this.#at.status : 0xff));
  }

  portWrite(offset: number, size: AccessSize, value: number): void {
    // The handler finds the status byte of the same wide write in place: it is stored first.
    if (offset === 0 && size > 1) this.#at.status = (value >>> 8) & 0xff;
    writeBytes(offset, size, value, (at, byte) => {
      if (at === 1) this.#at.status = byte;
      if (at === 0) this.#command(byte);
    });
  }

  #command(byte: number): void {
    this.#at.command = byte;
    if (byte === ACPI_ENABLE) this.#setAcpiMode(true);
    if (byte === ACPI_DISABLE) this.#setAcpiMode(false);
    if (this.#at.smiEnabled !== 0) this.#control.systemManagementInterrupt();
  }
}
