/**
 * Linux on x86: a bzImage by the 64-bit boot protocol, or the 32-bit one for a kernel without a 64-bit entry.
 *
 * Linux documentation, arch/x86/boot.rst and arch/x86/zero-page.rst.
 */
import { GuesthouseError } from '../../base/errors.ts';
import { Gpr } from '../../vcpu/state.ts';
import { flatEntry, GDT_BYTES, writeGdt } from './entry.ts';
import { type GuestMemory, Placement } from './guest-memory.ts';
import {
  type BootModule, cString, damaged, type KernelInputs, type LoadedKernel, placeLow, placeModule, tooSmall, truncated,
} from './kernel.ts'; // prettier-ignore
import { IDENTITY_TABLE_BYTES, writeIdentityTables } from './page-tables.ts';

/** Offsets in the file, and the same in boot_params. */
const HEADER = {
  SetupSectors: 0x1f1,
  SysSize: 0x1f4,
  BootFlag: 0x1fe,
  JumpDistance: 0x201,
  Magic: 0x202,
  Version: 0x206,
  TypeOfLoader: 0x210,
  LoadFlags: 0x211,
  Code32Start: 0x214,
  RamdiskImage: 0x218,
  RamdiskSize: 0x21c,
  CommandLine: 0x228,
  InitrdMax: 0x22c,
  Alignment: 0x230,
  Relocatable: 0x234,
  ExtendedLoadFlags: 0x236,
  CommandLineSize: 0x238,
  PreferredAddress: 0x258,
  InitSize: 0x260,
  /** The least that a version 2.06 header has. */
  MinimumEnd: 0x23c,
} as const;

/** Further offsets in boot_params. */
const PARAMS = {
  VideoMode: 0x06,
  VideoColumns: 0x07,
  VideoLines: 0x0e,
  VideoIsVga: 0x0f,
  VideoPoints: 0x10,
  RsdpAddress: 0x70,
  E820Entries: 0x1e8,
  HeaderStart: 0x1f1,
  /** The setup header ends here at the latest. */
  HeaderEnd: 0x290,
  E820Table: 0x2d0,
  E820Most: 128,
  Bytes: 4096,
} as const;

const MAGIC = 0x5372_6448; // "HdrS"
const BOOT_FLAG = 0xaa55;
const OLDEST = 0x206;
const LOADED_HIGH = 1 << 0;
const XLF_KERNEL_64 = 1 << 0;
const UNDEFINED_LOADER = 0xff;
/** Where a kernel goes that names no preferred address. */
const HIGH_LOAD = 0x10_0000;
const ENTRY_64 = 0x200;
const STACK_BYTES = 4096;

/** Whether the file has the setup header of a Linux kernel. */
export function isLinux(file: Uint8Array): boolean {
  if (file.length < HEADER.Version) return false;
  const view = viewOf(file);
  return view.getUint16(HEADER.BootFlag, true) === BOOT_FLAG && view.getUint32(HEADER.Magic, true) === MAGIC;
}

/**
 * Loads a Linux kernel, its RAM disk, command line and boot_params.
 *
 * @throws GuesthouseError('file') for a file that is no such kernel, too old, truncated or damaged;
 *   ('config') where memory is too small or the command line too long
 */
export function loadLinux(memory: GuestMemory, inputs: KernelInputs): LoadedKernel {
  const header = readHeader(inputs.kernel);
  const placement = new Placement(memory);
  const load = placeKernel(placement, header);
  memory.write(load, header.payload);

  const params = new Uint8Array(PARAMS.Bytes);
  const view = viewOf(params);
  params.set(inputs.kernel.subarray(PARAMS.HeaderStart, header.end), PARAMS.HeaderStart);
  params[HEADER.TypeOfLoader] = UNDEFINED_LOADER;
  view.setUint32(HEADER.Code32Start, load, true);

  const commandLine = cString(inputs.commandLine);
  if (commandLine.length - 1 > header.commandLineSize) {
    throw new GuesthouseError(
      'config',
      `the command line has ${commandLine.length - 1} bytes, and this kernel takes at most ${header.commandLineSize}`,
      'shorten it',
    );
  }
  const commandLineAt = placeLow(placement, commandLine.length);
  memory.write(commandLineAt, commandLine);
  view.setUint32(HEADER.CommandLine, commandLineAt, true);

  const ramdisk = joinModules(inputs.modules ?? []);
  if (ramdisk.length > 0) {
    const at = placeModule(placement, ramdisk.length, header.initrdMax + 1);
    memory.write(at, ramdisk);
    view.setUint32(HEADER.RamdiskImage, at, true);
    view.setUint32(HEADER.RamdiskSize, ramdisk.length, true);
  }

  describeMachine(view, memory, inputs);
  const paramsAt = placeLow(placement, PARAMS.Bytes, PARAMS.Bytes);
  memory.write(paramsAt, params);

  const mode = header.is64 ? 'long64' : 'protected32';
  const gdt = placeLow(placement, GDT_BYTES);
  writeGdt(memory, gdt, mode);
  // The protocol promises no stack, but an early fault is easier to follow with one.
  const stack = placeLow(placement, STACK_BYTES) + STACK_BYTES;
  const gpr = [[Gpr.RSI, BigInt(paramsAt)], [Gpr.RSP, BigInt(stack)]] as const; // prettier-ignore
  if (!header.is64) return { protocol: 'linux32', entry: flatEntry({ mode, rip: load, gpr, gdt }) };

  const cr3 = placeLow(placement, IDENTITY_TABLE_BYTES, 4096);
  writeIdentityTables(memory, cr3);
  return { protocol: 'linux64', entry: flatEntry({ mode, rip: load + ENTRY_64, gpr, gdt, cr3 }) };
}

/** The setup header, as far as a loader needs it. */
interface SetupHeader {
  /** Where it ends in the file. */
  readonly end: number;
  readonly payload: Uint8Array;
  readonly is64: boolean;
  readonly relocatable: boolean;
  readonly alignment: number;
  readonly preferred: number;
  /** Bytes from the load address on that the kernel uses before it reads the memory map. */
  readonly initSize: number;
  readonly initrdMax: number;
  /** Without the terminating zero. */
  readonly commandLineSize: number;
}

function readHeader(file: Uint8Array): SetupHeader {
  if (!isLinux(file)) {
    throw new GuesthouseError(
      'file',
      'the file is not a Linux kernel',
      'give a bzImage, such as /boot/vmlinuz-…',
    );
  }
  const view = viewOf(file);
  const version = file.length < HEADER.MinimumEnd ? 0 : view.getUint16(HEADER.Version, true);
  if (file.length < HEADER.MinimumEnd) throw truncated('part of the setup header');
  if (version < OLDEST || (file[HEADER.LoadFlags] & LOADED_HIGH) === 0) {
    const found = `${version >> 8}.${String(version & 0xff).padStart(2, '0')}`;
    throw new GuesthouseError(
      'file',
      `the kernel speaks boot protocol ${found}, or is a zImage; 2.06 and a bzImage are needed`,
      'use Linux 2.6.22 or later, or boot it through firmware',
    );
  }
  // The header ends where the jump at its start leads; fields beyond are absent, that is zero.
  const end = Math.min(0x202 + file[HEADER.JumpDistance], PARAMS.HeaderEnd, file.length);
  const has = (offset: number, bytes: number) => offset + bytes <= end;
  const setup = (file[HEADER.SetupSectors] === 0 ? 4 : file[HEADER.SetupSectors]) * 512 + 512;
  const payload = file.subarray(setup);
  const announced = view.getUint32(HEADER.SysSize, true) * 16;
  if (payload.length === 0 || payload.length + 16 <= announced) throw truncated('part of the kernel itself');

  const alignment = view.getUint32(HEADER.Alignment, true);
  const relocatable = file[HEADER.Relocatable] !== 0;
  if (relocatable && (alignment === 0 || (alignment & (alignment - 1)) !== 0)) {
    throw damaged(`it wants to be aligned to ${alignment}`);
  }
  const named = version >= 0x20a && has(HEADER.InitSize, 4);
  const flags = version >= 0x20c ? view.getUint16(HEADER.ExtendedLoadFlags, true) : 0;
  return {
    end,
    payload,
    is64: (flags & XLF_KERNEL_64) !== 0,
    relocatable,
    alignment: Math.max(alignment, 16),
    preferred: named ? Number(view.getBigUint64(HEADER.PreferredAddress, true)) : HIGH_LOAD,
    initSize: Math.max(named ? view.getUint32(HEADER.InitSize, true) : 0, payload.length),
    initrdMax: view.getUint32(HEADER.InitrdMax, true),
    commandLineSize: view.getUint32(HEADER.CommandLineSize, true),
  };
}

/** The preferred address, or, for a kernel that can be relocated, the lowest that suits. */
function placeKernel(placement: Placement, header: SetupHeader): number {
  const { preferred, initSize } = header;
  if (preferred >= HIGH_LOAD && placement.isFree(preferred, initSize)) {
    placement.take(preferred, initSize);
    return preferred;
  }
  const address = header.relocatable ? placement.lowest(initSize, header.alignment, HIGH_LOAD) : undefined;
  if (address === undefined) throw tooSmall('the kernel', initSize);
  return address;
}

/** Archives one after the other, each at a multiple of four bytes, are one archive to Linux
 * (driver-api/early-userspace/buffer-format.rst). */
function joinModules(modules: readonly BootModule[]): Uint8Array {
  if (modules.length === 1) return modules[0].bytes;
  const joined = new Uint8Array(modules.reduce((total, module) => alignUp(total) + module.bytes.length, 0));
  let at = 0;
  for (const { bytes } of modules) {
    at = alignUp(at);
    joined.set(bytes, at);
    at += bytes.length;
  }
  return joined;
}

function alignUp(length: number): number {
  return Math.ceil(length / 4) * 4;
}

/** What firmware would have found out: memory map, ACPI, screen. */
function describeMachine(params: DataView, memory: GuestMemory, inputs: KernelInputs): void {
  params.setBigUint64(PARAMS.RsdpAddress, BigInt(inputs.rsdpAddress ?? 0), true);
  const entries = memory.e820.slice(0, PARAMS.E820Most);
  params.setUint8(PARAMS.E820Entries, entries.length);
  entries.forEach(({ base, length, type }, i) => {
    const at = PARAMS.E820Table + 20 * i;
    params.setBigUint64(at, BigInt(base), true);
    params.setBigUint64(at + 8, BigInt(length), true);
    params.setUint32(at + 16, type, true);
  });
  if (inputs.vgaText === true) {
    params.setUint8(PARAMS.VideoMode, 3);
    params.setUint8(PARAMS.VideoColumns, 80);
    params.setUint8(PARAMS.VideoLines, 25);
    params.setUint8(PARAMS.VideoIsVga, 1);
    params.setUint16(PARAMS.VideoPoints, 16, true);
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
