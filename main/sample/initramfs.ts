/**
 * The sample guest's root file system: BusyBox and what it needs to give a shell on the console.
 */
import { cpio } from './cpio.ts';

/** First program of the guest: makes the usual mounts, then leaves process 1 to BusyBox's init, which takes
 * `poweroff` and `reboot` and starts the shell anew when it ends. */
const INIT = `#!/bin/busybox sh
busybox=/bin/busybox
$busybox mount -t proc proc /proc
$busybox mount -t sysfs sysfs /sys
$busybox mount -t devtmpfs devtmpfs /dev
$busybox mkdir -p /dev/pts
$busybox mount -t devpts devpts /dev/pts
$busybox mount -t tmpfs tmpfs /tmp
$busybox --install -s

hostname guesthouse

# The kernel lists its consoles; the last is the one behind /dev/console. A shell there, and not on
# /dev/console itself, has a controlling terminal, so Ctrl-C works.
read -r consoles </sys/class/tty/console/active
console=\${consoles##* }
cat >/etc/inittab <<EOF
$console::respawn:-/bin/sh
::ctrlaltdel:/sbin/reboot
EOF

echo
echo "Welcome to the sample guest: Linux $(uname -r) on $(nproc) CPU(s), $(free -m | awk '/^Mem/ { print $2 }') MiB."
echo "poweroff ends it, reboot starts it anew."
exec /sbin/init
`;

/** Read by the login shell. */
const PROFILE = `export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=vt102
PS1='guesthouse:$PWD# '
`;

/** Raised whenever what {@link initramfs} makes of the same BusyBox changes. */
export const RECIPE = 1;

/**
 * Makes the initial RAM file system, an uncompressed cpio archive: the guest unpacks it quicker than it
 * would inflate it.
 *
 * @param busybox a statically linked BusyBox for x86-64, with its applets mount, sh and init
 */
export function initramfs(busybox: Uint8Array): Uint8Array<ArrayBuffer> {
  const directories = [
    'bin',
    'sbin',
    'usr',
    'usr/bin',
    'usr/sbin',
    'etc',
    'dev',
    'proc',
    'sys',
    'tmp',
    'root',
  ];
  return cpio([
    ...directories.map((path) => ({ type: 'directory', path }) as const),
    // Opened by the kernel for process 1, before anything is mounted.
    { type: 'character-device', path: 'dev/console', major: 5, minor: 1 },
    { type: 'file', path: 'bin/busybox', mode: 0o755, data: busybox },
    { type: 'symlink', path: 'bin/sh', target: 'busybox' },
    { type: 'file', path: 'etc/profile', data: PROFILE },
    { type: 'file', path: 'init', mode: 0o755, data: INIT },
  ]);
}
