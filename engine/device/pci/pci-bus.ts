/**
 * PCI bus 0 and the way to its configuration space: mechanism 1, an address register at port 0xCF8 and a
 * data window at 0xCFC … 0xCFF.
 *
 * PCI Local Bus Specification 3.0, 3.2.2.3.2 "Software generation of configuration transactions".
 */
import { type Arena, layout, type View } from '../../memory/layout.ts';
import { allOnes } from '../byte-access.ts';
import type { AccessSize, Device, Line, PortDevice } from '../device.ts';
import { PciRegister, type PciFunction } from './pci-function.ts';

/** Where a function is on bus 0. */
export interface PciAddress {
  /** 0 … 31. */
  readonly device: number;
  /** 0 … 7. */
  readonly function: number;
}

/** Gives the line for a device's interrupt pin (1 … 4: INTA# … INTD#), as the board routes it. */
export type PinRouter = (device: number, pin: number) => Line;

export class PciBus {
  readonly #functions = new Map<number, PciFunction>();
  readonly #route: PinRouter;

  constructor(route: PinRouter) {
    this.#route = route;
  }

  /** Puts a function on the bus. Function 0 of a device must be there for a guest to find the others.
   * @throws RangeError for an address that does not exist or is taken */
  attach(at: PciAddress, fn: PciFunction): void {
    const key = (at.device << 3) | at.function;
    if (!isIndex(at.device, 32) || !isIndex(at.function, 8) || this.#functions.has(key)) {
      throw new RangeError(`PCI address ${at.device}.${at.function} does not exist or is taken`);
    }
    this.#functions.set(key, fn);
    if (fn.interruptPin !== 0) fn.connectInterrupt(this.#route(at.device, fn.interruptPin));
  }

  /** All functions, with their addresses, in order of attachment. */
  *functions(): Iterable<PciAddress & { fn: PciFunction }> {
    for (const [key, fn] of this.#functions) yield { device: key >> 3, function: key & 7, fn };
  }

  /** Reads configuration space; all ones where no function is.
   * @param address bus in bits 16-23, device 11-15, function 8-10; the rest is not looked at */
  configRead(address: number, offset: number, size: AccessSize): number {
    const fn = this.#find(address);
    if (fn === undefined) return allOnes(size);
    let value = fn.configRead(offset, size);
    // Header type bit 7 says that the device has more functions (6.2.1).
    const shift = 8 * (PciRegister.HeaderType - offset);
    if (shift >= 0 && shift < 8 * size && this.#hasMore(address)) value = (value | (0x80 << shift)) >>> 0;
    return value;
  }

  /** Writes configuration space; lost where no function is. */
  configWrite(address: number, offset: number, size: AccessSize, value: number): void {
    this.#find(address)?.configWrite(offset, size, value);
  }

  #find(address: number): PciFunction | undefined {
    const bus = (address >>> 16) & 0xff;
    return bus === 0 ? this.#functions.get((address >>> 8) & 0xff) : undefined;
  }

  #hasMore(address: number): boolean {
    const device = (address >>> 11) & 0x1f;
    for (let fn = 1; fn < 8; fn++) if (this.#functions.has((device << 3) | fn)) return true;
    return false;
  }
}

function isIndex(value: number, below: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < below;
}

const portsLayout = layout('pci-config-ports', 1, { address: 'u32' });

const ENABLE = 0x8000_0000;
const DATA = 4;

/** Ports 0xCF8 … 0xCFF, to be registered as one range of eight. */
export class PciConfigPorts implements Device, PortDevice {
  readonly name = 'pci-config-ports';
  readonly #at: View<typeof portsLayout.fields>;
  readonly #bus: PciBus;
  readonly #behind: PortDevice | undefined;

  /** @param resetControl the one-port device at 0xCF9, which lies under the address register: only 4-byte
   *   accesses at 0xCF8 belong to that, all others pass by */
  constructor(arena: Arena, bus: PciBus, resetControl?: PortDevice) {
    this.#at = arena.place(portsLayout);
    this.#bus = bus;
    this.#behind = resetControl;
  }

  reset(): void {
    this.#at.address = 0;
  }

  portRead(offset: number, size: AccessSize): number {
    if (offset >= DATA) return this.#data(offset - DATA, size);
    if (offset === 0 && size === 4) return this.#at.address;
    if (offset === 1 && size === 1 && this.#behind !== undefined) return this.#behind.portRead(0, 1);
    return allOnes(size);
  }

  portWrite(offset: number, size: AccessSize, value: number): void {
    if (offset >= DATA) {
      const { address } = this.#at;
      // An access that leaves the window loses what is outside.
      if ((address & ENABLE) === 0) return;
      if (offset - DATA + size <= 4) {
        this.#bus.configWrite(address, (address & 0xfc) + offset - DATA, size, value);
      } else {
        for (let i = 0; offset + i < 8; i++) this.portWrite(offset + i, 1, (value >>> (8 * i)) & 0xff);
      }
    } else if (offset === 0 && size === 4) {
      this.#at.address = (value & 0x80ff_fffc) >>> 0;
    } else if (offset === 1 && size === 1) {
      this.#behind?.portWrite(0, 1, value);
    }
  }

  #data(lane: number, size: AccessSize): number {
    const { address } = this.#at;
    if ((address & ENABLE) === 0) return allOnes(size);
    if (lane + size <= 4) return this.#bus.configRead(address, (address & 0xfc) + lane, size);
    let value = allOnes(size);
    for (let i = 0; lane + i < 4; i++) {
      const byte = this.#bus.configRead(address, (address & 0xfc) + lane + i, 1);
      value = (value & ~(0xff << (8 * i))) | (byte << (8 * i));
    }
    return value >>> 0;
  }
}
