/** The asking side of the contract, over any transport. Runs in a browser. */
import type { z } from 'zod';
import type { Problem } from '../../engine/api/problem.ts';
import { type EventData, type EventName, EVENTS, isEventName } from './events.ts';
import {
  type ClientFrame,
  decodeOutput,
  encodeInput,
  type Failure,
  type Hello,
  PROTOCOL_VERSION,
  serverFrameSchema,
  type Transport,
} from './frame.ts';
import { METHODS, type MethodName, type Params, type Result } from './methods.ts';

/** A request that failed. */
export class RequestError extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.message);
    this.name = 'RequestError';
    this.failure = failure;
  }
}

/** A console that is attached. */
export interface ConsoleStream {
  readonly stream: number;
  /** Position of the first byte that comes. */
  readonly position: number;
  /** Names the run of the machine that positions belong to. */
  readonly started: number;
  /** Sends what was typed. */
  write(bytes: Uint8Array): void;
  /** Says that so many bytes have been drawn, and so many more may come. */
  credit(bytes: number): void;
  /** Detaches. */
  close(): Promise<void>;
}

export interface ConsoleListener {
  /** Output. `position` jumps where some was dropped. The array is the listener's to keep. */
  output(bytes: Uint8Array, position: number): void;
  /** No more will come. */
  closed(error: Problem | null): void;
}

interface Pending {
  readonly settle: (result: unknown) => void;
  readonly fail: (error: Error) => void;
}

/** Who listens to one event. */
class Channel<T> {
  readonly listeners = new Set<(data: T) => void>();
  readonly #schema: z.ZodType<T>;

  constructor(schema: z.ZodType<T>) {
    this.#schema = schema;
  }

  /** Tells the listeners, where the data is what it should be; else returns false. */
  tell(raw: unknown): boolean {
    const result = this.#schema.safeParse(raw);
    if (!result.success) return false;
    for (const listener of this.listeners) listener(result.data);
    return true;
  }
}

type Channels = { readonly [E in EventName]: Channel<EventData<E>> };

export class Client {
  /** Resolves with main's first frame; rejects where the connection ends before it, or where main speaks
   * another version. */
  readonly ready: Promise<Hello>;
  readonly #transport: Transport;
  readonly #pending = new Map<number, Pending>();
  readonly #consoles = new Map<number, ConsoleListener>();
  /** Output and ends of consoles whose attachment is not yet known here. */
  readonly #early = new Map<number, Array<(listener: ConsoleListener) => void>>();
  readonly #channels: Channels = {
    'machine.changed': new Channel(EVENTS['machine.changed']),
    'machine.removed': new Channel(EVENTS['machine.removed']),
    statistics: new Channel(EVENTS.statistics),
    log: new Channel(EVENTS.log),
    operation: new Channel(EVENTS.operation),
    settings: new Channel(EVENTS.settings),
    'console.closed': new Channel(EVENTS['console.closed']),
    command: new Channel(EVENTS.command),
  };
  readonly #onClosed = new Set<(error: Error) => void>();
  readonly #hello = Promise.withResolvers<Hello>();
  /** The last stream attached. They are numbered upwards, so what comes for one up to here that is not known
   * is for one that was detached. */
  #newest = 0;
  #next = 1;
  #closed: Error | undefined;

  /** Whoever makes the client hands it what the transport receives, by {@link receive} and {@link closed}. */
  constructor(transport: Transport) {
    this.#transport = transport;
    this.ready = this.#hello.promise;
    this.ready.catch(() => {});
    this.on('console.closed', ({ stream, error }) => {
      this.#toConsole(stream, (listener) => {
        this.#consoles.delete(stream);
        listener.closed(error);
      });
    });
  }

  /**
   * Asks.
   *
   * @throws RequestError where main says no, Error where the connection is lost or the answer is malformed
   */
  call<M extends MethodName>(method: M, params: Params<M>): Promise<Result<M>> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    const id = this.#next++;
    const answer = Promise.withResolvers<Result<M>>();
    this.#pending.set(id, {
      settle: (raw) => {
        const result = METHODS[method].result.safeParse(raw);
        if (result.success) answer.resolve(result.data);
        else answer.reject(new Error(`malformed answer to ${method}: ${result.error.message}`));
      },
      fail: answer.reject,
    });
    this.#send({ type: 'request', id, method, params });
    return answer.promise;
  }

  /** Listens to an event; call what is returned to end that. */
  on<E extends EventName>(event: E, listener: (data: EventData<E>) => void): () => void {
    const channel: Channel<EventData<E>> = this.#channels[event];
    channel.listeners.add(listener);
    return () => channel.listeners.delete(listener);
  }

  /** Listens to the end of the connection; call what is returned to end that. */
  onClosed(listener: (error: Error) => void): () => void {
    this.#onClosed.add(listener);
    return () => this.#onClosed.delete(listener);
  }

  /** Attaches to a machine's console; see `console.attach`. */
  async attach(id: string, listener: ConsoleListener, from = 0): Promise<ConsoleStream> {
    return this.#listen(await this.call('console.attach', { id, from }), listener);
  }

  /** Attaches to a machine's display: the stream is RFB; see `display.attach`. */
  async attachDisplay(id: string, listener: ConsoleListener): Promise<ConsoleStream> {
    return this.#listen(await this.call('display.attach', { id }), listener);
  }

  #listen(
    { stream, position, started }: { stream: number; position: number; started: number },
    listener: ConsoleListener,
  ): ConsoleStream {
    this.#consoles.set(stream, listener);
    this.#newest = Math.max(this.#newest, stream);
    for (const tell of this.#early.get(stream) ?? []) tell(listener);
    this.#early.delete(stream);
    return {
      stream,
      position,
      started,
      write: (bytes) => this.#transport.send(encodeInput(stream, bytes)),
      credit: (bytes) => {
        if (bytes > 0 && this.#consoles.has(stream)) this.#send({ type: 'credit', stream, bytes });
      },
      close: async () => {
        if (!this.#consoles.delete(stream)) return;
        await this.call('console.detach', { stream });
      },
    };
  }

  /** Ends the connection. */
  close(): void {
    this.#transport.close();
    this.closed(new Error('the connection was closed'));
  }

  /** To be called with each message. Malformed ones end the connection: the two sides do not understand each
   * other. */
  receive(message: string | Uint8Array): void {
    if (this.#closed !== undefined) return;
    const wrong = typeof message === 'string' ? this.#receiveText(message) : this.#receiveBytes(message);
    if (wrong === undefined) return;
    this.#transport.close();
    this.closed(new Error(wrong));
  }

  /** To be called when the transport has ended. */
  closed(error: Error): void {
    if (this.#closed !== undefined) return;
    this.#closed = error;
    this.#hello.reject(error);
    for (const { fail } of this.#pending.values()) fail(error);
    this.#pending.clear();
    const lost = { code: 'state', message: error.message } as const;
    for (const listener of this.#consoles.values()) listener.closed(lost);
    this.#consoles.clear();
    for (const listener of this.#onClosed) listener(error);
  }

  #send(frame: ClientFrame): void {
    this.#transport.send(JSON.stringify(frame));
  }

  #receiveText(text: string): string | undefined {
    const parsed = serverFrameSchema.safeParse(parseJson(text));
    if (!parsed.success) return 'main sent a message that is not understood';
    const frame = parsed.data;
    switch (frame.type) {
      case 'hello':
        if (frame.protocol !== PROTOCOL_VERSION) {
          return `main speaks version ${frame.protocol} of the protocol, this is ${PROTOCOL_VERSION}: reload`;
        }
        this.#hello.resolve(frame);
        return undefined;
      case 'result':
        this.#take(frame.id)?.settle(frame.result);
        return undefined;
      case 'failure':
        this.#take(frame.id)?.fail(new RequestError(frame.error));
        return undefined;
      case 'event':
        if (!isEventName(frame.event) || this.#channels[frame.event].tell(frame.data)) return undefined;
        return `main sent a malformed ${frame.event} event`;
    }
  }

  #receiveBytes(message: Uint8Array): string | undefined {
    const output = decodeOutput(message);
    if (output === undefined) return 'main sent bytes that are not understood';
    const { stream, position, bytes } = output;
    this.#toConsole(stream, (listener) => listener.output(bytes, position));
    return undefined;
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    return pending;
  }

  /** Output can come before the answer to `console.attach` has been looked at: it waits. */
  #toConsole(stream: number, tell: (listener: ConsoleListener) => void): void {
    const listener = this.#consoles.get(stream);
    if (listener !== undefined) {
      tell(listener);
      return;
    }
    if (stream <= this.#newest) return;
    const early = this.#early.get(stream) ?? [];
    early.push(tell);
    this.#early.set(stream, early);
  }
}

/** The value of a JSON text; undefined where it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
