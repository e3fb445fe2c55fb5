import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Random } from '../../base/random.ts';
import { Runs } from '../../memory/runs.ts';
import { viewsOf } from './buffers.ts';
import { OpenFile } from './host-file.ts';
import { MOST_AT_ONCE, transferRuns } from './vectored-io.ts';

const SIZE = 3_000_000;
const random = new Random(5);
let folder: string;
let file: string;
let contents: Uint8Array;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'guesthouse-file-'));
  file = path.join(folder, 'file');
  contents = Uint8Array.from({ length: SIZE }, () => random.below(256));
  writeFileSync(file, contents);
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Runs apart from each other in memory of their own, filled with a byte. */
function runsOf(count: number, value: number): Runs {
  const buffer = new SharedArrayBuffer(count * 2048);
  new Uint8Array(buffer).fill(value);
  const runs = new Runs(buffer);
  for (let i = 0; i < count; i++)
    runs.add(2048 * ((i * 7) % count) + random.below(24), 1 + random.below(2000));
  return runs;
}
const bytesOf = (runs: Runs): Buffer => Buffer.concat([...viewsOf(runs)]);

test.each([1, 5, MOST_AT_ONCE, MOST_AT_ONCE + 1, 2 * MOST_AT_ONCE + 100])(
  '%i runs are read and written',
  (count) => {
    const opened = new OpenFile(file, 'write');
    try {
      const runs = runsOf(count, 0x77);
      opened.readv(1234, runs);
      const expected = Buffer.alloc(runs.bytes);
      expected.set(contents.subarray(1234, 1234 + runs.bytes));
      expect(bytesOf(runs).equals(expected)).toBe(true);
      // What lies between them is left alone.
      const all = new Uint8Array(runs.buffer).reduce((sum, byte) => sum + byte, 0);
      const own = bytesOf(runs).reduce((sum, byte) => sum + byte, 0);
      expect(all - own).toBe(0x77 * (runs.buffer.byteLength - runs.bytes));

      for (const view of runs.views()) view.fill(random.below(256));
      opened.writev(77, runs);
      const back = new Uint8Array(runs.bytes + 1);
      opened.readv(77, [back]);
      expect(bytesOf(runs).equals(back.subarray(0, -1))).toBe(true);
      expect(back.at(-1)).toBe(contents[77 + runs.bytes] ?? 0);
    } finally {
      opened.close();
    }
  },
);

test('beyond the end runs are zeros', () => {
  const opened = new OpenFile(file, 'read');
  try {
    const runs = runsOf(20, 0xee);
    opened.readv(SIZE - 700, runs);
    expect(bytesOf(runs).subarray(0, 700).equals(contents.subarray(-700))).toBe(true);
    expect(
      bytesOf(runs)
        .subarray(700)
        .every((byte) => byte === 0),
    ).toBe(true);
  } finally {
    opened.close();
  }
});

test("what the host refuses is an error like Node's", () => {
  const opened = new OpenFile(file, 'read');
  try {
    expect(() => opened.writev(0, runsOf(3, 1))).toThrow(expect.objectContaining({ code: 'EBADF' }));
    expect(() => opened.writev(0, [new Uint8Array(8)])).toThrow(expect.objectContaining({ code: 'EBADF' }));
  } finally {
    opened.close();
  }
});

test.runIf(
  process.platform === 'linux' &&
    'glibcVersionRuntime' in (process.report.getReport() as { header: object }).header,
)('with the C library of GNU runs go to the host as they are', () => {
  const runs = new Runs(new SharedArrayBuffer(16));
  runs.add(0, 16);
  expect(() => transferRuns('preadv', -1, 0, runs)).toThrow('EBADF: bad file descriptor, preadv');
});
