/** Discs that ISOLINUX boots from, and hard disks too, as distributions make them. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const LOADER = '/usr/lib/ISOLINUX';
/** Where the distribution has the loader's modules. */
export const SYSLINUX_MODULES = '/usr/lib/syslinux/modules/bios';

/**
 * Makes a disc whose loader boots its one entry without asking, and says so on the first serial port.
 *
 * @param folder where the disc and what is on it are put
 * @param config the entry's lines
 * @param files from where they are to their names on the disc
 * @returns the disc's path
 */
export function makeIsolinuxDisc(
  folder: string,
  name: string,
  config: string,
  files: Readonly<Record<string, string>>,
): string {
  const tree = path.join(folder, name);
  const boot = path.join(tree, 'isolinux');
  const image = path.join(folder, `${name}.iso`);
  mkdirSync(boot, { recursive: true });
  copyFileSync(path.join(LOADER, 'isolinux.bin'), path.join(boot, 'isolinux.bin'));
  copyFileSync(path.join(SYSLINUX_MODULES, 'ldlinux.c32'), path.join(boot, 'ldlinux.c32'));
  for (const [from, to] of Object.entries(files)) copyFileSync(from, path.join(boot, to));
  writeFileSync(path.join(boot, 'isolinux.cfg'), `SERIAL 0 115200\nDEFAULT it\nLABEL it\n${config}`);
  const record = ['-b', 'isolinux/isolinux.bin', '-c', 'isolinux/boot.cat', '-no-emul-boot'];
  const hybrid = ['-isohybrid-mbr', path.join(LOADER, 'isohdpfx.bin')];
  const options = [...record, '-boot-load-size', '4', '-boot-info-table', ...hybrid, '-o', image];
  execFileSync('xorriso', ['-as', 'mkisofs', '-quiet', ...options, tree], { stdio: 'pipe' });
  return image;
}
