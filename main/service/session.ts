/** One client of the contract: its requests, its consoles, and the events it is told. */
import { problemOf } from '../../engine/api/problem.ts';
import { parseJson } from '../contract/client.ts';
import type { EventData, EventName } from '../contract/events.ts';
import {
  clientFrameSchema,
  decodeInput,
  type Failure,
  LONGEST_MESSAGE,
  PROTOCOL_VERSION,
  type ServerFrame,
  type Transport,
} from '../contract/frame.ts';
import { isMethodName, type MethodName } from '../contract/methods.ts';
import { DocumentError } from '../vm/manager.ts';
import { ConsoleRelay } from './console-relay.ts';
import { type Handler, handlersFor } from './handlers.ts';
import type { Services } from './services.ts';
import { programVersion } from './version.ts';

/** Requests of one client under way at most: who sends more does not wait for answers. */
const MOST_REQUESTS = 1000;

export class Session {
  readonly #transport: Transport;
  readonly #consoles: ConsoleRelay;
  readonly #handlers: Readonly<Record<MethodName, Handler>>;
  readonly #unlisten: () => void;
  #requests = 0;
  #open = true;

  /** Whoever makes the session hands it what the transport receives, by {@link receive} and {@link close}. */
  constructor(services: Services, transport: Transport) {
    this.#transport = transport;
    this.#consoles = new ConsoleRelay(services.manager, {
      send: (message) => this.#transport.send(message),
      closed: (data) => this.#event('console.closed', data),
    });
    this.#handlers = handlersFor(services, this.#consoles);
    this.#send({
      type: 'hello',
      protocol: PROTOCOL_VERSION,
      version: programVersion(),
      shell: services.shell,
      platform: process.platform,
    });
    this.#unlisten = services.listen((event, data) => this.#event(event, data));
  }

  /** To be called with each message. One that is no frame ends the session: the other side is none of ours. */
  receive(message: string | Uint8Array): void {
    if (!this.#open) return;
    if (message.length > LONGEST_MESSAGE || !this.#understand(message)) {
      this.#transport.close();
      this.close();
    }
  }

  /** To be called when the transport has ended. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#unlisten();
    this.#consoles.close();
  }

  #understand(message: string | Uint8Array): boolean {
    if (typeof message !== 'string') {
      const input = decodeInput(message);
      if (input !== undefined) this.#consoles.input(input.stream, input.bytes);
      return input !== undefined;
    }
    const parsed = clientFrameSchema.safeParse(parseJson(message));
    if (!parsed.success) return false;
    const frame = parsed.data;
    if (frame.type === 'credit') {
      this.#consoles.credit(frame.stream, frame.bytes);
      return true;
    }
    if (this.#requests >= MOST_REQUESTS) return false;
    void this.#answer(frame.id, frame.method, frame.params);
    return true;
  }

  async #answer(id: number, method: string, params: unknown): Promise<void> {
    this.#requests++;
    try {
      if (!isMethodName(method)) {
        this.#send({ type: 'failure', id, error: { code: 'usage', message: 'there is no such method' } });
        return;
      }
      const result = await this.#handlers[method](params);
      this.#send({ type: 'result', id, result });
    } catch (error) {
      this.#send({ type: 'failure', id, error: failureOf(error) });
    } finally {
      this.#requests--;
    }
  }

  #event<E extends EventName>(event: E, data: EventData<E>): void {
    this.#send({ type: 'event', event, data });
  }

  #send(frame: ServerFrame): void {
    if (!this.#open) return;
    try {
      this.#transport.send(JSON.stringify(frame));
    } catch {
      this.close();
    }
  }
}

function failureOf(error: unknown): Failure {
  const found = problemOf(error);
  return error instanceof DocumentError ? { ...found, issues: [...error.issues] } : found;
}
