/** The thread that translates hot guest code for all vCPUs of a machine, as the machine's host has it. */
import { MessageChannel, Worker } from 'node:worker_threads';
import { shareArena } from '../backend/freed-memory.ts';
import { announce, type TranslatorEnd } from '../machine/translator-link.ts';

/** Young JavaScript objects of the thread, and all of them, in MiB. With 16 in all it ended while Linux booted. */
const YOUNG_MIB = 4;
const HEAP_MIB = 64;

export class TranslatorThread {
  readonly #worker: Worker;
  /** What vCPUs' threads wait on. */
  readonly #awaited: Array<Int32Array<SharedArrayBuffer>> = [];

  /**
   * Starts the thread. What it makes first, all vCPUs wait for: the sooner it is started, the sooner the guest runs.
   *
   * @param entry the accelerator's module for it
   * @param failed told what is wrong when it breaks; the guest runs without it, only slower
   */
  constructor(entry: URL, failed: (error: unknown) => void) {
    shareArena();
    this.#worker = new Worker(entry, {
      name: 'translator',
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB, maxOldGenerationSizeMb: HEAP_MIB },
    });
    // A machine that is never started keeps nobody from ending; one that runs has its vCPUs' threads.
    this.#worker.unref();
    this.#worker.on('exit', () => this.#awaited.forEach(announce));
    this.#worker.on('error', failed);
  }

  /** Makes a connection, for the thread of one vCPU. */
  connect(): TranslatorEnd {
    const { port1, port2 } = new MessageChannel();
    const word = new Int32Array(new SharedArrayBuffer(4));
    this.#awaited.push(word);
    this.#worker.postMessage({ port: port1, word } satisfies TranslatorEnd, [port1]);
    return { port: port2, word };
  }

  /** Ends the thread. Resolves when it is gone, with all that the host has given it. */
  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
