import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { assemble } from './assemble.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'guesthouse-assemble-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('who reads an image while it is made again has it whole', () => {
  const source = path.join(folder, `${path.basename(folder)}.asm`);
  writeFileSync(source, 'db "first"\n');
  const image = assemble(source);
  const file = openSync(image, 'r');
  writeFileSync(source, 'db "second"\n');
  expect(readFileSync(assemble(source), 'latin1')).toBe('second');
  expect(readFileSync(file, 'latin1')).toBe('first');
  closeSync(file);
  rmSync(image);
});
