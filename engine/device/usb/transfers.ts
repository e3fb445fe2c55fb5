/**
 * Transfers: takes transfer descriptors from an endpoint's ring, moves their data between device and guest memory, and
 * tells the driver.
 *
 * A descriptor for which the device has nothing yet stays on its ring; the endpoint is served again when the device
 * has (`UsbHost.ready`). So nothing is polled.
 *
 * xHCI 1.2, 4.10 "Transfer Rings", 4.11.2 "Transfer TRBs", 4.11.5.2 "Event Data TRB", 6.4.2.1 "Transfer Event TRB".
 */
import type { DmaMemory } from '../dma.ts';
import { CONTROL_DCI, EndpointState } from './contexts.ts';
import type { Interrupter } from './interrupter.ts';
import type { RootPort } from './root-port.ts';
import { Doorbell, type Slots } from './slots.ts';
import {
  Completion,
  type CompletionCode,
  lengthOf,
  parameterOf,
  RingError,
  type Trb,
  TrbControl,
  TrbType,
  typeOf,
  wordsOf,
} from './trb.ts';
import type { Budget, TransferDescriptor } from './trb-ring.ts';
import { RequestType, type SetupPacket, type UsbDevice } from './usb-device.ts';

/** What becomes of a descriptor: it is done, it waits for the device, or the endpoint goes into a state for a reason
 * that is told of one of its TRBs. */
type Outcome =
  'done' | 'waits' | { readonly state: number; readonly code: CompletionCode; readonly trb: Trb };

export interface TransferParts {
  readonly memory: DmaMemory;
  readonly slots: Slots;
  readonly events: Interrupter;
  /** By number, from 1. */
  readonly port: (number: number) => RootPort | undefined;
}

export class Transfers {
  readonly #parts: TransferParts;

  constructor(parts: TransferParts) {
    this.#parts = parts;
  }

  /** Does what can be done of what is on the ring of an endpoint whose doorbell was rung.
   * @throws RingError where the event ring is none */
  serve(slot: number, dci: number, budget: Budget): void {
    const { slots, events } = this.#parts;
    const ring = slots.ring(slot, dci);
    while (slots.doorbell(slot, dci) === Doorbell.Rung) {
      let descriptor: TransferDescriptor | undefined;
      try {
        descriptor = ring.next(budget, 'transfers');
      } catch (error) {
        if (!(error instanceof RingError)) throw error;
        if (events.room(1)) this.#event(slot, dci, undefined, Completion.TrbError, 0);
        slots.setEndpoint(slot, dci, EndpointState.Error);
        return;
      }
      if (descriptor === undefined) {
        slots.setDoorbell(slot, dci, Doorbell.Idle);
        return;
      }
      // Each of its TRBs may want an event.
      if (!events.room(descriptor.trbs.length)) return;
      const outcome = this.#take(slot, dci, descriptor.trbs);
      if (outcome === 'waits') return;
      if (outcome !== 'done') {
        this.#event(slot, dci, outcome.trb, outcome.code, lengthOf(outcome.trb));
        slots.setEndpoint(slot, dci, outcome.state);
        return;
      }
      ring.pass(descriptor);
    }
  }

  /** 4.6.9: what was under way when the endpoint was stopped is told. */
  tellStopped(slot: number, dci: number, budget: Budget): void {
    const { slots } = this.#parts;
    if (slots.doorbell(slot, dci) !== Doorbell.Rung) return;
    const first = slots.ring(slot, dci).next(budget, 'transfers')?.trbs[0];
    if (first !== undefined) this.#event(slot, dci, first, Completion.Stopped, lengthOf(first));
  }

  #take(slot: number, dci: number, trbs: readonly [Trb, ...Trb[]]): Outcome {
    const [first] = trbs;
    const type = typeOf(first);
    if (type === TrbType.NoOp) {
      this.#finish(slot, dci, trbs, 0);
      return 'done';
    }
    const { at } = this.#parts.slots;
    const port = this.#parts.port(at.port[slot]);
    const device = port?.device;
    if (port?.enabled !== true || device?.address !== at.address[slot])
      return { state: EndpointState.Halted, code: Completion.UsbTransactionError, trb: first };
    if (port.suspended) return 'waits';
    if (dci === CONTROL_DCI) return this.#control(slot, device, trbs);
    if (type !== TrbType.Normal) return wrong(first);
    // Odd ones are IN.
    return dci % 2 === 1
      ? this.#in(slot, dci, device, trbs)
      : { state: EndpointState.Halted, code: Completion.UsbTransactionError, trb: first };
  }

  #in(slot: number, dci: number, device: UsbDevice, trbs: readonly [Trb, ...Trb[]]): Outcome {
    const [trb] = trbs;
    const answer = device.in(dci >> 1);
    switch (answer) {
      case 'nak':
        return 'waits';
      case 'stall':
        return { state: EndpointState.Halted, code: Completion.Stall, trb };
      case 'none':
        return { state: EndpointState.Halted, code: Completion.UsbTransactionError, trb };
      default: {
        if (answer.length > roomOf(trbs))
          return { state: EndpointState.Halted, code: Completion.BabbleDetected, trb };
        this.#finish(slot, dci, trbs, answer.length, answer);
        return 'done';
      }
    }
  }

  /** One stage of a control transfer (4.11.2.2). */
  #control(slot: number, device: UsbDevice, trbs: readonly [Trb, ...Trb[]]): Outcome {
    const { at } = this.#parts.slots;
    const [first] = trbs;
    const type = typeOf(first);
    if (type === TrbType.Setup) {
      if ((first.control & TrbControl.ImmediateData) === 0 || lengthOf(first) !== 8) return wrong(first);
      new DataView(at.setup.buffer, at.setup.byteOffset + 8 * slot, 8).setUint32(0, first.low, true);
      new DataView(at.setup.buffer, at.setup.byteOffset + 8 * slot, 8).setUint32(4, first.high, true);
      at.setupStage[slot] = 1;
      at.sent[slot] = 0;
      this.#finish(slot, CONTROL_DCI, trbs, lengthOf(first));
      return 'done';
    }
    if ((type !== TrbType.Data && type !== TrbType.Status) || at.setupStage[slot] === 0) return wrong(first);
    const setup = this.#setup(slot);
    const toHost = (setup.requestType & RequestType.In) !== 0 && setup.length > 0;
    const stall: Outcome = { state: EndpointState.Halted, code: Completion.Stall, trb: first };
    if (type === TrbType.Data) {
      const data = toHost ? device.controlIn(setup) : undefined;
      if (data === undefined || (first.control & TrbControl.DirectionIn) === 0) return stall;
      const rest = data.subarray(Math.min(at.sent[slot], data.length), setup.length);
      const now = rest.subarray(0, roomOf(trbs));
      at.sent[slot] += now.length;
      this.#finish(slot, CONTROL_DCI, trbs, now.length, now);
      return 'done';
    }
    at.setupStage[slot] = 0;
    // Without a data stage the request is done now; with one, its answer has been given.
    const done = toHost
      ? device.controlIn(setup) !== undefined
      : setup.length === 0 && device.controlOut(setup);
    if (!done) return stall;
    this.#finish(slot, CONTROL_DCI, trbs, 0);
    return 'done';
  }

  #setup(slot: number): SetupPacket {
    const { setup } = this.#parts.slots.at;
    const view = new DataView(setup.buffer, setup.byteOffset + 8 * slot, 8);
    return {
      requestType: view.getUint8(0),
      request: view.getUint8(1),
      value: view.getUint16(2, true),
      index: view.getUint16(4, true),
      length: view.getUint16(6, true),
    };
  }

  /**
   * Hands out the data of a descriptor and tells of those TRBs that want it. A packet that is shorter than what there
   * is room for ends the descriptor: TRBs behind it are passed over, but for those that want an event (4.10.1.1).
   *
   * @param length bytes moved, no more than there is room for
   * @param data to be written to guest memory, where it is the device's
   */
  #finish(slot: number, dci: number, trbs: readonly Trb[], length: number, data?: Uint8Array): void {
    let done = 0;
    // Bytes since the last Event Data TRB, of which such a one tells.
    let accumulated = 0;
    let code: CompletionCode = Completion.Success;
    for (const trb of trbs) {
      const completed = (trb.control & TrbControl.InterruptOnCompletion) !== 0;
      if (typeOf(trb) === TrbType.EventData) {
        if (completed) this.#event(slot, dci, trb, code, accumulated, TrbControl.EventData);
        accumulated = 0;
        continue;
      }
      const room = lengthOf(trb);
      const bytes = Math.min(room, length - done);
      if (data !== undefined && bytes > 0)
        this.#parts.memory.write(parameterOf(trb), data.subarray(done, done + bytes));
      done += bytes;
      accumulated += bytes;
      const short = data !== undefined && bytes < room;
      const first = short && code === Completion.Success;
      if (short) code = Completion.ShortPacket;
      const wanted = first && (trb.control & TrbControl.InterruptOnShortPacket) !== 0;
      if (completed || wanted) this.#event(slot, dci, trb, code, data === undefined ? 0 : room - bytes);
    }
  }

  /** @param length bytes that were not moved, or of an Event Data TRB those that were */
  #event(
    slot: number,
    dci: number,
    trb: Trb | undefined,
    code: CompletionCode,
    length: number,
    flag = 0,
  ): void {
    const { low, high } =
      flag === 0
        ? wordsOf(trb?.at ?? this.#parts.slots.ring(slot, dci).dequeue)
        : { low: 0, high: 0, ...trb };
    this.#parts.events.post(
      {
        low,
        high,
        status: ((code << 24) | (length & 0xff_ffff)) >>> 0,
        control: ((slot << 24) | (dci << 16) | (TrbType.TransferEvent << 10) | flag) >>> 0,
      },
      trb?.control,
    );
  }
}

/** Not what belongs there (4.10.2.2): the endpoint's error. */
function wrong(trb: Trb): Outcome {
  return { state: EndpointState.Error, code: Completion.TrbError, trb };
}

function roomOf(trbs: readonly Trb[]): number {
  return trbs.reduce((sum, trb) => sum + (typeOf(trb) === TrbType.EventData ? 0 : lengthOf(trb)), 0);
}
