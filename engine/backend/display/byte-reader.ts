/** Bytes as they come from a connection, taken in pieces of the length that is wanted. */
export class ByteReader {
  #chunks: Uint8Array[] = [];
  #length = 0;

  /** Bytes that wait. */
  get length(): number {
    return this.#length;
  }

  push(bytes: Uint8Array): void {
    this.#chunks.push(bytes);
    this.#length += bytes.length;
  }

  /** The next `count` bytes without taking them; undefined while there are fewer. */
  peek(count: number): Uint8Array | undefined {
    if (this.#length < count) return undefined;
    const [first] = this.#chunks;
    if (this.#chunks.length > 1 && first.length < count) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks.length === 0 ? new Uint8Array() : this.#chunks[0].subarray(0, count);
  }

  /** Drops bytes from the front, as many as there are. */
  drop(count: number): void {
    let left = Math.min(count, this.#length);
    this.#length -= left;
    while (left > 0) {
      const first = this.#chunks[0];
      if (first.length > left) {
        this.#chunks[0] = first.subarray(left);
        return;
      }
      left -= first.length;
      this.#chunks.shift();
    }
  }
}
