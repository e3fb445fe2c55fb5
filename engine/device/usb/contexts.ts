/**
 * Contexts: what driver and controller tell each other of a slot and its endpoints, in guest memory.
 *
 * ```
 * device context  0 slot context, then endpoint contexts by device context index (DCI) 1 … 31, 32 bytes each
 * input context   0 input control context, then a device context
 * ```
 *
 * The controller keeps what it goes by to itself (`slots.ts`); contexts are read when a command says so, and otherwise
 * only written, so nothing depends on what a driver does to them meanwhile.
 *
 * xHCI 1.2, 6.2 "Device Context Index", with contexts of 32 bytes.
 */
import type { DmaMemory } from '../dma.ts';
import { readWords, writeWords } from './trb.ts';

export const CONTEXT_BYTES = 32;
const CONTEXT_WORDS = CONTEXT_BYTES / 4;

/** Device contexts end with this DCI; the default control endpoint has 1. */
export const LAST_DCI = 31;
export const CONTROL_DCI = 1;

/** States of a slot (6.2.2), one more than the context has: there 0 is Disabled as well as Enabled. */
export const SlotState = { Disabled: 0, Enabled: 1, Default: 2, Addressed: 3, Configured: 4 } as const;

/** States of an endpoint (6.2.3). */
export const EndpointState = { Disabled: 0, Running: 1, Halted: 2, Stopped: 3, Error: 4 } as const;

/** Types of endpoints (6.2.3). */
const EndpointType = { Invalid: 0, Control: 4 } as const;

/** What an input context asks for (6.2.5.1): bit 0 is the slot context, the others are endpoints. */
export interface InputControl {
  readonly drop: number;
  readonly add: number;
}

export function readInputControl(memory: DmaMemory, input: number): InputControl {
  const [drop, add] = readWords(memory, input, 2);
  return { drop, add };
}

/** The slot context of an input context, or an endpoint's. @param dci 0 for the slot */
export function readInput(memory: DmaMemory, input: number, dci: number): Uint32Array {
  return readWords(memory, input + CONTEXT_BYTES * (dci + 1), CONTEXT_WORDS);
}

export function readContext(memory: DmaMemory, device: number, dci: number): Uint32Array {
  return readWords(memory, device + CONTEXT_BYTES * dci, CONTEXT_WORDS);
}

export function writeContext(memory: DmaMemory, device: number, dci: number, words: Uint32Array): void {
  writeWords(memory, device + CONTEXT_BYTES * dci, [...words]);
}

/** The port of the root hub that a slot context names, from 1; undefined for a device behind a hub. */
export function rootPortOf([first, second]: Uint32Array): number | undefined {
  return (first & 0xf_ffff) === 0 ? (second >>> 16) & 0xff : undefined;
}

/** Whether an endpoint context is one that an endpoint can be set up by: of a type that there is, and without
 * streams, which are not supported. */
export function isPossibleEndpoint([first, second]: Uint32Array, dci: number): boolean {
  const type = (second >>> 3) & 7;
  const streams = (first >>> 10) & 0x1f;
  return (
    type !== EndpointType.Invalid &&
    (type === EndpointType.Control) === (dci === CONTROL_DCI) &&
    streams === 0
  );
}
