/**
 * What a machine's disks are called and where they are: `hda` is the first drive of the first IDE channel, `sda` the
 * one on the first SATA port, `vda` the first virtio disk, as libvirt and the guests of its time name them. A name follows from a disk's place in the
 * configuration; it is not stored.
 */
import type { DiskConfig } from './config.ts';

/** As far as a disk's place follows from it. */
export interface PlacedDisk {
  readonly bus?: DiskConfig['bus'];
  readonly device: DiskConfig['device'];
}

/** Drives of the IDE controller: two on each of two channels. */
export const MOST_IDE_DRIVES = 4;

/** The bus of a disk, also where it is left open. */
export function busOf({ bus, device }: Pick<DiskConfig, 'bus' | 'device'>): NonNullable<DiskConfig['bus']> {
  return bus ?? (device === 'cdrom' ? 'ide' : 'virtio');
}

/** What the names of a bus's disks begin with. */
export const TARGET_PREFIXES = { ide: 'hd', sata: 'sd', virtio: 'vd' } as const satisfies Record<
  NonNullable<DiskConfig['bus']>,
  string
>;

/** Which drives of the IDE controller the disks are, in the order of the configuration: hard disks from the first
 * on, CD-ROMs from the second channel's first on.
 * @returns for each drive the number of its disk
 * @throws RangeError where there are more than fit */
export function ideDrives(disks: readonly PlacedDisk[]): Array<number | undefined> {
  const drives: Array<number | undefined> = Array.from({ length: MOST_IDE_DRIVES }, () => undefined);
  const place = (disk: number, order: readonly number[]) => {
    const drive = order.find((each) => drives[each] === undefined);
    if (drive === undefined) throw new RangeError(`more than ${MOST_IDE_DRIVES} IDE drives`);
    drives[drive] = disk;
  };
  for (const kind of ['disk', 'cdrom'] as const) {
    for (const [i, disk] of disks.entries()) {
      if (busOf(disk) === 'ide' && disk.device === kind)
        place(i, kind === 'disk' ? [0, 1, 2, 3] : [2, 3, 1, 0]);
    }
  }
  return drives;
}

/**
 * The name of each disk.
 *
 * @throws RangeError where there are more on a bus than fit
 */
export function diskTargets(disks: readonly PlacedDisk[]): string[] {
  const drives = ideDrives(disks);
  const counts = new Map<string, number>();
  return disks.map((disk, i) => {
    const bus = busOf(disk);
    const count = counts.get(bus) ?? 0;
    counts.set(bus, count + 1);
    const at = bus === 'ide' ? drives.indexOf(i) : count;
    return `${TARGET_PREFIXES[bus]}${String.fromCharCode('a'.charCodeAt(0) + at)}`;
  });
}
