/**
 * Where the firmware that travels with the program is: fetched into resources/firmware, or installed by the
 * distribution.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { GuesthouseError } from '../base/errors.ts';

/** Firmware by what it is for, with the names it has here and in the distribution's package. */
const FILES = {
  bios: { what: 'SeaBIOS', names: ['seabios.bin', 'bios-256k.bin'] },
  vgaBios: { what: 'the VGA BIOS', names: ['vgabios-stdvga.bin'] },
} as const;

export type FirmwareName = keyof typeof FILES;

/** Folders that are looked through, in this order. */
const FOLDERS = [
  fileURLToPath(new URL('../../resources/firmware/', import.meta.url)),
  '/usr/share/seabios',
  '/usr/share/qemu',
];

/**
 * The path of a firmware image.
 *
 * @param folders to look through; for tests
 * @throws GuesthouseError `file` where it is nowhere, with what to do
 */
export function findFirmware(name: FirmwareName, folders: readonly string[] = FOLDERS): string {
  const { what, names } = FILES[name];
  for (const folder of folders) {
    for (const file of names) if (existsSync(path.join(folder, file))) return path.join(folder, file);
  }
  throw new GuesthouseError(
    'file',
    `${what} is not here, which a machine without a kernel starts with`,
    'run: npm run firmware (or install the package seabios, or give --firmware)',
  );
}
