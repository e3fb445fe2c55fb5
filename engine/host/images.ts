/**
 * The files a machine boots from, read once into memory that every thread can be handed.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { MachineConfig } from '../api/config.ts';
import { GuesthouseError } from '../base/errors.ts';
import type { BootImages } from '../machine/boot-images.ts';
import { findFirmware } from './firmware-files.ts';
import { reasonOf } from './output.ts';

/** Largest file taken: nothing larger fits into a guest. */
const MOST_BYTES = 4 * 2 ** 30;

/**
 * Reads the files that a configuration names.
 *
 * @throws GuesthouseError `file` where one is missing, unreadable, empty or too large
 */
export function readImages(config: MachineConfig): BootImages {
  const firmware = config.firmware ?? (config.kernel === undefined ? findFirmware('bios') : undefined);
  return {
    kernel: config.kernel === undefined ? null : readShared('kernel', config.kernel),
    initrd: config.initrd === undefined ? null : readShared('initrd', config.initrd),
    modules: config.modules.map((path) => readShared('module', path)),
    firmware: firmware === undefined ? null : readShared('firmware', firmware),
    commandLine: config.append ?? '',
  };
}

/** Whether a machine has a display adapter: what its firmware writes to, or somebody wants to see. */
export function hasDisplayAdapter(config: MachineConfig): boolean {
  return config.kernel === undefined || config.display.kind !== 'none';
}

/**
 * The display adapter's firmware. A machine whose firmware is of its own, or that has none, does without it where it
 * is not to be found.
 *
 * @throws GuesthouseError `file` where SeaBIOS needs it and it is missing or cannot be read
 */
export function readVgaBios(config: MachineConfig): Uint8Array | null {
  try {
    return readShared('VGA BIOS', findFirmware('vgaBios'));
  } catch (error) {
    if (config.kernel === undefined && config.firmware === undefined) throw error;
    return null;
  }
}

/** The display's password; undefined where it has none.
 * @throws GuesthouseError `file` where its file cannot be read, `config` where it is empty */
export function readPassword({ display }: MachineConfig): string | undefined {
  if (display.kind === 'none' || display.passwordFile === undefined) return undefined;
  const text = Buffer.from(readShared('password file', display.passwordFile)).toString('utf8');
  const [password] = text.split(/\r?\n/, 1);
  if (password !== '') return password;
  throw new GuesthouseError(
    'config',
    `the first line of ${display.passwordFile} is empty`,
    'write a password there',
  );
}

function readShared(what: string, path: string): Uint8Array {
  const wrong = (reason: string, cause?: unknown) =>
    new GuesthouseError('file', `cannot read ${what} ${path}: ${reason}`, undefined, { cause });
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (error) {
    throw wrong(reasonOf(error), error);
  }
  try {
    const status = fstatSync(descriptor);
    if (!status.isFile()) throw wrong('not a regular file');
    if (status.size === 0) throw wrong('it is empty');
    if (status.size > MOST_BYTES) throw wrong('it is larger than any guest');
    const bytes = new Uint8Array(new SharedArrayBuffer(status.size));
    for (let at = 0; at < bytes.length;) {
      const count = readSync(descriptor, bytes, at, bytes.length - at, at);
      if (count === 0) throw wrong('it became shorter while it was read');
      at += count;
    }
    return bytes;
  } catch (error) {
    throw error instanceof GuesthouseError ? error : wrong(reasonOf(error), error);
  } finally {
    closeSync(descriptor);
  }
}
