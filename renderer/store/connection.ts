/** The connection to main: made at the start, made again when lost. */
import { defineStore } from 'pinia';
import { markRaw, ref, shallowRef } from 'vue';
import {
  Client,
  type EventData,
  type EventName,
  type Hello,
  type MethodName,
  type Params,
  type Problem,
  RequestError,
  type Result,
} from '../../main/contract/index.ts';
import { type OpenTransport, openSocket } from '../transport/transport.ts';
import { TEXT } from '../text.ts';

/** Milliseconds before the first try to connect again; each further try waits twice as long, up to the last. */
const RETRY_FIRST = 250;
const RETRY_LAST = 8000;

type Listener<E extends EventName> = (data: EventData<E>) => void;

export const useConnection = defineStore('connection', () => {
  const status = ref<'connecting' | 'open' | 'lost'>('connecting');
  const hello = shallowRef<Hello>();
  /** Why it was lost, one line. */
  const reason = ref('');
  const client = shallowRef<Client>();
  /** Run on each connection, the first and later ones. */
  const onOpen = new Set<(client: Client) => void>();
  /** Put on each new client. */
  const subscriptions = new Set<(client: Client) => () => void>();
  let open: OpenTransport = openSocket;
  let wait = RETRY_FIRST;

  function connect(by: OpenTransport = open): void {
    open = by;
    const link: { client?: Client } = {};
    // A transport may speak before it is returned.
    const early: Array<(client: Client) => void> = [];
    const tell = (what: (client: Client) => void): void => {
      if (link.client === undefined) early.push(what);
      else what(link.client);
    };
    const transport = open({
      message: (message) => tell((client) => client.receive(message)),
      closed: (error) => tell((client) => client.closed(error)),
    });
    const current = markRaw(new Client(transport));
    link.client = current;
    client.value = current;
    for (const subscribe of subscriptions) subscribe(current);
    current.onClosed((error) => lose(current, error));
    void greet(current);
    for (const what of early) what(current);
  }

  async function greet(current: Client): Promise<void> {
    try {
      hello.value = await current.ready;
    } catch {
      // The end of the connection says the same and is dealt with there.
      return;
    }
    status.value = 'open';
    wait = RETRY_FIRST;
    for (const tellOpen of onOpen) tellOpen(current);
  }

  function lose(lost: Client, error: Error): void {
    if (client.value !== lost) return;
    status.value = 'lost';
    reason.value = error.message;
    setTimeout(connect, wait);
    wait = Math.min(wait * 2, RETRY_LAST);
  }

  /**
   * Asks main.
   *
   * @throws RequestError where main says no, Error where there is no connection
   */
  async function call<M extends MethodName>(method: M, params: Params<M>): Promise<Result<M>> {
    if (client.value === undefined) throw new Error(TEXT.connection.none);
    return client.value.call(method, params);
  }

  /** Listens to an event over all connections, present and to come. Call what is returned to end that. */
  function on<E extends EventName>(event: E, listener: Listener<E>): () => void {
    let end = client.value?.on(event, listener);
    const subscribe = (next: Client): (() => void) => (end = next.on(event, listener));
    subscriptions.add(subscribe);
    return () => {
      subscriptions.delete(subscribe);
      end?.();
    };
  }

  /** Runs now where there is a connection, and on each one to come. Call what is returned to end that. */
  function whenOpen(run: (client: Client) => void): () => void {
    onOpen.add(run);
    if (status.value === 'open' && client.value !== undefined) run(client.value);
    return () => onOpen.delete(run);
  }

  return { status, hello, reason, client, connect, call, on, whenOpen };
});

/** Whatever was thrown, as a problem to show. */
export function problemOfError(error: unknown): Problem {
  if (error instanceof RequestError) {
    const { code, message, hint, details } = error.failure;
    return {
      code,
      message,
      ...(hint === undefined ? {} : { hint }),
      ...(details === undefined ? {} : { details }),
    };
  }
  return { code: 'internal', message: error instanceof Error ? error.message : String(error) };
}
