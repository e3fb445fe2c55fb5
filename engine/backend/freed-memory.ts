/**
 * V8 takes the working memory of its compilers from the C library and gives it back, but glibc keeps it: an arena
 * for each thread, as large as the largest function ever needed. Here it is told otherwise.
 */
import koffi from 'koffi';

/** mallopt(3): how many arenas there may be. */
const M_ARENA_MAX = -8;

/** Has all threads of the process share one arena from now on. Nothing happens where the C library is not glibc. */
export function shareArena(): void {
  const libc = glibc();
  const mallopt = libc?.func('int mallopt(int, int)') as
    ((option: number, value: number) => number) | undefined;
  mallopt?.(M_ARENA_MAX, 1);
}

/** @returns what gives free pages of the C library back to the system */
export function memoryReturner(): () => void {
  const libc = glibc();
  const trim = libc?.func('int malloc_trim(size_t)') as ((keep: number) => number) | undefined;
  return () => void trim?.(0);
}

function glibc(): ReturnType<typeof koffi.load> | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    return koffi.load('libc.so.6');
  } catch {
    // Another C library: musl gives back by itself.
    return undefined;
  }
}
