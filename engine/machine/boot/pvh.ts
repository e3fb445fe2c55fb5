/**
 * PVH direct boot: an ELF kernel with a note that names its 32-bit entry, and a start_info structure.
 *
 * Xen project, docs/misc/pvh.pandoc "PVH boot ABI" and public/arch-x86/hvm/start_info.h.
 */
import { Gpr } from '../../vcpu/state.ts';
import { concat, u32, u64 } from '../acpi/bytes.ts';
import { type ElfImage, loadSegments, notes, parseElf } from './elf.ts';
import { flatEntry, GDT_BYTES, writeGdt } from './entry.ts';
import { type GuestMemory, Placement } from './guest-memory.ts';
import { cString, damaged, type KernelInputs, type LoadedKernel, placeLow, placeModule } from './kernel.ts';

/** XEN_ELFNOTE_PHYS32_ENTRY. */
const PHYS32_ENTRY = 18;

const START_MAGIC = 0x336e_c578;
const START_VERSION = 1;

/** The 32-bit entry point that a kernel's notes name, undefined where they name none. */
export function pvhEntry(image: ElfImage): number | undefined {
  for (const { owner, type, description } of notes(image)) {
    if (owner !== 'Xen' || type !== PHYS32_ENTRY) continue;
    if (description.byteLength >= 8) return Number(description.getBigUint64(0, true));
    if (description.byteLength >= 4) return description.getUint32(0, true);
  }
  return undefined;
}

/**
 * Loads a PVH kernel, its modules, command line and start_info.
 *
 * @throws GuesthouseError('file') for a file that is no such kernel or is damaged; ('config') where memory
 *   is too small
 */
export function loadPvh(memory: GuestMemory, inputs: KernelInputs): LoadedKernel {
  const image = parseElf(inputs.kernel);
  const entry = pvhEntry(image);
  if (entry === undefined) throw damaged('it has no PVH entry note');
  if (entry > 0xffff_ffff) throw damaged('its PVH entry is above 4 GiB');
  const placement = new Placement(memory);
  loadSegments(memory, placement, image);

  const place = (bytes: Uint8Array): number => {
    const at = placeLow(placement, bytes.length);
    memory.write(at, bytes);
    return at;
  };
  const modules = (inputs.modules ?? []).map(({ bytes, commandLine }) => {
    const at = placeModule(placement, bytes.length, memory.size);
    memory.write(at, bytes);
    return concat(u64(at), u64(bytes.length), u64(place(cString(commandLine ?? ''))), u64(0));
  });
  const map = memory.e820.map(({ base, length, type }) => concat(u64(base), u64(length), u32(type), u32(0)));

  const start = concat(
    u32(START_MAGIC), u32(START_VERSION), u32(0), u32(modules.length),
    u64(modules.length > 0 ? place(concat(...modules)) : 0),
    u64(place(cString(inputs.commandLine))),
    u64(inputs.rsdpAddress ?? 0),
    u64(place(concat(...map))), u32(map.length), u32(0),
  ); // prettier-ignore

  const gdt = placeLow(placement, GDT_BYTES);
  writeGdt(memory, gdt, 'protected32');
  const gpr = [[Gpr.RBX, BigInt(place(start))]] as const;
  return { protocol: 'pvh', entry: flatEntry({ mode: 'protected32', rip: entry, gpr, gdt }) };
}
