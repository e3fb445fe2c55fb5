/**
 * A machine's disks as its control thread has them: their files and locks, the I/O thread that reads and writes them,
 * and what is in the CD-ROM drives.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { DiskConfig } from '../api/config.ts';
import type { MediumState } from '../api/control.ts';
import { errorOf, type Problem, problemOf } from '../api/problem.ts';
import type { DiskStatistics } from '../api/statistics.ts';
import { GuesthouseError } from '../base/errors.ts';
import type { LogRecord } from '../base/log.ts';
import type { Board, BoardOptions } from '../machine/board.ts';
import type { DiskFailure } from './disk-backend.ts';
import type { Disks } from './disks.ts';
import type { ChangeMedium, IoThreadData, IoThreadMessage } from './io-thread.ts';

/** How long the I/O thread has to write what the guest has written, when the machine has ended, in
 * milliseconds: the host's disk may be slow, and what is not written is lost. */
const CLOSE_PATIENCE = 60_000;

/** Milliseconds between two looks at the drives at least, for guests that move trays all the time. */
const MEDIA_PACE = 50;

/** Told of what happens. */
export interface DiskEvents {
  log(record: LogRecord): void;
  /** The host has failed a disk; where the request is held, the machine is about to be paused. */
  failed(failure: DiskFailure): void;
  /** The machine cannot go on. */
  broken(kind: 'internal' | 'host', message: string): void;
  /** What {@link MachineDisks.media} gives is different. */
  mediaMoved(): void;
}

export class MachineDisks {
  readonly #board: Board;
  readonly #options: Omit<BoardOptions, 'log'>;
  readonly #files: Disks;
  readonly #events: DiskEvents;
  #ioThread: { readonly ended: Promise<void>; readonly requests: MessagePort } | undefined;
  /** Changes of discs that have not been answered yet. */
  readonly #changes = new Map<number, (problem: Problem | null) => void>();
  #nextChange = 1;
  #closed = false;

  /** @param files locked; released by {@link close} */
  constructor(board: Board, options: Omit<BoardOptions, 'log'>, files: Disks, events: DiskEvents) {
    this.#board = board;
    this.#options = options;
    this.#files = files;
    this.#events = events;
  }

  /** Starts the I/O thread. A machine without disks has none. */
  start(): void {
    const disks = this.#files.configs;
    if (disks.length === 0) return;
    const { port1: requests, port2 } = new MessageChannel();
    const workerData: IoThreadData = { board: this.#options, disks, requests: port2 };
    const worker = new Worker(new URL('./io-thread.ts', import.meta.url), {
      workerData,
      transferList: [port2],
      name: 'io',
    });
    worker.on('message', (message: IoThreadMessage) => this.#take(message));
    worker.on('error', (error) => {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#events.broken('internal', `I/O thread: ${text}`);
    });
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    worker.on('exit', () => {
      requests.close();
      const problem = problemOf(new GuesthouseError('state', 'the machine has ended'));
      for (const answer of this.#changes.values()) answer(problem);
      resolve();
    });
    this.#ioThread = { ended, requests };
    void this.#watchMedia();
  }

  /** What is in the CD-ROM drives. */
  media(): MediumState[] {
    return [...this.#board.storage.cdroms].map(([disk, { trayOpen, locked }]) => ({
      disk,
      file: this.#files.configs[disk].file ?? null,
      trayOpen,
      locked,
    }));
  }

  /** What each disk has moved. */
  statistics(): DiskStatistics[] {
    return this.#board.storage.counters.map((counters) => ({
      read: counters.of('read'),
      write: counters.of('write'),
      flush: counters.of('flush'),
      errors: counters.errors,
    }));
  }

  /** As Machine.changeMedium. */
  async change(
    disk: number,
    file: string | undefined,
    { format, force = false }: { format?: DiskConfig['format']; force?: boolean },
  ): Promise<void> {
    const cdrom = this.#board.storage.cdroms.get(disk);
    if (cdrom === undefined) throw new GuesthouseError('config', `disk ${disk} is not a CD-ROM drive`);
    if (this.#ioThread === undefined || this.#closed) {
      throw new GuesthouseError('state', 'the machine is not running');
    }
    if (cdrom.locked && cdrom.sectors > 0 && !force) {
      this.#board.devices.with(() => cdrom.requestEject());
      throw new GuesthouseError(
        'state',
        'the guest has locked the disc in',
        'it was asked to let go: try again, or use force',
      );
    }
    const exchange = this.#files.exchange(disk, file, format);
    const id = this.#nextChange++;
    const { promise, resolve } = Promise.withResolvers<Problem | null>();
    this.#changes.set(id, resolve);
    const { requests: port } = this.#ioThread;
    port.postMessage({ id, disk, file, format } satisfies ChangeMedium);
    this.#board.storage.slots.ringAll();
    const problem = await promise;
    if (problem !== null) {
      exchange.abandon();
      throw errorOf(problem);
    }
    exchange.commit();
    this.#events.mediaMoved();
  }

  /** Has the I/O thread close the images, and gives their locks back. */
  async close(): Promise<void> {
    const { slots } = this.#board.storage;
    if (this.#ioThread !== undefined) {
      slots.stop();
      const late = new Promise<'late'>((resolve) =>
        setTimeout(() => resolve('late'), CLOSE_PATIENCE).unref(),
      );
      const closed = this.#ioThread.ended.then(() => 'closed' as const);
      if ((await Promise.race([closed, late])) === 'late') {
        this.#events.broken('host', 'the host does not finish writing the disks');
      }
    }
    this.#closed = true;
    // Lets the watch come to its end.
    slots.mediumMoved();
    this.#files.release();
  }

  #take(message: IoThreadMessage): void {
    switch (message.kind) {
      case 'log':
        this.#events.log(message.record);
        break;
      case 'failure':
        this.#events.failed(message.failure);
        break;
      case 'changed':
        this.#changes.get(message.id)?.(message.problem);
        this.#changes.delete(message.id);
        break;
      case 'unclosed':
        this.#events.broken('host', message.message);
    }
  }

  /** Guests open trays themselves, in whichever thread runs the device. */
  async #watchMedia(): Promise<void> {
    const { slots } = this.#board.storage;
    for (let seen = slots.mediaMoved; !this.#closed; seen = slots.mediaMoved) {
      await slots.waitMediaMoved(seen);
      await sleep(MEDIA_PACE, undefined, { ref: false });
      if (!this.#closed) this.#events.mediaMoved();
    }
  }
}
