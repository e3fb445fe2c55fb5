import { expect, test } from 'vitest';
import { GuesthouseError } from '../base/errors.ts';
import { parseMachineConfig, topologyOf } from './config.ts';

function complaint(input: unknown): string {
  try {
    parseMachineConfig(input);
  } catch (error) {
    if (error instanceof GuesthouseError && error.code === 'config') return error.line;
    throw error;
  }
  return '';
}

test('a kernel is all that a machine needs', () => {
  expect(parseMachineConfig({ kernel: 'vmlinuz' })).toEqual({
    name: 'guest',
    accel: 'auto',
    memory: 512,
    vcpus: 1,
    kernel: 'vmlinuz',
    boot: { order: ['disk', 'cdrom'], menu: false },
    modules: [],
    disks: [],
    serial: [{ kind: 'null' }],
    display: { kind: 'none' },
    debugExit: false,
  });
});

test('vCPUs are the cores of one socket, unless the topology says otherwise', () => {
  expect(topologyOf(parseMachineConfig({ vcpus: 4 }))).toEqual({ sockets: 1, cores: 4, threads: 1 });
  const config = parseMachineConfig({ vcpus: 8, topology: { sockets: 2, threads: 2 } });
  expect(topologyOf(config)).toEqual({ sockets: 2, cores: 2, threads: 2 });
});

test('without a kernel and firmware of its own, a machine has SeaBIOS', () => {
  expect(parseMachineConfig({})).toMatchObject({ boot: { order: ['disk', 'cdrom'], menu: false } });
});

test.each([
  [{ boot: { order: ['tape'] } }, 'must be disk, cdrom or network'],
  [{ boot: { order: ['disk', 'disk'] } }, 'boot.order names a device twice'],
  [{ append: 'a' }, 'command line needs a kernel'],
  [{ kernel: 'k', firmware: 'f' }, 'not both'],
  [{ firmware: 'f', initrd: 'i' }, 'an initrd needs a kernel'],
  [{ firmware: 'f', append: '' }, 'command line needs a kernel'],
  [{ firmware: 'f', modules: ['m'] }, 'modules need a kernel'],
  [{ kernel: 'k', memory: 0 }, 'memory must be a whole number from 1 to 3584 (MiB)'],
  [{ kernel: 'k', memory: 3585 }, 'memory must be a whole number'],
  [{ kernel: 'k', memory: 1.5 }, 'memory must be a whole number'],
  [{ kernel: 'k', memory: NaN }, 'memory'],
  [{ kernel: 'k', vcpus: 65 }, 'vcpus must be a whole number from 1 to 64'],
  [
    { vcpus: 4, topology: { sockets: 3 } },
    'topology cannot be: 3 sockets of 1 core of 1 thread are 3 vCPUs, not 4',
  ],
  [{ topology: { cores: 0 } }, 'topology.cores must be a whole number from 1 to 64'],
  [{ topology: { dies: 1 } }, 'dies'],
  [{ kernel: 'k', accel: 'magic' }, 'accel must be auto, kvm or wasm'],
  [{ kernel: 'k', colour: 'red' }, 'colour'],
  [{ kernel: '' }, 'kernel is empty'],
  [{ kernel: 'k', append: 'a\0b' }, 'append holds a NUL'],
  [{ kernel: 'k', serial: [{ kind: 'stdio' }, { kind: 'stdio' }] }, 'only one serial port'],
  [
    { kernel: 'k', serial: [{ kind: 'file', path: 'x' }], debugcon: { kind: 'file', path: 'x' } },
    'two outputs',
  ],
  [{ kernel: 'k', serial: [{ kind: 'tape' }] }, 'serial.0'],
  [{ kernel: 'k', serial: Array.from({ length: 5 }, () => ({ kind: 'null' })) }, 'more than 4 ports'],
  [{ disks: [{}] }, 'disks.0 has no file'],
  [{ disks: [{ file: 'f', bus: 'floppy' }] }, 'disks.0.bus must be virtio, sata or ide'],
  [{ disks: [{ file: 'f' }, { file: 'f', bus: 'ide' }] }, 'disks.1 uses f, as another disk does'],
  [{ disks: [{ device: 'cdrom', bus: 'virtio' }] }, 'disks.0 is a CD-ROM drive'],
  [{ disks: Array.from({ length: 5 }, (_, i) => ({ file: `${i}`, bus: 'ide' })) }, 'more than 4 IDE drives'],
  [
    { disks: Array.from({ length: 7 }, (_, i) => ({ file: `${i}`, bus: 'sata' })) },
    'more than 6 SATA drives',
  ],
  [{ disks: Array.from({ length: 17 }, (_, i) => ({ file: `${i}` })) }, 'more than 16 disks'],
  [{ disks: [{ file: 'f', serial: 'é' }] }, 'disks.0.serial must be at most 20'],
  [null, 'nput'],
])('%j is refused in one line', (input, expected) => {
  const line = complaint(input);
  expect(line).toContain(expected);
  expect(line).not.toContain('\n');
});
