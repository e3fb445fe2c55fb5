import { expect, test } from 'vitest';
import { type DiskPlan, ideDrives } from './storage.ts';

const plan = (bus: DiskPlan['bus'], device: DiskPlan['device']): DiskPlan => {
  return { bus, device, bytes: 512, writable: true, serial: '' };
};

test('hard disks are the first IDE drives, CD-ROMs begin on the second channel', () => {
  const disk = plan('ide', 'disk');
  const cdrom = plan('ide', 'cdrom');
  expect(ideDrives([])).toEqual([undefined, undefined, undefined, undefined]);
  expect(ideDrives([cdrom, disk])).toEqual([1, undefined, 0, undefined]);
  expect(ideDrives([plan('virtio', 'disk'), disk, disk, disk, cdrom])).toEqual([1, 2, 3, 4]);
  expect(() => ideDrives([disk, disk, disk, disk, cdrom])).toThrow(RangeError);
});
