import { expect, test } from 'vitest';
import { ConsoleHistory, type HistoryReader } from './console-history.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);
const text = (part: { bytes: Uint8Array } | undefined): string => Buffer.from(part?.bytes ?? []).toString();

/** Reads until the end of the output. */
async function drain(reader: HistoryReader): Promise<string> {
  let all = '';
  for (;;) {
    const part = await reader.read(7);
    if (part === undefined) return all;
    all += text(part);
  }
}

test('a reader gets what was written before it came, and what comes', async () => {
  const history = new ConsoleHistory(64);
  await history.write(bytes('before '));
  const reader = history.reader(0);
  expect(text(await reader.read(100))).toBe('before ');
  const next = reader.read(100);
  await history.write(bytes('after'));
  expect(text(await next)).toBe('after');
  history.close();
  expect(await reader.read(100)).toBeUndefined();
});

test('as much is kept as there is room for, and positions go on', async () => {
  const history = new ConsoleHistory(8);
  await history.write(bytes('0123456789abcdef'));
  expect(history.start).toBe(8);
  expect(history.end).toBe(16);
  const reader = history.reader(3);
  expect(reader.position).toBe(8);
  expect(await reader.read(4)).toEqual({ position: 8, bytes: new Uint8Array(bytes('89ab')) });
  expect(text(await history.reader(14).read(9))).toBe('ef');
  expect(history.reader(99).position).toBe(16);
});

test('nothing is lost to a reader that is slow, and output waits for it', async () => {
  const history = new ConsoleHistory(16);
  const reader = history.reader(0);
  const other = history.reader(0);
  const all = Array.from({ length: 100 }, (_, i) => `line ${i}\n`).join('');
  let written = false;
  const writing = history.write(bytes(all)).then(() => (written = true));
  await new Promise((resolve) => setImmediate(resolve));
  expect(written).toBe(false);
  void writing.then(() => history.close());
  expect(await Promise.all([drain(reader), drain(other)])).toEqual([all, all]);
});

test('a reader that stands still is not waited for, and finds a gap', async () => {
  const history = new ConsoleHistory(8, 20);
  const reader = history.reader(0);
  await history.write(bytes('01234567'));
  await history.write(bytes('89abcdef'));
  expect(await reader.read(3)).toEqual({ position: 8, bytes: new Uint8Array(bytes('89a')) });
});

test('a reader that goes lets the output go on', async () => {
  const history = new ConsoleHistory(4);
  const reader = history.reader(0);
  await history.write(bytes('0123'));
  const writing = history.write(bytes('4567'));
  const reading = history.reader(8).read(1);
  reader.close();
  await writing;
  expect(await reader.read(1)).toBeUndefined();
  history.close();
  await reading;
});
