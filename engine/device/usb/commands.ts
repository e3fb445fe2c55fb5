/**
 * What the commands mean that a driver puts on the command ring.
 *
 * xHCI 1.2, 4.6 "Command Interface" and 6.4.3 "Command TRBs".
 */
import type { DmaMemory } from '../dma.ts';
import {
  CONTROL_DCI,
  EndpointState,
  isPossibleEndpoint,
  LAST_DCI,
  readContext,
  readInput,
  readInputControl,
  rootPortOf,
  SlotState,
  writeContext,
} from './contexts.ts';
import { MOST_SLOTS } from './registers.ts';
import type { RootPort } from './root-port.ts';
import { Doorbell, type Slots } from './slots.ts';
import type { Transfers } from './transfers.ts';
import {
  Completion,
  type CompletionCode,
  endpointOf,
  parameterOf,
  slotOf,
  type Trb,
  TrbControl,
  TrbType,
  typeOf,
} from './trb.ts';
import type { Budget } from './trb-ring.ts';
import { RequestType } from './usb-device.ts';

/** SET_ADDRESS (USB 2.0, 9.4.6), which the controller sends by itself. */
const SET_ADDRESS = 5;

export interface CommandParts {
  readonly memory: DmaMemory;
  readonly slots: Slots;
  readonly transfers: Transfers;
  /** By number, from 1. */
  readonly port: (number: number) => RootPort | undefined;
  /** Slots that the driver has enabled. */
  readonly enabledSlots: () => number;
}

/** How a command ended. */
export interface CommandResult {
  readonly code: CompletionCode;
  readonly slot: number;
}

export class Commands {
  readonly #parts: CommandParts;

  constructor(parts: CommandParts) {
    this.#parts = parts;
  }

  /** Does a command. There is room for two events: its own, and one of a transfer that it stops. */
  run(trb: Trb, budget: Budget): CommandResult {
    const type = typeOf(trb);
    if (type === TrbType.NoOpCommand) return { code: Completion.Success, slot: 0 };
    if (type === TrbType.EnableSlot) return this.#enable();
    const slot = slotOf(trb);
    return { code: this.#ofSlot(type, slot, trb, budget), slot };
  }

  #enable(): CommandResult {
    const { slots, enabledSlots } = this.#parts;
    const { state } = slots.at;
    const most = Math.min(MOST_SLOTS, enabledSlots());
    for (let slot = 1; slot <= most; slot++) {
      if (state[slot] !== SlotState.Disabled) continue;
      slots.disable(slot);
      state[slot] = SlotState.Enabled;
      return { code: Completion.Success, slot };
    }
    return { code: Completion.NoSlotsAvailable, slot: 0 };
  }

  #ofSlot(type: number, slot: number, trb: Trb, budget: Budget): CompletionCode {
    const { slots } = this.#parts;
    if (slot === 0 || slot > MOST_SLOTS) return Completion.TrbError;
    const state = slots.at.state[slot];
    if (state === SlotState.Disabled) return Completion.SlotNotEnabled;
    switch (type) {
      case TrbType.DisableSlot:
        // Before Address Device it has no context yet.
        if (state !== SlotState.Enabled) slots.setState(slot, SlotState.Disabled);
        slots.disable(slot);
        return Completion.Success;
      case TrbType.AddressDevice:
        return this.#addressDevice(slot, state, trb);
      case TrbType.ConfigureEndpoint:
        return this.#configure(slot, state, trb);
      case TrbType.EvaluateContext:
        return state < SlotState.Default
          ? Completion.ContextStateError
          : this.#evaluate(slot, parameterOf(trb));
      case TrbType.ResetDevice:
        if (state < SlotState.Addressed) return Completion.ContextStateError;
        slots.disableEndpoints(slot);
        slots.at.address[slot] = 0;
        slots.setState(slot, SlotState.Default);
        return Completion.Success;
      case TrbType.ResetEndpoint:
      case TrbType.StopEndpoint:
      case TrbType.SetDequeuePointer:
        return this.#ofEndpoint(type, slot, trb, budget);
      default:
        return Completion.TrbError;
    }
  }

  /** 4.6.5: the device gets an address, unless that is blocked; then the slot talks to address 0. */
  #addressDevice(slot: number, state: number, trb: Trb): CompletionCode {
    const { memory, slots } = this.#parts;
    const blocked = (trb.control & TrbControl.BlockSetAddress) !== 0;
    const possible = state === SlotState.Enabled || (state === SlotState.Default && !blocked);
    if (!possible) return Completion.ContextStateError;
    const input = parameterOf(trb);
    const { add, drop } = readInputControl(memory, input);
    const control = readInput(memory, input, CONTROL_DCI);
    if ((add & 3) !== 3 || drop !== 0 || !isPossibleEndpoint(control, CONTROL_DCI))
      return Completion.ParameterError;
    const words = readInput(memory, input, 0);
    const number = rootPortOf(words);
    const port = number === undefined ? undefined : this.#parts.port(number);
    if (number === undefined || port === undefined) return Completion.TrbError;
    if (!blocked) {
      // A device hears it only while it is at address 0, in other words once after each reset of its port.
      const hears = port.enabled && !port.suspended && port.device.address === 0;
      const packet = {
        requestType: RequestType.Device,
        request: SET_ADDRESS,
        value: slot,
        index: 0,
        length: 0,
      };
      if (!hears || !port.device.controlOut(packet)) return Completion.UsbTransactionError;
    }
    const context = slots.context(slot);
    slots.at.port[slot] = number;
    slots.at.address[slot] = blocked ? 0 : slot;
    slots.at.setupStage[slot] = 0;
    writeContext(memory, context, 0, words);
    slots.setState(slot, blocked ? SlotState.Default : SlotState.Addressed);
    this.#setUp(slot, CONTROL_DCI, control);
    return Completion.Success;
  }

  /** Sets an endpoint up as its input context says. */
  #setUp(slot: number, dci: number, words: Uint32Array): void {
    const { memory, slots } = this.#parts;
    writeContext(memory, slots.context(slot), dci, words);
    slots.ring(slot, dci).move(words[2], words[3]);
    slots.setDoorbell(slot, dci, Doorbell.Silent);
    slots.setEndpoint(slot, dci, EndpointState.Running);
  }

  /** 4.6.6. */
  #configure(slot: number, state: number, trb: Trb): CompletionCode {
    const { memory, slots } = this.#parts;
    if (state < SlotState.Addressed) return Completion.ContextStateError;
    if ((trb.control & TrbControl.Deconfigure) !== 0) {
      slots.disableEndpoints(slot);
      slots.setState(slot, SlotState.Addressed);
      return Completion.Success;
    }
    const input = parameterOf(trb);
    const { add, drop } = readInputControl(memory, input);
    if ((drop & 3) !== 0 || (add & 2) !== 0) return Completion.ParameterError;
    const added = endpointsOf(add).map((dci) => ({ dci, words: readInput(memory, input, dci) }));
    if (!added.every(({ dci, words }) => isPossibleEndpoint(words, dci))) return Completion.ParameterError;
    for (const dci of endpointsOf(drop)) slots.setEndpoint(slot, dci, EndpointState.Disabled);
    for (const { dci, words } of added) this.#setUp(slot, dci, words);
    if ((add & 1) !== 0) {
      // Of the slot context it is the number of entries that follows.
      const context = slots.context(slot);
      const words = readContext(memory, context, 0);
      words[0] = (words[0] & 0x07ff_ffff) | (readInput(memory, input, 0)[0] & 0xf800_0000);
      writeContext(memory, context, 0, words);
    }
    slots.setState(slot, slots.hasEndpoints(slot) ? SlotState.Configured : SlotState.Addressed);
    return Completion.Success;
  }

  /** 4.6.7: the exit latency and interrupter of the slot, and the packet size of the default endpoint. */
  #evaluate(slot: number, input: number): CompletionCode {
    const { memory, slots } = this.#parts;
    const { add, drop } = readInputControl(memory, input);
    if (drop !== 0 || (add & ~3) !== 0) return Completion.ParameterError;
    const context = slots.context(slot);
    const take = (dci: number, word: number, mask: number) => {
      const words = readContext(memory, context, dci);
      words[word] = (words[word] & ~mask) | (readInput(memory, input, dci)[word] & mask);
      writeContext(memory, context, dci, words);
    };
    if ((add & 1) !== 0) {
      take(0, 1, 0x0000_ffff);
      take(0, 2, 0xffc0_0000);
    }
    if ((add & 2) !== 0) take(CONTROL_DCI, 1, 0xffff_0000);
    return Completion.Success;
  }

  /** 4.6.8 to 4.6.10. */
  #ofEndpoint(type: number, slot: number, trb: Trb, budget: Budget): CompletionCode {
    const { slots, transfers } = this.#parts;
    const dci = endpointOf(trb);
    if (dci === 0) return Completion.TrbError;
    const state = slots.endpoint(slot, dci);
    if (state === EndpointState.Disabled) return Completion.EndpointNotEnabled;
    switch (type) {
      case TrbType.ResetEndpoint:
        if (state !== EndpointState.Halted) return Completion.ContextStateError;
        break;
      case TrbType.StopEndpoint:
        if (state !== EndpointState.Running) return Completion.ContextStateError;
        transfers.tellStopped(slot, dci, budget);
        break;
      default:
        if (state !== EndpointState.Stopped && state !== EndpointState.Error)
          return Completion.ContextStateError;
        slots.ring(slot, dci).move(trb.low, trb.high);
    }
    slots.setEndpoint(slot, dci, EndpointState.Stopped);
    return Completion.Success;
  }
}

/** The endpoints among the bits of an input control context. */
function endpointsOf(bits: number): number[] {
  const all: number[] = [];
  for (let dci = CONTROL_DCI + 1; dci <= LAST_DCI; dci++) if (((bits >>> dci) & 1) !== 0) all.push(dci);
  return all;
}
