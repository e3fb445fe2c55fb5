/**
 * Transfer request blocks: the 16-byte entries of all rings that driver and controller share.
 *
 * ```
 * 0  parameter, 64 bits     8  status     12  control: bit 0 cycle, bits 15-10 type
 * ```
 *
 * eXtensible Host Controller Interface (xHCI) 1.2, 4.11 "TRBs" and 6.4 "Transfer Request Block (TRB)".
 */
import type { DmaMemory } from '../dma.ts';

export const TRB_BYTES = 16;

/** Types (table 6-91). */
export const TrbType = {
  Normal: 1,
  Setup: 2,
  Data: 3,
  Status: 4,
  Link: 6,
  EventData: 7,
  NoOp: 8,
  EnableSlot: 9,
  DisableSlot: 10,
  AddressDevice: 11,
  ConfigureEndpoint: 12,
  EvaluateContext: 13,
  ResetEndpoint: 14,
  StopEndpoint: 15,
  SetDequeuePointer: 16,
  ResetDevice: 17,
  NoOpCommand: 23,
  TransferEvent: 32,
  CommandCompletionEvent: 33,
  PortStatusChangeEvent: 34,
  HostControllerEvent: 37,
  WrapEvent: 39,
} as const;

/** Bits of the control word; which of them there are depends on the type. */
export const TrbControl = {
  Cycle: 1 << 0,
  /** Of a link. */
  ToggleCycle: 1 << 1,
  /** Of a transfer event: the parameter is an Event Data TRB's. */
  EventData: 1 << 2,
  InterruptOnShortPacket: 1 << 2,
  Chain: 1 << 4,
  InterruptOnCompletion: 1 << 5,
  ImmediateData: 1 << 6,
  BlockEventInterrupt: 1 << 9,
  /** Of Address Device: leaves out SET_ADDRESS. */
  BlockSetAddress: 1 << 9,
  /** Of Configure Endpoint. */
  Deconfigure: 1 << 9,
  /** Of data and status stages. */
  DirectionIn: 1 << 16,
} as const;

/** Completion codes (table 6-90). */
export const Completion = {
  Success: 1,
  BabbleDetected: 3,
  UsbTransactionError: 4,
  TrbError: 5,
  Stall: 6,
  NoSlotsAvailable: 9,
  SlotNotEnabled: 11,
  EndpointNotEnabled: 12,
  ShortPacket: 13,
  ParameterError: 17,
  ContextStateError: 19,
  EventRingFull: 21,
  CommandRingStopped: 24,
  Stopped: 26,
} as const;

export type CompletionCode = (typeof Completion)[keyof typeof Completion];

/** A TRB without its place. All four are unsigned words. */
export interface TrbWords {
  readonly low: number;
  readonly high: number;
  readonly status: number;
  readonly control: number;
}

/** A TRB that lies at a guest-physical address. */
export interface Trb extends TrbWords {
  readonly at: number;
}

/** What a driver must not do with a ring. What follows of it is the ring's user's to say. */
export class RingError extends Error {}

export function typeOf({ control }: TrbWords): number {
  return (control >>> 10) & 0x3f;
}

/** The parameter as an address; one beyond 2^53 loses bits, but leads nowhere anyway. */
export function parameterOf({ low, high }: TrbWords): number {
  return high * 2 ** 32 + low;
}

/** Bytes that a transfer TRB is for (6.4.1.1). */
export function lengthOf({ status }: TrbWords): number {
  return status & 0x1_ffff;
}

/** The slot that a command, or an event, is about. */
export function slotOf({ control }: TrbWords): number {
  return control >>> 24;
}

/** The endpoint (its device context index) that a command is about. */
export function endpointOf({ control }: TrbWords): number {
  return (control >>> 16) & 0x1f;
}

/** Low and high words of an address. */
export function wordsOf(address: number): { readonly low: number; readonly high: number } {
  return { low: address % 2 ** 32, high: Math.floor(address / 2 ** 32) };
}

/** Little-endian words of guest memory. */
export function readWords(memory: DmaMemory, address: number, count: number): Uint32Array {
  return new Uint32Array(memory.read(address, 4 * count).slice().buffer);
}

export function writeWords(memory: DmaMemory, address: number, words: readonly number[]): void {
  memory.write(address, new Uint8Array(Uint32Array.from(words).buffer));
}

/** Reads the TRB at an address where it has been handed over, which its cycle bit says: that is looked at first, as
 * the driver, on another processor, writes it last.
 * @returns undefined where it has not */
export function readTrb(memory: DmaMemory, at: number, cycle: number): Trb | undefined {
  const [last] = readWords(memory, at + 12, 1);
  if ((last & TrbControl.Cycle) !== cycle) return undefined;
  const [low, high, status, control] = readWords(memory, at, 4);
  return { at, low, high, status, control };
}

/** Writes a TRB, the word with the cycle bit last. */
export function writeTrb(memory: DmaMemory, at: number, { low, high, status, control }: TrbWords): void {
  writeWords(memory, at, [low, high, status]);
  writeWords(memory, at + 12, [control]);
}
