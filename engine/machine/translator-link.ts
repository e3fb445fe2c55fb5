/**
 * What connects a vCPU's thread with the machine's translator thread: a port, through which the translator first
 * sends what it has made for all vCPUs to run guest code with, and a word that says when.
 *
 * Whoever waits for that sleeps on the word: the event loop of a thread that has just started does not sleep, but runs
 * one small task of the garbage collector after another.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import type { CompiledTier0 } from '../accel/wasm/index.ts';

/** One end of the connection, to be transferred to its thread with the port. */
export interface TranslatorEnd {
  readonly port: MessagePort;
  /** How much has been sent so far, which costs less to look at than the port; it also changes when the thread has ended. */
  readonly word: Int32Array<SharedArrayBuffer>;
}

/** The translator thread as a vCPU has it. */
export interface TranslatorLink extends TranslatorEnd {
  readonly tier0: CompiledTier0;
}

/** Says that something has been sent, or that nothing will be, and wakes the vCPU's thread if it waits. */
export function announce(word: Int32Array<SharedArrayBuffer>): void {
  Atomics.add(word, 0, 1);
  Atomics.notify(word, 0);
}

/** Sends what the vCPU's thread waits for. */
export function sendTier0({ port, word }: TranslatorEnd, { module, handlers, complex }: CompiledTier0): void {
  port.postMessage({ module, handlers, complex } satisfies CompiledTier0);
  announce(word);
}

/** Waits until the translator has sent what the vCPU needs; undefined where it has ended without. */
export function linkToTranslator({ port, word }: TranslatorEnd): TranslatorLink | undefined {
  Atomics.wait(word, 0, 0);
  const received: { message: CompiledTier0 } | undefined = receiveMessageOnPort(port);
  return received === undefined ? undefined : { port, word, tier0: received.message };
}
