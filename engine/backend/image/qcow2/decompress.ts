/** Compressed clusters: raw deflate, or zstd. */
import { inflateRawSync, zstdDecompressSync } from 'node:zlib';

/**
 * The bytes of a cluster.
 *
 * @param packed what is in the file; what follows the compressed data is not looked at
 * @param bytes of a cluster
 * @returns undefined where the data is damaged
 */
export function decompress(
  packed: Uint8Array,
  bytes: number,
  compression: 'zlib' | 'zstd',
): Uint8Array | undefined {
  try {
    const result =
      compression === 'zstd'
        ? zstdDecompressSync(packed.subarray(0, frameLength(packed)), { maxOutputLength: bytes })
        : inflateRawSync(packed, { maxOutputLength: bytes });
    return result.length === bytes ? result : undefined;
  } catch {
    return undefined;
  }
}

/** Types of zstd blocks that are stored in fewer bytes than their size says. */
const RLE = 1;

/**
 * Bytes of the zstd frame that `packed` begins with, or more where it is damaged. The decoder has to be told: it
 * would take the cluster that follows for a second frame.
 *
 * RFC 8878, 3.1.1 "Zstandard Frames".
 */
function frameLength(packed: Uint8Array): number {
  const descriptor = packed[4];
  const singleSegment = (descriptor & 0x20) !== 0;
  const contentSize = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6];
  const dictionaryId = [0, 1, 2, 4][descriptor & 3];
  let at = 5 + (singleSegment ? 0 : 1) + dictionaryId + contentSize;
  for (let last = false; !last && at + 3 <= packed.length;) {
    const header = packed[at] | (packed[at + 1] << 8) | (packed[at + 2] << 16);
    last = (header & 1) !== 0;
    at += 3 + (((header >> 1) & 3) === RLE ? 1 : header >> 3);
  }
  return at + ((descriptor & 4) !== 0 ? 4 : 0);
}
