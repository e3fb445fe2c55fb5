/**
 * Message-signalled interrupts of a PCI function: instead of raising a pin it writes a word that the guest has
 * chosen to an address that the guest has chosen.
 *
 * PCI Local Bus Specification 3.0, 6.8.1 "MSI Capability Structure".
 */
import type { PciFunction } from './pci-function.ts';

/**
 * Carries a message to where it is addressed: for interrupts, the local APICs (Intel SDM 3A, 11.11).
 *
 * @param address guest-physical, 4-byte aligned
 * @param data 32 bits
 */
export type MessageSender = (address: number, data: number) => void;

const CAPABILITY_ID = 0x05;

/** Message control (6.8.1.3), and offsets of the structure with a 64-bit address. Bytes. */
const CONTROL = { Enable: 1 << 0, Wide: 1 << 7 } as const;
const AT = { Control: 2, AddressLow: 4, AddressHigh: 8, Data: 12 } as const;

/** Gives a function the MSI capability, with a 64-bit address and without masking. */
export class Msi {
  readonly #fn: PciFunction;
  readonly #at: number;
  readonly #send: MessageSender;

  /**
   * @param vectors different messages that the function can send: a power of two from 1 to 32
   * @throws RangeError for another number of vectors, or where the capability does not fit
   */
  constructor(fn: PciFunction, vectors: number, send: MessageSender) {
    const log = Math.log2(vectors);
    if (!Number.isInteger(log) || log > 5) throw new RangeError(`MSI with ${vectors} vectors`);
    const body = new Uint8Array(12);
    body[0] = CONTROL.Wide | (log << 1);
    const writable = Uint8Array.of(0x71, 0, 0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
    this.#fn = fn;
    this.#at = fn.addCapability({ id: CAPABILITY_ID, body, writable });
    this.#send = send;
  }

  /** Whether the guest has turned it on: the function then must not use its pin. */
  get enabled(): boolean {
    return (this.#read(AT.Control, 2) & CONTROL.Enable) !== 0;
  }

  /** Sends message `vector`, from 0. Where the guest has allotted fewer messages than there are vectors, they
   * share (6.8.1.3, multiple message enable).
   * @returns false where the guest has not turned messages on, and nothing was sent */
  notify(vector = 0): boolean {
    const control = this.#read(AT.Control, 2);
    if ((control & CONTROL.Enable) === 0) return false;
    const low = (1 << Math.min((control >> 4) & 7, 5)) - 1;
    const data = this.#read(AT.Data, 2);
    const address = this.#read(AT.AddressHigh, 4) * 2 ** 32 + this.#read(AT.AddressLow, 4);
    this.#send(address, (data & ~low) | (vector & low));
    return true;
  }

  #read(offset: number, size: 2 | 4): number {
    return this.#fn.configRead(this.#at + offset, size);
  }
}
