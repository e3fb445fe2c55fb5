/**
 * What an IDE channel's I/O thread does: moves data between the disk and the channel's buffer, or guest memory.
 */
import { type Buffers, scatter } from '../../../backend/image/buffers.ts';
import type { AtaDrive } from '../ata/ata-drive.ts';
import { SECTOR } from '../ata/ata-drive.ts';
import { store, trim } from '../ata/disk-commands.ts';
import type { BlockBackend } from '../block.ts';
import { BUFFER, type ChannelState, type IdeWires, Job } from './channel-state.ts';

/**
 * Carries out a job that the channel has noted. The channel is busy meanwhile, so its state stands still.
 *
 * @param drive the one it is for
 * @returns false where the host, or the guest's description of memory, has failed
 */
export function carryOut(
  at: ChannelState,
  { memory, busMaster }: IdeWires,
  job: number,
  drive: AtaDrive,
  backend: BlockBackend,
): boolean {
  const { sectorBytes } = drive;
  const position = at.sector * sectorBytes;
  const write = (from: Buffers) => store(drive, backend, position, from, at.forced !== 0);
  switch (job) {
    case Job.Fill: {
      at.filled = Math.min(at.left * sectorBytes, BUFFER);
      return backend.read(position, [at.buffer.subarray(0, at.filled)]);
    }
    case Job.Drain:
      return write([at.buffer.subarray(0, at.filled)]);
    case Job.Flush:
      return backend.flush();
    case Job.DmaIn:
      return busMaster.transfer(at.left * sectorBytes, 'write', memory, (pieces) =>
        backend.read(position, pieces),
      );
    case Job.DmaOut:
      return busMaster.transfer(at.left * sectorBytes, 'read', memory, write);
    case Job.DmaBuffer:
      return busMaster.transfer(at.filled, 'write', memory, (pieces) => {
        scatter(pieces, at.buffer.subarray(0, at.filled));
        return true;
      });
    default:
      return busMaster.transfer(SECTOR, 'read', memory, (pieces) => trim(drive, backend, pieces));
  }
}
