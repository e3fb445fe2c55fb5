/**
 * The manager: what can be done with the machines of a library, for every shell and the command line alike.
 * It holds no machine itself: each runs in an engine's process, which others may have started and may talk to
 * at the same time, so what it says of a machine is what that engine and the library say.
 */
import path from 'node:path';
import type { DiskBus } from '../../engine/api/config.ts';
import type { ControlRequest } from '../../engine/api/control.ts';
import { problemOf } from '../../engine/api/problem.ts';
import type { ExitStatistics, VcpuInfo } from '../../engine/api/statistics.ts';
import { GuesthouseError } from '../../engine/base/errors.ts';
import { createImage } from '../../engine/host/image-tools.ts';
import { sample } from '../cli/sample.ts';
import { checkDocument, issueLine, type MachineDocument } from '../contract/document.ts';
import type { EventData, EventName } from '../contract/events.ts';
import type { LogRecord, MachineSummary, Operation, Sample } from '../contract/machine.ts';
import type { Issue, Result } from '../contract/methods.ts';
import { imageName, type NewDisk } from '../contract/storage.ts';
import { damagedError, type Library, type StoredMachine } from '../store/library.ts';
import { dismissErrors, noteError, readRun } from '../store/notes.ts';
import { cacheDirectory, runtimeDirectory } from '../store/paths.ts';
import { watchLibrary } from '../store/watch.ts';
import type { EngineClient, EngineListener } from './engine-client.ts';
import { fileIssues } from './host.ts';
import { Journal } from './journal.ts';
import type { EngineLauncher } from './launcher.ts';
import { MachineDisks } from './machine-disks.ts';
import { type OperationContext, Operations } from './operations.ts';
import { presentDocument, summaryOf } from './summary.ts';
import { alreadyRunning, notRunning, SupervisedMachine } from './supervised-machine.ts';

/** Milliseconds between two samples. */
const SAMPLE_INTERVAL = 1000;

/** A document that is wrong: every field that is, beside the first in one line. */
export class DocumentError extends GuesthouseError {
  readonly issues: readonly Issue[];

  constructor(issues: readonly [Issue, ...Issue[]]) {
    super('config', issueLine(issues[0]));
    this.issues = issues;
  }
}

/** Takes events as the contract has them. */
export type ManagerListener = <E extends EventName>(event: E, data: EventData<E>) => void;

/** What the manager knows of a machine beside its files. */
interface Known {
  readonly supervised: SupervisedMachine;
  busy: string | null;
  /** The summary that was told last, as text. */
  told: string;
}

export class Manager {
  readonly library: Library;
  readonly operations: Operations;
  /** Disks and media of the machines. */
  readonly disks: MachineDisks = new MachineDisks(this);
  readonly journal: Journal;
  readonly #launcher: EngineLauncher;
  /** Where engines are met: looked for once, since that asks the system who we are. */
  #runtime: string | undefined;
  readonly #known = new Map<string, Known>();
  readonly #listeners = new Set<ManagerListener>();
  #unwatch: (() => void) | undefined;
  #sampler: NodeJS.Timeout | undefined;
  #sampling = false;

  constructor(library: Library, launcher: EngineLauncher) {
    this.library = library;
    this.#launcher = launcher;
    this.operations = new Operations((operation: Operation) => this.#emit('operation', { operation }));
    this.journal = new Journal((record: LogRecord) => this.#emit('log', { record }));
  }

  /** Hears of everything; call what is returned to end that. */
  listen(listener: ManagerListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Follows the library and measures the machines that run, until {@link close}. */
  async watch(): Promise<void> {
    this.#unwatch ??= watchLibrary(this.library.directory, (id) => void this.#refresh(id));
    this.#sampler ??= setInterval(() => void this.#measure(), SAMPLE_INTERVAL);
    await this.list();
  }

  /** Ends following, cancels what is under way, and goes away from the engines, which go on. */
  close(): void {
    this.operations.close();
    this.#unwatch?.();
    clearInterval(this.#sampler);
    for (const { supervised } of this.#known.values()) supervised.disconnect();
  }

  /** Names of the machines that are known to run. */
  get running(): string[] {
    const running = [...this.#known].filter(([, { supervised }]) => supervised.running !== undefined);
    return running.map(([id]) => this.library.find(id)?.document?.name ?? id).sort();
  }

  /** All machines, by name. */
  async list(): Promise<MachineSummary[]> {
    const stored = this.library.list();
    await Promise.all(stored.map(({ id }) => this.#look(id)));
    return stored
      .map((each) => this.#tellChange(each))
      .sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }) || a.id.localeCompare(b.id));
  }

  /** One machine. */
  async summary(id: string): Promise<MachineSummary> {
    await this.#look(id);
    return this.#tellChange(this.library.get(id));
  }

  async get(id: string): Promise<Result<'machine.get'>> {
    const machine = await this.summary(id);
    const { document, revision, text } = this.library.get(id);
    const running = presentDocument(this.#of(id).supervised.running);
    return { machine, document, revision, running, text: document === null ? text : null };
  }

  /**
   * What is wrong with a document.
   *
   * @param files whether to look at the files it names
   * @param id of the machine it is for, whose name it may keep
   */
  validate(input: unknown, files: boolean, id?: string): Issue[] {
    const checked = checkDocument(input);
    if (!checked.ok) return checked.issues.map(({ path: where, message }) => ({ path: [...where], message }));
    const { document } = checked;
    const taken = this.library.list().some((each) => each.id !== id && each.document?.name === document.name);
    return [
      ...(taken ? [{ path: ['name'], message: 'is taken by another machine' }] : []),
      ...(files ? fileIssues(document) : []),
    ];
  }

  /**
   * Makes a machine.
   *
   * @param newDisk a disk to make for it in its folder, before those that it has
   * @throws DocumentError, GuesthouseError `state` where the name is taken
   */
  async define(input: unknown, newDisk?: Omit<NewDisk, 'pool'>): Promise<MachineSummary> {
    const { id, document } = this.library.define(requireDocument(input), (wanted, work, folder) => {
      if (newDisk === undefined) return wanted;
      const { format, bus, gibibytes } = newDisk;
      const name = imageName('disk', format);
      createImage(path.join(work, name), { format, size: gibibytes * 2 ** 30 });
      return withDisk(wanted, { file: path.join(folder, name), bus });
    });
    this.#note(id, `defined as '${document?.name}'`);
    return this.summary(id);
  }

  /** @throws DocumentError, GuesthouseError `state` where it has changed since `revision` was read */
  async configure(id: string, revision: string, input: unknown): Promise<Result<'machine.configure'>> {
    const stored = this.library.replace(id, revision, requireDocument(input));
    this.#note(id, 'configuration changed');
    return { machine: await this.summary(id), revision: stored.revision };
  }

  /** Changes some fields of a machine's document. */
  async amend(id: string, change: Partial<MachineDocument>): Promise<MachineSummary> {
    const { document, revision } = this.#sound(id);
    const { machine } = await this.configure(id, revision, { ...document, ...change });
    return machine;
  }

  async clone(id: string, name: string): Promise<MachineSummary> {
    const { document } = this.#sound(id);
    await this.#requireOff(id);
    requireDocument({ ...document, name });
    return this.#exclusively(id, 'clone', async (context) => {
      const step = (share: number): void => context.step(`copying to '${name}'`, share);
      step(0);
      // Somebody else may have started it meanwhile, and then the copy is of no use.
      const check = (): Promise<void> => this.#requireOff(id);
      const copy = await this.library.clone(id, name, step, check, context.signal);
      this.#note(copy.id, `cloned from '${document.name}'`);
      return this.summary(copy.id);
    });
  }

  deletion(id: string): Result<'machine.deletion'> {
    return { folder: this.library.get(id).folder, files: this.library.files(id) };
  }

  async undefine(id: string): Promise<void> {
    const { document } = this.library.get(id);
    await this.#requireOff(id);
    await this.#exclusively(id, 'delete', async (context) => {
      context.commit();
      await this.library.remove(id);
    });
    this.#note(id, `'${document?.name ?? id}' deleted`);
    await this.#refresh(id);
  }

  /** Resolves when the guest runs.
   * @throws GuesthouseError for whatever keeps it from starting, which is noted on the machine as well */
  async start(id: string, paused = false): Promise<MachineSummary> {
    const { document, folder } = this.#sound(id);
    await this.#look(id);
    const { supervised } = this.#of(id);
    if (supervised.running !== undefined) throw alreadyRunning();
    try {
      await this.#exclusively(id, 'start', async (context) => {
        dismissErrors(folder);
        const files = document.sample ? await makeSample(context) : undefined;
        await supervised.start(document, files, paused, context);
      });
    } catch (error) {
      const found = problemOf(error);
      // Cancelled, or somebody else was quicker: nothing that the machine suffers from.
      if (found.code !== 'state') noteError(folder, found);
      this.#note(id, found.message, 'error');
      this.#changed(id);
      throw error;
    }
    this.#note(id, paused ? 'started, paused' : 'started');
    return this.summary(id);
  }

  /** Presses the power button. */
  async shutdown(id: string): Promise<void> {
    await this.#press(id, 'power-button', 'power button pressed');
  }

  async suspend(id: string): Promise<void> {
    await this.#press(id, 'pause', 'paused');
  }

  async resume(id: string): Promise<void> {
    await this.#press(id, 'resume', 'resumed');
  }

  async reset(id: string): Promise<void> {
    await this.#press(id, 'reset', 'reset');
  }

  /** Writes what is on the screen to a PNG file. */
  async screenshot(id: string, file: string) {
    return this.ask(id, { kind: 'screenshot', file });
  }

  /** Presses keys, holds them, and lets them go.
   * @param codes as in engine/api/keys.ts
   * @param hold milliseconds */
  async sendKeys(id: string, codes: readonly number[], hold: number): Promise<void> {
    await this.ask(id, { kind: 'send-key', codes: [...codes], hold });
  }

  /** Asks the engine of a machine.
   * @throws GuesthouseError `state` where it is off, or what the engine says */
  async ask<K extends ControlRequest['kind']>(
    id: string,
    request: Extract<ControlRequest, { kind: K }> & { kind: K },
  ) {
    this.library.get(id);
    await this.#look(id);
    return this.#of(id).supervised.ask<K>(request);
  }

  /** Writes a line into a machine's log. */
  note(id: string, text: string): void {
    this.#note(id, text);
  }

  /** Cuts the power. Resolves when the machine is off. */
  async destroy(id: string): Promise<void> {
    await this.#look(id);
    await this.#of(id).supervised.destroy();
    this.#note(id, 'forced off');
  }

  /** Forgets what went wrong. */
  dismiss(id: string): void {
    dismissErrors(this.library.get(id).folder);
    this.#changed(id);
  }

  /** Exits of the run that goes on, else of the last; null where there is none. */
  async exits(id: string): Promise<ExitStatistics | null> {
    const { folder } = this.library.get(id);
    await this.#look(id);
    const { supervised } = this.#of(id);
    if (supervised.running !== undefined) return supervised.ask({ kind: 'statistics' });
    return readRun(folder)?.statistics ?? null;
  }

  /** Each vCPU of a machine that runs, by index. */
  async vcpus(id: string): Promise<VcpuInfo[]> {
    this.library.get(id);
    await this.#look(id);
    return this.#of(id).supervised.ask({ kind: 'vcpus' });
  }

  /** What the engine's process and its guest have used so far. */
  async usage(id: string) {
    return this.ask(id, { kind: 'usage' });
  }

  /** The samples that are kept, the oldest first. */
  samples(id: string): readonly Sample[] {
    this.library.get(id);
    return this.#of(id).supervised.series.list();
  }

  /** A connection for a machine's console: attach to it next. */
  async connectConsole(
    id: string,
    listener: EngineListener,
  ): Promise<{ client: EngineClient; started: number }> {
    this.library.get(id);
    await this.#look(id);
    const { supervised } = this.#of(id);
    const client = await supervised.connectConsole(listener);
    return { client, started: supervised.running?.state.started ?? 0 };
  }

  async #press(id: string, kind: 'pause' | 'resume' | 'reset' | 'power-button', said: string): Promise<void> {
    this.library.get(id);
    await this.#look(id);
    if (this.#of(id).supervised.running === undefined) throw notRunning();
    await this.ask(id, { kind });
    this.#note(id, said);
  }

  /** A machine whose document can be read. */
  #sound(id: string): StoredMachine & { readonly document: MachineDocument } {
    const stored = this.library.get(id);
    if (stored.document === null) throw damagedError(stored);
    return { ...stored, document: stored.document };
  }

  async #requireOff(id: string): Promise<void> {
    await this.#look(id);
    if (this.#of(id).supervised.running === undefined) return;
    throw new GuesthouseError('state', 'the machine is running', 'shut it down first');
  }

  async #exclusively<T>(
    id: string,
    kind: string,
    work: (context: OperationContext) => Promise<T>,
  ): Promise<T> {
    const known = this.#of(id);
    if (known.busy !== null)
      throw new GuesthouseError('state', `the machine is busy: ${known.busy}`, 'wait for that');
    known.busy = kind;
    this.#changed(id);
    try {
      const name = this.library.find(id)?.document?.name ?? id;
      return await this.operations.run({ kind, machine: id, name }, work);
    } finally {
      known.busy = null;
      this.#changed(id);
    }
  }

  #of(id: string): Known {
    const known = this.#known.get(id) ?? {
      supervised: this.#supervise(id),
      busy: null,
      told: '',
    };
    this.#known.set(id, known);
    return known;
  }

  #supervise(id: string): SupervisedMachine {
    this.#runtime ??= runtimeDirectory();
    return new SupervisedMachine(this.library.folder(id), this.#runtime, this.#launcher, {
      changed: () => this.#changed(id),
      log: (record) => this.journal.add(id, record),
    });
  }

  async #look(id: string): Promise<void> {
    try {
      await this.#of(id).supervised.look();
    } catch (error) {
      // An engine of another version: it runs, and that is all that can be said.
      this.#note(id, problemOf(error).message, 'warn');
    }
  }

  /** The library says that something is different about a machine. */
  async #refresh(id: string): Promise<void> {
    if (this.library.find(id) !== undefined) await this.#look(id);
    this.#changed(id);
  }

  #changed(id: string): void {
    const stored = this.library.find(id);
    if (stored !== undefined) {
      this.#tellChange(stored);
      return;
    }
    const known = this.#known.get(id);
    // A machine that was deleted under its engine is still that engine's, until it ends.
    if (known === undefined || known.supervised.running !== undefined) return;
    this.#known.delete(id);
    if (known.told !== '') this.#emit('machine.removed', { id });
  }

  /** Tells everybody, where it is news. */
  #tellChange(stored: StoredMachine): MachineSummary {
    const known = this.#of(stored.id);
    const machine = summaryOf(stored, known.supervised.running, known.busy);
    const text = JSON.stringify(machine);
    if (text !== known.told) {
      known.told = text;
      this.#emit('machine.changed', { machine });
    }
    return machine;
  }

  /** Takes a sample of each machine that runs. */
  async #measure(): Promise<void> {
    // An engine that is slow to answer is not asked again meanwhile.
    if (this.#sampling) return;
    this.#sampling = true;
    try {
      const running = [...this.#known].filter(([, { supervised }]) => supervised.running !== undefined);
      const samples = await Promise.all(
        running.map(async ([id, { supervised }]) => {
          const usage = await supervised.ask({ kind: 'usage' }).catch(() => undefined);
          const taken = usage === undefined ? undefined : supervised.series.add(usage);
          return taken === undefined ? [] : [{ id, sample: taken }];
        }),
      );
      if (samples.some((each) => each.length > 0)) this.#emit('statistics', { samples: samples.flat() });
    } finally {
      this.#sampling = false;
    }
  }

  #note(id: string, text: string, level: LogRecord['level'] = 'info'): void {
    this.journal.add(id, { level, scope: 'manager', text });
  }

  #emit<E extends EventName>(event: E, data: EventData<E>): void {
    for (const listener of this.#listeners) listener(event, data);
  }
}

/** @throws DocumentError for what is no document */
export function requireDocument(input: unknown): MachineDocument {
  const checked = checkDocument(input);
  if (checked.ok) return checked.document;
  const [first, ...others] = checked.issues.map(({ path: where, message }) => ({
    path: [...where],
    message,
  }));
  throw new DocumentError([first, ...others]);
}

/** A document with one more disk, before those that it has.
 * @throws DocumentError where that is one too many */
export function withDisk(
  document: MachineDocument,
  disk: { readonly file: string; readonly bus: DiskBus },
): MachineDocument {
  return requireDocument({ ...document, disks: [disk, ...document.disks] });
}

/** The sample guest's files, made where they are not there yet. */
async function makeSample(context: OperationContext): Promise<{ kernel: string; initrd: string }> {
  context.step('making the sample guest');
  const { kernel, initrd } = await sample(path.join(cacheDirectory(), 'sample'), undefined, context.signal);
  return { kernel: path.resolve(kernel), initrd: path.resolve(initrd) };
}
