/**
 * Frames: what travels between the interface and main, whatever carries it. A transport moves whole messages
 * in order, each a text or an array of bytes.
 *
 * A text is JSON, one of {@link ClientFrame} or {@link ServerFrame}. Bytes are a console's:
 *
 * ```
 * offset  size
 *      0     4   stream, little endian
 *      4     8   position of the first byte in the console's output, little endian (output only)
 *      4/12      the bytes
 * ```
 *
 * Main sends at most {@link CONSOLE_WINDOW} bytes of a console's output beyond what the client has credited,
 * so a client that is slow, or draws only what it can, never has to keep more than that.
 */
import { z } from 'zod';
import { problemSchema } from '../../engine/api/problem.ts';
import { issueSchema, streamSchema } from './methods.ts';

/** Raised with every change that the other side would not understand. */
export const PROTOCOL_VERSION = 1;

/** Longest message a client may send, in bytes. */
export const LONGEST_MESSAGE = 2 ** 20;

/** Bytes of console output under way at most. */
export const CONSOLE_WINDOW = 2 ** 18;

const requestId = z.int().nonnegative();

/** From the interface. */
export const clientFrameSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('request'),
    id: requestId,
    method: z.string().max(64),
    params: z.unknown(),
  }),
  /** So many bytes of a console's output have been drawn. */
  z.strictObject({ type: z.literal('credit'), stream: streamSchema, bytes: z.int().positive() }),
]);
export type ClientFrame = z.output<typeof clientFrameSchema>;

/** What a request that failed says: the problem and, for a document, every field that is wrong. */
export const failureSchema = problemSchema.extend({ issues: z.array(issueSchema).optional() });
export type Failure = z.output<typeof failureSchema>;

/** From main. */
export const serverFrameSchema = z.discriminatedUnion('type', [
  /** The first frame of all. */
  z.strictObject({
    type: z.literal('hello'),
    protocol: z.int(),
    /** Guesthouse's. */
    version: z.string(),
    shell: z.enum(['browser', 'desktop']),
    platform: z.string(),
  }),
  z.strictObject({ type: z.literal('result'), id: requestId, result: z.unknown() }),
  z.strictObject({ type: z.literal('failure'), id: requestId, error: failureSchema }),
  z.strictObject({ type: z.literal('event'), event: z.string(), data: z.unknown() }),
]);
export type ServerFrame = z.output<typeof serverFrameSchema>;
export type Hello = Extract<ServerFrame, { type: 'hello' }>;

/** Carries messages between the two sides, in order. */
export interface Transport {
  send(message: string | Uint8Array): void;
  close(): void;
}

/** Puts console output into a message. */
export function encodeOutput(stream: number, position: number, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const message = new Uint8Array(12 + bytes.length);
  const view = new DataView(message.buffer);
  view.setUint32(0, stream, true);
  view.setBigUint64(4, BigInt(position), true);
  message.set(bytes, 12);
  return message;
}

/** Takes console output out of a message; undefined where it is none. The bytes are a view. */
export function decodeOutput(
  message: Uint8Array,
): { stream: number; position: number; bytes: Uint8Array } | undefined {
  if (message.length < 12) return undefined;
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const stream = view.getUint32(0, true);
  return { stream, position: Number(view.getBigUint64(4, true)), bytes: message.subarray(12) };
}

/** Puts console input into a message. */
export function encodeInput(stream: number, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const message = new Uint8Array(4 + bytes.length);
  new DataView(message.buffer).setUint32(0, stream, true);
  message.set(bytes, 4);
  return message;
}

/** Takes console input out of a message; undefined where it is none. The bytes are a view. */
export function decodeInput(message: Uint8Array): { stream: number; bytes: Uint8Array } | undefined {
  if (message.length < 4) return undefined;
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  return { stream: view.getUint32(0, true), bytes: message.subarray(4) };
}
