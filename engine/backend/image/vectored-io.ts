/**
 * Reading and writing {@link Runs} at an offset of a file: preadv(2) and pwritev(2), whose list of pieces is made here of
 * numbers. Node's calls take a list of buffers, and for a MiB of a guest's pages that takes as long as copying it.
 */
import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';
import koffi from 'koffi';
import type { Runs } from '../../memory/runs.ts';

/** A struct iovec of 64-bit systems, as words: address, then bytes, both of 64 bits. */
const WORDS = 4;
/** Runs or buffers in one call at most (IOV_MAX of Linux, limits.h). */
export const MOST_AT_ONCE = 1024;

type Transfer = (descriptor: number, list: Uint32Array, count: number, offset: number) => number | bigint;

interface Calls {
  readonly preadv: Transfer;
  readonly pwritev: Transfer;
}

let loaded: Calls | undefined | null = null;

/** The host's calls; undefined where it has none that are known here. */
function calls(): Calls | undefined {
  if (loaded === null) loaded = load();
  return loaded;
}

function load(): Calls | undefined {
  if (process.platform !== 'linux' || (process.arch !== 'x64' && process.arch !== 'arm64')) return undefined;
  let library: ReturnType<typeof koffi.load>;
  try {
    library = koffi.load('libc.so.6');
  } catch {
    // Another C library.
    return undefined;
  }
  const transfer = (name: string): Transfer =>
    library.func(`intptr_t ${name}(int fd, const void *list, int count, int64_t offset)`) as Transfer;
  return { preadv: transfer('preadv64'), pwritev: transfer('pwritev64') };
}

/** Where the memories that were used lie in the process. */
const addresses = new WeakMap<SharedArrayBuffer, number>();

function addressOf(buffer: SharedArrayBuffer): number {
  let address = addresses.get(buffer);
  if (address === undefined) {
    address = Number(koffi.address(new Uint8Array(buffer, 0, 1)));
    addresses.set(buffer, address);
  }
  return address;
}

const list = new Uint32Array(WORDS * MOST_AT_ONCE);

/** Makes the list of the first {@link MOST_AT_ONCE} runs. @returns how many those are */
function fill(runs: Runs): number {
  const base = addressOf(runs.buffer);
  const count = Math.min(runs.count, MOST_AT_ONCE);
  for (let run = 0; run < count; run++) {
    const address = base + runs.start(run);
    const bytes = runs.length(run);
    list[WORDS * run] = address >>> 0;
    list[WORDS * run + 1] = Math.floor(address / 2 ** 32);
    list[WORDS * run + 2] = bytes >>> 0;
    list[WORDS * run + 3] = Math.floor(bytes / 2 ** 32);
  }
  return count;
}

/**
 * Moves bytes between a file and runs, as many as one call of the host's does.
 *
 * @param at offset in the file
 * @returns how many from the beginning of the runs, 0 at the end of a file that is read; undefined where this host has
 *   no such call
 * @throws what Node's calls throw: an error with `code`, `errno` and `syscall`
 */
export function transferRuns(
  kind: 'preadv' | 'pwritev',
  descriptor: number,
  at: number,
  runs: Runs,
): number | undefined {
  const call = calls()?.[kind];
  if (call === undefined) return undefined;
  const count = fill(runs);
  for (;;) {
    const moved = Number(call(descriptor, list, count, at));
    if (moved >= 0) return moved;
    const errno = koffi.errno();
    if (errno !== constants.errno.EINTR) throw systemError(errno, kind);
  }
}

function systemError(errno: number, syscall: string): Error {
  const [code, text] = getSystemErrorMap().get(-errno) ?? [`E${errno}`, 'unknown error'];
  return Object.assign(new Error(`${code}: ${text}, ${syscall}`), { code, errno: -errno, syscall });
}
