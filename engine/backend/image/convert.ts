/** Copying what one image holds into another. */
import { isZero } from './buffers.ts';
import type { DiskImage } from './disk-image.ts';

/** Bytes copied at a time, and looked at for zeros. */
const CHUNK = 2 ** 20;
const GRAIN = 0x1_0000;

/**
 * Copies all of `from` into `to`, a new image of at least that size that reads as zeros: zeros are not written.
 *
 * @param progress told how many bytes are done
 */
export function copyImage(
  from: DiskImage,
  to: DiskImage,
  progress: (bytes: number) => void = () => {},
): void {
  const chunk = new Uint8Array(CHUNK);
  for (let at = 0; at < from.size;) {
    const bytes = chunk.subarray(0, Math.min(CHUNK, from.size - at));
    from.readv(at, [bytes]);
    for (let start = 0; start < bytes.length;) {
      // Grains with data, as many as there are in a row.
      let end = start;
      while (end < bytes.length && !isZero(bytes.subarray(end, end + GRAIN))) end += GRAIN;
      if (end > start) to.writev(at + start, [bytes.subarray(start, end)]);
      start = end + GRAIN;
    }
    at += bytes.length;
    progress(at);
  }
}
