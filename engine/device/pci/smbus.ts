/**
 * The PIIX4's SMBus host controller, with nothing on its bus: every transaction ends with a device error, as one
 * does that nobody acknowledges. Drivers and firmware look for it, and would take ports that read as all ones
 * for a controller that is busy for ever.
 *
 * Intel 82371AB data sheet, 7.5 "SMBus IO space registers"; bytes at offsets 0 … 15.
 */
import { type Arena, layout, type View } from '../../memory/layout.ts';
import { readBytes, writeBytes } from '../byte-access.ts';
import type { AccessSize, Device, PortDevice } from '../device.ts';

export const SMBUS_PORTS = 16;

const AT = { HostStatus: 0, HostControl: 2, SlaveStatus: 1 } as const;

const STATUS = { DeviceError: 1 << 2, Sticky: 0x1e } as const;
const CONTROL = { Kill: 1 << 1, Start: 1 << 6 } as const;

const smbusLayout = layout('smbus', 1, { registers: ['u8', SMBUS_PORTS] });

export class SmBus implements Device, PortDevice {
  readonly name = 'smbus';
  readonly #at: View<typeof smbusLayout.fields>;

  constructor(arena: Arena) {
    this.#at = arena.place(smbusLayout);
  }

  reset(): void {
    this.#at.registers.fill(0);
  }

  portRead(offset: number, size: AccessSize): number {
    return readBytes(offset, size, (at) => (at < SMBUS_PORTS ? this.#at.registers[at] : 0xff));
  }

  portWrite(offset: number, size: AccessSize, value: number): void {
    writeBytes(offset, size, value, (at, byte) => this.#write(at, byte));
  }

  #write(offset: number, byte: number): void {
    const { registers } = this.#at;
    if (offset >= SMBUS_PORTS || offset === AT.SlaveStatus) return;
    if (offset === AT.HostStatus) {
      registers[offset] &= ~(byte & STATUS.Sticky);
      return;
    }
    // START is not kept; the transaction is over before the write is.
    registers[offset] = offset === AT.HostControl ? byte & ~CONTROL.Start : byte;
    if (offset !== AT.HostControl || (byte & CONTROL.Start) === 0) return;
    if ((byte & CONTROL.Kill) === 0) registers[AT.HostStatus] |= STATUS.DeviceError;
  }
}
