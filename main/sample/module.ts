/** Reads kernel modules, which distributions keep compressed in one way or another. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';

/** A module as the kernel takes it; undefined where it is damaged or nothing here can decompress it.
 * @param file by its extension .ko, .ko.gz, .ko.zst or .ko.xz */
export function readModule(file: string): Uint8Array | undefined {
  try {
    const data = readFileSync(file);
    switch (path.extname(file)) {
      case '.ko':
        return data;
      case '.gz':
        return gunzipSync(data);
      case '.zst':
        return zstdDecompressSync(data);
      case '.xz': {
        const { status, stdout } = spawnSync('xz', ['-dc'], { input: data, maxBuffer: 2 ** 26 });
        return status === 0 ? stdout : undefined;
      }
      default:
        return undefined;
    }
  } catch {
    return undefined;
  }
}
