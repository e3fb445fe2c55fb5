/** Where a machine's engine is met: its socket and its lock, in a folder that only this user can look into. */
import { createHash } from 'node:crypto';
import path from 'node:path';

export interface Endpoint {
  /** Path of a Unix socket, or a named pipe on Windows. */
  readonly socket: string;
  readonly lock: string;
}

/**
 * The endpoint of a machine. The same for everybody who means the same folder, and short: a socket's path
 * holds about 100 bytes (unix(7)).
 *
 * @param directory that holds the endpoints of all machines, `runtimeDirectory()`
 */
export function endpointOf(folder: string, directory: string): Endpoint {
  const key = createHash('sha256').update(path.resolve(folder)).digest('hex').slice(0, 24);
  const lock = path.join(directory, `${key}.lock`);
  const socket =
    process.platform === 'win32' ? `\\\\.\\pipe\\guesthouse-${key}` : path.join(directory, `${key}.sock`);
  return { socket, lock };
}
