/**
 * A machine as its host process sees it: made from a configuration, started, stopped, and at the end an
 * outcome. This is the control thread; each vCPU runs in a thread of its own.
 *
 * Whatever goes wrong in a vCPU's thread ends the machine with an outcome that says so, and never this
 * process.
 */
import { Worker } from 'node:worker_threads';
import {
  type DiskConfig,
  type MachineConfig,
  type MachineConfigInput,
  parseMachineConfig,
  tabletOf,
  topologyOf,
} from '../api/config.ts';
import type { MediumState } from '../api/control.ts';
import type { BootEvent, DiskStatistics, VcpuInfo } from '../api/statistics.ts';
import { displayAddress } from '../backend/display/display-address.ts';
import { RfbServer } from '../backend/display/rfb-server.ts';
import type { ByteRing } from '../backend/byte-ring.ts';
import type { Screen } from '../device/video/screen.ts';
import { GuesthouseError, oneLine } from '../base/errors.ts';
import { type LogSink, Logger } from '../base/log.ts';
import {
  acceleratorOf,
  chooseAccelerator,
  chooseCpuModel,
  type Choice,
  requireVcpus,
} from '../machine/accelerator.ts';
import { Board, boardAreaBytes, type BoardOptions, boardVideoBytes } from '../machine/board.ts';
import { hostMemoryAvailable, MachineMemory } from '../memory/machine-memory.ts';
import { ExitCounters, type ExitStatistics } from '../vcpu/exit-counters.ts';
import type { HotCode } from '../accel/wasm/region/hot-code.ts';
import { VcpuEvent } from '../vcpu/state.ts';
import { vcpuInfos } from './vcpu-info.ts';
import type { LoopEnd } from '../vcpu/run-loop.ts';
import type { VcpuThreadData, VcpuThreadMessage } from '../vcpu/thread.ts';
import type { DiskFailure } from './disk-backend.ts';
import { Disks } from './disks.ts';
import { hasDisplayAdapter, openImages, type OpenImages, readPassword, readVgaBios } from './images.ts';
import { InputPort } from './input.ts';
import { MachineDisks } from './machine-disks.ts';
import { type Screenshot, saveScreenshot } from './screenshot.ts';
import { TranslatorThread } from './translator-thread.ts';
import { OutputPump, reasonOf, type Sink, sinkFor } from './output.ts';

/** How a machine ended. */
export type Outcome =
  /** The guest powered off. */
  | { readonly kind: 'poweroff' }
  /** The guest ended the machine through the debug exit port. */
  | { readonly kind: 'exit'; readonly status: number }
  /** {@link Machine.stop}. */
  | { readonly kind: 'stopped' }
  /** The guest could not go on: a triple fault. `message` is one line. */
  | { readonly kind: 'crash'; readonly message: string }
  /** The host let the machine down: its output cannot be written. `message` is one line. */
  | { readonly kind: 'host'; readonly message: string }
  /** A defect in Guesthouse. `message` is one line. */
  | { readonly kind: 'internal'; readonly message: string };

/** What connects a machine to the world. */
export interface MachineIo {
  /** What stands for `stdio`. */
  readonly terminal?: Sink;
  readonly log: LogSink;
  /** Told when the host has failed a disk; where the request is held, the machine is about to be paused. */
  readonly diskFailed?: (failure: DiskFailure) => void;
  /** Told when {@link Machine.media} may give something else. */
  readonly mediaMoved?: () => void;
  /** An address of guest code, and who gets the text whenever what lies there is translated. */
  readonly watch?: { readonly address: bigint; readonly listed: (text: string) => void } | undefined;
}

/** What a machine has done. */
export interface MachineStatistics extends ExitStatistics {
  /** What the accelerator counted beyond that, summed over vCPUs; known when the machine has ended. */
  readonly accelerator: Readonly<Record<string, number>>;
  /** How it started, since its last reset. */
  readonly boot: readonly BootEvent[];
}

/** What a machine is doing. */
export type MachineState =
  /** Made, and not started. */
  | 'ready'
  | 'running'
  /** The guest and its time stand still. */
  | 'paused'
  /** {@link Machine.ended} has resolved, or is about to. */
  | 'ended';

/** How long vCPUs have to notice that the machine ends before their threads are ended, in milliseconds. */
const STOP_PATIENCE = 2000;

/** How long vCPUs have to meet for a pause, in milliseconds: longer than threads take to start on a busy
 * host, as a machine may be paused as soon as it was started. */
const PAUSE_PATIENCE = 10_000;

/** Young JavaScript objects of a vCPU's thread, in MiB. Next to none survive, so more would only be more memory
 * that garbage passes through. */
const YOUNG_MIB = 4;
/** All objects of a vCPU's thread: what it knows about its decoded code is limited to about half of this
 * (interpreter/code-cache.ts). The less a heap may grow to, the sooner V8 collects its garbage. */
const VCPU_HEAP_MIB = 256;
/** When what the start has left is collected: after the guest's first seconds, which want the processors. */
const STARTED_MS = 3000;

/** How long the firmware offers its boot menu, in milliseconds. */
const BOOT_MENU_WAIT = 5000;

/** Milliseconds between two tries to hand over input that a UART does not take by itself. */
const PUMP_AGAIN = 20;

export class Machine {
  readonly config: MachineConfig;
  /** What runs the guest's code, and why. */
  readonly accelerator: Choice;
  /** Resolves once the machine has ended and all its output is written; never rejects. */
  readonly ended: Promise<Outcome>;

  /** What is on the screen, for whoever looks at it from this thread; undefined without a display adapter. */
  readonly screen: Screen | undefined;
  /** The display for viewers; undefined without a display adapter. */
  readonly display: RfbServer | undefined;
  /** Keyboard and pointer. */
  readonly input: InputPort;

  readonly #board: Board;
  readonly #watch: MachineIo['watch'];
  /** When all code that was watched for has been told about. */
  #listed: Promise<void> = Promise.resolve();
  readonly #boardOptions: Omit<BoardOptions, 'log'>;
  readonly #log: Logger;
  readonly #logSink: LogSink;
  readonly #files: OpenImages;
  readonly #disks: MachineDisks;
  readonly #pumps: OutputPump[] = [];
  /** Threads of vCPUs whose run has not ended yet. */
  readonly #runners = new Set<Worker>();
  readonly #translator: TranslatorThread | undefined;
  readonly #ends: LoopEnd[] = [];
  readonly #accelerated: Record<string, number> = {};
  #failure: Outcome | undefined;
  #running = 0;
  #started = false;
  #patience: NodeJS.Timeout | undefined;
  #pumpTimer: NodeJS.Timeout | undefined;
  #settle: (outcome: Outcome) => void = () => {};

  private constructor(
    config: MachineConfig,
    accelerator: Choice,
    board: Board,
    options: Omit<BoardOptions, 'log'>,
    files: OpenImages,
    disks: Disks,
    translator: TranslatorThread | undefined,
    io: MachineIo,
  ) {
    this.config = config;
    this.#files = files;
    this.#translator = translator;
    this.accelerator = accelerator;
    this.#board = board;
    this.screen = board.createScreen();
    this.input = new InputPort(board, (body) => {
      if (!this.#over) this.#withDevices(body);
    });
    if (this.screen !== undefined) {
      const password = readPassword(config);
      const { screen, input } = this;
      this.display = new RfbServer({
        screen,
        input,
        name: config.name,
        ...(password === undefined ? {} : { password }),
      });
    }
    this.#watch = io.watch;
    this.#boardOptions = options;
    this.#logSink = io.log;
    this.#log = new Logger('machine', io.log);
    this.#disks = new MachineDisks(board, options, disks, {
      log: io.log,
      failed: (failure) => {
        this.#log.warn(failure.message);
        io.diskFailed?.(failure);
      },
      broken: (kind, message) => this.#fail(kind, message),
      mediaMoved: () => io.mediaMoved?.(),
    });
    this.ended = new Promise((resolve) => (this.#settle = resolve));
  }

  /**
   * Makes a machine that is ready to start: files read, memory reserved, kernel loaded.
   *
   * @throws GuesthouseError for whatever is wrong with the configuration, its files, or this host
   */
  static create(input: MachineConfigInput, io: MachineIo): Machine {
    const config = parseMachineConfig(input);
    const choice = chooseAccelerator(config.accel);
    const { name } = choice;
    const accelerator = acceleratorOf(name);
    requireVcpus(name, config.vcpus);
    const cpuModel = chooseCpuModel(accelerator, config.cpu);
    let disks: Disks | undefined;
    let translator: TranslatorThread | undefined;
    const files = openImages(config);
    try {
      disks = new Disks(config.disks);
      const plan = {
        accelerator: name,
        cpuModel,
        topology: topologyOf(config),
        images: files.images,
        serial: config.serial.map(({ kind }) => kind !== 'null'),
        debugcon: config.debugcon !== undefined,
        debugExit: config.debugExit,
        disks: disks.plans,
        boot: { order: config.boot.order, menu: config.boot.menu ? BOOT_MENU_WAIT : undefined },
        ...(hasDisplayAdapter(config)
          ? {
              vga: {
                bios: readVgaBios(config),
                tablet: tabletOf(config.tablet, config.kernel !== undefined),
              },
            }
          : {}),
      };
      const ramBytes = config.memory * 0x100000;
      const acceleratorArea = accelerator.areaBytes(config.vcpus);
      const memory = MachineMemory.create(
        ramBytes,
        boardAreaBytes(plan, ramBytes, acceleratorArea),
        hostMemoryAvailable(),
        boardVideoBytes(plan),
      );
      // Not sooner: a thread that finds no memory ends the process without a word.
      translator =
        accelerator.translatorThread &&
        new TranslatorThread(accelerator.translatorThread, (error) =>
          new Logger('translator', io.log).warn(String(error)),
        );
      const options = { ...plan, description: memory.description, acceleratorArea };
      const board = new Board({ ...options, log: io.log });
      board.install();
      board.powerOn(accelerator);
      const machine = new Machine(config, choice, board, options, files, disks, translator, io);
      machine.#connect(io.terminal);
      return machine;
    } catch (error) {
      files.close();
      disks?.release();
      void translator?.close();
      throw error;
    }
  }

  get state(): MachineState {
    if (!this.#started) return 'ready';
    if (this.#running === 0) return 'ended';
    return this.#board.runState.paused ? 'paused' : 'running';
  }

  /**
   * Serves the display where the configuration says; to be called before {@link start}.
   *
   * @returns where viewers find it, for people; undefined where nobody is served
   * @throws GuesthouseError `config` for an impossible address, `resources` where it cannot be had
   */
  async serveDisplay(): Promise<string | undefined> {
    const { display } = this.config;
    if (display.kind === 'none' || this.display === undefined) return undefined;
    const wanted = displayAddress(display.address, display.passwordFile !== undefined);
    const address = await this.display.listen(wanted);
    return address.kind === 'unix' ? `unix:${address.path}` : `${address.host}:${address.port}`;
  }

  /**
   * Starts every vCPU. Once.
   *
   * @param paused stands still before the first instruction, until {@link resume}
   * @throws GuesthouseError `state` where that has been done, `resources` where the host refuses what the
   *   accelerator needs
   */
  start(paused = false): void {
    if (this.#started) throw new GuesthouseError('state', 'the machine has been started already');
    this.#board.accelerated?.open();
    this.#started = true;
    if (paused) this.#board.runState.pause();
    for (const pump of this.#pumps) pump.start();
    this.#disks.start();
    this.#board.clock.start();
    for (let index = 0; index < this.config.vcpus; index++) this.#startVcpu(index);
    // Starting leaves megabytes that nothing refers to, and afterwards so little is made here that V8 would not look.
    setTimeout(() => globalThis.gc?.(), STARTED_MS).unref();
  }

  /** Ends the machine as if its power were cut: whatever the guest does, soon after {@link STOP_PATIENCE} at
   * the latest. A machine that was not started cannot be started any more. */
  stop(): void {
    this.#board.runState.stop();
    if (this.#started) {
      if (this.#running > 0) this.#beImpatient();
      return;
    }
    this.#started = true;
    this.#ends.push({ kind: 'stopped' });
    void this.#finish();
  }

  /**
   * Stops the guest and its time. Resolves when it stands still, has ended, or {@link resume} was called
   * meanwhile.
   *
   * @throws GuesthouseError `state` where the machine has not been started, `internal` where a vCPU does not
   *   answer; the machine goes on then
   */
  async pause(): Promise<void> {
    this.#requireStarted();
    if (this.#running === 0) return;
    this.#board.runState.pause();
    if (await this.#board.runState.waitPaused(PAUSE_PATIENCE)) return;
    this.#board.runState.resume();
    throw new GuesthouseError('internal', 'a vCPU does not answer, so the machine cannot be paused');
  }

  /** Lets the guest go on from {@link pause}. */
  resume(): void {
    // Requests that were held because the host failed are tried again.
    this.#board.storage.slots.resume();
    this.#board.runState.resume();
  }

  /**
   * Puts a disc into a CD-ROM drive, or takes it out.
   *
   * @param disk number of the drive among the configuration's disks
   * @param file undefined takes the disc out
   * @param force whether it is taken out although the guest has locked it in
   * @throws GuesthouseError `config` where it is no CD-ROM drive, `state` where the guest has locked the disc in
   *   or the machine does not run, or for what is wrong with the file
   */
  async changeMedium(
    disk: number,
    file: string | undefined,
    options: { format?: DiskConfig['format']; force?: boolean } = {},
  ): Promise<void> {
    if (this.#over) throw new GuesthouseError('state', 'the machine is not running');
    await this.#disks.change(disk, file, options);
  }

  /** What is in the CD-ROM drives. */
  media(): MediumState[] {
    return this.#disks.media();
  }

  /** What each disk has moved so far, in the order of the configuration. */
  diskStatistics(): DiskStatistics[] {
    return this.#disks.statistics();
  }

  /** Resets the machine as its reset button would: memory stays, everything else starts anew. A machine that
   * is paused does so when it goes on.
   * @throws GuesthouseError `state` where it has not been started */
  reset(): void {
    this.#requireStarted();
    this.#board.runState.reset('the reset button');
  }

  /** Presses and releases the power button, which asks a guest to power off by ACPI; whether it does is up to
   * the guest.
   * @throws GuesthouseError `state` where the machine has not been started */
  pressPowerButton(): void {
    this.#requireStarted();
    if (this.#running > 0) this.#withDevices(() => this.#board.acpiPm.pressPowerButton());
  }

  /** Sends bytes to the guest's terminal, the first serial port that is `stdio`. Resolves when they are
   * taken or the machine has ended. */
  async send(bytes: Uint8Array): Promise<void> {
    const index = this.config.serial.findIndex(({ kind }) => kind === 'stdio');
    const port = this.#board.serial[index];
    if (port === undefined) return;
    for (let at = 0; at < bytes.length && !this.#over;) {
      at += port.input.write(bytes.subarray(at));
      this.#pumpInput();
      if (at < bytes.length) await port.input.waitWritableAsync(PUMP_AGAIN);
    }
  }

  /**
   * Writes what is on the screen to a PNG file.
   *
   * @returns its size in pixels, and what can be read on it
   * @throws GuesthouseError `state` where the machine has no display, `file` where the file cannot be written
   */
  screenshot(file: string): Screenshot {
    if (this.screen === undefined) throw new GuesthouseError('state', 'the machine has no display');
    this.display?.refresh();
    return saveScreenshot(this.screen, file);
  }

  /** Presses keys in order, holds them for so many milliseconds, and lets them go in the opposite order. */
  async sendKeys(codes: readonly number[], hold: number): Promise<void> {
    for (const code of codes) this.input.key(code, true);
    await new Promise((resolve) => setTimeout(resolve, hold));
    for (const code of codes.toReversed()) this.input.key(code, false);
  }

  /** What the machine has done so far. */
  statistics(): MachineStatistics {
    return {
      ...ExitCounters.sum(this.#board.counters),
      accelerator: { ...this.#accelerated },
      boot: this.#board.timeline.events(),
    };
  }

  /** Each vCPU, by index: where it sits, and what it does. */
  vcpus(): VcpuInfo[] {
    return vcpuInfos(this.#board);
  }

  #requireStarted(): void {
    if (!this.#started) throw new GuesthouseError('state', 'the machine has not been started');
  }

  get #over(): boolean {
    return this.#started && this.#running === 0;
  }

  #connect(terminal: Sink | undefined): void {
    const add = (stream: MachineConfig['serial'][number], ring: ByteRing) => {
      const sink = sinkFor(stream, terminal);
      if (sink !== undefined)
        this.#pumps.push(new OutputPump(ring, sink, (error) => this.#outputFailed(error)));
    };
    for (const [i, stream] of this.config.serial.entries()) add(stream, this.#board.serial[i].output);
    if (this.config.debugcon !== undefined) add(this.config.debugcon, this.#board.debugOutput);
  }

  #startVcpu(index: number): void {
    const translator = this.#translator?.connect();
    const workerData: VcpuThreadData = {
      board: this.#boardOptions,
      index,
      watch: this.#watch?.address,
      ...(translator === undefined ? {} : { translator }),
    };
    const worker = new Worker(new URL('../vcpu/thread.ts', import.meta.url), {
      workerData,
      transferList: translator === undefined ? [] : [translator.port],
      name: `vcpu${index}`,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB, maxOldGenerationSizeMb: VCPU_HEAP_MIB },
    });
    this.#running++;
    this.#runners.add(worker);
    worker.on('message', (message: VcpuThreadMessage) => {
      if (message.kind === 'log') {
        this.#logSink(message.record);
        return;
      }
      if (message.kind === 'code') {
        this.#listed = this.#listed.then(() => this.#list(message.code));
        return;
      }
      this.#runners.delete(worker);
      this.#ends.push(message.end);
      for (const [name, count] of Object.entries(message.statistics)) {
        this.#accelerated[name] = (this.#accelerated[name] ?? 0) + count;
      }
    });
    worker.on('error', (error) => {
      this.#fail(
        'internal',
        `vCPU ${index}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      );
    });
    worker.on('exit', () => {
      this.#runners.delete(worker);
      this.#running--;
      // One that ends takes the others along: its run loop has asked for that, unless it broke.
      this.#board.runState.fault();
      this.#beImpatient();
      if (this.#running === 0) void this.#finish();
    });
  }

  async #list(code: HotCode): Promise<void> {
    const text = await acceleratorOf(this.#boardOptions.accelerator).listCode?.(code);
    if (text !== undefined) this.#watch?.listed(text);
  }

  async #finish(): Promise<void> {
    await this.#listed;
    const translatorGone = this.#translator?.close();
    clearTimeout(this.#patience);
    clearTimeout(this.#pumpTimer);
    await this.#disks.close();
    this.#files.close();
    this.display?.close();
    this.#board.accelerated?.close();
    await Promise.all(this.#pumps.map((pump) => pump.finish()));
    await translatorGone;
    this.#settle(this.#outcome());
  }

  #outcome(): Outcome {
    if (this.#failure !== undefined) return this.#failure;
    const said = this.#ends.find(({ kind }) => kind !== 'fault');
    switch (said?.kind) {
      case 'shutdown':
        return { kind: 'crash', message: this.#board.describeCrash() };
      case 'internal':
        return { kind: 'internal', message: oneLine(said.detail) };
      case 'poweroff':
      case 'stopped':
      case 'exit':
        return said;
      default:
        return { kind: 'internal', message: 'a vCPU ended without saying why' };
    }
  }

  #fail(kind: 'host' | 'internal', message: string): void {
    this.#failure ??= { kind, message: oneLine(message) };
    this.#board.runState.fault();
    this.#beImpatient();
  }

  #outputFailed(error: unknown): void {
    // Nobody reads any more, or the disk is full: no reason to go on.
    this.#fail('host', `cannot write the guest's output: ${reasonOf(error)}`);
  }

  /** Ends the vCPUs' threads where they do not end by themselves. */
  #beImpatient(): void {
    this.#patience ??= setTimeout(() => {
      // What has ended its run ends by itself: on a busy host, many threads take a while to.
      if (this.#runners.size === 0) return;
      this.#log.warn('a vCPU does not answer; its thread is ended');
      for (const worker of this.#runners) void worker.terminate();
      // A thread ends when it comes back to JavaScript, which it does not out of a guest.
      this.#board.signals.raiseAll(VcpuEvent.Kick);
      // A machine that was to stop has stopped.
      if (this.#ends.length === 0) this.#ends.push({ kind: 'stopped' });
    }, STOP_PATIENCE).unref();
  }

  /** Moves input to the UARTs, and tries again later where one does not take it by itself, as in loopback. */
  #pumpInput(): void {
    if (this.#over) return;
    const all = this.#withDevices(() => this.#board.serial.map((port) => port.pump()).every(Boolean));
    if (all || this.#pumpTimer !== undefined) return;
    this.#pumpTimer = setTimeout(() => {
      this.#pumpTimer = undefined;
      this.#pumpInput();
    }, PUMP_AGAIN).unref();
  }

  /** Works on devices from this thread. A timer may have been set: the vCPU that services them looks again. */
  #withDevices<T>(body: () => T): T {
    const result = this.#board.devices.with(body);
    this.#board.signals.raise(0, VcpuEvent.Kick);
    return result;
  }
}
