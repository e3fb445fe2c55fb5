/**
 * The debug console: one write-only port (0xE9 by custom, as Bochs introduced it). What is written goes to
 * a sink; reading gives 0xE9, by which a guest knows that the port is there.
 */
import type { AccessSize, Device, PortDevice } from '../device.ts';
import { allOnes } from '../byte-access.ts';

/** Where the console's bytes go; a byte that finds no room is lost. */
export interface DebugSink {
  write(byte: number): boolean;
}

export class DebugConsole implements Device, PortDevice {
  readonly name = 'debugcon';
  readonly #sink: DebugSink;

  constructor(sink: DebugSink) {
    this.#sink = sink;
  }

  reset(): void {} // has no state

  portRead(offset: number, size: AccessSize): number {
    // The byte lanes above the port float high.
    return offset === 0 ? ((allOnes(size) & ~0xff) | 0xe9) >>> 0 : allOnes(size);
  }

  portWrite(offset: number, _size: AccessSize, value: number): void {
    if (offset === 0) this.#sink.write(value & 0xff);
  }
}
