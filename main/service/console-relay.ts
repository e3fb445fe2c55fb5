/**
 * The consoles that one client has attached. Each has a connection of its own to the engine, which is simply
 * not read while the client has enough to draw: then the engine keeps the output, and at last the guest waits.
 */
import { problemOf } from '../../engine/api/problem.ts';
import { GuesthouseError } from '../../engine/base/errors.ts';
import type { EventData } from '../contract/events.ts';
import { CONSOLE_WINDOW, encodeOutput } from '../contract/frame.ts';
import type { Result } from '../contract/methods.ts';
import type { EngineClient } from '../vm/engine-client.ts';
import type { Manager } from '../vm/manager.ts';

/** Consoles of one client at most. */
const MOST_STREAMS = 64;

/** Bytes typed by a client that an engine has not taken yet, at most; what is more is dropped. */
const MOST_INPUT = 2 ** 20;

/** Where a client is reached. */
export interface RelaySink {
  send(message: Uint8Array): void;
  closed(data: EventData<'console.closed'>): void;
}

interface Stream {
  readonly client: EngineClient;
  /** Bytes sent and not yet credited. */
  pending: number;
  /** Bytes of input on their way to the engine. */
  input: number;
}

export class ConsoleRelay {
  readonly #manager: Pick<Manager, 'connectConsole'>;
  readonly #sink: RelaySink;
  readonly #streams = new Map<number, Stream>();
  #next = 1;
  #closed = false;

  constructor(manager: Pick<Manager, 'connectConsole'>, sink: RelaySink) {
    this.#manager = manager;
    this.#sink = sink;
  }

  /** Attaches a console. @param from position of the first byte that is wanted */
  attach(id: string, from: number): Promise<Result<'console.attach'>> {
    return this.#attach(id, { kind: 'attach', from });
  }

  /** Attaches the display: its stream is RFB. */
  attachDisplay(id: string): Promise<Result<'display.attach'>> {
    return this.#attach(id, { kind: 'display' });
  }

  async #attach(
    id: string,
    request: { kind: 'attach'; from: number } | { kind: 'display' },
  ): Promise<Result<'console.attach'>> {
    if (this.#streams.size >= MOST_STREAMS) {
      throw new GuesthouseError(
        'resources',
        `more than ${MOST_STREAMS} consoles are attached`,
        'detach some',
      );
    }
    // Output may come in the same breath as the answer; it waits until the number is given.
    let early: Array<[position: number, bytes: Uint8Array]> | undefined = [];
    let gone = false;
    let stream = 0;
    const { client, started } = await this.#manager.connectConsole(id, {
      output: (position, bytes) => {
        if (early === undefined) this.#output(stream, position, bytes);
        else early.push([position, bytes]);
      },
      closed: () => {
        gone = true;
        if (early === undefined) this.#ended(stream);
      },
    });
    let position: number;
    try {
      ({ position } = await (request.kind === 'attach' ? client.request(request) : client.request(request)));
    } catch (error) {
      client.close();
      throw error;
    }
    if (this.#closed) client.close();
    stream = this.#next++;
    this.#streams.set(stream, { client, pending: 0, input: 0 });
    // After the answer that this function's result becomes.
    setImmediate(() => {
      const waiting = early ?? [];
      early = undefined;
      for (const [at, bytes] of waiting) this.#output(stream, at, bytes);
      if (gone) this.#ended(stream);
    });
    return { stream, position, started };
  }

  /** Ends a console; one that is not attached is left as it is. */
  detach(stream: number): void {
    const found = this.#streams.get(stream);
    this.#streams.delete(stream);
    found?.client.close();
  }

  /** The client has drawn so many bytes. */
  credit(stream: number, bytes: number): void {
    const found = this.#streams.get(stream);
    if (found === undefined) return;
    found.pending = Math.max(0, found.pending - bytes);
    if (found.pending < CONSOLE_WINDOW) found.client.resume();
  }

  /** The client has typed. */
  input(stream: number, bytes: Uint8Array): void {
    const found = this.#streams.get(stream);
    if (found === undefined || found.input + bytes.length > MOST_INPUT) return;
    if (found.client.input(bytes)) return;
    found.input += bytes.length;
    found.client
      .drained()
      .then(() => (found.input = 0))
      .catch(() => {});
  }

  /** Ends all: the client has gone. */
  close(): void {
    this.#closed = true;
    for (const stream of this.#streams.keys()) this.detach(stream);
  }

  #output(stream: number, position: number, bytes: Uint8Array): void {
    const found = this.#streams.get(stream);
    if (found === undefined) return;
    try {
      this.#sink.send(encodeOutput(stream, position, bytes));
    } catch (error) {
      this.#streams.delete(stream);
      found.client.close();
      this.#sink.closed({ stream, error: problemOf(error) });
      return;
    }
    found.pending += bytes.length;
    if (found.pending >= CONSOLE_WINDOW) found.client.pause();
  }

  #ended(stream: number): void {
    if (this.#streams.delete(stream)) this.#sink.closed({ stream, error: null });
  }
}
