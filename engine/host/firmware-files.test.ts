import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findFirmware } from './firmware-files.ts';

let folder = '';
beforeEach(() => (folder = mkdtempSync(path.join(tmpdir(), 'guesthouse-firmware-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('firmware is taken from the first folder that has it, under either name', () => {
  writeFileSync(path.join(folder, 'bios-256k.bin'), '');
  expect(findFirmware('bios', ['/nonexistent', folder])).toBe(path.join(folder, 'bios-256k.bin'));
  writeFileSync(path.join(folder, 'seabios.bin'), '');
  expect(findFirmware('bios', [folder])).toBe(path.join(folder, 'seabios.bin'));
});

test('where it is missing, one line says what to do', () => {
  expect(() => findFirmware('vgaBios', [folder])).toThrow(/the VGA BIOS is not here/);
  expect(() => findFirmware('bios', [])).toThrow(expect.objectContaining({ code: 'file' }));
});
