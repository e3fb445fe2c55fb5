/** Guest memory as devices reach it. Addresses are guest-physical; lengths are in bytes, bounded by the caller. */

import type { Buffers } from '../backend/image/buffers.ts';
import type { Segment } from '../memory/physical-memory.ts';

/** Guest memory as devices reach it by DMA. */
export interface DmaMemory {
  /** Bytes at a guest-physical address; what is not memory reads as ones. */
  read(address: number, length: number): Uint8Array;
  write(address: number, data: Uint8Array): void;
  /** The bytes of segments themselves, to be read or written in place; in place of what is not memory (or, for `write`,
   * not to be written) there are bytes that belong to nobody. */
  pieces(segments: readonly Segment[], access: 'read' | 'write'): Buffers;
  /** To be called when pieces of segments have been written. */
  wrote(segments: readonly Segment[], pieces: Buffers): void;
}
