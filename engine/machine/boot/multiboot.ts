/**
 * Multiboot 1: kernels that carry its header in their first 8 KiB.
 *
 * Multiboot Specification 0.6.96, chapter 3.
 */
import { GuesthouseError } from '../../base/errors.ts';
import { Gpr } from '../../vcpu/state.ts';
import { concat, u16, u32, u64 } from '../acpi/bytes.ts';
import { isElf, loadSegments, parseElf } from './elf.ts';
import { flatEntry, GDT_BYTES, writeGdt } from './entry.ts';
import { E820, type GuestMemory, Placement, zero } from './guest-memory.ts';
import {
  cString, damaged, type KernelInputs, type LoadedKernel, placeLow, placeModule, tooSmall, truncated,
} from './kernel.ts'; // prettier-ignore

const HEADER_MAGIC = 0x1bad_b002;
const LOADER_MAGIC = 0x2bad_b002;
/** The header lies, 4-byte aligned, in this many bytes from the start of the file. */
const SEARCH_BYTES = 8192;

/** Flags of the header. Those in the low half must be understood, or the kernel not be loaded. */
const WANTS = {
  AlignedModules: 1 << 0,
  MemoryInfo: 1 << 1,
  VideoMode: 1 << 2,
  Required: 0xffff,
  Addresses: 1 << 16,
} as const;

/** Flags of the information structure. */
const GIVES = {
  Memory: 1 << 0,
  CommandLine: 1 << 2,
  Modules: 1 << 3,
  Map: 1 << 6,
  LoaderName: 1 << 9,
  Framebuffer: 1 << 12,
} as const;

/** Text mode, as the header asks for it and as the information structure describes it. */
const MODE_TEXT = 1;
const FRAMEBUFFER_TEXT = 2;
const TEXT_BUFFER = 0xb8000;

const LOW_MEMORY_KIB = 640;
const HIGH_MEMORY = 0x10_0000;

/** The header's place in the file, undefined where there is none. */
export function findMultibootHeader(file: Uint8Array): number | undefined {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (let at = 0; at + 12 <= Math.min(file.length, SEARCH_BYTES); at += 4) {
    if (view.getUint32(at, true) !== HEADER_MAGIC) continue;
    const sum = HEADER_MAGIC + view.getUint32(at + 4, true) + view.getUint32(at + 8, true);
    if (sum % 2 ** 32 === 0) return at;
  }
  return undefined;
}

/**
 * Loads a Multiboot kernel, its modules, command line and information structure.
 *
 * @throws GuesthouseError('file') for a file that is no such kernel, damaged, or asks for what is not
 *   offered; ('config') where memory is too small
 */
export function loadMultiboot(memory: GuestMemory, inputs: KernelInputs): LoadedKernel {
  const file = inputs.kernel;
  const header = findMultibootHeader(file);
  if (header === undefined) throw damaged('it has no Multiboot header');
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const wants = view.getUint32(header + 4, true);
  checkWants(view, header, wants);

  const placement = new Placement(memory);
  let entry: number;
  if ((wants & WANTS.Addresses) !== 0) {
    entry = loadByAddresses(memory, placement, file, header);
  } else {
    if (!isElf(file)) throw damaged('it is no ELF file, and its Multiboot header gives no addresses');
    const image = parseElf(file);
    if (image.entry > 0xffff_ffff) throw damaged('its entry point is above 4 GiB');
    loadSegments(memory, placement, image);
    entry = image.entry;
  }

  const gdt = placeLow(placement, GDT_BYTES);
  writeGdt(memory, gdt, 'protected32');
  const info = writeInformation(memory, placement, inputs);
  const gpr = [[Gpr.RAX, BigInt(LOADER_MAGIC)], [Gpr.RBX, BigInt(info)]] as const; // prettier-ignore
  return { protocol: 'multiboot', entry: flatEntry({ mode: 'protected32', rip: entry, gpr, gdt }) };
}

function checkWants(view: DataView, header: number, wants: number): void {
  const unknown = wants & WANTS.Required & ~(WANTS.AlignedModules | WANTS.MemoryInfo | WANTS.VideoMode);
  if (unknown !== 0) {
    throw new GuesthouseError(
      'file',
      `the kernel requires Multiboot features 0x${unknown.toString(16)}, which do not exist`,
      'boot it through firmware and its own boot loader',
    );
  }
  if ((wants & WANTS.VideoMode) === 0) return;
  if (header + 48 > view.byteLength) throw truncated('part of the Multiboot header');
  if (view.getUint32(header + 32, true) !== MODE_TEXT) {
    throw new GuesthouseError(
      'file',
      'the kernel requires a graphics mode, which only firmware can set',
      'boot it from a disk image with GRUB',
    );
  }
}

/** Loads by the addresses in the header (3.1.3), and returns the entry point. */
function loadByAddresses(
  memory: GuestMemory,
  placement: Placement,
  file: Uint8Array,
  header: number,
): number {
  if (header + 32 > file.length) throw truncated('part of the Multiboot header');
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const [headerAddress, load, loadEnd, bssEnd, entry] = [12, 16, 20, 24, 28].map((at) =>
    view.getUint32(header + at, true),
  );
  const from = header - (headerAddress - load);
  if (load > headerAddress || from < 0)
    throw damaged('its Multiboot load address contradicts its header address');
  const bytes = loadEnd === 0 ? file.length - from : loadEnd - load;
  if (bytes < 0) throw damaged('its Multiboot load addresses are in the wrong order');
  if (from + bytes > file.length) throw truncated('part of what its Multiboot header announces');
  if (bssEnd !== 0 && bssEnd < load + bytes) throw damaged('its Multiboot bss ends before it starts');
  const total = bssEnd === 0 ? bytes : bssEnd - load;
  if (!placement.isFree(load, total)) throw tooSmall(`the kernel at address 0x${load.toString(16)}`, total);
  memory.write(load, file.subarray(from, from + bytes));
  zero(memory, load + bytes, total - bytes);
  placement.take(load, total);
  return entry;
}

/** The information structure (3.3) and what it points at. */
function writeInformation(memory: GuestMemory, placement: Placement, inputs: KernelInputs): number {
  const place = (bytes: Uint8Array): number => {
    const at = placeLow(placement, bytes.length);
    memory.write(at, bytes);
    return at;
  };
  const modules = (inputs.modules ?? []).map(({ bytes, commandLine }) => {
    const at = placeModule(placement, bytes.length, memory.size);
    memory.write(at, bytes);
    return concat(u32(at), u32(at + bytes.length), u32(place(cString(commandLine ?? ''))), u32(0));
  });
  // The size of an entry does not count itself.
  const map = concat(
    ...memory.e820.map(({ base, length, type }) => concat(u32(20), u64(base), u64(length), u32(type))),
  );
  const text = inputs.vgaText === true;
  const gives =
    GIVES.Memory |
    GIVES.CommandLine |
    GIVES.Modules |
    GIVES.Map |
    GIVES.LoaderName |
    (text ? GIVES.Framebuffer : 0);
  const framebuffer = concat(
    u64(TEXT_BUFFER),
    u32(160),
    u32(80),
    u32(25),
    [16, FRAMEBUFFER_TEXT],
    new Uint8Array(6),
  );
  return place(
    concat(
      u32(gives),
      u32(Math.min(usableFrom(memory, 0) >>> 10, LOW_MEMORY_KIB)),
      u32(Math.floor(usableFrom(memory, HIGH_MEMORY) / 1024)),
      u32(0), // boot device: none
      u32(place(cString(inputs.commandLine))),
      u32(modules.length),
      u32(modules.length > 0 ? place(concat(...modules)) : 0),
      new Uint8Array(16), // symbols
      u32(map.length),
      u32(place(map)),
      new Uint8Array(12), // drives, configuration table
      u32(place(cString('Guesthouse'))),
      u32(0), // APM table
      u32(0), u32(0), u16(0), u16(0), u16(0), u16(0), // VBE
      text ? framebuffer : new Uint8Array(framebuffer.length),
    ),
  ); // prettier-ignore
}

/** Bytes of usable memory in one piece from an address on. */
function usableFrom(memory: GuestMemory, address: number): number {
  let end = address;
  for (const { base, length, type } of memory.e820) {
    if (type === E820.Usable && base <= end && end < base + length) end = base + length;
  }
  return end - address;
}
