/** The browser shell's server: the interface's files, and the contract over WebSockets, on loopback only. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { GuesthouseError } from '../../engine/base/errors.ts';
import { LONGEST_MESSAGE } from '../contract/frame.ts';
import type { Services } from '../service/services.ts';
import { Session } from '../service/session.ts';
import { Access } from './access.ts';
import { type Assets, SECURITY_HEADERS } from './assets.ts';

/** Where WebSockets come in. */
export const SOCKET_PATH = '/socket';

/** Milliseconds between two signs of life; who does not answer until the next has gone. */
const HEARTBEAT = 30_000;

/** Bytes that a client has not taken, at most: console output is bounded, so who lags further is lost. */
const MOST_UNSENT = 64 * 2 ** 20;

export class WebServer {
  readonly #services: Services;
  readonly #assets: Assets;
  readonly #access: Access;
  readonly #server: Server;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    maxPayload: LONGEST_MESSAGE,
    perMessageDeflate: false,
  });
  readonly #alive = new WeakSet<WebSocket>();
  readonly #heartbeat: NodeJS.Timeout;
  readonly port: number;

  private constructor(server: Server, port: number, services: Services, assets: Assets) {
    this.#server = server;
    this.#services = services;
    this.#assets = assets;
    this.port = port;
    this.#access = new Access(port);
    server.on('request', (request, response) => this.#serve(request, response));
    server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT).unref();
  }

  /**
   * Listens.
   *
   * @param port 0 for any that is free
   * @throws GuesthouseError `resources` where the port is taken
   */
  static async start(services: Services, assets: Assets, port: number): Promise<WebServer> {
    const server = createServer({ requestTimeout: 30_000 });
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        const reason = error.code === 'EADDRINUSE' ? 'it is in use' : error.message;
        const hint = 'choose another with --port, or none for any';
        reject(
          new GuesthouseError('resources', `cannot listen on port ${port}: ${reason}`, hint, {
            cause: error,
          }),
        );
      });
      server.listen(port, '127.0.0.1', resolve);
    });
    return new WebServer(server, portOf(server.address()), services, assets);
  }

  /** An address to open, good for one browser. */
  address(): string {
    return `http://127.0.0.1:${this.port}/?token=${this.#access.token()}`;
  }

  /** Ends all connections and listens no more. */
  async close(): Promise<void> {
    clearInterval(this.#heartbeat);
    for (const socket of this.#sockets.clients) socket.close(1001, 'the browser shell has ended');
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    for (const socket of this.#sockets.clients) socket.terminate();
    await closed;
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const answer = (
      status: number,
      type: string,
      body: string | Uint8Array,
      more: Record<string, string> = {},
    ) => {
      response.writeHead(status, { ...SECURITY_HEADERS, 'Content-Type': type, ...more });
      response.end(request.method === 'HEAD' ? undefined : body);
    };
    const refuse = (status: number, text: string) =>
      answer(status, 'text/plain; charset=utf-8', `${text}\n`, { 'Cache-Control': 'no-store' });

    if (!this.#access.isOurs(request)) return refuse(421, 'This is not addressed to Guesthouse.');
    if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(405, 'Only GET is answered.');
    const url = URL.parse(request.url ?? '/', `http://127.0.0.1:${this.port}`);
    if (url === null) return refuse(400, 'This is no address.');

    const token = url.searchParams.get('token');
    const cookie = token === null ? undefined : this.#access.redeem(token);
    // Whoever brings a token gets the page at once, which takes it out of the address: after a redirection a browser
    // would leave the strict cookie out where the address was followed from elsewhere.
    if (cookie === undefined && !this.#access.isKnown(request)) {
      return refuse(
        403,
        token === null
          ? 'Open the address that "guesthouse serve" has printed.'
          : 'This address was used before. Press Enter where "guesthouse serve" runs for a new one.',
      );
    }
    const asset = this.#assets.find(url.pathname);
    if (asset === undefined) return refuse(404, 'There is nothing here.');
    try {
      const caching = asset.immutable ? 'private, max-age=31536000, immutable' : 'no-store';
      answer(200, asset.type, asset.read(), {
        'Cache-Control': caching,
        ...(cookie === undefined ? {} : { 'Set-Cookie': cookie }),
      });
    } catch {
      refuse(404, 'The interface was built anew: reload, or start "guesthouse serve" again.');
    }
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    const allowed =
      this.#access.isOurs(request) && this.#access.isFromUs(request) && this.#access.isKnown(request);
    if (!allowed || request.url !== SOCKET_PATH) {
      socket.end(`HTTP/1.1 ${allowed ? '404 Not Found' : '403 Forbidden'}\r\nConnection: close\r\n\r\n`);
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (client) => this.#open(client));
  }

  #open(client: WebSocket): void {
    const session = new Session(this.#services, {
      send: (message) => {
        if (client.bufferedAmount > MOST_UNSENT) client.terminate();
        else client.send(message);
      },
      close: () => client.close(1008, 'a message was not understood'),
    });
    this.#alive.add(client);
    client.on('pong', () => this.#alive.add(client));
    client.on('message', (data, isBinary) => {
      const bytes = bytesOf(data);
      session.receive(isBinary ? bytes : Buffer.from(bytes).toString('utf8'));
    });
    client.on('error', () => client.terminate());
    client.on('close', () => session.close());
  }

  #beat(): void {
    for (const client of this.#sockets.clients) {
      if (this.#alive.delete(client)) client.ping();
      else client.terminate();
    }
  }
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === 'string') throw new Error('not listening on a port');
  return address.port;
}

function bytesOf(data: RawData): Uint8Array {
  if (Array.isArray(data)) return Buffer.concat(data);
  return data instanceof ArrayBuffer ? new Uint8Array(data) : data;
}
