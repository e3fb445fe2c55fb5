/** What commands do to a disk's image, in the I/O thread, whatever has carried them to the drive. */
import { type Buffers, viewsOf } from '../../../backend/image/buffers.ts';
import type { BlockBackend } from '../block.ts';
import { type AtaDrive, SECTOR } from './ata-drive.ts';

/** Writes sectors. Forced, or with the write cache off, they are on the disk before the command ends.
 * @param position in bytes
 * @returns false where the host has failed */
export function store(
  drive: AtaDrive,
  backend: BlockBackend,
  position: number,
  from: Buffers,
  forced: boolean,
): boolean {
  return backend.write(position, from) && ((drive.writeCache && !forced) || backend.flush());
}

/**
 * Discards ranges (ATA8-ACS, 7.9 DATA SET MANAGEMENT).
 *
 * @param from a sector of them, 8 bytes each: a sector's number in 48 bits, a count in 16
 * @returns false where one is beyond the disk's end, or the host has failed
 */
export function trim(drive: AtaDrive, backend: BlockBackend, from: Buffers): boolean {
  const ranges = new Uint8Array(SECTOR);
  let to = 0;
  for (const part of viewsOf(from)) {
    ranges.set(part, to);
    to += part.length;
  }
  const view = new DataView(ranges.buffer);
  for (let i = 0; i < SECTOR; i += 8) {
    const count = view.getUint16(i + 6, true);
    const sector = view.getUint32(i, true) + view.getUint16(i + 4, true) * 2 ** 32;
    if (count === 0) continue;
    if (sector + count > drive.sectors) return false;
    if (!backend.discard(sector * SECTOR, count * SECTOR)) return false;
  }
  return true;
}
