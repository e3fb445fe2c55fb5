/**
 * A machine as its supervisor sees it: whether an engine runs it, in which state, and the connection to that
 * engine, whoever started it. An engine that dies is noticed here, and the reason is noted.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ControlRequest, EngineState } from '../../engine/api/control.ts';
import { problem } from '../../engine/api/problem.ts';
import { type ErrorCode, EXIT_STATUS, GuesthouseError } from '../../engine/base/errors.ts';
import type { LogRecord } from '../../engine/base/log.ts';
import { parseJson } from '../contract/client.ts';
import { checkDocument, engineConfig, type MachineDocument } from '../contract/document.ts';
import { FILES } from '../store/library.ts';
import { lastWords, noteError } from '../store/notes.ts';
import { runtimeDirectory } from '../store/paths.ts';
import { type Endpoint, endpointOf } from './endpoint.ts';
import { EngineClient, type EngineListener } from './engine-client.ts';
import { type EngineLauncher, type EngineProcess, engineWords, type Exit, exitLine } from './launcher.ts';
import type { OperationContext } from './operations.ts';
import { Series } from './series.ts';

/** How long an engine's process may take to listen, in milliseconds. */
const LAUNCH_PATIENCE = 30_000;

/** How long it may take to end when told to, in milliseconds. */
const STOP_PATIENCE = 6000;

/** A connection to the engine that runs the machine. */
class Link {
  /** Where this program started the engine. */
  readonly process: EngineProcess | undefined;
  readonly #closed = Promise.withResolvers<void>();
  client: EngineClient | undefined;
  pid = 0;
  state: EngineState = { phase: 'ready', shuttingDown: false, started: null, media: [], ioError: null };
  /** What the machine was started with. */
  document: MachineDocument | null = null;
  /** Its end is no news: it was told, or we go away ourselves. */
  ended = false;
  open = true;

  constructor(process: EngineProcess | undefined) {
    this.process = process;
  }

  /** Resolves when the connection has ended. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  close(): void {
    this.open = false;
    this.#closed.resolve();
  }

  enter(state: EngineState, note: string): void {
    this.state = state;
    this.document ??= documentOf(note);
  }
}

/** Told about what happens. */
export interface SupervisionListener {
  changed(): void;
  log(record: LogRecord): void;
}

export class SupervisedMachine {
  readonly #folder: string;
  readonly #launcher: EngineLauncher;
  readonly #listener: SupervisionListener;
  readonly #endpoint: Endpoint;
  #link: Link | undefined;
  #looking: Promise<void> | undefined;
  #starting = false;
  /** We have gone away: no connection is made or kept any more. */
  #left = false;
  /** Of the present run, or the last. */
  series = new Series();

  /**
   * @param folder the machine's in the library
   * @param runtime where engines are met, `runtimeDirectory()`
   */
  constructor(folder: string, runtime: string, launcher: EngineLauncher, listener: SupervisionListener) {
    this.#folder = folder;
    this.#launcher = launcher;
    this.#listener = listener;
    this.#endpoint = endpointOf(folder, runtime);
  }

  /** Undefined while no engine runs the machine. */
  get running(): Readonly<Pick<Link, 'pid' | 'state' | 'document'>> | undefined {
    const link = this.#link;
    return link === undefined || link.state.phase === 'ready' || link.state.phase === 'ended'
      ? undefined
      : link;
  }

  /** Connects to the engine that runs the machine, where there is one. */
  async look(): Promise<void> {
    if (this.#link !== undefined || this.#starting || this.#left) return;
    // A named pipe shows only by trying.
    if (process.platform !== 'win32' && !existsSync(this.#endpoint.socket)) return;
    this.#looking ??= this.#connect(undefined)
      .then(() => undefined)
      .finally(() => (this.#looking = undefined));
    await this.#looking;
  }

  /**
   * Starts an engine and the machine in it.
   *
   * @throws GuesthouseError for whatever keeps it from starting; no engine is left then
   */
  async start(
    document: MachineDocument,
    sample: { readonly kernel: string; readonly initrd: string } | undefined,
    paused: boolean,
    context: OperationContext,
  ): Promise<void> {
    await this.look();
    if (this.#link !== undefined) throw alreadyRunning();
    this.#starting = true;
    try {
      await this.#launch(document, sample, paused, context);
    } finally {
      this.#starting = false;
    }
  }

  async #launch(
    document: MachineDocument,
    sample: { readonly kernel: string; readonly initrd: string } | undefined,
    paused: boolean,
    context: OperationContext,
  ): Promise<void> {
    context.step('starting the engine');
    // What lies unused for long is tidied away by some systems.
    runtimeDirectory();
    const engine = this.#launcher.launch(
      engineWords(this.#endpoint, path.join(this.#folder, FILES.run)),
      path.join(this.#folder, FILES.log),
    );
    let link: Link | undefined;
    try {
      link = await this.#awaitEngine(engine, context.signal);
      context.step('starting the machine');
      context.commit();
      link.document = document;
      this.series = new Series();
      const config = engineConfig(document, sample);
      await this.#client.request({ kind: 'start', config, note: JSON.stringify(document), paused });
    } catch (error) {
      if (link !== undefined) {
        // Its end is no news: the error is.
        link.ended = true;
        link.client?.close();
        await link.closed;
      }
      // It has been told what to do, and does so without us.
      if (this.#left && link !== undefined) throw error;
      engine.kill();
      await engine.exited;
      throw error;
    }
  }

  /** Asks the engine that runs the machine.
   * @throws GuesthouseError `state` where none does, or what the engine says */
  async ask<K extends ControlRequest['kind']>(request: Extract<ControlRequest, { kind: K }> & { kind: K }) {
    return this.#client.request<K>(request);
  }

  /** Cuts the power. Resolves when the engine has gone. */
  async destroy(): Promise<void> {
    const link = this.#link;
    if (link === undefined) throw notRunning();
    const patience = new AbortController();
    // An engine that does not answer is as good as gone; its lock goes with it.
    const insist = sleep(STOP_PATIENCE, undefined, { signal: patience.signal, ref: false }).then(
      () => {
        link.ended = true;
        this.#listener.log({
          level: 'warn',
          scope: 'manager',
          text: 'the engine did not answer and was ended',
        });
        process.kill(link.pid, 'SIGKILL');
        return undefined;
      },
      () => undefined,
    );
    await this.#client.request({ kind: 'stop' }).catch(() => null);
    await Promise.race([link.closed, insist]);
    await link.closed;
    patience.abort();
  }

  /** Another connection, for the console. */
  async connectConsole(listener: EngineListener): Promise<EngineClient> {
    if (this.running === undefined) throw notStarted();
    const connected = await EngineClient.connect(this.#endpoint.socket, listener);
    if (connected === undefined) throw notStarted();
    if (this.#left) connected.client.close();
    return connected.client;
  }

  /** Goes away for good from the engine, which goes on. */
  disconnect(): void {
    this.#left = true;
    const link = this.#link;
    if (link === undefined) return;
    link.ended = true;
    link.client?.close();
  }

  get #client(): EngineClient {
    if (this.#link?.client === undefined) throw notStarted();
    return this.#link.client;
  }

  async #connect(engine: EngineProcess | undefined): Promise<Link | undefined> {
    const link = new Link(engine);
    const connected = await EngineClient.connect(this.#endpoint.socket, {
      state: (state, note) => {
        link.enter(state, note);
        this.#listener.changed();
      },
      log: (record) => this.#listener.log(record),
      ended: () => (link.ended = true),
      closed: () => {
        link.close();
        if (this.#link === link) void this.#gone(link);
      },
    });
    if (connected === undefined || !link.open) return undefined;
    const { client, hello } = connected;
    if (this.#left) {
      link.ended = true;
      client.close();
      return undefined;
    }
    link.client = client;
    link.pid = hello.pid;
    this.#link = link;
    this.#listener.changed();
    return link;
  }

  async #awaitEngine(engine: EngineProcess, signal: AbortSignal): Promise<Link> {
    let exit: Exit | undefined;
    void engine.exited.then((how) => (exit = how));
    for (const deadline = performance.now() + LAUNCH_PATIENCE; performance.now() < deadline;) {
      const link = await this.#connect(engine);
      if (link !== undefined && link.pid === engine.pid) return link;
      // Somebody else was quicker.
      if (link !== undefined) throw alreadyRunning();
      if (exit !== undefined) throw this.#launchError(exit);
      signal.throwIfAborted();
      await sleep(20);
    }
    throw new GuesthouseError('resources', 'the engine does not come up', 'the host may be too busy');
  }

  /** Why an engine ended before it was asked for anything: its one line, under its status's code. */
  #launchError(exit: Exit): GuesthouseError {
    const words = lastWords(this.#folder);
    const line = words.split('\n').at(-1) ?? '';
    const known = codeOf(exit.status);
    if (known !== undefined && line !== '') return new GuesthouseError(known, line);
    return new GuesthouseError('internal', `the engine ${exitLine(exit)} when it was started`, undefined, {
      cause: new Error(words),
    });
  }

  /** The connection has ended, and with it, unless we went away, the engine. */
  async #gone(link: Link): Promise<void> {
    if (!link.ended) {
      const unknown = sleep(1000, undefined, { ref: false });
      const exit =
        link.process === undefined ? undefined : await Promise.race([link.process.exited, unknown]);
      const how = exit === undefined ? 'ended without a word' : exitLine(exit);
      const text = `its engine ${how}`;
      this.#listener.log({ level: 'error', scope: 'manager', text });
      try {
        noteError(this.#folder, problem('internal', text, 'start it again', lastWords(this.#folder)));
      } catch {
        // The folder is gone or full; the log has it.
      }
    }
    if (this.#link === link) this.#link = undefined;
    this.#listener.changed();
  }
}

function documentOf(note: string): MachineDocument | null {
  const checked = checkDocument(parseJson(note));
  return checked.ok ? checked.document : null;
}

function codeOf(status: number | null): ErrorCode | undefined {
  return problemCodes.find((code) => EXIT_STATUS[code] === status);
}

const problemCodes = ['usage', 'config', 'file', 'resources', 'unsupported', 'state'] as const;

export function alreadyRunning(): GuesthouseError {
  return new GuesthouseError('state', 'the machine is running already');
}

/** For what ends a run or holds it up: who wants that of a machine that is off need not start it. */
export function notRunning(hint?: string): GuesthouseError {
  return new GuesthouseError('state', 'the machine is not running', hint);
}

/** For what is asked of a guest. */
function notStarted(): GuesthouseError {
  return notRunning('start it first');
}
