/** A connection to an engine's process: the asking side of engine/api/control.ts. */
import { connect, type Socket } from 'node:net';
import {
  CONTROL_RESULTS,
  CONTROL_VERSION,
  ControlDecoder,
  type ControlHello,
  controlMessageSchema,
  type ControlOutcome,
  type ControlPacket,
  type ControlRequest,
  type ControlRequestKind,
  type ControlResult,
  type EngineState,
  packInput,
  packJson,
  unpackOutput,
} from '../../engine/api/control.ts';
import { errorOf } from '../../engine/api/problem.ts';
import { GuesthouseError } from '../../engine/base/errors.ts';
import type { LogRecord } from '../../engine/base/log.ts';

/** How long an engine may take to say hello, in milliseconds. */
const PATIENCE = 10_000;

/** What an engine says by itself. */
export interface EngineListener {
  /** The state, at first and whenever it changes. */
  state?(state: EngineState, note: string): void;
  log?(record: LogRecord): void;
  ended?(outcome: ControlOutcome): void;
  /** Console output; the bytes are the listener's to keep. */
  output?(position: number, bytes: Uint8Array): void;
  /** The connection has ended; nothing follows. */
  closed?(): void;
}

interface Pending {
  settle(result: unknown): void;
  fail(error: Error): void;
}

type RequestOf<K extends ControlRequestKind> = Extract<ControlRequest, { kind: K }>;

export class EngineClient {
  readonly #socket: Socket;
  readonly #decoder = new ControlDecoder();
  readonly #listener: EngineListener;
  readonly #pending = new Map<number, Pending>();
  readonly #hello = Promise.withResolvers<ControlHello>();
  #next = 1;
  #closed = false;

  private constructor(socket: Socket, listener: EngineListener) {
    this.#socket = socket;
    this.#listener = listener;
    socket.on('data', (bytes: Buffer) => this.#feed(bytes));
    socket.on('error', (error) => this.#hello.reject(error));
    socket.on('close', () => this.#close());
  }

  /**
   * Connects.
   *
   * @returns undefined where nobody listens
   * @throws GuesthouseError `unsupported` where what listens is of another version
   */
  static async connect(
    path: string,
    listener: EngineListener = {},
  ): Promise<{ client: EngineClient; hello: ControlHello } | undefined> {
    const socket = connect(path);
    const client = new EngineClient(socket, listener);
    const timer = setTimeout(() => socket.destroy(), PATIENCE);
    let hello: ControlHello;
    try {
      hello = await client.#hello.promise;
    } catch {
      socket.destroy();
      return undefined;
    } finally {
      clearTimeout(timer);
    }
    if (hello.protocol === CONTROL_VERSION) return { client, hello };
    socket.destroy();
    throw new GuesthouseError(
      'unsupported',
      `the machine was started by another version of Guesthouse, whose protocol is ${hello.protocol} and not ${CONTROL_VERSION}`,
      'use that version, or shut the machine down from within',
    );
  }

  /**
   * Asks.
   *
   * @throws GuesthouseError what the engine says, or `state` where it has gone
   */
  request<K extends ControlRequestKind>(request: RequestOf<K> & { kind: K }): Promise<ControlResult<K>> {
    if (this.#closed) return Promise.reject(gone());
    const id = this.#next++;
    const answer = Promise.withResolvers<ControlResult<K>>();
    const { kind } = request;
    this.#pending.set(id, {
      settle: (raw) => {
        const result = CONTROL_RESULTS[kind].safeParse(raw);
        if (result.success) answer.resolve(result.data);
        else
          answer.reject(
            new GuesthouseError('internal', `the engine answered ${kind} with something malformed`),
          );
      },
      fail: answer.reject,
    });
    this.#socket.write(packJson({ id, request }));
    return answer.promise;
  }

  /** Sends console input.
   * @returns false where no more should be sent until {@link drained} */
  input(bytes: Uint8Array): boolean {
    return this.#closed || this.#socket.write(packInput(bytes));
  }

  /** Resolves when there is room for more input. */
  async drained(): Promise<void> {
    if (this.#closed || !this.#socket.writableNeedDrain) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        this.#socket.off('drain', done).off('close', done);
        resolve();
      };
      this.#socket.on('drain', done).on('close', done);
    });
  }

  /** Stops reading: console output stays with the engine. Answers do not come either. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Lets the process end though this connection is open. */
  unref(): void {
    this.#socket.unref();
  }

  #feed(bytes: Uint8Array): void {
    let packets: ControlPacket[];
    try {
      packets = this.#decoder.feed(bytes);
    } catch {
      this.#socket.destroy();
      return;
    }
    for (const packet of packets) {
      const understood = packet.kind === 'json' ? this.#message(packet.value) : this.#output(packet.bytes);
      if (!understood) this.#socket.destroy();
    }
  }

  #output(body: Uint8Array): boolean {
    const output = unpackOutput(body);
    if (output !== undefined) this.#listener.output?.(output.position, output.bytes);
    return output !== undefined;
  }

  #message(value: unknown): boolean {
    const parsed = controlMessageSchema.safeParse(value);
    if (!parsed.success) return false;
    const message = parsed.data;
    switch (message.type) {
      case 'hello':
        this.#hello.resolve(message);
        this.#listener.state?.(message.state, message.note);
        return true;
      case 'result':
        this.#take(message.id)?.settle(message.result);
        return true;
      case 'failure':
        this.#take(message.id)?.fail(errorOf(message.error));
        return true;
      case 'state':
        this.#listener.state?.(message.state, message.note);
        return true;
      case 'log':
        this.#listener.log?.(message);
        return true;
      case 'ended':
        this.#listener.ended?.(message.outcome);
        return true;
    }
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    return pending;
  }

  #close(): void {
    this.#closed = true;
    this.#hello.reject(gone());
    for (const { fail } of this.#pending.values()) fail(gone());
    this.#pending.clear();
    this.#listener.closed?.();
  }
}

function gone(): GuesthouseError {
  return new GuesthouseError('state', 'the machine is not running any more');
}
