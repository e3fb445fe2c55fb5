/**
 * A slot of a port's command list in guest memory: the command's frame and packet, and the pieces of memory that its
 * data is in. Whatever the guest has written there, reading it ends and stays within bounds.
 *
 * AHCI 1.3, 4.2.2 "Command List Structure" and 4.2.3 "Command Table".
 */
import type { Segment } from '../../../memory/physical-memory.ts';
import type { DmaMemory } from '../../dma.ts';
import { HEADER_BYTES, Header, TABLE } from './registers.ts';

/** Bytes of a transfer at most, so that descriptors of nonsense take no memory without end. */
const MOST_BYTES = 64 * 2 ** 20;

/** Descriptors read at a time. */
const AT_ONCE = 64;

export class CommandSlot {
  readonly #memory: DmaMemory;
  readonly #header: number;
  readonly #words: DataView;
  readonly #table: number;

  /** @param list address of the command list */
  constructor(memory: DmaMemory, list: number, slot: number) {
    this.#memory = memory;
    this.#header = list + slot * HEADER_BYTES;
    this.#words = viewOf(memory.read(this.#header, HEADER_BYTES));
    this.#table = (this.#words.getUint32(8, true) & ~0x7f) >>> 0;
    this.#table += this.#words.getUint32(12, true) * 2 ** 32;
  }

  /** The command's frame: as many bytes as the header says. */
  get frame(): Uint8Array {
    const bytes = 4 * Math.min(this.#words.getUint32(0, true) & Header.FrameWords, 16);
    return this.#memory.read(this.#table, bytes);
  }

  /** The command's packet, for packet devices. */
  get packet(): Uint8Array {
    return this.#memory.read(this.#table + TABLE.Packet, TABLE.PacketBytes);
  }

  /** Says how many bytes have been moved. */
  setTransferred(bytes: number): void {
    const word = new Uint8Array(4);
    viewOf(word).setUint32(0, bytes, true);
    this.#memory.write(this.#header + 4, word);
  }

  /**
   * Where data of so many bytes lies.
   *
   * @returns undefined where the descriptors describe less, or it is more than any command moves
   */
  regions(length: number): Segment[] | undefined {
    if (length > MOST_BYTES) return undefined;
    const regions: Segment[] = [];
    const descriptors = this.#words.getUint16(2, true);
    let left = length;
    for (let first = 0; first < descriptors && left > 0; first += AT_ONCE) {
      const count = Math.min(AT_ONCE, descriptors - first);
      const at = this.#table + TABLE.Descriptors + first * TABLE.DescriptorBytes;
      const words = viewOf(this.#memory.read(at, count * TABLE.DescriptorBytes));
      for (let i = 0; i < count && left > 0; i++) {
        const entry = i * TABLE.DescriptorBytes;
        // Bit 0 of both is taken for what it must be: addresses even, counts odd (the number less one).
        const address =
          ((words.getUint32(entry, true) & ~1) >>> 0) + words.getUint32(entry + 4, true) * 2 ** 32;
        const bytes = Math.min(left, ((words.getUint32(entry + 12, true) & 0x3f_ffff) | 1) + 1);
        regions.push({ address, length: bytes });
        left -= bytes;
      }
    }
    return left === 0 ? regions : undefined;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
