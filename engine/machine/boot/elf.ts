/**
 * ELF executables, 32 and 64 bit, little-endian x86: what a loader needs of them.
 *
 * Tool Interface Standard ELF 1.2, and the System V ABI's x86-64 supplement.
 */
import { type GuestMemory, type Placement, zero } from './guest-memory.ts';
import { damaged, tooSmall, truncated } from './kernel.ts';

/** A program header. Bytes; addresses are physical. */
interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly fileSize: number;
  readonly memorySize: number;
  readonly align: number;
}

/** A note's descriptor, with the numbers in its header. */
export interface ElfNote {
  readonly owner: string;
  readonly type: number;
  readonly description: DataView;
}

export interface ElfImage {
  readonly is64: boolean;
  /** Entry point: for a kernel, often a virtual address. */
  readonly entry: number;
  readonly segments: readonly Segment[];
  readonly file: Uint8Array;
}

const PT_LOAD = 1;
const PT_NOTE = 4;
const EM_386 = 3;
const EM_X86_64 = 62;

/** Whether the file begins as an ELF file does. */
export function isElf(file: Uint8Array): boolean {
  return file.length >= 4 && file[0] === 0x7f && file[1] === 0x45 && file[2] === 0x4c && file[3] === 0x46;
}

/** Reads the headers.
 * @throws GuesthouseError('file') where they are truncated, damaged, or for another machine */
export function parseElf(file: Uint8Array): ElfImage {
  if (file.length < 52) throw truncated('the ELF header');
  const is64 = file[4] === 2;
  if ((file[4] !== 1 && !is64) || file[5] !== 1)
    throw damaged('its ELF class or byte order is not that of a PC');
  if (is64 && file.length < 64) throw truncated('the ELF header');
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const word = (at: number, at64: number) =>
    is64 ? Number(view.getBigUint64(at64, true)) : view.getUint32(at, true);

  const machine = view.getUint16(18, true);
  if (machine !== EM_386 && machine !== EM_X86_64) throw damaged(`its ELF machine is ${machine}, not x86`);
  const table = word(28, 32);
  const entryBytes = view.getUint16(is64 ? 54 : 42, true);
  const count = view.getUint16(is64 ? 56 : 44, true);
  if (count > 0 && entryBytes < (is64 ? 56 : 32))
    throw damaged(`its program headers have ${entryBytes} bytes`);
  if (table + count * entryBytes > file.length) throw truncated('part of the program headers');

  const segments: Segment[] = [];
  for (let i = 0; i < count; i++) {
    const at = table + i * entryBytes;
    segments.push({
      type: view.getUint32(at, true),
      offset: word(at + 4, at + 8),
      address: word(at + 12, at + 24),
      fileSize: word(at + 16, at + 32),
      memorySize: word(at + 20, at + 40),
      align: word(at + 28, at + 48),
    });
  }
  return { is64, entry: word(24, 24), segments, file };
}

/**
 * Puts the loadable segments in place, with what they leave uninitialised zeroed, and marks them as taken.
 *
 * @throws GuesthouseError('file') where a segment leaves the file; ('config') where memory is too small
 */
export function loadSegments(memory: GuestMemory, placement: Placement, image: ElfImage): void {
  const loaded = image.segments.filter((segment) => segment.type === PT_LOAD && segment.memorySize > 0);
  if (loaded.length === 0) throw damaged('it has no segment to load');
  // Segments may share a page or overlap; all are checked before the first is taken.
  for (const { offset, fileSize, memorySize, address } of loaded) {
    if (fileSize > memorySize) throw damaged('a segment is larger in the file than in memory');
    if (offset + fileSize > image.file.length) throw truncated('part of a segment');
    if (!placement.isFree(address, memorySize)) {
      throw tooSmall(`the kernel at address 0x${address.toString(16)}`, memorySize);
    }
  }
  for (const { offset, fileSize, memorySize, address } of loaded) {
    memory.write(address, image.file.subarray(offset, offset + fileSize));
    zero(memory, address + fileSize, memorySize - fileSize);
    placement.take(address, memorySize);
  }
}

/** All notes that lie wholly in the file; what is malformed ends its segment. */
export function* notes(image: ElfImage): Iterable<ElfNote> {
  const { file } = image;
  for (const segment of image.segments) {
    if (segment.type !== PT_NOTE || segment.offset + segment.fileSize > file.length) continue;
    const bytes = file.subarray(segment.offset, segment.offset + segment.fileSize);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const align = (at: number) => (segment.align === 8 ? Math.ceil(at / 8) * 8 : Math.ceil(at / 4) * 4);
    for (let at = 0; at + 12 <= bytes.length;) {
      const nameBytes = view.getUint32(at, true);
      const descriptionBytes = view.getUint32(at + 4, true);
      const description = align(at + 12 + nameBytes);
      if (description + descriptionBytes > bytes.length) break;
      yield {
        owner: String.fromCharCode(...bytes.subarray(at + 12, at + 12 + Math.min(nameBytes, 64))).replace(
          /\0+$/,
          '',
        ),
        type: view.getUint32(at + 8, true),
        description: new DataView(bytes.buffer, bytes.byteOffset + description, descriptionBytes),
      };
      at = align(description + descriptionBytes);
    }
  }
}
