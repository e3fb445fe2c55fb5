/** One connection to the engine: messages in, messages out, and the console where it was attached. */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import {
  ControlDecoder,
  type ControlMessage,
  type ControlPacket,
  type ControlRequest,
  controlRequestSchema,
  packJson,
  packOutput,
} from '../api/control.ts';
import { problemOf } from '../api/problem.ts';
import { GuesthouseError } from '../base/errors.ts';
import type { ConsoleHistory, HistoryReader } from './console-history.ts';

/** Bytes of console output in a message at most. */
const CHUNK = 65536;

/** Requests under way on one connection at most: who sends more does not wait for answers. */
const MOST_REQUESTS = 256;

/** What a connection speaks to. */
export interface ControlTarget {
  readonly history: ConsoleHistory;
  /** Carries out a request, all but those that concern the connection. */
  handle(request: Exclude<ControlRequest, { kind: 'attach' | 'display' }>): unknown;
  /** Shows the display to a viewer on the other side of a stream.
   * @throws GuesthouseError `state` where there is none */
  serveDisplay(stream: Duplex): void;
  /** Console input. Resolves when there is room for more. */
  input(bytes: Uint8Array): Promise<void>;
}

export class ControlConnection {
  readonly #socket: Socket;
  readonly #target: ControlTarget;
  readonly #decoder = new ControlDecoder();
  #reader: HistoryReader | undefined;
  #output: Promise<void> | undefined;
  /** The display's side of this connection, after `display`. */
  #viewer: Duplex | undefined;
  #requests = 0;
  /** Input is handed over in order, and no more is read from the socket while some waits. */
  #input: Promise<void> = Promise.resolve();

  /** @param gone called once, when the connection has ended */
  constructor(socket: Socket, target: ControlTarget, gone: () => void) {
    this.#socket = socket;
    this.#target = target;
    socket.on('data', (bytes: Buffer) => this.#feed(bytes));
    // Whoever went away without a word has gone all the same.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#reader?.close();
      this.#viewer?.destroy();
      gone();
    });
  }

  send(message: ControlMessage): void {
    if (this.#socket.writable) this.#socket.write(packJson(message));
  }

  /** Ends the connection when all output has been taken, or after `patience` milliseconds. */
  async end(patience: number): Promise<void> {
    const timer = setTimeout(() => this.#socket.destroy(), patience);
    await this.#output;
    if (!this.#socket.destroyed) {
      const closed = new Promise((resolve) => this.#socket.once('close', resolve));
      this.#socket.end();
      await closed;
    }
    clearTimeout(timer);
  }

  #feed(bytes: Uint8Array): void {
    let packets: ControlPacket[];
    try {
      packets = this.#decoder.feed(bytes);
    } catch {
      // No message: not one of ours, and nothing after it can be understood.
      this.#socket.destroy();
      return;
    }
    for (const packet of packets) {
      if (packet.kind === 'console') this.#take(packet.bytes);
      else void this.#request(packet.value);
    }
  }

  #take(bytes: Uint8Array): void {
    if (this.#viewer !== undefined) {
      this.#viewer.push(bytes);
      return;
    }
    this.#socket.pause();
    const taken = this.#input
      .then(() => this.#target.input(bytes))
      .catch(() => {})
      .then(() => {
        if (this.#input === taken) this.#socket.resume();
        return undefined;
      });
    this.#input = taken;
  }

  async #request(value: unknown): Promise<void> {
    const parsed = controlRequestSchema.safeParse(value);
    if (!parsed.success || this.#requests >= MOST_REQUESTS) {
      this.#socket.destroy();
      return;
    }
    const { id, request } = parsed.data;
    this.#requests++;
    try {
      if (request.kind === 'attach') {
        this.send({ type: 'result', id, result: this.#attach(request.from) });
        this.#output = this.#pump();
      } else if (request.kind === 'display') {
        // The first bytes follow in the same breath as the answer, and after it.
        this.#attachDisplay(() => this.send({ type: 'result', id, result: { position: 0 } }));
      } else {
        const result = await this.#target.handle(request);
        this.send({ type: 'result', id, result: result ?? null });
      }
    } catch (error) {
      this.send({ type: 'failure', id, error: problemOf(error) });
    } finally {
      this.#requests--;
    }
  }

  #attach(from: number): { position: number } {
    if (this.#reader !== undefined) throw new GuesthouseError('state', 'the console is attached already');
    this.#reader = this.#target.history.reader(from);
    return { position: this.#reader.position };
  }

  /** @param accepted called before anything of the display is sent */
  #attachDisplay(accepted: () => void): void {
    if (this.#reader !== undefined || this.#viewer !== undefined) {
      throw new GuesthouseError('state', 'the connection carries something else already');
    }
    const socket = this.#socket;
    let position = 0;
    let told = false;
    const viewer = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        if (!told) accepted();
        told = true;
        if (!socket.writable) {
          done();
          return;
        }
        let sent = true;
        for (let at = 0; at < chunk.length; at += CHUNK) {
          const part = chunk.subarray(at, at + CHUNK);
          sent = socket.write(packOutput(position, part));
          position += part.length;
        }
        if (sent) done();
        else socket.once('drain', () => done());
      },
      // Whoever ends the view ends the connection.
      destroy(_error, done) {
        socket.end();
        done(null);
      },
    });
    this.#target.serveDisplay(viewer);
    this.#viewer = viewer;
  }

  /** Sends the console's output, as fast as it is read. */
  async #pump(): Promise<void> {
    for (;;) {
      const part = await this.#reader?.read(CHUNK);
      if (part === undefined || !this.#socket.writable) return;
      if (this.#socket.write(packOutput(part.position, part.bytes))) continue;
      await new Promise<void>((resolve) => {
        const done = () => {
          this.#socket.off('drain', done).off('close', done);
          resolve();
        };
        this.#socket.on('drain', done).on('close', done);
      });
    }
  }
}
