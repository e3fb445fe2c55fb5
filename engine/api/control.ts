/**
 * The control protocol: how managers and the command line speak to the process that runs a machine, over a
 * local socket. Any number may be connected at a time.
 *
 * A message is a header and a body:
 *
 * ```
 * offset  size
 *      0     4   length of what follows, little endian
 *      4     1   0: JSON; 1: console
 *      5         the JSON text in UTF-8, or a console's bytes
 * ```
 *
 * Console output, from the engine, has the position of its first byte before the bytes (8 bytes, little
 * endian): how many the guest had written before it. Console input has the bytes alone.
 *
 * The engine speaks first, with a hello. Every request is answered once, by a result or a failure. State, log
 * and the end are told to all. After `attach` the connection carries the console's output too, and the guest
 * waits for whoever reads slowly, within bounds. After `display` it carries the machine's display instead: RFB, in
 * console messages.
 */
import { z } from 'zod';
import { problemSchema } from './problem.ts';
import {
  acceleratorInfoSchema,
  diskStatisticsSchema,
  exitStatisticsSchema,
  usageSchema,
  vcpuInfoSchema,
} from './statistics.ts';

/** Raised with every change that the other side would not understand. */
export const CONTROL_VERSION = 4;

/** Longest message, in bytes after the length. */
export const LONGEST_CONTROL_MESSAGE = 2 ** 20;

/** How a machine ended. */
export const outcomeSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('poweroff') }),
  z.strictObject({ kind: z.literal('exit'), status: z.int() }),
  z.strictObject({ kind: z.literal('stopped') }),
  z.strictObject({ kind: z.literal('crash'), message: z.string() }),
  z.strictObject({ kind: z.literal('host'), message: z.string() }),
  z.strictObject({ kind: z.literal('internal'), message: z.string() }),
]);
export type ControlOutcome = z.output<typeof outcomeSchema>;

/** Milliseconds since 1970. */
const time = z.number().nonnegative();

/** A CD-ROM drive of a machine that runs. */
export const mediumStateSchema = z.strictObject({
  /** Its number among the configuration's disks. */
  disk: z.int().nonnegative(),
  /** What is in it, or on the tray; null for nothing. */
  file: z.string().nullable(),
  /** The guest has ejected it. */
  trayOpen: z.boolean(),
  /** The guest keeps it from being taken out. */
  locked: z.boolean(),
});
export type MediumState = z.output<typeof mediumStateSchema>;

export const engineStateSchema = z.strictObject({
  /** `ready`: waits for a machine to start. */
  phase: z.enum(['ready', 'starting', 'running', 'paused', 'ended']),
  /** The power button was pressed a while ago, and the guest has not powered off yet. */
  shuttingDown: z.boolean(),
  /** When the machine was started; null before. */
  started: time.nullable(),
  /** The CD-ROM drives. */
  media: z.array(mediumStateSchema).readonly(),
  /** The machine is paused because the host has failed a disk: how, in one line; else null. What was asked of the
   * disk is tried again when the machine goes on. */
  ioError: z.string().nullable(),
});
export type EngineState = z.output<typeof engineStateSchema>;

/** What is left of a run, in a file beside the machine's configuration. Written when the machine starts, and
 * again when it ends: without `ended` in a file whose process is gone, the process died. */
export const runRecordSchema = z.strictObject({
  version: z.literal(1),
  pid: z.int(),
  started: time,
  /** Null while it runs. */
  ended: time.nullable(),
  outcome: outcomeSchema.nullable(),
  statistics: exitStatisticsSchema.nullable(),
});
export type RunRecord = z.output<typeof runRecordSchema>;

const requestSchema = z.discriminatedUnion('kind', [
  /** What can run machines here. */
  z.strictObject({ kind: z.literal('probe') }),
  /** Starts a machine; once. `note` is the manager's own, kept for others who connect. */
  z.strictObject({
    kind: z.literal('start'),
    config: z.unknown(),
    note: z.string().max(LONGEST_CONTROL_MESSAGE >> 1),
    paused: z.boolean(),
  }),
  z.strictObject({ kind: z.literal('pause') }),
  z.strictObject({ kind: z.literal('resume') }),
  z.strictObject({ kind: z.literal('reset') }),
  z.strictObject({ kind: z.literal('power-button') }),
  /** Ends the machine, or the process where it has none. */
  z.strictObject({ kind: z.literal('stop') }),
  z.strictObject({ kind: z.literal('usage') }),
  z.strictObject({ kind: z.literal('statistics') }),
  /** What each disk has moved. */
  z.strictObject({ kind: z.literal('disk-statistics') }),
  /** Puts a disc into a CD-ROM drive, or takes it out. */
  z.strictObject({
    kind: z.literal('change-medium'),
    /** Number of the drive among the configuration's disks. */
    disk: z.int().nonnegative(),
    /** An absolute path; null takes the disc out. */
    file: z.string().min(1).max(4096).nullable(),
    /** Even if the guest has locked the disc in. */
    force: z.boolean(),
  }),
  /** Each vCPU, by index. */
  z.strictObject({ kind: z.literal('vcpus') }),
  /** Sends the console's output from `from`, or from as far back as is kept. */
  z.strictObject({ kind: z.literal('attach'), from: z.int().nonnegative() }),
  /** Has console messages of this connection carry the display, as a viewer's connection does (RFC 6143). */
  z.strictObject({ kind: z.literal('display') }),
  /** Writes what is on the screen to a PNG file; an absolute path. */
  z.strictObject({ kind: z.literal('screenshot'), file: z.string().min(1).max(4096) }),
  /** Presses keys (their codes as in keys.ts) in order, holds them, and lets them go in the opposite order. */
  z.strictObject({
    kind: z.literal('send-key'),
    codes: z.array(z.int().min(1).max(0xff)).min(1).max(16),
    /** Milliseconds. */
    hold: z.int().nonnegative().max(60_000),
  }),
]);
export type ControlRequest = z.output<typeof requestSchema>;
export type ControlRequestKind = ControlRequest['kind'];

const nothing = z.null();

const RESULTS = {
  probe: z.array(acceleratorInfoSchema),
  start: nothing,
  pause: nothing,
  resume: nothing,
  reset: nothing,
  'power-button': nothing,
  stop: nothing,
  usage: usageSchema,
  statistics: exitStatisticsSchema,
  /** In the order of the configuration. */
  'disk-statistics': z.array(diskStatisticsSchema),
  'change-medium': nothing,
  vcpus: z.array(vcpuInfoSchema),
  /** Position of the first byte that follows. */
  attach: z.strictObject({ position: z.int().nonnegative() }),
  display: z.strictObject({ position: z.literal(0) }),
  screenshot: z.strictObject({
    width: z.int(),
    height: z.int(),
    /** What can be read on it, a string for each row; null where it shows graphics. */
    text: z.array(z.string()).nullable(),
  }),
  'send-key': nothing,
};

/** What each request is answered with. */
export type ControlResult<K extends ControlRequestKind> = z.output<(typeof RESULTS)[K]>;

export const CONTROL_RESULTS: {
  readonly [K in ControlRequestKind]: z.ZodType<ControlResult<K>>;
} = RESULTS;

const id = z.int().nonnegative();

/** To the engine. */
export const controlRequestSchema = z.strictObject({ id, request: requestSchema });

/** From the engine. */
export const controlMessageSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('hello'),
    protocol: z.int(),
    pid: z.int(),
    state: engineStateSchema,
    /** As given to `start`; empty before. */
    note: z.string(),
  }),
  z.strictObject({ type: z.literal('result'), id, result: z.unknown() }),
  z.strictObject({ type: z.literal('failure'), id, error: problemSchema }),
  z.strictObject({ type: z.literal('state'), state: engineStateSchema, note: z.string() }),
  z.strictObject({
    type: z.literal('log'),
    level: z.enum(['debug', 'info', 'warn', 'error']),
    scope: z.string(),
    text: z.string(),
  }),
  z.strictObject({ type: z.literal('ended'), outcome: outcomeSchema }),
]);
export type ControlMessage = z.output<typeof controlMessageSchema>;
export type ControlHello = Extract<ControlMessage, { type: 'hello' }>;

/** One message taken from a stream. Bytes are the receiver's to keep. */
export type ControlPacket =
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'console'; readonly bytes: Uint8Array };

const Kind = { Json: 0, Console: 1 } as const;
const HEADER = 5;

function pack(kind: number, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const message = new Uint8Array(HEADER + length);
  new DataView(message.buffer).setUint32(0, length + 1, true);
  message[4] = kind;
  let at = HEADER;
  for (const part of parts) {
    message.set(part, at);
    at += part.length;
  }
  return message;
}

/** A value as a message. */
export function packJson(value: unknown): Uint8Array<ArrayBuffer> {
  return pack(Kind.Json, new TextEncoder().encode(JSON.stringify(value)));
}

/** Console input as a message. */
export function packInput(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return pack(Kind.Console, bytes);
}

/** Console output as a message. */
export function packOutput(position: number, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const head = new Uint8Array(8);
  new DataView(head.buffer).setBigUint64(0, BigInt(position), true);
  return pack(Kind.Console, head, bytes);
}

/** Takes console output apart; undefined where it is malformed. */
export function unpackOutput(body: Uint8Array): { position: number; bytes: Uint8Array } | undefined {
  if (body.length < 8) return undefined;
  const position = new DataView(body.buffer, body.byteOffset, 8).getBigUint64(0, true);
  return position > Number.MAX_SAFE_INTEGER
    ? undefined
    : { position: Number(position), bytes: body.subarray(8) };
}

/** Cuts a stream of bytes into messages. */
export class ControlDecoder {
  #rest: Uint8Array = new Uint8Array(0);

  /**
   * Takes bytes as they come.
   *
   * @returns the messages that are whole now
   * @throws Error for what can't be a message; nothing more can be read then
   */
  feed(bytes: Uint8Array): ControlPacket[] {
    let rest = bytes;
    if (this.#rest.length > 0) {
      rest = new Uint8Array(this.#rest.length + bytes.length);
      rest.set(this.#rest);
      rest.set(bytes, this.#rest.length);
    }
    const packets: ControlPacket[] = [];
    for (;;) {
      if (rest.length < 4) break;
      const length = new DataView(rest.buffer, rest.byteOffset, 4).getUint32(0, true);
      if (length < 1 || length > LONGEST_CONTROL_MESSAGE) throw new Error(`a message of ${length} bytes`);
      if (rest.length < 4 + length) break;
      // A copy, also of a Buffer, whose own slice is a view.
      packets.push(unpack(rest[4], new Uint8Array(rest.subarray(HEADER, 4 + length))));
      rest = rest.subarray(4 + length);
    }
    this.#rest = new Uint8Array(rest);
    return packets;
  }
}

function unpack(kind: number, body: Uint8Array): ControlPacket {
  if (kind === Kind.Console) return { kind: 'console', bytes: body };
  if (kind !== Kind.Json) throw new Error(`a message of kind ${kind}`);
  return { kind: 'json', value: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)) };
}
