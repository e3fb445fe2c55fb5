/**
 * Writes cpio archives in the "newc" format, the one the Linux kernel unpacks into its first root file
 * system (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).
 */

/** One entry of an archive. Paths are relative to the root, `/`-separated, without a leading slash; a
 * directory comes before what is in it. Everything belongs to uid 0 and gid 0. */
export type Entry =
  | { readonly type: 'directory'; readonly path: string; readonly mode?: number }
  | {
      readonly type: 'file';
      readonly path: string;
      readonly mode?: number;
      readonly data: Uint8Array | string;
    }
  | { readonly type: 'symlink'; readonly path: string; readonly target: string }
  | {
      readonly type: 'character-device';
      readonly path: string;
      readonly mode?: number;
      readonly major: number;
      readonly minor: number;
    };

/** File types in the upper bits of a mode (inode(7)). */
const TYPE = {
  directory: 0o040000,
  file: 0o100000,
  symlink: 0o120000,
  'character-device': 0o020000,
} as const;

/** Permissions where an entry names none. */
const MODE = { directory: 0o755, file: 0o644, symlink: 0o777, 'character-device': 0o600 } as const;

const MAGIC = '070701';
/** The entry that ends an archive. */
const TRAILER = 'TRAILER!!!';

const encoder = new TextEncoder();

/**
 * Makes an archive. The same entries always give the same bytes: times are zero and inode numbers count.
 *
 * @throws RangeError for a path that is empty, absolute or has an empty, `.` or `..` part, or a file of
 * 4 GiB and more, which the format can't hold
 */
export function cpio(entries: readonly Entry[]): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  let length = 0;
  const add = (bytes: Uint8Array): void => {
    const padding = -bytes.length & 3;
    parts.push(bytes, new Uint8Array(padding));
    length += bytes.length + padding;
  };
  let inode = 0;
  for (const entry of entries) {
    if (entry.path.split('/').some((part) => part === '' || part === '.' || part === '..')) {
      throw new RangeError(`not a path inside the archive: '${entry.path}'`);
    }
    const data = contents(entry);
    if (data.length >= 2 ** 32) throw new RangeError(`${entry.path} is too large for a cpio archive`);
    const permissions = entry.type === 'symlink' ? MODE.symlink : (entry.mode ?? MODE[entry.type]);
    const device = entry.type === 'character-device' ? entry : { major: 0, minor: 0 };
    const mode = TYPE[entry.type] | permissions;
    add(header({ inode: ++inode, mode, links: 1, size: data.length, ...device, path: entry.path }));
    add(data);
  }
  add(header({ inode: 0, mode: 0, links: 1, size: 0, major: 0, minor: 0, path: TRAILER }));

  const archive = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    archive.set(part, at);
    at += part.length;
  }
  return archive;
}

function contents(entry: Entry): Uint8Array {
  if (entry.type === 'symlink') return encoder.encode(entry.target);
  if (entry.type !== 'file') return new Uint8Array();
  return typeof entry.data === 'string' ? encoder.encode(entry.data) : entry.data;
}

interface Header {
  readonly inode: number;
  readonly mode: number;
  readonly links: number;
  readonly size: number;
  readonly major: number;
  readonly minor: number;
  readonly path: string;
}

/** Magic and thirteen fields of eight hexadecimal digits, then the path with a zero byte. */
function header({ inode, mode, links, size, major, minor, path }: Header): Uint8Array {
  const name = encoder.encode(`${path}\0`);
  const uid = 0;
  const gid = 0;
  const modified = 0;
  const onMajor = 0;
  const onMinor = 0;
  const checksum = 0; // only used by the 070702 variant
  const fields = [
    inode,
    mode,
    uid,
    gid,
    links,
    modified,
    size,
    onMajor,
    onMinor,
    major,
    minor,
    name.length,
    checksum,
  ];
  const text = MAGIC + fields.map((field) => field.toString(16).toUpperCase().padStart(8, '0')).join('');
  const bytes = new Uint8Array(text.length + name.length);
  bytes.set(encoder.encode(text));
  bytes.set(name, text.length);
  return bytes;
}
