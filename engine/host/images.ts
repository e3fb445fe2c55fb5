/** The files a machine boots from. */
import type { MachineConfig } from '../api/config.ts';
import { closeBootFile, openBootFile, readBootFile, type BootFile } from '../backend/boot-file.ts';
import { GuesthouseError } from '../base/errors.ts';
import type { BootImages } from '../machine/boot-images.ts';
import { findFirmware } from './firmware-files.ts';

/** What a machine boots from; closed when the machine has ended. */
export interface OpenImages {
  readonly images: BootImages;
  close(): void;
}

/**
 * Opens the files that a configuration names.
 *
 * @throws GuesthouseError `file` where one is missing, unreadable, empty or too large
 */
export function openImages(config: MachineConfig): OpenImages {
  const opened: BootFile[] = [];
  const open = (what: string, path: string): BootFile => {
    const file = openBootFile(what, path);
    opened.push(file);
    return file;
  };
  const close = (): void => opened.splice(0).forEach(closeBootFile);
  const firmware = config.firmware ?? (config.kernel === undefined ? findFirmware('bios') : undefined);
  try {
    const images = {
      kernel: config.kernel === undefined ? null : open('kernel', config.kernel),
      initrd: config.initrd === undefined ? null : open('initrd', config.initrd),
      modules: config.modules.map((path) => open('module', path)),
      firmware: firmware === undefined ? null : readShared('firmware', firmware),
      commandLine: config.append ?? '',
    };
    return { images, close };
  } catch (error) {
    close();
    throw error;
  }
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
  const file = openBootFile(what, path);
  try {
    return readBootFile(file);
  } finally {
    closeBootFile(file);
  }
}
