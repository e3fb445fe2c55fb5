/** Giving parts of a file's space back to the file system: fallocate(2), for which Node has no call. */
import koffi from 'koffi';

/** fallocate(2): FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE. */
const KEEP_SIZE = 1;
const PUNCH_HOLE = 2;

type Fallocate = (descriptor: number, mode: number, offset: number, length: number) => unknown;

let fallocate: Fallocate | undefined;

/**
 * Deallocates `length` bytes at `at`, which read as zeros afterwards. Nothing happens where the host or its
 * file system cannot do that, since it only saves space.
 */
export function punchHole(descriptor: number, at: number, length: number): void {
  if (process.platform !== 'linux' || length <= 0) return;
  fallocate ??= koffi
    .load('libc.so.6')
    .func('int fallocate64(int fd, int mode, int64_t offset, int64_t length)') as Fallocate;
  fallocate(descriptor, PUNCH_HOLE | KEEP_SIZE, at, length);
}
