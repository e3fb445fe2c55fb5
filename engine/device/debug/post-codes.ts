/**
 * Port 0x80: power-on self-test codes, as a diagnostic card shows them. Kernels write there too, to wait for about a
 * microsecond. Nothing answers to reads.
 */
import type { Device, PortDevice } from '../device.ts';

export class PostCodes implements Device, PortDevice {
  readonly name = 'post-codes';
  readonly #note: (code: number) => void;

  /** @param note is told each code */
  constructor(note: (code: number) => void) {
    this.#note = note;
  }

  reset(): void {} // has no state

  portRead(): number {
    return 0xffffffff;
  }

  portWrite(_offset: number, _size: number, value: number): void {
    this.#note(value & 0xff);
  }
}
