/**
 * Device slots: which device each is for, and its endpoints with their transfer rings.
 *
 * xHCI 1.2, 4.5 "Device Slots" and 4.8 "Endpoint".
 */
import { type Arena, layout, type View } from '../../memory/layout.ts';
import type { DmaMemory } from '../dma.ts';
import { CONTEXT_BYTES, CONTROL_DCI, EndpointState, LAST_DCI, SlotState } from './contexts.ts';
import { MOST_SLOTS, SLOT_ENTRIES } from './registers.ts';
import { readWords, writeWords } from './trb.ts';
import { TrbRing } from './trb-ring.ts';

/** Endpoints of a slot, by DCI; there is no 0. */
const ENDPOINTS = LAST_DCI + 1;

/** What has become of the doorbell of an endpoint that runs. */
export const Doorbell = {
  /** Not rung since the endpoint was set up or stopped. */
  Silent: 0,
  /** Everything that was on the ring has been done. */
  Idle: 1,
  /** There may be something on the ring. */
  Rung: 2,
} as const;

const slotsLayout = layout('xhci-slots', 1, {
  /** For each slot, from 1: its state, the port of the root hub (from 1), the address of the device. */
  state: ['u8', SLOT_ENTRIES],
  port: ['u8', SLOT_ENTRIES],
  address: ['u8', SLOT_ENTRIES],
  /** The control transfer under way: whether there is one, its setup packet, and how much of its data was sent. */
  setupStage: ['u8', SLOT_ENTRIES],
  setup: ['u8', SLOT_ENTRIES * 8],
  sent: ['u32', SLOT_ENTRIES],
  /** For each endpoint: its state, its doorbell, and its ring: dequeue pointer with the cycle state. */
  endpoint: ['u8', SLOT_ENTRIES * ENDPOINTS],
  doorbell: ['u8', SLOT_ENTRIES * ENDPOINTS],
  ring: ['u32', SLOT_ENTRIES * ENDPOINTS * 2],
});

export class Slots {
  readonly at: View<typeof slotsLayout.fields>;
  readonly #memory: DmaMemory;
  readonly #contextArray: () => number;

  /** @param contextArray the guest-physical address of the device context base address array */
  constructor(arena: Arena, memory: DmaMemory, contextArray: () => number) {
    this.at = arena.place(slotsLayout);
    this.#memory = memory;
    this.#contextArray = contextArray;
  }

  reset(): void {
    for (let slot = 1; slot <= MOST_SLOTS; slot++) this.disable(slot);
  }

  /** Forgets all about a slot. Nothing is written to its context. */
  disable(slot: number): void {
    const { at } = this;
    at.state[slot] = SlotState.Disabled;
    at.port[slot] = 0;
    at.address[slot] = 0;
    at.setupStage[slot] = 0;
    at.setup.fill(0, 8 * slot, 8 * slot + 8);
    at.sent[slot] = 0;
    const first = ENDPOINTS * slot;
    at.endpoint.fill(EndpointState.Disabled, first, first + ENDPOINTS);
    at.doorbell.fill(Doorbell.Silent, first, first + ENDPOINTS);
    at.ring.fill(0, 2 * first, 2 * (first + ENDPOINTS));
  }

  /** Disables every endpoint but the default one. */
  disableEndpoints(slot: number): void {
    for (let dci = CONTROL_DCI + 1; dci <= LAST_DCI; dci++) {
      if (this.endpoint(slot, dci) !== EndpointState.Disabled)
        this.setEndpoint(slot, dci, EndpointState.Disabled);
    }
  }

  hasEndpoints(slot: number): boolean {
    const first = ENDPOINTS * slot;
    return this.at.endpoint.subarray(first + CONTROL_DCI + 1, first + ENDPOINTS).some((state) => state !== 0);
  }

  /** The output device context of a slot: wherever the driver says. */
  context(slot: number): number {
    const [low, high] = readWords(this.#memory, this.#contextArray() + 8 * slot, 2);
    return high * 2 ** 32 + low - (low % 64);
  }

  setState(slot: number, state: number): void {
    const { at } = this;
    at.state[slot] = state;
    const place = this.context(slot) + 12;
    writeWords(this.#memory, place, [(Math.max(0, state - 1) << 27) | at.address[slot]]);
  }

  endpoint(slot: number, dci: number): number {
    return this.at.endpoint[ENDPOINTS * slot + dci];
  }

  /** Changes the state of an endpoint, and says so in its context, with the dequeue pointer as it is. */
  setEndpoint(slot: number, dci: number, state: number): void {
    const { at } = this;
    const index = ENDPOINTS * slot + dci;
    at.endpoint[index] = state;
    if (state !== EndpointState.Running) at.doorbell[index] = Doorbell.Silent;
    const context = this.context(slot) + CONTEXT_BYTES * dci;
    const [first] = readWords(this.#memory, context, 1);
    writeWords(this.#memory, context, [((first & ~7) | state) >>> 0]);
    const ring = this.ring(slot, dci);
    writeWords(this.#memory, context + 8, [ring.low, ring.high]);
  }

  doorbell(slot: number, dci: number): number {
    return this.at.doorbell[ENDPOINTS * slot + dci];
  }

  setDoorbell(slot: number, dci: number, state: number): void {
    this.at.doorbell[ENDPOINTS * slot + dci] = state;
  }

  ring(slot: number, dci: number): TrbRing {
    return new TrbRing(this.#memory, this.at.ring, 2 * (ENDPOINTS * slot + dci));
  }

  /** Every endpoint whose doorbell was rung and whose ring was not found empty since. */
  *rung(): Generator<readonly [slot: number, dci: number]> {
    for (let slot = 1; slot <= MOST_SLOTS; slot++) {
      if (this.at.state[slot] === SlotState.Disabled) continue;
      for (let dci = CONTROL_DCI; dci <= LAST_DCI; dci++) {
        if (this.doorbell(slot, dci) === Doorbell.Rung) yield [slot, dci];
      }
    }
  }
}
