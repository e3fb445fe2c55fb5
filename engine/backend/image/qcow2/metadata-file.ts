/** Reading and writing pieces of a qcow2 file's metadata. */
import { GuesthouseError } from '../../../base/errors.ts';
import type { HostFile } from '../host-file.ts';

/** What every part of an image works on. */
export interface Qcow2Context {
  readonly file: HostFile;
  readonly path: string;
  readonly clusterBits: number;
  readonly clusterBytes: number;
}

/** The error for metadata that cannot be right. */
export function damaged(context: Qcow2Context, what: string): GuesthouseError {
  return new GuesthouseError(
    'file',
    `${context.path} is damaged: ${what}`,
    `guesthouse image check ${context.path} says more`,
  );
}

/** Reads bytes of metadata, which must lie in the file.
 * @throws GuesthouseError `file` where they do not */
export function readMetadata(context: Qcow2Context, at: number, length: number, what: string): Uint8Array {
  if (at + length > context.file.size()) throw damaged(context, `its ${what} is beyond the end of the file`);
  const bytes = new Uint8Array(length);
  context.file.readv(at, [bytes]);
  return bytes;
}

/** As {@link readMetadata}, for a table that the last cluster of a file may cut short: zeros beyond. */
export function readTable(context: Qcow2Context, at: number, length: number, what: string): Uint8Array {
  if (at >= context.file.size()) throw damaged(context, `its ${what} is beyond the end of the file`);
  const bytes = new Uint8Array(length);
  context.file.readv(at, [bytes]);
  return bytes;
}

/** Writes a big-endian number of 4 or 8 bytes at a place in the file. */
export function bigEndian(...fields: ReadonlyArray<readonly [bytes: 4 | 8, value: number]>): Uint8Array {
  const result = new Uint8Array(fields.reduce((sum, [bytes]) => sum + bytes, 0));
  const view = new DataView(result.buffer);
  let at = 0;
  for (const [bytes, value] of fields) {
    if (bytes === 4) view.setUint32(at, value);
    else view.setBigUint64(at, BigInt(value));
    at += bytes;
  }
  return result;
}
