/**
 * The machine's display for any number of RFB viewers: one look at the screen serves them all.
 */
import { rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { GuesthouseError } from '../../base/errors.ts';
import type { Screen } from '../../device/video/screen.ts';
import type { DisplayAddress } from './display-address.ts';
import { type InputTarget, RfbClient } from './rfb-client.ts';

/** Milliseconds between two looks at the screen while it changes, and while it does not. */
const BUSY = 33;
const IDLE = 100;

/** Looks without a change after which the screen counts as standing still. */
const STILL = 30;

/** Milliseconds after an input at which its effect is looked for; so often, while nothing is seen. */
const SOON = 12;
const SOON_LOOKS = 10;

export interface RfbServerOptions {
  readonly screen: Screen;
  readonly input: InputTarget;
  /** What viewers show as the title. */
  readonly name: string;
  readonly password?: string;
}

/** What is known of a viewer from how it has come. */
export interface ViewerConnection {
  /** It is not asked for the password: the connection itself says who it is. */
  readonly trusted?: boolean;
  /** It is on this computer; true of those that are trusted, if not given. */
  readonly local?: boolean;
}

export class RfbServer {
  readonly #options: RfbServerOptions;
  readonly #clients = new Set<RfbClient>();
  readonly #servers: Array<{ server: Server; path: string | undefined }> = [];
  #timer: NodeJS.Timeout | undefined;
  #due = Infinity;
  /** When the screen was last looked at. */
  #seen = -Infinity;
  #unchanged = 0;
  /** Looks left in which the effect of an input is expected. */
  #expected = 0;

  constructor(options: RfbServerOptions) {
    this.#options = options;
  }

  /** How many viewers there are. */
  get viewers(): number {
    return this.#clients.size;
  }

  /** Serves viewers at an address.
   * @returns the address with the port that was chosen, where it was 0
   * @throws GuesthouseError `resources` where it cannot be had */
  async listen(address: DisplayAddress): Promise<DisplayAddress> {
    const server = createServer((socket) => {
      socket.setNoDelay(true);
      this.serve(socket, { local: address.kind === 'unix' });
    });
    const path = address.kind === 'unix' ? address.path : undefined;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        const where = address.kind === 'unix' ? address.path : `${address.host}:${address.port}`;
        const why = error.code === 'EADDRINUSE' ? 'it is in use' : (error.code ?? error.message);
        reject(new GuesthouseError('resources', `cannot serve the display at ${where}: ${why}`));
      });
      if (address.kind === 'unix') server.listen(address.path, resolve);
      else server.listen(address.port, address.host, resolve);
    });
    this.#servers.push({ server, path });
    const bound = server.address();
    if (address.kind === 'unix' || bound === null || typeof bound === 'string') return address;
    return { ...address, port: bound.port };
  }

  /** Serves a viewer on a connection that is there already. */
  serve(stream: Duplex, { trusted = false, local = trusted }: ViewerConnection = {}): void {
    const { screen, input, name, password } = this.#options;
    // A viewer begins with the picture as it is.
    this.refresh();
    const client = new RfbClient({
      stream,
      name,
      password: trusted ? undefined : password,
      screen,
      input,
      local,
      wants: (reason) => {
        if (reason === 'input') this.#expected = SOON_LOOKS;
        this.#schedule(reason === 'input' ? SOON : this.#seen + BUSY - performance.now());
      },
      gone: () => void this.#clients.delete(client),
    });
    this.#clients.add(client);
  }

  /** Looks at the screen, and tells viewers what has changed. */
  refresh(): void {
    this.#seen = performance.now();
    const { resized, damage } = this.#options.screen.update();
    const changed = resized || damage.any;
    this.#expected = changed ? 0 : Math.max(this.#expected - 1, 0);
    this.#unchanged = changed ? 0 : this.#unchanged + 1;
    for (const client of this.#clients) {
      if (changed) client.changed(damage, resized);
      else client.update();
    }
  }

  /** Ends all connections. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#due = Infinity;
    for (const { server, path } of this.#servers) {
      server.close();
      if (path !== undefined) rmSync(path, { force: true });
    }
    for (const client of this.#clients) client.close();
  }

  /** Sees to it that the screen is looked at within so many milliseconds. */
  #schedule(milliseconds: number): void {
    const due = performance.now() + milliseconds;
    if (this.#timer !== undefined && this.#due <= due) return;
    clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = setTimeout(() => this.#look(), Math.max(milliseconds, 0)).unref();
  }

  #look(): void {
    this.#timer = undefined;
    const waiting = [...this.#clients].some((client) => client.waiting);
    // Nobody who waits will ask again for a look; the others do when they want an update.
    if (!waiting) return;
    this.refresh();
    this.#schedule(this.#expected > 0 ? SOON : this.#unchanged > STILL ? IDLE : BUSY);
  }
}
