import { expect, test } from 'vitest';
import { Arena } from '../memory/layout.ts';
import { CODE_WRITES_BYTES, CodeWrites, ENTRIES } from './code-writes.ts';

const HEAD = 4;

/** The log as two threads have it. */
function setUp() {
  const buffer = new SharedArrayBuffer(CODE_WRITES_BYTES);
  const attach = () => new CodeWrites(new Arena(buffer, 0, CODE_WRITES_BYTES));
  return { writer: attach(), reader: attach(), head: new Uint32Array(buffer, HEAD, 1) };
}

/** Reads on. @returns what was read, and the new position */
function read(log: CodeWrites, from: number): { found: number[][]; next: number } {
  const found: number[][] = [];
  const next = log.read(from, (address, bytes) => found.push([address, bytes]));
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

test('as many as there is room for are remembered; with one more, the reader learns that some are lost', () => {
  const { writer, reader } = setUp();
  const from = reader.position();
  for (let i = 0; i < ENTRIES; i++) writer.append(i, 1);
  expect(read(reader, from).found.map(([address]) => address)).toEqual(
    Array.from({ length: ENTRIES }, (_, i) => i),
  );
  writer.append(ENTRIES, 1);
  expect(read(reader, from)).toEqual({ found: [], next: -1 });
  const on = reader.position();
  writer.append(7, 3);
  expect(read(reader, on).found).toEqual([[7, 3]]);
});

test('positions wrap around', () => {
  const { writer, reader, head } = setUp();
  head[0] = 0xffff_fffe;
  const from = reader.position();
  for (let i = 0; i < 4; i++) writer.append(i, 1);
  expect(read(reader, from)).toEqual({ found: [0, 1, 2, 3].map((address) => [address, 1]), next: 2 });
});
