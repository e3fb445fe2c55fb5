import { expect, test } from 'vitest';
import { parseDisk } from './disk-options.ts';

test.each([
  ['a.qcow2', { device: 'disk', file: 'a.qcow2' }],
  ['a,,b.raw,format=raw', { device: 'disk', file: 'a,b.raw', format: 'raw' }],
  [
    'd,bus=ide,cache=writethrough,readonly,serial=S 1,werror=stop,rerror=report',
    {
      device: 'disk',
      file: 'd',
      bus: 'ide',
      cache: 'writethrough',
      readOnly: true,
      serial: 'S 1',
      writeError: 'stop',
      readError: 'report',
    },
  ],
  ['d,readonly=off', { device: 'disk', file: 'd', readOnly: false }],
])('--disk %s', (text, expected) => {
  expect(parseDisk('disk', text)).toEqual(expected);
});

test('--cdrom none is an empty drive', () => {
  expect(parseDisk('cdrom', 'none')).toEqual({ device: 'cdrom' });
  expect(parseDisk('cdrom', './none')).toEqual({ device: 'cdrom', file: './none' });
});

test.each([
  ['', 'needs a file'],
  ['d,bus=usb', 'bus must be virtio or sata or ide'],
  ['d,colour=red', "knows no 'colour'"],
  ['d,readonly=maybe', 'readonly must be on or off'],
  ['d,bus=ide,bus=ide', 'gives bus twice'],
])("--disk '%s' is refused", (text, expected) => {
  expect(() => parseDisk('disk', text)).toThrow(expected);
});
