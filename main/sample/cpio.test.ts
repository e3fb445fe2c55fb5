import { expect, test } from 'vitest';
import { cpio } from './cpio.ts';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

/** The header fields by buffer-format.rst: name, then the offset of its eight digits. */
function parse(archive: Uint8Array, at: number) {
  const field = (index: number): number =>
    Number.parseInt(text(archive.subarray(at + 6 + 8 * index, at + 14 + 8 * index)), 16);
  const nameSize = field(11);
  const name = text(archive.subarray(at + 110, at + 110 + nameSize));
  const dataAt = (at + 110 + nameSize + 3) & ~3;
  const size = field(6);
  return {
    magic: text(archive.subarray(at, at + 6)),
    mode: field(1),
    owner: [field(2), field(3)],
    links: field(4),
    device: [field(9), field(10)],
    name,
    data: text(archive.subarray(dataAt, dataAt + size)),
    next: (dataAt + size + 3) & ~3,
  };
}

test('each kind of entry has its type, permissions and contents', () => {
  const archive = cpio([
    { type: 'directory', path: 'dev' },
    { type: 'character-device', path: 'dev/console', major: 5, minor: 1 },
    { type: 'file', path: 'init', mode: 0o755, data: 'hello' },
    { type: 'symlink', path: 'sh', target: 'bin/busybox' },
  ]);
  const entries = [];
  for (let at = 0; at < archive.length;) {
    const entry = parse(archive, at);
    entries.push(entry);
    at = entry.next;
  }
  expect(entries.every(({ magic, links }) => magic === '070701' && links === 1)).toBe(true);
  expect(entries.map(({ name, mode, data, device }) => [name, mode, data, device])).toEqual([
    ['dev\0', 0o040755, '', [0, 0]],
    ['dev/console\0', 0o020600, '', [5, 1]],
    ['init\0', 0o100755, 'hello', [0, 0]],
    ['sh\0', 0o120777, 'bin/busybox', [0, 0]],
    ['TRAILER!!!\0', 0, '', [0, 0]],
  ]);
});

test('headers and contents are padded to four bytes', () => {
  for (let length = 0; length < 8; length++) {
    const archive = cpio([
      { type: 'file', path: 'x'.repeat(length + 1), data: new Uint8Array(length).fill(65) },
    ]);
    const { next, data } = parse(archive, 0);
    expect(data).toBe('A'.repeat(length));
    expect(next % 4).toBe(0);
    expect(parse(archive, next).name).toBe('TRAILER!!!\0');
  }
});

test('names are UTF-8 and their size counts bytes', () => {
  const archive = cpio([{ type: 'directory', path: 'é' }]);
  expect(Buffer.from(parse(archive, 0).name, 'latin1').toString('utf8')).toBe('é\0');
});

test.each(['', '/bin', 'bin/', 'a//b', '../x', 'a/./b'])('the path %j is refused', (path) => {
  expect(() => cpio([{ type: 'directory', path }])).toThrow(RangeError);
});

test('the same entries give the same bytes', () => {
  const entries = [{ type: 'file', path: 'a', data: 'b' }] as const;
  expect(cpio(entries)).toEqual(cpio(entries));
});
