/**
 * The engine as its process offers it: one machine, started on request, and all who are connected to it.
 */
import { renameSync, writeFileSync } from 'node:fs';
import type { Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import {
  CONTROL_VERSION,
  type ControlMessage,
  type ControlRequest,
  type EngineState,
  type RunRecord,
} from '../api/control.ts';
import { parseMachineConfig } from '../api/config.ts';
import type { Usage } from '../api/statistics.ts';
import { GuesthouseError } from '../base/errors.ts';
import type { LogRecord } from '../base/log.ts';
import { ConsoleHistory } from './console-history.ts';
import { ControlConnection, type ControlTarget } from './control-connection.ts';
import { Machine, type Outcome } from './machine.ts';
import { reasonOf } from './output.ts';
import { probeAccelerators } from './probe.ts';

/** How long the process stays without a machine and without anyone connected, in milliseconds. */
const IDLE = 10_000;

/** How long those who read the console may take for the rest of it, in milliseconds. */
const FAREWELL = 2000;

/** How long a machine counts as shutting down after its power button was pressed, in milliseconds: a guest
 * that has not powered off by then may not have been listening. */
const SHUTDOWN_PATIENCE = 60_000;

/** A request that is carried out here. */
type Request = Exclude<ControlRequest, { kind: 'attach' | 'display' }>;

export class Engine implements ControlTarget {
  readonly history = new ConsoleHistory();
  readonly #record: string | undefined;
  readonly #connections = new Set<ControlConnection>();
  readonly #done = Promise.withResolvers<void>();
  #server: Server | undefined;
  #machine: Machine | undefined;
  #note = '';
  #state: EngineState = { phase: 'ready', shuttingDown: false, started: null, media: [], ioError: null };
  #shutdownTimer: NodeJS.Timeout | undefined;
  #idleTimer: NodeJS.Timeout | undefined;

  /** @param record where the record of the run is kept; nowhere if undefined */
  constructor(record: string | undefined) {
    this.#record = record;
    this.#watchIdleness();
  }

  /** Resolves when the process has nothing left to do. */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  /** Serves whoever connects to `server`. */
  serve(server: Server): void {
    this.#server = server;
    server.on('connection', (socket) => this.#connect(socket));
  }

  /** Ends the machine, and with it the process. */
  stop(): void {
    if (this.#machine === undefined) this.#finish();
    else this.#machine.stop();
  }

  async input(bytes: Uint8Array): Promise<void> {
    await this.#machine?.send(bytes);
  }

  async handle(request: Request): Promise<unknown> {
    switch (request.kind) {
      case 'probe':
        return probeAccelerators();
      case 'start':
        return this.#start(request.config, request.note, request.paused);
      case 'stop':
        this.stop();
        return null;
      case 'pause':
        await this.#pause(this.#running());
        return null;
      case 'resume':
        this.#running().resume();
        this.#enter({ phase: 'running', ioError: null });
        return null;
      case 'reset':
        this.#running().reset();
        return null;
      case 'power-button':
        this.#pressPowerButton();
        return null;
      case 'usage':
        return this.#usage();
      case 'statistics':
        return this.#running().statistics();
      case 'disk-statistics':
        return this.#running().diskStatistics();
      case 'change-medium':
        await this.#running().changeMedium(request.disk, request.file ?? undefined, { force: request.force });
        return null;
      case 'vcpus':
        return this.#running().vcpus();
      case 'screenshot':
        return this.#running().screenshot(request.file);
      case 'send-key':
        await this.#running().sendKeys(request.codes, request.hold);
        return null;
    }
  }

  serveDisplay(stream: Duplex): void {
    const { display } = this.#running();
    if (display === undefined) throw new GuesthouseError('state', 'the machine has no display');
    // Who can open the control socket is the user whose machine it is.
    display.serve(stream, { trusted: true });
  }

  #connect(socket: Socket): void {
    const connection = new ControlConnection(socket, this, () => {
      this.#connections.delete(connection);
      this.#watchIdleness();
    });
    this.#connections.add(connection);
    this.#watchIdleness();
    connection.send({
      type: 'hello',
      protocol: CONTROL_VERSION,
      pid: process.pid,
      state: this.#state,
      note: this.#note,
    });
  }

  async #start(config: unknown, note: string, paused: boolean): Promise<null> {
    if (this.#state.phase !== 'ready')
      throw new GuesthouseError('state', 'the machine has been started already');
    this.#enter({ phase: 'starting' });
    try {
      const machine = Machine.create(parseMachineConfig(config), {
        terminal: this.history,
        log: (record) => this.#log(record),
        diskFailed: ({ held, message }) => {
          if (!held || this.#machine === undefined) return;
          this.#enter({ ioError: message });
          // It pauses by itself; this waits until it stands still, and says so.
          void this.#pause(this.#machine).catch(() => {});
        },
        mediaMoved: () => this.#tellMedia(),
      });
      await machine.serveDisplay();
      const started = Date.now();
      this.#writeRecord({ started, ended: null, outcome: null, statistics: null });
      machine.start(paused);
      this.#machine = machine;
      this.#note = note;
      this.#enter({ phase: paused ? 'paused' : 'running', started, media: machine.media() });
      void machine.ended.then((outcome) => this.#ended(machine, started, outcome));
    } catch (error) {
      this.#enter({ phase: 'ready' });
      throw error;
    }
    return null;
  }

  #running(): Machine {
    if (this.#machine !== undefined && this.#state.phase !== 'ended') return this.#machine;
    throw new GuesthouseError('state', 'the machine is not running');
  }

  async #pause(machine: Machine): Promise<void> {
    await machine.pause();
    // It may have been resumed, or ended, meanwhile.
    if (machine.state === 'paused') this.#enter({ phase: 'paused' });
  }

  #pressPowerButton(): void {
    const machine = this.#running();
    if (this.#state.phase === 'paused') {
      throw new GuesthouseError('state', 'the machine is paused', 'resume it first');
    }
    machine.pressPowerButton();
    this.#enter({ shuttingDown: true });
    clearTimeout(this.#shutdownTimer);
    this.#shutdownTimer = setTimeout(() => {
      this.#enter({ shuttingDown: false });
      this.#log({ level: 'warn', scope: 'machine', text: 'the guest has not powered off when asked to' });
    }, SHUTDOWN_PATIENCE).unref();
  }

  #usage(): Usage {
    const machine = this.#running();
    const { user, system } = process.cpuUsage();
    const { instructions, exits } = machine.statistics();
    const disks = machine.diskStatistics();
    const moved = (kind: 'read' | 'write') => disks.reduce((sum, each) => sum + each[kind].bytes, 0);
    return {
      time: Date.now(),
      processorSeconds: (user + system) / 1e6,
      residentBytes: process.memoryUsage.rss(),
      instructions,
      exits: exits.reduce((sum, { count }) => sum + count, 0),
      consoleBytes: this.history.end,
      disk: disks.length === 0 ? null : { readBytes: moved('read'), writtenBytes: moved('write') },
    };
  }

  #enter(change: Partial<EngineState>): void {
    // What was asked for before the end may be done only after it.
    if (this.#state.phase === 'ended') return;
    this.#state = { ...this.#state, ...change };
    this.#tell({ type: 'state', state: this.#state, note: this.#note });
  }

  /** Says what is in the drives, where that is news. */
  #tellMedia(): void {
    const media = this.#machine?.media() ?? [];
    if (JSON.stringify(media) !== JSON.stringify(this.#state.media)) this.#enter({ media });
  }

  #log({ level, scope, text }: LogRecord): void {
    this.#tell({ type: 'log', level, scope, text });
    // Standard error is the process's last word, where it dies of something.
    if (level === 'warn' || level === 'error') process.stderr.write(`${scope}: ${text}\n`);
  }

  #tell(message: ControlMessage): void {
    for (const connection of this.#connections) connection.send(message);
  }

  async #ended(machine: Machine, started: number, outcome: Outcome): Promise<void> {
    clearTimeout(this.#shutdownTimer);
    this.history.close();
    this.#writeRecord({ started, ended: Date.now(), outcome, statistics: machine.statistics() });
    this.#enter({ phase: 'ended', shuttingDown: false, media: [], ioError: null });
    this.#tell({ type: 'ended', outcome });
    this.#server?.close();
    await Promise.all([...this.#connections].map((connection) => connection.end(FAREWELL)));
    this.#finish();
  }

  /** Written beside and renamed, so that a reader finds one whole record or the other. */
  #writeRecord(record: Omit<RunRecord, 'version' | 'pid'>): void {
    if (this.#record === undefined) return;
    const text = JSON.stringify({ version: 1, pid: process.pid, ...record } satisfies RunRecord);
    try {
      writeFileSync(`${this.#record}.new`, `${text}\n`, { mode: 0o600 });
      renameSync(`${this.#record}.new`, this.#record);
    } catch (error) {
      this.#log({ level: 'warn', scope: 'engine', text: `cannot write ${this.#record}: ${reasonOf(error)}` });
    }
  }

  #watchIdleness(): void {
    clearTimeout(this.#idleTimer);
    if (this.#machine !== undefined || this.#connections.size > 0) return;
    this.#idleTimer = setTimeout(() => this.#finish(), IDLE);
  }

  #finish(): void {
    clearTimeout(this.#idleTimer);
    this.#server?.close();
    this.#done.resolve();
  }
}
