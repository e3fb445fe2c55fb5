/** Guest memory as devices reach it. Addresses are guest-physical; lengths are in bytes, bounded by the caller. */

/** Guest memory as devices reach it by DMA. */
export interface DmaMemory {
  /** Bytes at a guest-physical address; what is not memory reads as ones. */
  read(address: number, length: number): Uint8Array;
  write(address: number, data: Uint8Array): void;
  /** The bytes themselves, to be read or written in place, in as few pieces as there are; in place of what is not
   * memory (or, for `write`, not to be written) there are bytes that belong to nobody. */
  views(address: number, length: number, access: 'read' | 'write'): Uint8Array[];
  /** To be called when bytes got by {@link views} have been written. */
  wrote(address: number, length: number): void;
}
