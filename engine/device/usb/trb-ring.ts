/**
 * A ring that the controller takes TRBs from: the command ring, or the transfer ring of an endpoint.
 *
 * Its place is two words, as endpoint contexts have it: the dequeue pointer, with the consumer's cycle state in bit 0.
 *
 * xHCI 1.2, 4.9 "TRB Ring"; 4.11.5.1 "Link TRB".
 */
import type { DmaMemory } from '../dma.ts';
import {
  parameterOf,
  readTrb,
  RingError,
  type Trb,
  TRB_BYTES,
  TrbControl,
  TrbType,
  typeOf,
  wordsOf,
} from './trb.ts';

/** How many TRBs may still be read on behalf of one access: a ring may lead in circles. */
export interface Budget {
  left: number;
}

/** More than a driver hands over at a time. */
export const BUDGET = 1024;

/** A transfer descriptor: TRBs that are chained to each other, and where the ring goes on behind them. */
export interface TransferDescriptor {
  readonly trbs: readonly [Trb, ...Trb[]];
  readonly end: { readonly address: number; readonly cycle: number };
}

export class TrbRing {
  readonly #memory: DmaMemory;
  readonly #words: Uint32Array;
  readonly #index: number;

  /** @param index of the first of the two words */
  constructor(memory: DmaMemory, words: Uint32Array, index: number) {
    this.#memory = memory;
    this.#words = words;
    this.#index = index;
  }

  get low(): number {
    return this.#words[this.#index];
  }

  get high(): number {
    return this.#words[this.#index + 1];
  }

  /** Where the consumer is. */
  get dequeue(): number {
    return this.high * 2 ** 32 + (this.low - (this.low % TRB_BYTES));
  }

  /** Puts the consumer elsewhere: bit 0 of the low word is its cycle state. */
  move(low: number, high: number): void {
    this.#words[this.#index] = (low & ~0xe) >>> 0;
    this.#words[this.#index + 1] = high;
  }

  /**
   * What the driver has put there next: a transfer descriptor as a whole, or a command. Nothing is taken away.
   *
   * @param kind commands are never chained
   * @returns undefined where the driver has not handed all of it over
   * @throws RingError where the ring leads in circles
   */
  next(budget: Budget, kind: 'transfers' | 'commands'): TransferDescriptor | undefined {
    const trbs: Trb[] = [];
    let address = this.dequeue;
    let cycle = this.low & 1;
    for (;;) {
      if (budget.left-- <= 0) throw new RingError('a ring without an end');
      const trb = readTrb(this.#memory, address, cycle);
      if (trb === undefined) return undefined;
      if (typeOf(trb) === TrbType.Link) {
        address = parameterOf(trb);
        address -= address % TRB_BYTES;
        if ((trb.control & TrbControl.ToggleCycle) !== 0) cycle ^= 1;
        continue;
      }
      trbs.push(trb);
      address += TRB_BYTES;
      const [first, ...others] = trbs;
      const chained = kind === 'transfers' && (trb.control & TrbControl.Chain) !== 0;
      if (!chained) return { trbs: [first, ...others], end: { address, cycle } };
    }
  }

  /** Goes on behind what {@link next} gave. */
  pass({ end }: TransferDescriptor): void {
    const { low, high } = wordsOf(end.address);
    this.move(low | end.cycle, high);
  }
}
