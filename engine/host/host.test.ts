import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { parseMachineConfig } from '../api/config.ts';
import { ByteRing } from '../backend/byte-ring.ts';
import { GuesthouseError } from '../base/errors.ts';
import { Arena } from '../memory/layout.ts';
import { type BootFile, readBootFile } from '../backend/boot-file.ts';
import { openImages } from './images.ts';
import { fileSink, OutputPump } from './output.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'guesthouse-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string, contents: string): string => {
  const full = path.join(folder, name);
  writeFileSync(full, contents);
  return full;
};

const ring = () => new ByteRing(new Arena(new SharedArrayBuffer(4096), 0, 4096), 1024);
const bytes = (text: string) => new TextEncoder().encode(text);

function complaint(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    if (error instanceof GuesthouseError) return `${error.code}: ${error.line}`;
    throw error;
  }
  return '';
}

test('images are read whole whenever that is wanted, also when they lie elsewhere by then', () => {
  const config = parseMachineConfig({
    kernel: file('kernel', 'the kernel'),
    initrd: file('initrd', 'the initrd'),
    modules: [file('module', 'the module')],
    append: 'quiet',
  });
  const { images, close } = openImages(config);
  rmSync(config.initrd!);
  const textOf = (of: BootFile | null): string => new TextDecoder().decode(readBootFile(of!).slice());
  expect(textOf(images.kernel)).toBe('the kernel');
  expect(textOf(images.initrd)).toBe('the initrd');
  expect(textOf(images.modules[0])).toBe('the module');
  expect(images).toMatchObject({ firmware: null, commandLine: 'quiet' });
  truncateSync(config.kernel!, 3);
  expect(complaint(() => textOf(images.kernel))).toMatch(
    /^file: cannot read kernel .*: it has become shorter$/,
  );
  close();
});

test('files that cannot be read are told by name, with the reason', () => {
  const read = (kernel: string) => complaint(() => openImages(parseMachineConfig({ kernel })));
  expect(read(path.join(folder, 'none'))).toMatch(
    /^file: cannot read kernel .*none: no such file or directory$/,
  );
  expect(read(folder)).toMatch(/not a regular file$/);
  expect(read(file('nothing', ''))).toMatch(/it is empty$/);
});

test('everything in the ring is written before the end', async () => {
  const target = path.join(folder, 'output');
  const from = ring();
  const pump = new OutputPump(from, fileSink(target), () => {});
  pump.start();
  let expected = '';
  for (let i = 0; i < 500; i++) {
    const line = `line ${i}\n`;
    for (let rest = bytes(line); rest.length > 0; rest = rest.subarray(from.write(rest))) {
      if (from.writable === 0) await from.waitWritableAsync(1000);
    }
    expected += line;
  }
  await pump.finish();
  expect(readFileSync(target, 'utf8')).toBe(expected);
});

test('a sink that fails is told once, and what follows is dropped', async () => {
  const from = ring();
  const failures: unknown[] = [];
  const sink = { write: () => Promise.reject(new Error('no space')), close: () => {} };
  const pump = new OutputPump(from, sink, (error) => failures.push(error));
  pump.start();
  for (let i = 0; i < 5; i++) {
    from.write(bytes('x'.repeat(1000)));
    await from.waitWritableAsync(1000);
  }
  await pump.finish();
  expect(failures).toHaveLength(1);
  expect(from.readable).toBe(0);
});

test('a file in no folder is an error', () => {
  expect(complaint(() => fileSink(path.join(folder, 'none', 'file')))).toMatch(/^file: cannot write/);
});
