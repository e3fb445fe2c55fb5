/**
 * Firmware: an image that ends at 4 GiB, with its last part also below 1 MiB, as PC chipsets decode it, and
 * a processor that begins at the reset vector.
 *
 * Intel SDM 3A, 10.1.4 "First instruction executed"; Intel 82371SB, 2.5 "BIOS decode".
 */
import { GuesthouseError } from '../../base/errors.ts';
import { type EntryState, resetEntry } from './entry.ts';

/** A piece of a ROM image at an address; the board maps it read-only. Bytes. */
export interface RomMapping {
  readonly address: number;
  readonly bytes: Uint8Array;
}

export interface LoadedFirmware {
  readonly roms: readonly RomMapping[];
  readonly entry: EntryState;
}

const TOP = 0x1_0000_0000;
const LOW_TOP = 0x10_0000;
/** The chipset repeats at most this much below 1 MiB. */
const LOW_BYTES = 0x2_0000;
const PAGE = 4096;
/** What lies above is taken by the APICs and the HPET. */
const MOST_BYTES = 16 * 0x10_0000;

/**
 * Where an image is mapped, and the state after reset.
 *
 * @param image a whole number of 4 KiB pages, at most 16 MiB
 * @param signature what CPUID leaf 1 gives in EAX
 * @throws GuesthouseError('file') for an image that cannot be firmware
 */
export function loadFirmware(image: Uint8Array, signature: number): LoadedFirmware {
  if (image.length < 0x1_0000 || image.length % PAGE !== 0 || image.length > MOST_BYTES) {
    throw new GuesthouseError(
      'file',
      `a firmware image of ${image.length} bytes is truncated or no firmware`,
      'it has 64 KiB to 16 MiB, in whole pages',
    );
  }
  const vector = image.subarray(image.length - 16);
  if (vector.every((byte) => byte === vector[0] && (byte === 0x00 || byte === 0xff))) {
    throw new GuesthouseError(
      'file',
      'the firmware image has nothing at the reset vector',
      'it must end with code',
    );
  }
  const low = image.subarray(Math.max(image.length - LOW_BYTES, 0));
  return {
    roms: [
      { address: TOP - image.length, bytes: image },
      { address: LOW_TOP - low.length, bytes: low },
    ],
    entry: resetEntry(signature),
  };
}
