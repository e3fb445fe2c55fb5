/**
 * The host's system calls, through koffi. Every pointer is a number: what is pointed to lies in the shared
 * memory of a machine, whose address does not change.
 *
 * Nothing here is loaded before it is asked for, so hosts without KVM never load the library.
 */
import { createRequire } from 'node:module';
import { getSystemErrorMap } from 'node:util';

/** System call numbers of x86-64 Linux (arch/x86/entry/syscalls/syscall_64.tbl). */
export const Syscall = {
  Close: 3, RtSigprocmask: 14, Ioctl: 16, Gettid: 186, RtSigtimedwait: 128, TimerCreate: 222, TimerSettime: 223,
  TimerDelete: 226, Tgkill: 234,
} as const; // prettier-ignore

export const Errno = { EPERM: 1, EINTR: 4, E2BIG: 7, EAGAIN: 11, EFAULT: 14, EINVAL: 22 } as const;

/** Of mmap(2). */
const Protection = { ReadWrite: 3 } as const;
const MapFlag = { Shared: 0x01, Private: 0x02, Fixed: 0x10, Anonymous: 0x20 } as const;

export interface Host {
  /** ioctl(2); the result, or minus the error number. The argument is a number or an address. */
  ioctl(file: number, request: number, argument: number): number;
  /** syscall(2); the result, or minus the error number. */
  call(number: number, a?: number, b?: number, c?: number, d?: number): number;
  /** Maps `bytes` of a file over what is at `address`. Both are multiples of a page.
   * @returns 0, or minus the error number */
  mapOver(address: number, bytes: number, file: number): number;
  /** Puts zeroed memory of its own at `address`, in place of what is mapped there. */
  unmap(address: number, bytes: number): number;
  /** The address of the first byte of a machine's memory. */
  addressOf(memory: WebAssembly.Memory): number;
}

/** What is used of koffi; functions of libraries come untyped. */
interface Koffi {
  load(library: string): { func(prototype: string): (...values: ReadonlyArray<number | bigint>) => unknown };
  address(value: Uint8Array<SharedArrayBuffer>): bigint;
  errno(): number;
}

let loaded: Host | undefined;

/** The system calls of this process.
 * @throws Error where this is not Linux on x86-64 with the C library */
export function host(): Host {
  return (loaded ??= load());
}

function load(): Host {
  const koffi = createRequire(import.meta.url)('koffi') as Koffi;
  const library = koffi.load('libc.so.6');
  const ioctl = library.func('int ioctl(int file, unsigned long request, intptr_t argument)');
  const syscall = library.func(
    'intptr_t syscall(long number, intptr_t a, intptr_t b, intptr_t c, intptr_t d)',
  );
  const mmap = library.func(
    'intptr_t mmap(intptr_t at, size_t bytes, int protection, int flags, int file, int64_t offset)',
  );
  const checked = (result: unknown): number => {
    const value = Number(result);
    return value === -1 ? -koffi.errno() : value;
  };
  const map = (at: number, bytes: number, flags: number, file: number): number => {
    const result = checked(mmap(at, bytes, Protection.ReadWrite, flags | MapFlag.Fixed, file, 0));
    return result < 0 ? result : 0;
  };
  return {
    ioctl: (file, request, argument) => checked(ioctl(file, request, argument)),
    call: (number, a = 0, b = 0, c = 0, d = 0) => checked(syscall(number, a, b, c, d)),
    mapOver: (address, bytes, file) => map(address, bytes, MapFlag.Shared, file),
    unmap: (address, bytes) => map(address, bytes, MapFlag.Private | MapFlag.Anonymous, -1),
    addressOf: ({ buffer }) => {
      if (!(buffer instanceof SharedArrayBuffer)) throw new TypeError('the memory of a machine is shared');
      return Number(koffi.address(new Uint8Array(buffer, 0, 1)));
    },
  };
}

/** What an error number means, as in "EPERM: operation not permitted". */
export function errorText(number: number): string {
  const found = getSystemErrorMap().get(-number);
  return found === undefined ? `error ${number}` : `${found[0]}: ${found[1]}`;
}
