/** Discs that ISOLINUX boots from. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const LOADER = '/usr/lib/ISOLINUX';
/** Where the distribution has the loader's modules. */
export const SYSLINUX_MODULES = '/usr/lib/syslinux/modules/bios';

/**
 * Makes a disc of a folder, with the loader put there.
 *
 * @param tree what is on the disc, with the loader's configuration
 * @param folder where that is in it, and the loader goes: relative, as it is written in an ISO image
 * @param image the disc, which is written over
 * @param options more for mkisofs
 * @throws Error where a file or a program is missing
 */
export function makeIsolinuxDisc(
  tree: string,
  folder: string,
  image: string,
  options: readonly string[] = [],
): void {
  copyFileSync(path.join(LOADER, 'isolinux.bin'), path.join(tree, folder, 'isolinux.bin'));
  copyFileSync(path.join(SYSLINUX_MODULES, 'ldlinux.c32'), path.join(tree, folder, 'ldlinux.c32'));
  const record = ['-b', path.join(folder, 'isolinux.bin'), '-c', path.join(folder, 'boot.cat')];
  const boot = [...record, '-no-emul-boot', '-boot-load-size', '4', '-boot-info-table'];
  execFileSync('xorriso', ['-as', 'mkisofs', '-quiet', ...boot, ...options, '-o', image, tree], {
    stdio: 'pipe',
  });
}

/**
 * Makes a disc, and hard disk too as distributions make them, whose loader boots its one entry without asking, and says
 * so on the first serial port.
 *
 * @param folder where the disc and what is on it are put
 * @param config the entry's lines
 * @param files from where they are to their names on the disc
 * @returns the disc's path
 */
export function makeEntryDisc(
  folder: string,
  name: string,
  config: string,
  files: Readonly<Record<string, string>>,
): string {
  const tree = path.join(folder, name);
  const boot = path.join(tree, 'isolinux');
  const image = path.join(folder, `${name}.iso`);
  mkdirSync(boot, { recursive: true });
  for (const [from, to] of Object.entries(files)) copyFileSync(from, path.join(boot, to));
  writeFileSync(path.join(boot, 'isolinux.cfg'), `SERIAL 0 115200\nDEFAULT it\nLABEL it\n${config}`);
  makeIsolinuxDisc(tree, 'isolinux', image, ['-isohybrid-mbr', path.join(LOADER, 'isohdpfx.bin')]);
  return image;
}
