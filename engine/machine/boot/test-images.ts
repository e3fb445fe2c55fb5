/**
 * Kernel images and a guest memory for the tests: small, made here, with known contents.
 */
import { ascii, concat, u16, u32, u64 } from '../acpi/bytes.ts';
import { E820, type E820Entry, type GuestMemory } from './guest-memory.ts';

export const MIB = 0x10_0000;

/** RAM of so many MiB with the memory map of a PC. Writes outside RAM are errors of the loader. */
export class TestMemory implements GuestMemory {
  readonly size: number;
  readonly e820: readonly E820Entry[];
  readonly bytes: Uint8Array;

  constructor(mebibytes: number) {
    this.size = mebibytes * MIB;
    this.bytes = new Uint8Array(this.size).fill(0xcc);
    this.e820 = [
      { base: 0, length: 0x9fc00, type: E820.Usable },
      { base: 0x9fc00, length: 0x400, type: E820.Reserved },
      { base: 0xe0000, length: 0x20000, type: E820.Reserved },
      { base: MIB, length: this.size - MIB, type: E820.Usable },
      { base: 0xfffc_0000, length: 0x40000, type: E820.Reserved },
    ];
  }

  write(address: number, bytes: Uint8Array): void {
    if (address < 0 || address + bytes.length > this.size) throw new Error(`write outside RAM at ${address}`);
    this.bytes.set(bytes, address);
  }

  read(address: number, length: number): Uint8Array {
    return this.bytes.slice(address, address + length);
  }

  u16(address: number): number {
    return new DataView(this.bytes.buffer).getUint16(address, true);
  }

  u32(address: number): number {
    return new DataView(this.bytes.buffer).getUint32(address, true);
  }

  u64(address: number): bigint {
    return new DataView(this.bytes.buffer).getBigUint64(address, true);
  }

  string(address: number): string {
    return new TextDecoder().decode(this.bytes.subarray(address, this.bytes.indexOf(0, address)));
  }
}

/** Fields of a bzImage that the tests vary. */
export interface LinuxImage {
  version?: number;
  xloadflags?: number;
  preferred?: bigint;
  relocatable?: boolean;
  alignment?: number;
  initSize?: number;
  initrdMax?: number;
  commandLineSize?: number;
  payload?: Uint8Array;
}

/** A bzImage of version 2.15 with one setup sector after the boot sector. */
export function linuxImage(of: LinuxImage = {}): Uint8Array {
  const payload = of.payload ?? Uint8Array.from({ length: 8192 }, (_, i) => i * 7);
  const file = concat(new Uint8Array(1024), payload);
  const put = (at: number, bytes: Uint8Array) => file.set(bytes, at);
  file[0x1f1] = 1;
  put(0x1f4, u32(payload.length / 16));
  put(0x1fe, u16(0xaa55));
  put(0x200, u16(0x6aeb)); // jump over the header, to 0x26c
  put(0x202, ascii('HdrS'));
  put(0x206, u16(of.version ?? 0x20f));
  file[0x211] = 1;
  put(0x214, u32(MIB));
  put(0x22c, u32(of.initrdMax ?? 0x7fff_ffff));
  put(0x230, u32(of.alignment ?? 0x20_0000));
  file[0x234] = of.relocatable === false ? 0 : 1;
  put(0x236, u16(of.xloadflags ?? 1));
  put(0x238, u32(of.commandLineSize ?? 2047));
  put(0x258, u64(of.preferred ?? 0x100_0000n));
  put(0x260, u32(of.initSize ?? 0x40_0000));
  return file;
}

/** An ELF file with one loadable segment at `address` and, where `note` is given, a PVH entry note. */
export function elfImage(is64: boolean, address: number, code: Uint8Array, note?: number): Uint8Array {
  const noteBytes =
    note === undefined ? new Uint8Array(0) : concat(u32(4), u32(4), u32(18), ascii('Xen\0'), u32(note));
  const word = is64 ? u64 : u32;
  const headerBytes = is64 ? 64 : 52;
  const entryBytes = is64 ? 56 : 32;
  const codeAt = 4096;
  const noteAt = codeAt + code.length;
  const segment = (type: number, offset: number, at: number, file: number, memory: number) =>
    is64
      ? concat(u32(type), u32(7), u64(offset), u64(at), u64(at), u64(file), u64(memory), u64(4))
      : concat(u32(type), u32(offset), u32(at), u32(at), u32(file), u32(memory), u32(7), u32(4));
  const head = concat(
    [0x7f, 0x45, 0x4c, 0x46, is64 ? 2 : 1, 1, 1, 0], new Uint8Array(8),
    u16(2), u16(is64 ? 62 : 3), u32(1), word(address), word(headerBytes), word(0), u32(0),
    u16(headerBytes), u16(entryBytes), u16(2), u16(0), u16(0), u16(0),
    segment(1, codeAt, address, code.length, code.length + 0x2000),
    segment(4, noteAt, 0, noteBytes.length, noteBytes.length),
  ); // prettier-ignore
  return concat(head, new Uint8Array(codeAt - head.length), code, noteBytes);
}

/** A Multiboot header of twelve bytes. */
export function multibootHeader(flags: number): Uint8Array {
  return concat(u32(0x1bad_b002), u32(flags), u32(-(0x1bad_b002 + flags)));
}
