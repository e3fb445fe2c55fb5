/** A driver for tests of the host controller: knows its registers and rings, and one device on port 1. */
import type { TestMemory } from '../storage/test-disk.ts';
import { CONTEXT_BYTES } from './contexts.ts';
import { Group, Op, Runtime, UsbCommand } from './registers.ts';
import { Completion, slotOf, TRB_BYTES, TrbControl, TrbType, type TrbWords, typeOf } from './trb.ts';
import type { XhciController } from './xhci.ts';

/** Where the driver puts what. */
export const PLACE = {
  ContextArray: 0x1000,
  Commands: 0x2000,
  Segments: 0x3000,
  Events: 0x3400,
  Input: 0x5000,
  Contexts: 0x6000,
  Control: 0x8000,
  Interrupt: 0x8400,
  Data: 0x9000,
} as const;

/** Bytes of guest memory that it needs. */
export const DRIVER_MEMORY = 0xa000;

/** TRBs of each ring, the last of which is a link where the controller consumes it. */
export const RING_TRBS = 16;

/** A ring that the driver fills. */
class ProducerRing {
  readonly #memory: TestMemory;
  readonly #base: number;
  #index = 0;
  #cycle = 1;

  constructor(memory: TestMemory, base: number) {
    this.#memory = memory;
    this.#base = base;
    memory.bytes.fill(0, base, base + TRB_BYTES * RING_TRBS);
  }

  /** @returns the address of the TRB */
  put(low: number, status: number, control: number, high = 0): number {
    const at = this.#base + TRB_BYTES * this.#index;
    this.#write(at, low, high, status, control | this.#cycle);
    if (++this.#index === RING_TRBS - 1) {
      const link = TrbType.Link << 10;
      const end = this.#base + TRB_BYTES * this.#index;
      this.#write(end, this.#base, 0, 0, link | TrbControl.ToggleCycle | this.#cycle);
      this.#index = 0;
      this.#cycle ^= 1;
    }
    return at;
  }

  #write(at: number, ...words: readonly number[]): void {
    for (const [i, word] of words.entries()) this.#memory.view.setUint32(at + 4 * i, word >>> 0, true);
  }
}

/** A transfer event as tests look at it. */
export interface TransferEvent {
  readonly code: number;
  /** Bytes not moved. */
  readonly rest: number;
  readonly dci: number;
  readonly low: number;
}

export interface CommandOutcome {
  readonly code: number;
  readonly slot: number;
  readonly transfers: readonly TransferEvent[];
}

export class TestDriver {
  readonly memory: TestMemory;
  readonly #controller: XhciController;
  #commands: ProducerRing;
  #control: ProducerRing;
  #interrupt: ProducerRing;
  #eventIndex = 0;
  #eventCycle = 1;
  slot = 0;

  constructor(controller: XhciController, memory: TestMemory) {
    this.#controller = controller;
    this.memory = memory;
    this.#commands = new ProducerRing(memory, PLACE.Commands);
    this.#control = new ProducerRing(memory, PLACE.Control);
    this.#interrupt = new ProducerRing(memory, PLACE.Interrupt);
  }

  read(offset: number): number {
    return this.#controller.registers.mmioRead(offset, 4, 0);
  }

  write(offset: number, value: number): void {
    this.#controller.registers.mmioWrite(offset, 4, value >>> 0, 0);
  }

  operational(offset: number): number {
    return this.read(Group.Operational + offset);
  }

  setOperational(offset: number, value: number): void {
    this.write(Group.Operational + offset, value);
  }

  /** PORTSC of port 1. */
  get port(): number {
    return this.operational(Op.Ports);
  }

  set port(value: number) {
    this.setOperational(Op.Ports, value);
  }

  interrupter(offset: number): number {
    return this.read(Group.Runtime + Runtime.Interrupter + offset);
  }

  setInterrupter(offset: number, value: number): void {
    this.write(Group.Runtime + Runtime.Interrupter + offset, value);
  }

  /** 4.2: from a reset to where it runs. */
  start(): void {
    const { memory } = this;
    memory.bytes.fill(0);
    this.#commands = new ProducerRing(memory, PLACE.Commands);
    this.#eventIndex = 0;
    this.#eventCycle = 1;
    this.#controller.configWrite(4, 2, 6);
    this.setOperational(Op.Command, UsbCommand.Reset);
    this.setOperational(Op.Configure, 8);
    this.setOperational(Op.ContextArray, PLACE.ContextArray);
    this.setOperational(Op.ContextArray + 4, 0);
    this.setOperational(Op.CommandRing, PLACE.Commands | 1);
    this.setOperational(Op.CommandRing + 4, 0);
    memory.view.setUint32(PLACE.Segments, PLACE.Events, true);
    memory.view.setUint32(PLACE.Segments + 8, RING_TRBS, true);
    this.setInterrupter(0x08, 1);
    this.setInterrupter(0x18, PLACE.Events);
    this.setInterrupter(0x1c, 0);
    this.setInterrupter(0x10, PLACE.Segments);
    this.setInterrupter(0x14, 0);
    this.setInterrupter(0x00, 2);
    this.setOperational(Op.Command, UsbCommand.Run | UsbCommand.InterruptEnable);
  }

  /** Events that have come, which are taken. */
  events(): TrbWords[] {
    const { view } = this.memory;
    const found: TrbWords[] = [];
    for (;;) {
      const at = PLACE.Events + TRB_BYTES * this.#eventIndex;
      const control = view.getUint32(at + 12, true);
      if ((control & 1) !== this.#eventCycle) break;
      const words = [0, 4, 8].map((offset) => view.getUint32(at + offset, true));
      found.push({ low: words[0], high: words[1], status: words[2], control });
      if (++this.#eventIndex === RING_TRBS) {
        this.#eventIndex = 0;
        this.#eventCycle ^= 1;
      }
    }
    this.setInterrupter(0x18, (PLACE.Events + TRB_BYTES * this.#eventIndex) | 8);
    return found;
  }

  /** Transfer events that have come; what else has come is lost. */
  transfers(): TransferEvent[] {
    return transfersAmong(this.events());
  }

  /** Does a command. @returns its completion code, the slot that its event names, and transfer
   *   events that it has brought */
  command(type: number, low = 0, flags = 0, slot = this.slot): CommandOutcome {
    this.events();
    const at = this.#commands.put(low, 0, (slot << 24) | (type << 10) | flags);
    this.write(Group.Doorbells, 0);
    const events = this.events();
    const done = events.find((each) => typeOf(each) === TrbType.CommandCompletionEvent && each.low === at);
    if (done === undefined) throw new Error(`command ${type} did not complete`);
    return { code: done.status >>> 24, slot: slotOf(done), transfers: transfersAmong(events) };
  }

  /** Writes an input context: which contexts are added, the slot context, and endpoints by DCI. */
  input(
    add: number,
    drop = 0,
    endpoints: ReadonlyArray<readonly [dci: number, type: number, ring: number]> = [],
  ): void {
    const { view, bytes } = this.memory;
    bytes.fill(0, PLACE.Input, PLACE.Input + 33 * CONTEXT_BYTES);
    const set = (context: number, word: number, value: number) =>
      view.setUint32(PLACE.Input + CONTEXT_BYTES * context + 4 * word, value >>> 0, true);
    set(0, 0, drop);
    set(0, 1, add);
    set(1, 0, (3 << 27) | (1 << 20));
    set(1, 1, 1 << 16);
    for (const [dci, type, ring] of endpoints) {
      set(1 + dci, 1, (64 << 16) | (type << 3) | 6);
      set(1 + dci, 2, ring | 1);
    }
  }

  /** Resets port 1, and gives its device a slot and an address. @returns completion of Address Device */
  address(flags = 0): number {
    this.port = 1 << 4;
    this.slot = this.command(TrbType.EnableSlot).slot;
    return this.addressSlot(flags);
  }

  addressSlot(flags = 0): number {
    this.memory.view.setUint32(PLACE.ContextArray + 8 * this.slot, this.context, true);
    this.#control = new ProducerRing(this.memory, PLACE.Control);
    this.input(3, 0, [[1, 4, PLACE.Control]]);
    return this.command(TrbType.AddressDevice, PLACE.Input, flags).code;
  }

  /** Where the output context of the slot is. */
  get context(): number {
    return PLACE.Contexts + 0x400 * this.slot;
  }

  /** State in the output context of an endpoint; of the slot with DCI 0. */
  stateOf(dci: number): number {
    const { view } = this.memory;
    return dci === 0
      ? view.getUint32(this.context + 12, true) >>> 27
      : view.getUint32(this.context + CONTEXT_BYTES * dci, true) & 7;
  }

  /** Sets up endpoint 1 IN, and configuration 1 of the device. */
  configure(): void {
    this.#interrupt = new ProducerRing(this.memory, PLACE.Interrupt);
    this.input(1 | (1 << 3), 0, [[3, 7, PLACE.Interrupt]]);
    const { code } = this.command(TrbType.ConfigureEndpoint, PLACE.Input);
    if (code !== Completion.Success) throw new Error(`Configure Endpoint ended with ${code}`);
    this.request(0x00, 9, 1);
  }

  /** Puts a TRB on the ring of the default endpoint. */
  putControl(low: number, status: number, control: number, high = 0): number {
    return this.#control.put(low, status, control, high);
  }

  /** Puts a TRB on the ring of endpoint 1 IN. */
  putInterrupt(low: number, status: number, control: number): number {
    return this.#interrupt.put(low, status, control);
  }

  ring(dci: number): void {
    this.write(Group.Doorbells + 4 * this.slot, dci);
  }

  /** A control transfer. @returns its data, or the completion code where it failed */
  request(requestType: number, request: number, value = 0, index = 0, length = 0): number[] | number {
    const toHost = (requestType & 0x80) !== 0;
    this.events();
    const setup = TrbControl.ImmediateData | (TrbType.Setup << 10);
    this.putControl(
      (requestType | (request << 8) | (value << 16)) >>> 0,
      8,
      setup,
      (index | (length << 16)) >>> 0,
    );
    const short = TrbControl.InterruptOnShortPacket;
    if (length > 0)
      this.putControl(
        PLACE.Data,
        length,
        (TrbType.Data << 10) | short | (toHost ? TrbControl.DirectionIn : 0),
      );
    const status = TrbControl.InterruptOnCompletion | (TrbType.Status << 10);
    this.putControl(0, 0, status | (toHost && length > 0 ? 0 : TrbControl.DirectionIn));
    this.ring(1);
    const events = this.transfers();
    const failed = events.find(({ code }) => code !== Completion.Success && code !== Completion.ShortPacket);
    if (failed !== undefined) return failed.code;
    if (events.length === 0) throw new Error(`request ${request} did not complete`);
    const rest = events.find(({ code }) => code === Completion.ShortPacket)?.rest ?? 0;
    return [...this.memory.bytes.subarray(PLACE.Data, PLACE.Data + length - rest)];
  }

  /** After a stall: the default endpoint goes on with an empty ring. */
  recover(): void {
    this.command(TrbType.ResetEndpoint, 0, 1 << 16);
    this.#control = new ProducerRing(this.memory, PLACE.Control);
    this.command(TrbType.SetDequeuePointer, PLACE.Control | 1, 1 << 16);
  }

  /** Hands out buffers for reports, six bytes each. */
  offer(count: number, bytes = 6): void {
    const flags = TrbControl.InterruptOnCompletion | TrbControl.InterruptOnShortPacket;
    for (let i = 0; i < count; i++)
      this.putInterrupt(PLACE.Data + 0x100 + 8 * i, bytes, (TrbType.Normal << 10) | flags);
    this.ring(3);
  }

  /** The report in a buffer that was handed out: buttons, x, y, wheel. */
  report(index: number): number[] {
    const { view } = this.memory;
    const at = PLACE.Data + 0x100 + 8 * index;
    return [
      view.getUint8(at),
      view.getUint16(at + 1, true),
      view.getUint16(at + 3, true),
      view.getInt8(at + 5),
    ];
  }
}

function transfersAmong(events: readonly TrbWords[]): TransferEvent[] {
  return events
    .filter((event) => typeOf(event) === TrbType.TransferEvent)
    .map(({ status, control, low }) => ({
      code: status >>> 24,
      rest: status & 0xff_ffff,
      dci: (control >>> 16) & 0x1f,
      low,
    }));
}
