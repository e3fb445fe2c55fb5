/**
 * The header of a qcow2 image, versions 2 and 3: read, checked, and written.
 *
 * QEMU, docs/interop/qcow2.txt, "Header" and "Header extensions". All numbers are big-endian.
 */
import { GuesthouseError } from '../../../base/errors.ts';
import { MOST_BYTES } from '../disk-image.ts';

/** "QFI\xfb". */
export const MAGIC = 0x5146_49fb;

/** Bytes of the fixed part: version 2, and version 3 with the compression type. */
const V2_BYTES = 72;
const V3_BYTES = 104;
const V3_FULL_BYTES = 112;

/** Where fields are that are written one by one. */
export const HeaderField = {
  Size: 24,
  L1Size: 36,
  L1Offset: 40,
  RefcountTableOffset: 48,
  RefcountTableClusters: 56,
  IncompatibleFeatures: 72,
  AutoclearFeatures: 88,
} as const;

/** Incompatible features: an image with one that is not known here must not be opened. */
export const Incompatible = {
  /** Refcounts may be wrong: they were kept in memory by a writer that did not come to write them. */
  Dirty: 1 << 0,
  /** Metadata was found to be damaged. */
  Corrupt: 1 << 1,
  ExternalData: 1 << 2,
  Compression: 1 << 3,
  ExtendedL2: 1 << 4,
} as const;

const KNOWN_INCOMPATIBLE = Incompatible.Dirty | Incompatible.Corrupt | Incompatible.Compression;

const INCOMPATIBLE_NAMES: ReadonlyArray<readonly [bit: number, name: string]> = [
  [Incompatible.ExternalData, 'an external data file'],
  [Incompatible.ExtendedL2, 'extended L2 entries (subclusters)'],
];

/** Compatible features. */
export const Compatible = { LazyRefcounts: 1 << 0 } as const;

/** Header extensions. */
const Extension = { End: 0, BackingFormat: 0xe279_2aca } as const;

/** Limits that keep a hostile header from taking all memory; QEMU's are the same. */
const MOST_L1_BYTES = 32 * 2 ** 20;
const MOST_REFCOUNT_TABLE_BYTES = 8 * 2 ** 20;
const MOST_SNAPSHOTS = 65536;
const LONGEST_BACKING_NAME = 1023;

export interface Qcow2Header {
  readonly version: 2 | 3;
  readonly clusterBits: number;
  /** Bytes of a virtual disk. */
  readonly size: number;
  /** Entries. */
  readonly l1Size: number;
  readonly l1Offset: number;
  readonly refcountTableOffset: number;
  readonly refcountTableClusters: number;
  /** Width of a refcount is 2 ** refcountOrder bits. */
  readonly refcountOrder: number;
  readonly snapshots: number;
  readonly snapshotsOffset: number;
  readonly incompatible: number;
  readonly compatible: number;
  /** True where any autoclear feature is set; none is known here. */
  readonly autoclear: boolean;
  readonly compression: 'zlib' | 'zstd';
  readonly backingFile: string | undefined;
  readonly backingFormat: string | undefined;
}

/**
 * Reads a header.
 *
 * @param bytes the start of the file: the first cluster or, where that is longer, as much as there is
 * @param path for error messages
 * @throws GuesthouseError `file` for what is no header or contradicts itself, `unsupported` for features that
 *   are not known here
 */
export function parseHeader(bytes: Uint8Array, path: string): Qcow2Header {
  const wrong = (what: string) => new GuesthouseError('file', `${path} is a damaged qcow2 image: ${what}`);
  const unsupported = (what: string) =>
    new GuesthouseError('unsupported', `${path} uses ${what}, which is not supported`);
  if (bytes.length < V2_BYTES) throw wrong('the header is cut off');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(0) !== MAGIC) {
    throw new GuesthouseError('file', `${path} is not a qcow2 image`, 'give its format, for instance raw');
  }
  const version = view.getUint32(4);
  if (version !== 2 && version !== 3) throw unsupported(`qcow version ${version}`);
  const clusterBits = view.getUint32(20);
  if (clusterBits < 9 || clusterBits > 21) throw wrong(`clusters of 2^${clusterBits} bytes`);
  if (version === 3 && bytes.length < V3_BYTES) throw wrong('the header is cut off');
  const clusterBytes = 2 ** clusterBits;

  const headerBytes = version === 2 ? V2_BYTES : view.getUint32(100);
  if (headerBytes < (version === 2 ? V2_BYTES : V3_BYTES) || headerBytes > clusterBytes) {
    throw wrong(`a header of ${headerBytes} bytes`);
  }
  if (headerBytes > bytes.length) throw wrong('the header is cut off');
  const offset = (at: number, what: string): number => {
    const value = view.getBigUint64(at);
    if (value % BigInt(clusterBytes) !== 0n || value >= BigInt(MOST_BYTES)) {
      throw wrong(`its ${what} is at ${value}`);
    }
    return Number(value);
  };
  const size = view.getBigUint64(HeaderField.Size);
  if (size > BigInt(MOST_BYTES)) throw wrong(`a disk of ${size} bytes`);
  if (view.getUint32(32) !== 0) throw unsupported('encryption');

  const incompatible = version === 2 ? 0n : view.getBigUint64(HeaderField.IncompatibleFeatures);
  const unknown = incompatible & ~BigInt(KNOWN_INCOMPATIBLE);
  if (unknown !== 0n) {
    const names = INCOMPATIBLE_NAMES.flatMap(([bit, name]) => ((unknown & BigInt(bit)) !== 0n ? [name] : []));
    throw unsupported(names[0] ?? `features unknown here (incompatible features 0x${unknown.toString(16)})`);
  }
  const refcountOrder = version === 2 ? 4 : view.getUint32(96);
  if (refcountOrder > 6) throw wrong(`refcounts of 2^${refcountOrder} bits`);

  const l1Size = view.getUint32(HeaderField.L1Size);
  const l1Reach = 2 ** (2 * clusterBits - 3);
  if (l1Size * 8 > MOST_L1_BYTES) throw wrong(`an L1 table of ${l1Size} entries`);
  if (l1Size * l1Reach < Number(size)) throw wrong(`an L1 table of ${l1Size} entries for ${size} bytes`);
  const refcountTableClusters = view.getUint32(HeaderField.RefcountTableClusters);
  if (refcountTableClusters === 0 || refcountTableClusters * clusterBytes > MOST_REFCOUNT_TABLE_BYTES) {
    throw wrong(`a refcount table of ${refcountTableClusters} clusters`);
  }
  const snapshots = view.getUint32(60);
  if (snapshots > MOST_SNAPSHOTS) throw wrong(`${snapshots} snapshots`);

  const compressionType = headerBytes > V3_BYTES ? view.getUint8(104) : 0;
  const hasCompression = (incompatible & BigInt(Incompatible.Compression)) !== 0n;
  if (hasCompression !== (compressionType !== 0))
    throw wrong('its compression type contradicts its features');
  if (compressionType > 1) throw unsupported(`compression type ${compressionType}`);

  return {
    version,
    clusterBits,
    size: Number(size),
    l1Size,
    l1Offset: offset(HeaderField.L1Offset, 'L1 table'),
    refcountTableOffset: offset(HeaderField.RefcountTableOffset, 'refcount table'),
    refcountTableClusters,
    refcountOrder,
    snapshots,
    snapshotsOffset: snapshots === 0 ? 0 : offset(64, 'snapshot table'),
    incompatible: Number(incompatible),
    compatible: version === 2 ? 0 : Number(view.getBigUint64(80) & 0xffff_ffffn),
    autoclear: version === 3 && view.getBigUint64(HeaderField.AutoclearFeatures) !== 0n,
    compression: compressionType === 1 ? 'zstd' : 'zlib',
    ...backingOf(bytes, view, headerBytes, clusterBytes, wrong),
  };
}

function backingOf(
  bytes: Uint8Array,
  view: DataView,
  headerBytes: number,
  clusterBytes: number,
  wrong: (what: string) => GuesthouseError,
): { backingFile: string | undefined; backingFormat: string | undefined } {
  const text = (at: number, length: number) =>
    new TextDecoder().decode(bytes.subarray(at, at + length)).replace(/\0.*$/s, '');
  const end = Math.min(clusterBytes, bytes.length);
  let backingFormat: string | undefined;
  for (let at = headerBytes; at + 8 <= end;) {
    const type = view.getUint32(at);
    const length = view.getUint32(at + 4);
    if (type === Extension.End) break;
    if (at + 8 + length > end) throw wrong('a header extension leaves the header');
    if (type === Extension.BackingFormat) backingFormat = text(at + 8, length);
    at += 8 + Math.ceil(length / 8) * 8;
  }
  const nameAt = view.getBigUint64(8);
  const nameLength = view.getUint32(16);
  if (nameAt === 0n || nameLength === 0) return { backingFile: undefined, backingFormat: undefined };
  if (nameLength > LONGEST_BACKING_NAME || nameAt + BigInt(nameLength) > BigInt(end)) {
    throw wrong("its backing file's name leaves the header");
  }
  return { backingFile: text(Number(nameAt), nameLength), backingFormat };
}

/** What a new image's header says. */
export type NewHeader = Omit<Qcow2Header, 'incompatible' | 'autoclear' | 'snapshots' | 'snapshotsOffset'>;

/**
 * A header for a new image, with its extensions and its backing file's name.
 *
 * @returns as many bytes as it takes, at most a cluster
 * @throws GuesthouseError `config` where the backing file's name is too long
 */
export function buildHeader(header: NewHeader): Uint8Array {
  const bytes = new Uint8Array(2 ** header.clusterBits);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC);
  view.setUint32(4, header.version);
  view.setUint32(20, header.clusterBits);
  view.setBigUint64(HeaderField.Size, BigInt(header.size));
  view.setUint32(HeaderField.L1Size, header.l1Size);
  view.setBigUint64(HeaderField.L1Offset, BigInt(header.l1Offset));
  view.setBigUint64(HeaderField.RefcountTableOffset, BigInt(header.refcountTableOffset));
  view.setUint32(HeaderField.RefcountTableClusters, header.refcountTableClusters);
  let at = V2_BYTES;
  if (header.version === 3) {
    const zstd = header.compression === 'zstd';
    view.setBigUint64(HeaderField.IncompatibleFeatures, BigInt(zstd ? Incompatible.Compression : 0));
    view.setBigUint64(80, BigInt(header.compatible));
    view.setUint32(96, header.refcountOrder);
    view.setUint32(100, V3_FULL_BYTES);
    view.setUint8(104, zstd ? 1 : 0);
    at = V3_FULL_BYTES;
  }
  const encoder = new TextEncoder();
  if (header.backingFormat !== undefined) {
    const format = encoder.encode(header.backingFormat);
    view.setUint32(at, Extension.BackingFormat);
    view.setUint32(at + 4, format.length);
    bytes.set(format, at + 8);
    at += 8 + Math.ceil(format.length / 8) * 8;
  }
  at += 8; // the end of the extensions, all zero
  if (header.backingFile !== undefined) {
    const name = encoder.encode(header.backingFile);
    if (name.length > LONGEST_BACKING_NAME || at + name.length > bytes.length) {
      throw new GuesthouseError(
        'config',
        `the backing file's name is longer than ${LONGEST_BACKING_NAME} bytes`,
      );
    }
    view.setBigUint64(8, BigInt(at));
    view.setUint32(16, name.length);
    bytes.set(name, at);
    at += name.length;
  }
  return bytes.subarray(0, at);
}
