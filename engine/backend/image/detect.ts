/** What format an image is of, by its first bytes. */
import { GuesthouseError } from '../../base/errors.ts';
import type { ImageFormat } from './disk-image.ts';
import { MAGIC } from './qcow2/header.ts';

/** Bytes looked at. */
export const DETECT_BYTES = 512;

/** Formats that are known by name only: a signature at an offset. */
const FOREIGN: ReadonlyArray<readonly [name: string, offset: number, signature: string]> = [
  ['VMDK', 0, 'KDMV'],
  ['VMDK', 0, 'COWD'],
  ['VMDK', 0, '# Disk DescriptorFile'],
  ['VDI', 64, '\x7f\x10\xda\xbe'],
  ['VHDX', 0, 'vhdxfile'],
  ['VHD', 0, 'conectix'],
  ['QED', 0, 'QED\0'],
  ['LUKS', 0, 'LUKS\xba\xbe'],
  ['Parallels', 0, 'WithoutFreeSpace'],
  ['Parallels', 0, 'WithouFreSpacExt'],
];

/** The name of a format that only others have, by the first bytes of an image. */
export function foreignFormat(start: Uint8Array): string | undefined {
  const text = (at: number, length: number) => String.fromCharCode(...start.subarray(at, at + length));
  return FOREIGN.find(([, at, signature]) => text(at, signature.length) === signature)?.[0];
}

function isQcow2(start: Uint8Array): boolean {
  return start.length >= 4 && new DataView(start.buffer, start.byteOffset).getUint32(0) === MAGIC;
}

/**
 * Guesses the format of an image; what has no signature is raw.
 *
 * @param start its first {@link DETECT_BYTES} bytes, or all there are
 * @throws GuesthouseError `unsupported` for a format that is known and not offered here
 */
export function detectFormat(start: Uint8Array, path: string): ImageFormat {
  if (isQcow2(start)) return 'qcow2';
  const foreign = foreignFormat(start);
  if (foreign === undefined) return 'raw';
  throw new GuesthouseError(
    'unsupported',
    `${path} is a ${foreign} image, which is not supported`,
    `convert it first: qemu-img convert -O qcow2 ${path} NEW.qcow2`,
  );
}

/** Refuses a first sector that would make a raw image look like another the next time its format is guessed:
 * so a guest could make the host open any file as a backing file. */
export function guardGuess(path: string): (sector: Uint8Array) => void {
  return (sector) => {
    if (!isQcow2(sector) && foreignFormat(sector) === undefined) return;
    throw new GuesthouseError(
      'file',
      `the guest writes the signature of another format into ${path}, whose format was guessed to be raw`,
      'say format=raw to allow that',
    );
  };
}
