/**
 * I/O APIC with 24 inputs (Intel 82093AA data sheet), version 0x20: with an EOI register, as in the I/O
 * controller hubs (Intel ICH9 data sheet, 13.5).
 */
import type { AccessSize, Device, Line, MmioDevice } from '../device.ts';
import { layout, type View } from '../../memory/layout.ts';
import { DeliveryMode, destinationFrom8, type InterruptMessage } from './apic-message.ts';

export const IOAPIC_PINS = 24;

export const ioapicLayout = layout('ioapic', 1, {
  /** IOREGSEL: the register behind the window. */
  select: 'u32',
  /** APIC id in bits 27-24. */
  id: 'u32',
  /** Levels of the inputs, bit n for input n; asserted is 1, whatever the polarity on the wire. */
  lines: 'u32',
  /** Redirection entries: bits 31-0 and bits 63-32. */
  low: ['u32', IOAPIC_PINS],
  high: ['u32', IOAPIC_PINS],
});

export type IoapicState = View<typeof ioapicLayout.fields>;

/** Bits 31-0 of a redirection entry (82093AA, 3.2.4). */
const Entry = {
  Logical: 1 << 11,
  RemoteIrr: 1 << 14,
  Level: 1 << 15,
  Mask: 1 << 16,
  /** All but delivery status (12) and remote IRR (14), which are read-only. */
  Writable: 0x1_afff,
} as const;

const Offset = { Select: 0x00, Window: 0x10, Eoi: 0x40 } as const;
const Register = { Id: 0, Version: 1, Arbitration: 2, Redirection: 0x10 } as const;
const VERSION = 0x20;

export class Ioapic implements Device, MmioDevice {
  readonly name = 'ioapic';
  readonly #state: IoapicState;
  readonly #deliver: (message: InterruptMessage) => boolean;
  readonly #requested: (message: InterruptMessage) => boolean;

  /**
   * @param deliver takes a message to the local APICs; true where at least one has accepted it
   * @param requested whether one of those that a message is for has such an interrupt still to be taken
   */
  constructor(
    state: IoapicState,
    deliver: (message: InterruptMessage) => boolean,
    requested: (message: InterruptMessage) => boolean,
  ) {
    this.#state = state;
    this.#deliver = deliver;
    this.#requested = requested;
  }

  /** Every entry masked, id 0 (82093AA, 3.2). */
  reset(): void {
    this.#state.select = 0;
    this.#state.id = 0;
    this.#state.lines = 0;
    this.#state.low.fill(Entry.Mask);
    this.#state.high.fill(0);
  }

  /**
   * Drives an input.
   *
   * An edge at a masked input is ignored, as the data sheet has it (3.2.4, bit 16): it is neither delivered
   * nor held pending. A level stays and is delivered when the mask goes.
   *
   * @param pin 0 … 23; others are ignored
   * @param level true is asserted
   */
  setPin(pin: number, level: boolean): void {
    if (pin < 0 || pin >= IOAPIC_PINS) return;
    const bit = 1 << pin;
    const before = (this.#state.lines & bit) !== 0;
    if (before === level) return;
    this.#state.lines = (this.#state.lines ^ bit) >>> 0;
    if (!level) return;
    const entry = this.#state.low[pin]!;
    if (isLevel(entry)) this.#serviceLevel(pin);
    else if ((entry & Entry.Mask) === 0) this.#send(pin);
  }

  /** The input as a line to give to a device. */
  line(pin: number): Line {
    return (level) => this.setPin(pin, level);
  }

  /** Whether a processor has yet to take the interrupt of an edge-triggered input: another edge would be the same. */
  isWaiting(pin: number): boolean {
    const entry = this.#state.low[pin] ?? Entry.Mask;
    return (entry & Entry.Mask) === 0 && !isLevel(entry) && this.#requested(this.#message(pin));
  }

  /** Ends the level-triggered interrupts with this vector: inputs that are still asserted are delivered
   * anew (82093AA, 3.2.4, bit 14). Called by the local APICs and by a write to the EOI register. */
  endOfInterrupt(vector: number): void {
    const { low } = this.#state;
    for (let pin = 0; pin < IOAPIC_PINS; pin++) {
      const entry = low[pin]!;
      if ((entry & Entry.RemoteIrr) === 0 || (entry & 0xff) !== vector) continue;
      low[pin] = entry & ~Entry.RemoteIrr;
      this.#serviceLevel(pin);
    }
  }

  mmioRead(offset: number, size: AccessSize, _vcpu: number): number {
    const at = offset & ~3;
    const value = at === Offset.Select ? this.#state.select : at === Offset.Window ? this.#readWindow() : 0;
    const shifted = value >>> (8 * (offset & 3));
    return size === 4 ? shifted : shifted & (size === 2 ? 0xffff : 0xff);
  }

  mmioWrite(offset: number, size: AccessSize, value: number, _vcpu: number): void {
    switch (offset) {
      case Offset.Select:
        this.#state.select = value & 0xff;
        break;
      case Offset.Window:
        if (size === 4) this.#writeWindow(value);
        break;
      case Offset.Eoi:
        this.endOfInterrupt(value & 0xff);
        break;
      default:
        break;
    }
  }

  #readWindow(): number {
    const { select, id, low, high } = this.#state;
    switch (select) {
      case Register.Id:
      case Register.Arbitration:
        return id;
      case Register.Version:
        return ((IOAPIC_PINS - 1) << 16) | VERSION;
      default: {
        const index = select - Register.Redirection;
        if (index < 0 || index >= 2 * IOAPIC_PINS) return 0;
        return (index & 1) === 0 ? low[index >> 1]! : high[index >> 1]!;
      }
    }
  }

  #writeWindow(value: number): void {
    const { select, low, high } = this.#state;
    if (select === Register.Id) this.#state.id = value & 0x0f00_0000;
    const index = select - Register.Redirection;
    if (index < 0 || index >= 2 * IOAPIC_PINS) return;
    const pin = index >> 1;
    if ((index & 1) !== 0) {
      high[pin] = value & 0xff00_0000;
      return;
    }
    const entry = (value & Entry.Writable) | (low[pin]! & Entry.RemoteIrr);
    // An edge-triggered entry has no remote IRR; systems without an EOI register rely on this to clear it.
    low[pin] = isLevel(entry) ? entry : entry & ~Entry.RemoteIrr;
    this.#serviceLevel(pin);
  }

  /** Delivers a level-triggered input that is asserted, unmasked and not in service. */
  #serviceLevel(pin: number): void {
    const { low, lines } = this.#state;
    const entry = low[pin]!;
    if (!isLevel(entry) || (entry & (Entry.Mask | Entry.RemoteIrr)) !== 0) return;
    if ((lines & (1 << pin)) === 0) return;
    // Remote IRR says that a local APIC has accepted the interrupt and so will end it.
    if (this.#send(pin)) low[pin] = entry | Entry.RemoteIrr;
  }

  #send(pin: number): boolean {
    return this.#deliver(this.#message(pin));
  }

  #message(pin: number): InterruptMessage {
    const entry = this.#state.low[pin]!;
    return {
      destination: destinationFrom8(this.#state.high[pin]! >>> 24),
      logical: (entry & Entry.Logical) !== 0,
      mode: (entry >>> 8) & 7,
      vector: entry & 0xff,
      level: isLevel(entry),
    };
  }
}

/** Only fixed and lowest-priority interrupts have an end, and so can be level-triggered; the others are
 * treated as edges even when programmed otherwise (82093AA, 3.2.4, bits 10-8). */
function isLevel(entry: number): boolean {
  return (entry & Entry.Level) !== 0 && ((entry >>> 8) & 7) <= DeliveryMode.LowestPriority;
}
