/**
 * The entry of the I/O thread: builds the board over the machine's memory as every other thread does, opens the
 * images, and does what storage devices have noted until the machine has ended. Then it closes them.
 */
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { DiskConfig } from '../api/config.ts';
import { type Problem, problemOf } from '../api/problem.ts';
import { openImage } from '../backend/image/open.ts';
import type { LogRecord } from '../base/log.ts';
import type { BlockBackend } from '../device/storage/block.ts';
import type { IoSlot } from '../device/storage/io-slots.ts';
import { Board, type BoardOptions } from '../machine/board.ts';
import { Milestone } from '../vcpu/boot-timeline.ts';
import { DiskBackend, type DiskFailure } from './disk-backend.ts';

/** What the thread is started with. */
export interface IoThreadData {
  /** All that can be copied of it; the thread adds its own log. */
  readonly board: Omit<BoardOptions, 'log'>;
  /** The disks, in the order of the board's plan. The control thread holds the locks of their files. */
  readonly disks: readonly DiskConfig[];
  /** Requests come here: the thread sleeps in a way that its event loop does not run. */
  readonly requests: MessagePort;
}

/** Changes a drive's disc. The control thread has locked the new file and knows that it can be opened. */
export interface ChangeMedium {
  readonly id: number;
  readonly disk: number;
  /** Undefined takes the disc out. */
  readonly file: string | undefined;
  readonly format: DiskConfig['format'];
}

/** What it says to the control thread. */
export type IoThreadMessage =
  | { readonly kind: 'log'; readonly record: LogRecord }
  | { readonly kind: 'failure'; readonly disk: number; readonly failure: DiskFailure }
  | { readonly kind: 'changed'; readonly id: number; readonly problem: Problem | null }
  /** An image could not be closed in order. */
  | { readonly kind: 'unclosed'; readonly disk: number; readonly message: string };

class IoThread {
  readonly #say: (message: IoThreadMessage) => void;
  readonly #board: Board;
  readonly #disks: readonly DiskConfig[];
  readonly #requests: MessagePort;
  readonly #backends: readonly DiskBackend[];

  constructor({ board, disks, requests }: IoThreadData, say: (message: IoThreadMessage) => void) {
    this.#say = say;
    this.#disks = disks;
    this.#requests = requests;
    this.#board = new Board({ ...board, log: (record) => say({ kind: 'log', record }) });
    this.#backends = disks.map((config, disk) => this.#backend(config, disk));
  }

  #backend(config: DiskConfig, disk: number): DiskBackend {
    const { served, slots, counters } = this.#board.storage;
    const owner = served.find(({ disks }) => disks.includes(disk));
    if (owner === undefined) throw new RangeError(`disk ${disk} is on no controller`);
    const { slot }: { slot: IoSlot } = owner.device;
    const failed = (failure: DiskFailure) => {
      this.#say({ kind: 'failure', disk, failure });
      if (failure.held) this.#board.runState.pause();
    };
    const wasRead = () => this.#board.timeline.mark(Milestone.BootDevice);
    return new DiskBackend(openDisk(config), {
      config,
      counters: counters[disk],
      slot,
      slots,
      failed,
      wasRead,
    });
  }

  /** Until the machine has ended. */
  run(): void {
    const { served, slots } = this.#board.storage;
    const locked = this.#board.devices.with;
    const work = served.map(({ device, disks }) => {
      const backends: BlockBackend[] = disks
        .flatMap((disk, drive) => {
          const backend = disk === undefined ? undefined : this.#backends[disk];
          return backend === undefined ? [] : [[drive, backend] as const];
        })
        .reduce<BlockBackend[]>((all, [drive, backend]) => ((all[drive] = backend), all), []);
      return { device, backends };
    });
    const due = () => work.reduce((first, { device }) => Math.min(first, device.due ?? Infinity), Infinity);
    for (let rung = slots.wait(); rung !== undefined; rung = slots.wait(due())) {
      this.#takeRequests();
      for (const { device, backends } of work) {
        const rang = ((rung >>> device.slot.index) & 1) !== 0;
        if (!rang && performance.now() < (device.due ?? Infinity)) continue;
        while (device.serve(backends, locked));
      }
    }
  }

  close(): void {
    for (const [disk, backend] of this.#backends.entries()) {
      try {
        backend.close();
      } catch (error) {
        this.#say({ kind: 'unclosed', disk, message: problemOf(error).message });
      }
    }
  }

  #takeRequests(): void {
    for (;;) {
      const received = receiveMessageOnPort(this.#requests);
      if (received === undefined) return;
      this.#change(received.message as ChangeMedium);
    }
  }

  #change({ id, disk, file, format }: ChangeMedium): void {
    try {
      const config = { ...this.#disks[disk], file, format };
      const image = openDisk(config);
      this.#board.devices.with(() => this.#board.storage.cdroms.get(disk)?.change(image?.size ?? 0));
      this.#backends[disk].change(image, file);
      this.#say({ kind: 'changed', id, problem: null });
    } catch (error) {
      this.#say({ kind: 'changed', id, problem: problemOf(error) });
    }
  }
}

function openDisk({ file, format, device, readOnly }: DiskConfig) {
  if (file === undefined) return undefined;
  return openImage(file, { format, writable: device === 'disk' && !readOnly });
}

if (parentPort !== null) {
  const port = parentPort;
  const thread = new IoThread(workerData as IoThreadData, (message) => port.postMessage(message));
  thread.run();
  thread.close();
}
