/**
 * Discs with Debian's installer, from the images that the packages debian-installer-*-netboot-* hold for booting from a
 * network: with their own boot menu, and so the kernel command lines that they come with. The menu waits for a key, as
 * long as it takes to read it: by themselves they start another installer, which speaks, after half a minute.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'; // prettier-ignore
import { tmpdir } from 'node:os';
import path from 'node:path';
import { makeIsolinuxDisc } from '../guest/isolinux-disc.ts';

/** Where the images' own configuration looks for them. */
const INSIDE = 'debian-installer/amd64';

/**
 * Makes a disc.
 *
 * @param images folder with `linux`, `initrd.gz` and `boot-screens`, `…/debian-installer/amd64` in the packages
 * @param file the disc, replaced whole
 * @throws Error where a file or a program is missing
 */
export function makeInstallerDisc(images: string, file: string): void {
  const tree = mkdtempSync(path.join(tmpdir(), 'guesthouse-installer-'));
  try {
    const inside = path.join(tree, INSIDE);
    mkdirSync(inside, { recursive: true });
    for (const name of ['linux', 'initrd.gz']) copyFileSync(path.join(images, name), path.join(inside, name));
    cpSync(path.join(images, 'boot-screens'), path.join(inside, 'boot-screens'), { recursive: true });
    removeCountdown(path.join(inside, 'boot-screens'));
    copyFileSync(path.join(images, 'boot-screens', 'syslinux.cfg'), path.join(tree, 'isolinux.cfg'));
    const part = `${file}.part`;
    rmSync(part, { force: true });
    makeIsolinuxDisc(tree, '', part, ['-V', 'Debian 12 amd64 n']);
    renameSync(part, file);
  } finally {
    rmSync(tree, { recursive: true });
  }
}

/** Has no configuration in a folder start anything unless a key is pressed. */
function removeCountdown(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (!name.endsWith('.cfg')) continue;
    const file = path.join(folder, name);
    const lines = readFileSync(file, 'utf8').split('\n');
    writeFileSync(file, lines.filter((line) => !/^(?:timeout +[1-9]|ontimeout )/.test(line)).join('\n'));
  }
}

/** MiB that an installer needs: with less it begins with another dialog, about that. */
export const MEMORY = 1024;

/** The installer's first two dialogs, and its boot menu, as they are read on the screen. */
export const DIALOGS = {
  menu: /debian/i,
  language: /Select a language/i,
  location: /Select your location/i,
} as const;

/** What can be read in a picture, by `tesseract`.
 * @param picture a PNG file */
export function readPicture(picture: string): string {
  // Page segmentation mode 11: sparse text in no particular order.
  return execFileSync('tesseract', [picture, '-', '--psm', '11'], { encoding: 'utf8', stdio: 'pipe' });
}
