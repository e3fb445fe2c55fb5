import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { KeptTier0 } from './kept-tier0.ts';

let folder: string;
beforeEach(() => (folder = mkdtempSync(path.join(tmpdir(), 'guesthouse-tier0-'))));
afterEach(() => rmSync(folder, { recursive: true }));

/** The smallest module. */
const bytes = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
const SMALL = { bytes, handlers: 3, complex: ['cpuid', 'hlt'] };

test('what one process keeps, the next has', () => {
  const within = path.join(folder, 'new');
  expect(new KeptTier0(within).load()).toBeUndefined();
  new KeptTier0(within).save(SMALL);
  const { module, handlers, complex } = new KeptTier0(within).load()!;
  expect(module).toBeInstanceOf(WebAssembly.Module);
  expect([handlers, complex]).toEqual([3, ['cpuid', 'hlt']]);
});

test('nothing is kept where Node keeps nothing', () => {
  const none = new KeptTier0(undefined);
  none.save(SMALL);
  expect(none.load()).toBeUndefined();
});

test('what is damaged is not used, and is made good', () => {
  new KeptTier0(folder).save(SMALL);
  const file = path.join(folder, readdirSync(folder)[0]!);
  const whole = readFileSync(file);
  const changed = Uint8Array.from(whole);
  changed[whole.length - 1]! ^= 1;
  for (const damaged of [changed, whole.subarray(0, -1), whole.subarray(0, 20), new Uint8Array()]) {
    writeFileSync(file, damaged);
    expect(new KeptTier0(folder).load()).toBeUndefined();
  }
  new KeptTier0(folder).save(SMALL);
  expect(readFileSync(file)).toEqual(whole);
});

test('files of other states of the engine are kept for a while, and nothing else is touched', () => {
  const others = Array.from({ length: 6 }, (_, i) => `tier0-${String(i).repeat(64)}`);
  for (const [i, name] of [...others, 'tier0-mine'].entries()) {
    writeFileSync(path.join(folder, name), '');
    utimesSync(path.join(folder, name), i, i);
  }
  new KeptTier0(folder).save(SMALL);
  const left = readdirSync(folder);
  expect(left).toHaveLength(5);
  expect(left).toEqual(expect.arrayContaining(['tier0-mine', ...others.slice(3)]));
});

test('a folder that cannot be written costs nothing but time', () => {
  const file = path.join(folder, 'file');
  writeFileSync(file, '');
  const kept = new KeptTier0(path.join(file, 'code'));
  expect(() => kept.save(SMALL)).not.toThrow();
  expect(kept.load()).toBeUndefined();
});
