/**
 * What an IDE channel's I/O thread does: moves data between the disk and the channel's buffer, or guest memory.
 */
import type { BlockBackend } from '../block.ts';
import { CD_SECTOR } from '../cdrom.ts';
import { BUFFER, type ChannelState, type Drive, type IdeWires, Job, SECTOR } from './channel-state.ts';

/**
 * Carries out a job that the channel has noted. The channel is busy meanwhile, so its state stands still.
 *
 * @param unit the drive it is for
 * @returns false where the host, or the guest's description of memory, has failed
 */
export function carryOut(
  at: ChannelState,
  wires: IdeWires,
  job: number,
  unit: 0 | 1,
  backend: BlockBackend,
): boolean {
  const drive = wires.drives[unit];
  const sectorBytes = drive?.kind === 'cdrom' ? CD_SECTOR : SECTOR;
  const { memory, busMaster } = wires;
  const position = at.sector * sectorBytes;
  switch (job) {
    case Job.Fill: {
      at.filled = Math.min(at.left * sectorBytes, BUFFER);
      return backend.read(position, [at.buffer.subarray(0, at.filled)]);
    }
    case Job.Drain:
      return store(at, backend, unit, position, [at.buffer.subarray(0, at.filled)]);
    case Job.Flush:
      return backend.flush();
    case Job.DmaIn:
      return busMaster.transfer(at.left * sectorBytes, 'write', memory, (views) =>
        backend.read(position, views),
      );
    case Job.DmaOut:
      return busMaster.transfer(at.left * sectorBytes, 'read', memory, (views) =>
        store(at, backend, unit, position, views),
      );
    case Job.DmaBuffer:
      return busMaster.transfer(at.filled, 'write', memory, (views) => {
        let from = 0;
        for (const view of views) {
          view.set(at.buffer.subarray(from, from + view.length));
          from += view.length;
        }
        return true;
      });
    default:
      return trim(wires, backend, drive);
  }
}

/** A write with the cache off is on the disk before the command ends. */
function store(
  at: ChannelState,
  backend: BlockBackend,
  unit: 0 | 1,
  position: number,
  from: readonly Uint8Array[],
): boolean {
  return backend.write(position, from) && (at.writeCache[unit] !== 0 || backend.flush());
}

/** 8-byte ranges: a sector in 48 bits, a count in 16 (ATA8-ACS, 7.9 DATA SET MANAGEMENT). */
function trim({ memory, busMaster }: IdeWires, backend: BlockBackend, drive: Drive | undefined): boolean {
  const sectors = drive?.kind === 'disk' ? Math.floor(drive.bytes / SECTOR) : 0;
  const ranges = new Uint8Array(SECTOR);
  const transferred = busMaster.transfer(SECTOR, 'read', memory, (views) => {
    let to = 0;
    for (const view of views) {
      ranges.set(view, to);
      to += view.length;
    }
    return true;
  });
  if (!transferred) return false;
  const view = new DataView(ranges.buffer);
  for (let i = 0; i < SECTOR; i += 8) {
    const count = view.getUint16(i + 6, true);
    const sector = view.getUint32(i, true) + view.getUint16(i + 4, true) * 2 ** 32;
    if (count === 0) continue;
    if (sector + count > sectors) return false;
    if (!backend.discard(sector * SECTOR, count * SECTOR)) return false;
  }
  return true;
}
