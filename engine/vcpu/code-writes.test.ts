import { expect, test } from 'vitest';
import { Arena } from '../memory/layout.ts';
import { CodeWrites, codeWritesBytes, ENTRIES } from './code-writes.ts';

/** Pages of the memory. */
const PAGES = 1 << 20;
/** Byte address of the count of writes. */
const HEAD = 4;

/** The log as two threads have it. */
function setUp() {
  const buffer = new SharedArrayBuffer(codeWritesBytes(PAGES));
  const attach = () => new CodeWrites(new Arena(buffer, 0, buffer.byteLength), PAGES);
  return { writer: attach(), reader: attach(), head: new Uint32Array(buffer, HEAD, 2) };
}

/** Reads on, with code of some pages. @returns what was read, and the new position */
function read(log: CodeWrites, from: number, pages: number[] = []): { found: number[][]; next: number } {
  const found: number[][] = [];
  const next = log.read(
    from,
    (address, bytes) => found.push([address, bytes]),
    () => pages,
  );
  return { found, next };
}

test('a reader finds every write since, in order and once', () => {
  const { writer, reader } = setUp();
  writer.append(0x1000, 1);
  const from = reader.position();
  writer.append(0x2000, 4);
  writer.append(0xffff_f000, 8);
  const first = read(reader, from);
  expect(first.found).toEqual([
    [0x2000, 4],
    [0xffff_f000, 8],
  ]);
  expect(read(reader, first.next)).toEqual({ found: [], next: first.next });
  writer.append(0x3000, 2);
  expect(read(reader, first.next).found).toEqual([[0x3000, 2]]);
});

test('the same write several times in a row is told of once', () => {
  const { writer, reader } = setUp();
  const from = reader.position();
  for (const address of [0x1000, 0x1000, 0x1004, 0x1000, 0x1000]) writer.append(address, 4);
  const { found, next } = read(reader, from);
  expect(found.map(([address]) => address)).toEqual([0x1000, 0x1004, 0x1000]);
  writer.append(0x1000, 4);
  expect(read(reader, next).found).toEqual([[0x1000, 4]]);
});

test('as many as there is room for are remembered', () => {
  const { writer, reader } = setUp();
  const from = reader.position();
  for (let i = 0; i < ENTRIES; i++) writer.append(i, 1);
  expect(read(reader, from).found.map(([address]) => address)).toEqual(
    Array.from({ length: ENTRIES }, (_, i) => i),
  );
});

test('with more than that, the pages written since are read of as wholes, and no others', () => {
  const { writer, reader } = setUp();
  const [before, once, often, never] = [1, 2, 0xf_ffff, 4] as const;
  writer.append(before * 4096, 4);
  for (let i = 1; i < ENTRIES; i++) writer.append(0, 1);
  const from = reader.position();
  writer.append(once * 4096 + 8, 4);
  for (let i = 0; i < ENTRIES; i++) writer.append(often * 4096 + 16, 1);
  const { found, next } = read(reader, from, [before, once, often, never]);
  expect(found).toEqual([
    [once * 4096, 4096],
    [often * 4096, 4096],
  ]);
  writer.append(7, 3);
  expect(read(reader, next, [before, once, often, never]).found).toEqual([[7, 3]]);
});

test('a reader that has slept for more than 2^32 writes is told as well', () => {
  const { writer, reader, head } = setUp();
  const from = reader.position();
  // As if as many had been logged.
  head[1] = 1;
  writer.append(0x3000, 2);
  expect(reader.position()).toBe(2 ** 32 + 1);
  expect(read(reader, from, [2, 3]).found).toEqual([[0x3000, 4096]]);
});

test('counts go on beyond 32 bits', () => {
  const { writer, reader, head } = setUp();
  head[0] = 0xffff_fffe;
  const from = reader.position();
  for (let i = 0; i < 4; i++) writer.append(i, 1);
  expect(read(reader, from)).toEqual({
    found: [0, 1, 2, 3].map((address) => [address, 1]),
    next: 2 ** 32 + 2,
  });
});
