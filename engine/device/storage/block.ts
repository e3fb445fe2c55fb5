/**
 * What storage devices and the threads that do their input and output have to do with each other.
 *
 * A storage device is two halves over one layout. One half is registers, run by whichever vCPU's thread takes an
 * exit, with the device lock held; it notes what is to be done and rings. The other half is
 * {@link BlockDevice.serve}, run by an I/O thread: it takes the lock to see what is to be done and to say that it
 * was done, and moves the data itself without the lock, between the image and guest memory.
 */
import type { Buffers } from '../../backend/image/buffers.ts';
import type { IoSlot } from './io-slots.ts';

/** A disk as its device sees it in the I/O thread. Offsets and lengths in bytes, within the disk.
 * Each returns false where the host has failed and the guest is to be told. */
export interface BlockBackend {
  read(at: number, into: Buffers): boolean;
  write(at: number, from: Buffers): boolean;
  flush(): boolean;
  discard(at: number, length: number): boolean;
  writeZeroes(at: number, length: number, unmap: boolean): boolean;
}

/** A disk that can be put into a drive. */
export interface Medium {
  /** A multiple of 512. */
  readonly bytes: number;
  readonly writable: boolean;
}

/** The half of a storage device that does input and output. */
export interface BlockDevice {
  readonly slot: IoSlot;
  /** When `serve` is to be called although nothing has rung (`performance.now()`); absent or Infinity for never. */
  readonly due?: number;
  /** Carries out what the device has noted, if there is anything. Called in the I/O thread without the device lock.
   * @param backends of the device's disks: by drive for those that have several
   * @returns whether there was anything */
  serve(backends: readonly BlockBackend[], locked: <T>(body: () => T) => T): boolean;
}
