/**
 * What the loaders are given and give back, and what they have in common.
 */
import { GuesthouseError } from '../../base/errors.ts';
import type { EntryState } from './entry.ts';
import type { Placement } from './guest-memory.ts';

/** A file handed to the kernel: the initial RAM disk, or a Multiboot module. */
export interface BootModule {
  readonly bytes: Uint8Array;
  /** For Multiboot and PVH; Linux has no use for it. */
  readonly commandLine?: string;
}

export interface KernelInputs {
  readonly kernel: Uint8Array;
  readonly modules?: readonly BootModule[];
  readonly commandLine: string;
  /** Guest-physical address of the RSDP, if there are ACPI tables. */
  readonly rsdpAddress?: number;
  /** There is a VGA adapter in 80 × 25 text mode. */
  readonly vgaText?: boolean;
}

/** A kernel in guest memory. */
export interface LoadedKernel {
  readonly protocol: 'linux64' | 'linux32' | 'pvh' | 'multiboot';
  /** The state in which the bootstrap processor begins. */
  readonly entry: EntryState;
}

/** Where loaders start to put their own structures: above the real-mode vectors and BIOS data. */
export const LOADER_BASE = 0x10000;

const PAGE = 4096;

/** A zero-terminated string in UTF-8. */
export function cString(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  const terminated = new Uint8Array(bytes.length + 1);
  terminated.set(bytes);
  return terminated;
}

/** Puts one of the loader's own structures somewhere low. */
export function placeLow(placement: Placement, bytes: number, align = 16): number {
  const address = placement.lowest(bytes, align, LOADER_BASE);
  if (address === undefined) throw tooSmall('the boot structures', bytes);
  return address;
}

/** Puts a module on a page boundary, as high as possible below `below`. */
export function placeModule(placement: Placement, bytes: number, below: number): number {
  const address = placement.highest(bytes, PAGE, below);
  if (address === undefined) throw tooSmall('the initial RAM disk', bytes);
  return address;
}

/** The error for a machine with too little memory. */
export function tooSmall(what: string, bytes: number): GuesthouseError {
  const mebibytes = Math.ceil(bytes / 0x100000);
  return new GuesthouseError(
    'config',
    `the machine has too little memory for ${what} (${mebibytes} MiB in one piece)`,
    'give it more memory',
  );
}

/** The error for a kernel file that ends too early. */
export function truncated(what: string): GuesthouseError {
  return new GuesthouseError(
    'file',
    `the kernel file is truncated: ${what} is missing`,
    'fetch or build it again',
  );
}

/** The error for a kernel file whose headers contradict themselves. */
export function damaged(what: string): GuesthouseError {
  return new GuesthouseError('file', `the kernel file is damaged: ${what}`, 'fetch or build it again');
}
