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

for module in /lib/modules/*.ko; do
  [ -f "$module" ] && $busybox insmod "$module"
done

# Drivers take a moment to load: only where there is something for them (PCI class 1 is mass storage, 9 input,
# 0c03 USB).
present() { $busybox grep -q "^0x$1" /sys/bus/pci/devices/*/class; }
load() {
  for module in /lib/modules/$1/*.ko; do
    [ -f "$module" ] && $busybox insmod "$module" 2>/dev/null
  done
}
present '0[19]' && load virtio
present 01 && load storage
present 09 && load input
present 0c03 && load usb

hostname guesthouse

# The kernel lists its consoles; the last is the one behind /dev/console. A shell there, and not on
# /dev/console itself, has a controlling terminal, so Ctrl-C works.
read -r consoles </sys/class/tty/console/active
console=\${consoles##* }
cat >/etc/inittab <<EOF
$console::respawn:-/bin/sh
::once:/etc/power-button
::ctrlaltdel:/sbin/reboot
EOF

echo
echo "Welcome to the sample guest: Linux $(uname -r) on $(nproc) CPU(s), $(free -m | awk '/^Mem/ { print $2 }') MiB."
echo "poweroff ends it, reboot starts it anew."
exec /sbin/init
`;

/** Powers off when the power button is pressed: one event of its input device is enough (Linux,
 * Documentation/input/input.rst, 5 "Event interface": 24 bytes). Without the drivers there is no such device. */
const POWER_BUTTON = `#!/bin/sh
for event in /sys/class/input/event*; do
  [ "$(cat "$event/device/name" 2>/dev/null)" = "Power Button" ] || continue
  dd if="/dev/input/\${event##*/}" of=/dev/null bs=24 count=1 2>/dev/null && exec poweroff
done
`;

/** Drivers that {@link POWER_BUTTON} stands on, in the order they need each other, by the names of their
 * modules. A kernel may have them built in. */
const DRIVERS = ['evdev', 'button'] as const;

/** What virtio devices on the PCI bus stand on, likewise. */
const VIRTIO_DRIVERS = [
  'virtio_ring',
  'virtio',
  'virtio_pci_legacy_dev',
  'virtio_pci_modern_dev',
  'virtio_pci',
] as const;

/** Drivers of pointers. */
const INPUT_DRIVERS = ['virtio_input'] as const;

/** Drivers of a USB controller and of pointers on it: those of devices first, so that they are there when devices are
 * found. */
const USB_DRIVERS = [
  'usb-common',
  'usbcore',
  'hid',
  'hid-generic',
  'usbhid',
  'xhci-hcd',
  'xhci-pci',
] as const;

/** Drivers of disks, likewise: virtio-blk, IDE, AHCI, disks and CD-ROMs on these, and a CD-ROM's file system. */
const STORAGE_DRIVERS = [
  'virtio_blk',
  'scsi_common',
  'scsi_mod',
  'libata',
  'ata_piix',
  'libahci',
  'ahci',
  'crct10dif_common',
  'crc-t10dif',
  'crc64',
  'crc64-rocksoft',
  't10-pi',
  'sd_mod',
  'cdrom',
  'sr_mod',
  'isofs',
] as const;

/** All drivers that the guest has, where its kernel has them as modules. */
export const MODULES = [
  ...DRIVERS,
  ...VIRTIO_DRIVERS,
  ...STORAGE_DRIVERS,
  ...INPUT_DRIVERS,
  ...USB_DRIVERS,
] as const;

/** A kernel module, not compressed. */
export interface KernelModule {
  readonly name: (typeof MODULES)[number];
  readonly data: Uint8Array;
}

/** Read by the login shell. */
const PROFILE = `export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=vt102
PS1='guesthouse:$PWD# '
`;

/** Raised whenever what {@link initramfs} makes of the same BusyBox changes. */
export const RECIPE = 6;

/**
 * Makes the initial RAM file system, an uncompressed cpio archive: the guest unpacks it quicker than it
 * would inflate it.
 *
 * @param busybox a statically linked BusyBox for x86-64, with its applets mount, sh and init
 * @param modules those of the kernel that are not built in
 */
export function initramfs(busybox: Uint8Array, modules: readonly KernelModule[]): Uint8Array<ArrayBuffer> {
  const directories = [
    'bin',
    'sbin',
    'usr',
    'usr/bin',
    'usr/sbin',
    'etc',
    'lib',
    'lib/modules',
    'lib/modules/virtio',
    'lib/modules/storage',
    'lib/modules/input',
    'lib/modules/usb',
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
    { type: 'file', path: 'etc/power-button', mode: 0o755, data: POWER_BUTTON },
    ...loaded('lib/modules', DRIVERS, modules),
    ...loaded('lib/modules/virtio', VIRTIO_DRIVERS, modules),
    ...loaded('lib/modules/storage', STORAGE_DRIVERS, modules),
    ...loaded('lib/modules/input', INPUT_DRIVERS, modules),
    ...loaded('lib/modules/usb', USB_DRIVERS, modules),
    { type: 'file', path: 'init', mode: 0o755, data: INIT },
  ]);
}

/** Modules in a directory, under names whose order is that in which they are to be loaded. */
function loaded(directory: string, names: readonly KernelModule['name'][], modules: readonly KernelModule[]) {
  return names.flatMap((name, i) =>
    modules
      .filter((module) => module.name === name)
      .map(({ data }) => {
        const path = `${directory}/${String(i).padStart(2, '0')}-${name}.ko`;
        return { type: 'file', path, data } as const;
      }),
  );
}
