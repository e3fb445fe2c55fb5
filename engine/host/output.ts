/**
 * Takes what a guest writes out of its ring and hands it to where it goes, in the control thread.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import type { StreamConfig } from '../api/config.ts';
import type { ByteRing } from '../backend/byte-ring.ts';
import { GuesthouseError, reasonOf } from '../base/errors.ts';

/** Where bytes go. */
export interface Sink {
  /** Resolves when the bytes were taken and more may follow. The array is only valid until then. */
  write(bytes: Uint8Array): Promise<void>;
  close(): void;
}

const CHUNK = 65536;

/** Pumps a ring into a sink. */
export class OutputPump {
  readonly #ring: ByteRing;
  readonly #sink: Sink;
  readonly #failed: (error: unknown) => void;
  #running: Promise<void> | undefined;

  /** @param failed called once where the sink fails; what follows is dropped */
  constructor(ring: ByteRing, sink: Sink, failed: (error: unknown) => void) {
    this.#ring = ring;
    this.#sink = sink;
    this.#failed = failed;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Resolves when everything in the ring has been written. To be called when no producer is left. */
  async finish(): Promise<void> {
    this.#ring.close();
    await this.#running;
    this.#sink.close();
  }

  async #run(): Promise<void> {
    const chunk = new Uint8Array(CHUNK);
    let broken = false;
    for (;;) {
      if (!(await this.#ring.waitReadableAsync())) return;
      const bytes = chunk.subarray(0, this.#ring.read(chunk));
      if (broken) continue;
      try {
        await this.#sink.write(bytes);
      } catch (error) {
        broken = true;
        this.#failed(error);
      }
    }
  }
}

/** A sink that writes a file, made or emptied now.
 * @throws GuesthouseError `file` where it cannot be written */
export function fileSink(path: string): Sink {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'w');
  } catch (error) {
    throw new GuesthouseError('file', `cannot write ${path}: ${reasonOf(error)}`, undefined, {
      cause: error,
    });
  }
  return {
    write(bytes) {
      return new Promise((resolve) => {
        for (let at = 0; at < bytes.length;) at += writeSync(descriptor, bytes, at);
        resolve();
      });
    },
    close: () => closeSync(descriptor),
  };
}

/** The sink of a stream; undefined where its bytes go nowhere.
 * @param terminal what stands for `stdio` */
export function sinkFor(stream: StreamConfig, terminal: Sink | undefined): Sink | undefined {
  if (stream.kind === 'file') return fileSink(stream.path);
  return stream.kind === 'stdio' ? terminal : undefined;
}

export { reasonOf } from '../base/errors.ts';
