import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { electronProgram } from './electron-program.ts';

let folder: string;
beforeEach(() => (folder = mkdtempSync(path.join(tmpdir(), 'guesthouse-electron-'))));
afterEach(() => rmSync(folder, { recursive: true }));

test('the program is where its package says, once it has been fetched', () => {
  expect(electronProgram(folder)).toBeUndefined();
  writeFileSync(path.join(folder, 'path.txt'), 'electron\n');
  // The name alone came, as of a download that broke off.
  expect(electronProgram(folder)).toBeUndefined();
  mkdirSync(path.join(folder, 'dist'));
  const program = path.join(folder, 'dist', 'electron');
  writeFileSync(program, '');
  expect(electronProgram(folder)).toBe(program);
});
