/**
 * MSI-X: message-signalled interrupts with a table of addresses and words in a BAR, where each may be masked and
 * is remembered as pending meanwhile.
 *
 * PCI Local Bus Specification 3.0, 6.8.2 "MSI-X Capability and Table Structures".
 */
import { type Arena, layout } from '../../memory/layout.ts';
import type { MmioBus } from '../../memory/mmio-bus.ts';
import type { AccessSize, Device, MmioDevice } from '../device.ts';
import type { MessageSender } from './msi.ts';
import { mmioBar } from './pci-bars.ts';
import type { PciFunction } from './pci-function.ts';

const CAPABILITY_ID = 0x11;

/** Message control (6.8.2.3). */
const CONTROL = { FunctionMask: 1 << 14, Enable: 1 << 15 } as const;

/** Words of a table entry, and the mask bit of its last (6.8.2.6 to 6.8.2.9). */
const ENTRY_WORDS = 4;
const WORD = { AddressLow: 0, AddressHigh: 1, Data: 2, VectorControl: 3 } as const;
const MASKED = 1;

const MOST_VECTORS = 2048;

/** What {@link Msix} is made of. */
export interface MsixOptions {
  /** 1 … 2048. */
  readonly vectors: number;
  /** Index of the BAR that holds the table and the pending bits, and nothing else; 32-bit. */
  readonly bar: number;
  readonly mmio: MmioBus;
  readonly send: MessageSender;
}

/**
 * Gives a function the MSI-X capability, with a BAR of its own:
 *
 * ```
 * 0      table, 16 bytes a vector: address low and high, data, vector control
 * size/2 pending bits, one a vector
 * ```
 */
export class Msix implements Device, MmioDevice {
  readonly name: string;
  readonly #fn: PciFunction;
  readonly #at: number;
  readonly #vectors: number;
  readonly #table: Uint32Array<SharedArrayBuffer>;
  readonly #pending: Uint32Array<SharedArrayBuffer>;
  readonly #pendingAt: number;
  readonly #send: MessageSender;

  /** @throws RangeError for an impossible number of vectors, a BAR that is taken, or a capability that does
   *   not fit */
  constructor(arena: Arena, fn: PciFunction, { vectors, bar, mmio, send }: MsixOptions) {
    if (!Number.isInteger(vectors) || vectors < 1 || vectors > MOST_VECTORS) {
      throw new RangeError(`MSI-X with ${vectors} vectors`);
    }
    this.name = `${fn.name}-msix`;
    this.#fn = fn;
    this.#vectors = vectors;
    this.#send = send;
    const bound = arena.place(
      layout('msix', 1, { table: ['u32', vectors * ENTRY_WORDS], pending: ['u32', (vectors + 31) >> 5] }),
    );
    this.#table = bound.table;
    this.#pending = bound.pending;
    this.#pendingAt = Math.max(2048, 2 ** Math.ceil(Math.log2(16 * vectors)));

    const body = new Uint8Array(10);
    const words = new DataView(body.buffer);
    words.setUint16(0, vectors - 1, true);
    words.setUint32(2, bar, true);
    words.setUint32(6, this.#pendingAt | bar, true);
    const writable = Uint8Array.of(0, 0xc0);
    const written = () => this.#sendPending();
    this.#at = fn.addCapability({ id: CAPABILITY_ID, body, writable, written });
    fn.addBar(mmioBar(mmio, { index: bar, size: 2 * this.#pendingAt }, this));
  }

  /** All vectors masked, none pending; the capability itself is reset with the function. */
  reset(): void {
    this.#table.fill(0);
    this.#pending.fill(0);
    for (let vector = 0; vector < this.#vectors; vector++) {
      this.#table[vector * ENTRY_WORDS + WORD.VectorControl] = MASKED;
    }
  }

  /** Whether the guest has turned it on: the function then must not use its pin. */
  get enabled(): boolean {
    return (this.#control & CONTROL.Enable) !== 0;
  }

  /** Sends the message of `vector`, or remembers it as pending while it is masked. A vector that the table does
   * not have (virtio's "no vector") sends nothing.
   * @returns false where the guest has not turned MSI-X on, and nothing was done */
  notify(vector: number): boolean {
    if (!this.enabled) return false;
    if (vector >= this.#vectors) return true;
    if (this.#masked(vector)) this.#pending[vector >> 5] |= 1 << (vector & 31);
    else this.#deliver(vector);
    return true;
  }

  mmioRead(offset: number, size: AccessSize): number {
    let value = 0;
    for (let i = 0; i < size; i++) {
      const word = this.#word((offset + i) & ~3);
      value |= ((word >>> (8 * ((offset + i) & 3))) & 0xff) << (8 * i);
    }
    return value >>> 0;
  }

  /** The table takes whole words only, as the specification asks of software (6.8.2). */
  mmioWrite(offset: number, size: AccessSize, value: number): void {
    const index = offset >> 2;
    if (size !== 4 || (offset & 3) !== 0 || index >= this.#table.length) return;
    const vectorControl = index % ENTRY_WORDS === WORD.VectorControl;
    this.#table[index] = vectorControl ? value & MASKED : value;
    if (vectorControl) this.#sendPending();
  }

  get #control(): number {
    return this.#fn.configRead(this.#at + 2, 2);
  }

  #masked(vector: number): boolean {
    const own = this.#table[vector * ENTRY_WORDS + WORD.VectorControl] & MASKED;
    return own !== 0 || (this.#control & CONTROL.FunctionMask) !== 0;
  }

  #word(offset: number): number {
    if (offset < this.#pendingAt) return this.#table[offset >> 2] ?? 0;
    return this.#pending[(offset - this.#pendingAt) >> 2] ?? 0;
  }

  #deliver(vector: number): void {
    const at = vector * ENTRY_WORDS;
    const low = (this.#table[at + WORD.AddressLow] & ~3) >>> 0;
    this.#send(this.#table[at + WORD.AddressHigh] * 2 ** 32 + low, this.#table[at + WORD.Data]);
  }

  /** Sends what is pending and no longer masked. */
  #sendPending(): void {
    if (!this.enabled) return;
    for (let word = 0; word < this.#pending.length; word++) {
      for (let bits = this.#pending[word]; bits !== 0; bits &= bits - 1) {
        const vector = word * 32 + (31 - Math.clz32(bits & -bits));
        if (this.#masked(vector)) continue;
        this.#pending[word] &= ~(1 << (vector & 31));
        this.#deliver(vector);
      }
    }
  }
}
