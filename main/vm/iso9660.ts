/**
 * Reads the volume descriptor and files of an ISO 9660 image, as far as it takes to see what is on it. Whatever the
 * image holds, reading ends soon: directories and files are read up to a bound, and a path is as deep as it says.
 *
 * ECMA-119 (ISO 9660), 8.4 "Primary Volume Descriptor" and 9.1 "Format of a Directory Record"; names as their authors
 * wrote them come from Rock Ridge (IEEE P1282, 4.1.4 "NM").
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';

const SECTOR = 2048;

/** The descriptors begin here; a handful of them, the last of type 255. */
const FIRST_DESCRIPTOR = 16;
const MOST_DESCRIPTORS = 16;
const PRIMARY = 1;
const TERMINATOR = 255;

/** Bytes of a directory that are looked at. */
const MOST_DIRECTORY = 2 ** 20;

/** An entry of a directory. */
interface Entry {
  /** In lower case. */
  readonly names: readonly string[];
  readonly isDirectory: boolean;
  /** Bytes from the beginning of the image. */
  readonly at: number;
  readonly size: number;
}

/** What an ISO image says about itself. Texts without the blanks that fill them up. */
export interface IsoVolume {
  readonly label: string;
  readonly system: string;
  readonly publisher: string;
  readonly application: string;
  /** The beginning of a file, by its path with `/`, whatever its case; undefined where there is none. */
  read(path: string, bytes: number): Buffer | undefined;
}

/**
 * Opens an image for as long as `body` runs.
 *
 * @returns what `body` does; undefined for what is no ISO 9660 image
 * @throws Error as the host can't read it
 */
export function withIso<T>(file: string, body: (volume: IsoVolume) => T): T | undefined {
  // A pipe would have us wait for whoever writes to it.
  if (!statSync(file).isFile()) throw new Error('not a regular file');
  const descriptor = openSync(file, 'r');
  try {
    const read = (at: number, bytes: number): Buffer => {
      const buffer = Buffer.alloc(bytes);
      return buffer.subarray(0, readSync(descriptor, buffer, 0, bytes, at));
    };
    const primary = findPrimary(read);
    return primary === undefined ? undefined : body(volumeOf(primary, read));
  } finally {
    closeSync(descriptor);
  }
}

type Read = (at: number, bytes: number) => Buffer;

function findPrimary(read: Read): Buffer | undefined {
  for (let i = 0; i < MOST_DESCRIPTORS; i++) {
    const sector = read((FIRST_DESCRIPTOR + i) * SECTOR, SECTOR);
    if (sector.length < SECTOR || sector.toString('latin1', 1, 6) !== 'CD001') return undefined;
    if (sector[0] === PRIMARY) return sector;
    if (sector[0] === TERMINATOR) return undefined;
  }
  return undefined;
}

function volumeOf(primary: Buffer, read: Read): IsoVolume {
  const text = (from: number, bytes: number): string =>
    // Trailing blanks and NULs, as different programs fill.
    primary
      .toString('latin1', from, from + bytes)
      .replace(/[\0 ]+$/, '')
      .replaceAll(/[^\x20-\x7e]/g, '?');
  const root = entryAt(primary, 156);
  return {
    system: text(8, 32),
    label: text(40, 32),
    publisher: text(318, 128),
    application: text(574, 128),
    read(path, bytes) {
      let entry = root;
      for (const part of path.toLowerCase().split('/')) {
        if (entry === undefined || !entry.isDirectory) return undefined;
        entry = entriesOf(read(entry.at, Math.min(entry.size, MOST_DIRECTORY))).find(({ names }) =>
          names.includes(part),
        );
      }
      return entry === undefined || entry.isDirectory
        ? undefined
        : read(entry.at, Math.min(entry.size, bytes));
    },
  };
}

/** Records do not cross sectors: what is left of one is zero. */
function entriesOf(directory: Buffer): Entry[] {
  const entries: Entry[] = [];
  for (let at = 0; at < directory.length;) {
    const length = directory[at] ?? 0;
    if (length === 0) {
      at = (Math.floor(at / SECTOR) + 1) * SECTOR;
      continue;
    }
    const entry = entryAt(directory.subarray(0, at + length), at);
    if (entry !== undefined) entries.push(entry);
    at += length;
  }
  return entries;
}

/** @returns undefined for a record that is cut off */
function entryAt(buffer: Buffer, at: number): Entry | undefined {
  const HEADER = 33;
  if (at + HEADER > buffer.length) return undefined;
  const nameLength = buffer.readUInt8(at + 32);
  const nameEnd = at + HEADER + nameLength;
  if (nameEnd > buffer.length) return undefined;
  // Without the version, and the dot of a name without an extension.
  const name = buffer
    .toString('latin1', at + HEADER, nameEnd)
    .replace(/;\d+$/, '')
    .replace(/\.$/, '');
  const rock = rockRidgeName(buffer.subarray(nameEnd + ((nameLength + 1) & 1)));
  return {
    names: [name, ...(rock === undefined ? [] : [rock])].map((each) => each.toLowerCase()),
    isDirectory: (buffer.readUInt8(at + 25) & 2) !== 0,
    at: buffer.readUInt32LE(at + 2) * SECTOR,
    size: buffer.readUInt32LE(at + 10),
  };
}

/** The name in a record's system use area; undefined where there is none. */
function rockRidgeName(area: Buffer): string | undefined {
  let name: string | undefined;
  for (let at = 0; at + 5 <= area.length;) {
    const length = area.readUInt8(at + 2);
    if (length < 4) break;
    if (area.toString('latin1', at, at + 2) === 'NM') {
      name = (name ?? '') + area.toString('utf8', at + 5, Math.min(at + length, area.length));
    }
    at += length;
  }
  return name;
}
