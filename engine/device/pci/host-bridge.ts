/**
 * The 440FX host bridge (82441FX), device 0 of the bus. Of its registers only those that route memory mean
 * something here: the programmable attribute map (PAM), which says whether reads and writes of the ranges
 * between 768 KiB and 1 MiB go to RAM or to the bus, and SMRAM control.
 *
 * Intel 82441FX PMC data sheet, 3.2.17 (PAM), 3.2.18 (fixed DRAM hole), 3.2.21 (SMRAM).
 */
import type { Arena } from '../../memory/layout.ts';
import type { AccessSize } from '../device.ts';
import { PciFunction } from './pci-function.ts';

const PAM0 = 0x59;
const PAM_COUNT = 7;
const SMRAM = 0x72;

/** Bits of the SMRAM control register. */
const SmramBit = { BaseIsA0000: 0x02, Enable: 1 << 3, Lock: 1 << 4, Closed: 1 << 5, Open: 1 << 6 } as const;

/** Attributes of a range below 1 MiB: true where an access goes to RAM, false where it goes to the bus. */
export interface PamRange {
  /** First address. */
  readonly start: number;
  /** Bytes. */
  readonly size: number;
  readonly readRam: boolean;
  readonly writeRam: boolean;
}

export class HostBridge extends PciFunction {
  readonly #routingChanged: () => void;

  /** @param routingChanged called when PAM or SMRAM may have changed, after reset too */
  constructor(arena: Arena, routingChanged: () => void = () => {}) {
    super(arena, {
      name: 'i440fx',
      vendorId: 0x8086,
      deviceId: 0x1237,
      classCode: 0x06_00_00,
      revision: 2,
      // How firmware for virtual machines knows that it runs in one that has the firmware configuration device.
      subsystemVendorId: 0x1af4,
      subsystemId: 0x1100,
      registers: [
        {
          offset: PAM0,
          initial: Array(PAM_COUNT).fill(0),
          writable: [0x30, ...Array.from({ length: PAM_COUNT - 1 }, () => 0x33)],
        },
        { offset: SMRAM, initial: [SmramBit.BaseIsA0000], writable: [0x78] },
      ],
    });
    this.#routingChanged = routingChanged;
  }

  override reset(): void {
    super.reset();
    this.#routingChanged();
  }

  /** The thirteen ranges: twelve of 16 KiB from 0xC0000 on, then 64 KiB at 0xF0000. */
  pamRanges(): PamRange[] {
    const ranges: PamRange[] = [];
    for (let i = 0; i < 12; i++) {
      const register = this.config[PAM0 + 1 + (i >> 1)];
      ranges.push(pamRange(0xc0000 + i * 0x4000, 0x4000, register >> (4 * (i & 1))));
    }
    ranges.push(pamRange(0xf0000, 0x10000, this.config[PAM0] >> 4));
    return ranges;
  }

  /** Whether the RAM under 0xA0000 … 0xBFFFF is seen by everyone (`open`), or in system-management mode. */
  smram(): { enabled: boolean; open: boolean; closed: boolean } {
    const value = this.config[SMRAM];
    return {
      enabled: (value & SmramBit.Enable) !== 0,
      open: (value & (SmramBit.Enable | SmramBit.Open)) === (SmramBit.Enable | SmramBit.Open),
      closed: (value & SmramBit.Closed) !== 0,
    };
  }

  override configWrite(offset: number, size: AccessSize, value: number): void {
    const smram = this.config[SMRAM];
    super.configWrite(offset, size, value);
    // Once locked, only D_CLS can still be changed (and D_OPEN is forced to zero) until reset.
    if ((smram & SmramBit.Lock) !== 0) {
      this.config[SMRAM] = (smram & ~SmramBit.Closed) | (this.config[SMRAM] & SmramBit.Closed);
    }
    if ((this.config[SMRAM] & SmramBit.Lock) !== 0) this.config[SMRAM] &= ~SmramBit.Open;
    this.#routingChanged();
  }
}

/** @param attributes bit 0 read enable, bit 1 write enable; higher bits are not looked at */
function pamRange(start: number, size: number, attributes: number): PamRange {
  return { start, size, readRam: (attributes & 1) !== 0, writeRam: (attributes & 2) !== 0 };
}
