/**
 * Makes a hard disk with Debian on it, of the distribution's own packages: the stock kernel, systemd, and GRUB in
 * the boot sector. Neither root nor loop devices are needed.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, cpSync, existsSync, ftruncateSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { CACHE } from '../guest/assemble.ts';

const FOLDER = path.join(CACHE, 'debian');
const SUITE = 'bookworm';

/** What a server has, no more: the rest comes as these packages depend on it. */
const PACKAGES = [
  'linux-image-amd64', 'systemd-sysv', 'dbus', 'udev', 'initramfs-tools', 'login', 'passwd', 'e2fsprogs', 'iproute2', 'kmod',
]; // prettier-ignore

export const PASSWORD = 'guest';
export const HOST_NAME = 'debian';

const SECTOR = 512;
const DISK_BYTES = 1536 * 2 ** 20;
/** The one partition: it begins where partitioning tools have it, and leaves room for GRUB's core. */
const PARTITION = 2048 * SECTOR;
/** Bytes of the first sector before the partition table. */
const BOOT_CODE = 440;
const PARTITION_TABLE = 446;

const GRUB = '/usr/lib/grub/i386-pc';

const GRUB_CONFIG = `serial --unit=0 --speed=115200
terminal_input serial console
terminal_output serial console
set timeout=0
menuentry 'Debian GNU/Linux' {
  linux /vmlinuz root=LABEL=root ro console=tty0 console=ttyS0,115200
  initrd /initrd.img
}
`;

/**
 * Makes the disk, or finds the one made before.
 *
 * @returns path of a raw image, not to be written
 * @throws Error where a tool is missing or fails
 */
export function debianDisk(): string {
  const disk = path.join(FOLDER, 'disk.raw');
  if (existsSync(disk)) return disk;
  mkdirSync(FOLDER, { recursive: true });
  const part = `${disk}.part`;
  makeRoot(part);
  installGrub(part);
  renameSync(part, disk);
  return disk;
}

/** Where this system has its own packages of the suite from. @throws Error where it has none of that suite */
function mirror(): string {
  const options = ['indextargets', '--format', '$(SITE) $(RELEASE)', 'Created-By: Packages'];
  const lines = execFileSync('apt-get', options, { encoding: 'utf8' }).split('\n');
  const [site] = lines.find((line) => line.endsWith(` ${SUITE}`))?.split(' ') ?? [];
  if (site === undefined) throw new Error(`apt has no source of ${SUITE}: add one to its sources`);
  return site;
}

/** The partition's file system, in an image as large as the disk. */
function makeRoot(disk: string): void {
  const archive = path.join(FOLDER, 'root.tar');
  if (!existsSync(archive)) {
    run('mmdebstrap', [
      '--variant=minbase',
      '--format=tar',
      `--include=${PACKAGES.join(',')}`,
      `--customize-hook=echo root:${PASSWORD} | chroot "$1" chpasswd`,
      `--customize-hook=echo ${HOST_NAME} > "$1/etc/hostname"`,
      SUITE,
      `${archive}.part`,
      `deb ${mirror()} ${SUITE} main`,
    ]);
    renameSync(`${archive}.part`, archive);
  }
  const boot = path.join(FOLDER, 'boot');
  rmSync(boot, { recursive: true, force: true });
  mkdirSync(path.join(boot, 'boot', 'grub'), { recursive: true });
  cpSync(GRUB, path.join(boot, 'boot', 'grub', 'i386-pc'), { recursive: true });
  writeFileSync(path.join(boot, 'boot', 'grub', 'grub.cfg'), GRUB_CONFIG);
  // A host that has much else to do may not come to the console's device in a minute and a half.
  const manager = path.join(boot, 'etc', 'systemd', 'system.conf.d');
  mkdirSync(manager, { recursive: true });
  writeFileSync(path.join(manager, 'patience.conf'), '[Manager]\nDefaultDeviceTimeoutSec=600\n');
  writeFileSync(path.join(boot, 'etc', 'fstab'), 'LABEL=root / ext4 errors=remount-ro 0 1\n');
  // As the archive has it, owners and all: device files are the running system's own.
  const tree = path.join(FOLDER, 'tree');
  rmSync(tree, { recursive: true, force: true });
  mkdirSync(tree);
  rmSync(disk, { force: true });
  const blocks = String((DISK_BYTES - PARTITION) / 1024);
  run('fakeroot', [
    'sh',
    '-ec',
    'tar -xf "$1" -C "$2" --exclude="./dev/*"; cp -r "$3"/. "$2"; ' +
      'mke2fs -q -t ext4 -L root -d "$2" -E "offset=$5" "$4" "$6"',
    'sh',
    archive,
    tree,
    boot,
    disk,
    String(PARTITION),
    blocks,
  ]);
  rmSync(tree, { recursive: true, force: true });
  rmSync(boot, { recursive: true, force: true });
}

/**
 * GRUB's boot code and, behind it, its core, which finds its modules in the partition; and the partition table.
 * The core's first sector knows how many follow it (GRUB manual, 3.4 "BIOS installation").
 */
function installGrub(disk: string): void {
  const core = path.join(FOLDER, 'core.img');
  run('grub-mkimage', [
    '--format=i386-pc',
    '--prefix=(hd0,msdos1)/boot/grub',
    `--output=${core}`,
    'biosdisk',
    'part_msdos',
    'ext2',
  ]);
  const coreBytes = readFileSync(core);
  if (coreBytes.length > PARTITION - SECTOR) throw new Error('GRUB does not fit before the partition');
  const first = new Uint8Array(SECTOR);
  first.set(readFileSync(path.join(GRUB, 'boot.img')).subarray(0, BOOT_CODE));
  const view = new DataView(first.buffer);
  view.setUint8(PARTITION_TABLE, 0x80); // active
  view.setUint8(PARTITION_TABLE + 4, 0x83); // Linux
  view.setUint32(PARTITION_TABLE + 8, PARTITION / SECTOR, true);
  view.setUint32(PARTITION_TABLE + 12, (DISK_BYTES - PARTITION) / SECTOR, true);
  view.setUint16(SECTOR - 2, 0xaa55, true);
  const file = openSync(disk, 'r+');
  try {
    ftruncateSync(file, DISK_BYTES);
    writeSync(file, first, 0, SECTOR, 0);
    writeSync(file, coreBytes, 0, coreBytes.length, SECTOR);
  } finally {
    closeSync(file);
  }
  rmSync(core);
}

function run(program: string, args: readonly string[]): void {
  const environment = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
  execFileSync(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: environment });
}
