/**
 * Which protocol a kernel file speaks.
 */
import { GuesthouseError } from '../../base/errors.ts';
import { isElf, parseElf } from './elf.ts';
import type { GuestMemory } from './guest-memory.ts';
import type { KernelInputs, LoadedKernel } from './kernel.ts';
import { isLinux, loadLinux } from './linux.ts';
import { findMultibootHeader, loadMultiboot } from './multiboot.ts';
import { loadPvh, pvhEntry } from './pvh.ts';

/** Starts of files that people hand over in place of a kernel, and what to do instead. */
const MISTAKEN: ReadonlyArray<{ magic: readonly number[]; is: string; hint: string }> = [
  { magic: [0x1f, 0x8b], is: 'a gzip archive', hint: 'unpack it first' },
  { magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a], is: 'an xz archive', hint: 'unpack it first' },
  { magic: [0x28, 0xb5, 0x2f, 0xfd], is: 'a zstd archive', hint: 'unpack it first' },
  {
    magic: [0x30, 0x37, 0x30, 0x37, 0x30],
    is: 'a cpio archive',
    hint: 'it is an initial RAM disk: give it as such',
  },
  { magic: [0x4d, 0x5a], is: 'a UEFI program', hint: 'boot it from a disk through UEFI firmware' },
  { magic: [0x51, 0x46, 0x49, 0xfb], is: 'a qcow2 disk image', hint: 'give it as a disk' },
];

/**
 * Loads a kernel by the protocol it is made for: a Linux bzImage, an ELF file with a PVH entry, or anything
 * with a Multiboot header.
 *
 * @throws GuesthouseError('file') or ('config'), as the loaders do
 */
export function loadKernel(memory: GuestMemory, inputs: KernelInputs): LoadedKernel {
  const file = inputs.kernel;
  if (file.length === 0) throw new GuesthouseError('file', 'the kernel file is empty');
  if (isLinux(file)) return loadLinux(memory, inputs);
  const multiboot = findMultibootHeader(file) !== undefined;
  if (isElf(file)) {
    // A kernel with both was made for virtual machines, and PVH tells it more.
    if (!multiboot || hasPvhEntry(file)) return loadElf(memory, inputs);
  }
  if (multiboot) return loadMultiboot(memory, inputs);
  const mistaken = MISTAKEN.find(({ magic }) => magic.every((byte, i) => file[i] === byte));
  throw new GuesthouseError(
    'file',
    mistaken === undefined ? 'the file is not a kernel' : `the file is not a kernel but ${mistaken.is}`,
    mistaken?.hint ?? 'give a Linux bzImage, a PVH kernel or a Multiboot kernel',
  );
}

/** Whether the ELF headers can be read and name a PVH entry. */
function hasPvhEntry(file: Uint8Array): boolean {
  try {
    return pvhEntry(parseElf(file)) !== undefined;
  } catch (error) {
    if (error instanceof GuesthouseError) return false;
    throw error;
  }
}

function loadElf(memory: GuestMemory, inputs: KernelInputs): LoadedKernel {
  if (pvhEntry(parseElf(inputs.kernel)) === undefined) {
    throw new GuesthouseError(
      'file',
      'the file is an ELF file without a PVH or Multiboot entry',
      'of Linux, give the bzImage, or build it with CONFIG_PVH',
    );
  }
  return loadPvh(memory, inputs);
}
