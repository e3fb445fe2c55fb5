/** A compressed stream that is cut into pieces which the receiver can expand as they come (RFC 1950, 1951). */
import { constants, createDeflate, type Deflate } from 'node:zlib';

/** Bytes of a result that are handed over at once. */
const CHUNK = 0x1_0000;

export class ZlibStream {
  readonly #deflate: Deflate;
  #chunks: Buffer[] = [];

  /** @param level 1 (fast) to 9 (small) */
  constructor(level: number) {
    // Each piece is flushed by the write itself: one trip to the thread that compresses, with room for most results.
    this.#deflate = createDeflate({ level, flush: constants.Z_SYNC_FLUSH, chunkSize: CHUNK });
    // Told to whoever waits, by the end that follows.
    this.#deflate.on('error', () => {});
    this.#deflate.on('data', (chunk: Buffer) => this.#chunks.push(chunk));
  }

  /** Compresses the next piece, off this thread. One at a time.
   * @throws Error where the stream has been closed */
  async compress(data: Uint8Array): Promise<Uint8Array> {
    const deflate = this.#deflate;
    await new Promise<void>((resolve, reject) => {
      const failed = () => reject(new Error('the stream has been closed'));
      deflate.once('close', failed);
      deflate.write(data, () => {
        deflate.off('close', failed);
        resolve();
      });
    });
    const whole = Buffer.concat(this.#chunks);
    this.#chunks = [];
    return whole;
  }

  close(): void {
    this.#deflate.destroy();
  }
}
