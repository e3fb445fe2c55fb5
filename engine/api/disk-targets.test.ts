import { expect, test } from 'vitest';
import { diskTargets, ideDrives } from './disk-targets.ts';

test('disks are named by their place on their bus', () => {
  expect(
    diskTargets([
      { device: 'cdrom' },
      { device: 'disk' },
      { device: 'disk', bus: 'ide' },
      { device: 'disk', bus: 'virtio' },
      { device: 'cdrom', bus: 'ide' },
    ]),
  ).toEqual(['hdc', 'vda', 'hda', 'vdb', 'hdd']);
});

test('hard disks take the first drives, however late they come', () => {
  const ide = { device: 'disk', bus: 'ide' } as const;
  expect(diskTargets([{ device: 'cdrom' }, ide, ide, ide])).toEqual(['hdd', 'hda', 'hdb', 'hdc']);
  expect(() => diskTargets([ide, ide, ide, ide, ide])).toThrow('more than 4');
});

test('hard disks are the first IDE drives, CD-ROMs begin on the second channel', () => {
  const disk = { device: 'disk', bus: 'ide' } as const;
  const cdrom = { device: 'cdrom', bus: 'ide' } as const;
  expect(ideDrives([])).toEqual([undefined, undefined, undefined, undefined]);
  expect(ideDrives([cdrom, disk])).toEqual([1, undefined, 0, undefined]);
  expect(ideDrives([{ device: 'disk' }, disk, disk, disk, cdrom])).toEqual([1, 2, 3, 4]);
  expect(() => ideDrives([disk, disk, disk, disk, cdrom])).toThrow(RangeError);
});
