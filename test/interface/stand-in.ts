/**
 * An engine without a guest, for measuring the interface alone: it speaks the control protocol on a machine's
 * socket, has figures that grow, and writes to the console as fast as that is read.
 */
import { createServer, type Server } from 'node:net';
import path from 'node:path';
import { GuesthouseError } from '../../engine/base/errors.ts';
import { CONTROL_VERSION, type ControlRequest, type EngineState } from '../../engine/api/control.ts';
import type { ExitStatistics, Usage } from '../../engine/api/statistics.ts';
import { ConsoleHistory } from '../../engine/host/console-history.ts';
import { ControlConnection, type ControlTarget } from '../../engine/host/control-connection.ts';
import { endpointOf } from '../../main/vm/endpoint.ts';
import type { Shell } from './harness.ts';

/** Bytes of a line of {@link StandIn.flood}. */
export const LINE = 80;

const STATISTICS: ExitStatistics = {
  exits: [],
  accesses: [],
  instructions: 0,
  guestSeconds: 0,
  awakeSeconds: 0,
  seconds: 0,
  accelerator: {},
  boot: [],
};

export class StandIn implements ControlTarget, AsyncDisposable {
  readonly history = new ConsoleHistory();
  readonly #server: Server;
  readonly #connections = new Set<ControlConnection>();
  /** What was typed on its console. */
  typed = '';
  /** What it was asked for beside its figures, in order. */
  readonly requests: string[] = [];
  /** How often its figures were asked for. */
  asked = 0;

  #state: EngineState = {
    phase: 'running',
    shuttingDown: false,
    started: Date.now(),
    media: [],
    ioError: null,
  };
  readonly #document: string;

  private constructor(server: Server, document: string) {
    this.#server = server;
    this.#document = document;
    server.on('connection', (socket) => {
      const connection = new ControlConnection(socket, this, () => this.#connections.delete(connection));
      this.#connections.add(connection);
      connection.send({
        type: 'hello',
        protocol: CONTROL_VERSION,
        pid: process.pid,
        state: this.#state,
        note: document,
      });
    });
  }

  /** Runs a machine of the shell's library, before the shell looks.
   * @param document its configuration as stored */
  static async run(
    shell: Pick<Shell, 'library' | 'runtime'>,
    id: string,
    document: string,
  ): Promise<StandIn> {
    const { socket } = endpointOf(path.join(shell.library, id), shell.runtime);
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(socket, resolve);
    });
    return new StandIn(server, document);
  }

  handle({ kind }: Exclude<ControlRequest, { kind: 'attach' | 'display' }>): Usage | ExitStatistics | null {
    if (kind === 'usage') return this.#usage();
    this.requests.push(kind);
    if (kind === 'resume') this.#enter({ ...this.#state, phase: 'running', ioError: null });
    return kind === 'statistics' ? STATISTICS : null;
  }

  serveDisplay(): void {
    throw new GuesthouseError('state', 'the machine has no display');
  }

  async input(bytes: Uint8Array): Promise<void> {
    this.typed += Buffer.from(bytes).toString('latin1');
  }

  /** Writes numbered lines of 80 bytes to the console, waiting where its readers do. */
  async flood(lines: number): Promise<void> {
    const part = 1000;
    for (let first = 1; first <= lines; first += part) {
      const count = Math.min(part, lines - first + 1);
      const text = Array.from({ length: count }, (_, i) => lineOf(first + i)).join('');
      await this.history.write(Buffer.from(text));
    }
  }

  /** Is paused since the host has failed a disk. */
  failDisk(ioError: string): void {
    this.#enter({ ...this.#state, phase: 'paused', ioError });
  }

  #enter(state: EngineState): void {
    this.#state = state;
    for (const each of this.#connections) each.send({ type: 'state', state, note: this.#document });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.history.close();
    await Promise.all([...this.#connections].map((connection) => connection.end(0)));
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Each figure grows from one look to the next, by turns more and less. */
  #usage(): Usage {
    const at = ++this.asked;
    const wave = at + Math.sin(at);
    return {
      time: Date.now(),
      processorSeconds: 0.5 * wave,
      residentBytes: (200 + 20 * Math.sin(at)) * 2 ** 20,
      instructions: 1e8 * wave,
      exits: 1e4 * wave,
      consoleBytes: this.history.end,
      disk: { readBytes: 1e6 * wave, writtenBytes: 5e5 * wave },
    };
  }
}

/** A line as {@link StandIn.flood} writes it: its number, and what fills it. */
export function lineOf(number: number): string {
  return `${String(number)
    .padStart(8, '0')
    .padEnd(LINE - 2, '.')}\r\n`;
}
