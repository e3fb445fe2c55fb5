import { expect, test } from 'vitest';
import { checkDocument } from '../../main/contract/index.ts';
import {
  adviceFor,
  advised,
  type Answers,
  documentOf,
  freeName,
  nameOfFile,
  initialAnswers,
  newDiskOf,
  SOURCES,
  stepOf,
} from './wizard.ts';

const filled: Answers = {
  ...initialAnswers({ memory: 512, vcpus: 1 }),
  name: 'vm',
  cdrom: '/install.iso',
  disk: '/disk.qcow2',
  kernel: ' /boot/vmlinuz ',
  initrd: '/boot/initrd.img',
  firmware: '/firmware.bin',
};

test.each(SOURCES.map(({ key }) => key))('a machine that boots from %s is complete', (source) => {
  const checked = checkDocument(documentOf({ ...filled, source }));
  expect(checked).toMatchObject({ ok: true });
});

test('only what the source asks for is taken', () => {
  expect(documentOf({ ...filled, source: 'sample' })).toEqual({
    name: 'vm',
    memory: 512,
    vcpus: 1,
    sample: true,
  });
  expect(documentOf({ ...filled, source: 'kernel', initrd: ' ' })).toEqual({
    name: 'vm',
    memory: 512,
    vcpus: 1,
    kernel: '/boot/vmlinuz',
    append: 'console=ttyS0',
  });
});

test('processors are spread as wanted', () => {
  const topology = { sockets: 2, cores: 2, threads: 1 };
  const checked = checkDocument(documentOf({ ...filled, source: 'sample', vcpus: 4, topology }));
  expect(checked).toMatchObject({ ok: true, document: { vcpus: 4, topology } });
  const wrong = checkDocument(documentOf({ ...filled, source: 'sample', vcpus: 3, topology }));
  expect(wrong).toMatchObject({ ok: false, issues: [{ path: ['topology'] }] });
  expect(stepOf('topology')).toBe('resources');
});

test('what is missing or wrong is found in its step', () => {
  const wrong = checkDocument(documentOf({ ...filled, source: 'kernel', kernel: '', memory: NaN, name: '' }));
  expect(wrong.ok).toBe(false);
  if (wrong.ok) return;
  expect(new Set(wrong.issues.map(({ path }) => stepOf(path[0])))).toEqual(
    new Set(['boot', 'resources', 'summary']),
  );
});

test('installation media come with a new disk, where one is wanted', () => {
  expect(documentOf({ ...filled, source: 'cdrom' })).toMatchObject({
    disks: [{ device: 'cdrom', file: '/install.iso' }],
  });
  const usual = { gibibytes: 8, bus: 'ide', format: 'qcow2' };
  expect(newDiskOf({ ...filled, source: 'cdrom', newDisk: 8 })).toEqual(usual);
  const chosen = newDiskOf({ ...filled, source: 'cdrom', newDisk: 8, format: 'raw', pool: 'big' });
  expect(chosen).toEqual({ ...usual, format: 'raw', pool: 'big' });
  expect(newDiskOf({ ...filled, source: 'cdrom', newDisk: NaN })).toBeUndefined();
  expect(newDiskOf({ ...filled, source: 'cdrom', newDisk: 0 })).toBeUndefined();
  expect(newDiskOf({ ...filled, source: 'disk', newDisk: 8 })).toBeUndefined();
});

test('what is on the medium gives the defaults, and what was changed by hand stays', () => {
  const usual = { memory: 1024, most: 2048 };
  const debian = {
    name: 'Debian',
    id: 'debian12',
    memory: 4096,
    disk: 30,
    bus: 'virtio',
    tablet: null,
  } as const;
  const none = adviceFor(undefined, usual);
  const some = adviceFor(debian, usual);
  expect(some).toEqual({ memory: 2048, newDisk: 30, bus: 'virtio', tablet: null });
  expect(adviceFor({ ...debian, memory: 64, disk: 0 }, usual)).toMatchObject({ memory: 64, newDisk: 0 });
  const fresh = initialAnswers({ memory: 1024, vcpus: 1 });
  expect(advised(fresh, none, some)).toMatchObject(some);
  expect(advised({ ...fresh, newDisk: 7 }, none, some)).toMatchObject({ memory: 2048, newDisk: 7 });
  expect(advised(advised(fresh, none, some), some, none)).toEqual(fresh);
});

test('a machine is given the tablet that its system has a driver for, as long as it is installed from the medium', () => {
  const usual = { memory: 1024, most: 2048 };
  const old = { name: 'Old', id: 'old', memory: 512, disk: 8, bus: 'ide', tablet: 'none' } as const;
  const answers = advised(filled, adviceFor(null, usual), adviceFor(old, usual));
  expect(documentOf({ ...answers, source: 'cdrom' })).toHaveProperty('tablet', 'none');
  expect(documentOf({ ...answers, source: 'disk' })).not.toHaveProperty('tablet');
  const again = advised(answers, adviceFor(old, usual), adviceFor(null, usual));
  expect(documentOf({ ...again, source: 'cdrom' })).not.toHaveProperty('tablet');
});

test('a name that is taken is numbered', () => {
  expect(freeName('vm', new Set())).toBe('vm');
  expect(freeName('vm', new Set(['vm', 'vm-2']))).toBe('vm-3');
});

test.each([
  ['/images/debian-12.qcow2', 'debian-12'],
  ['C:\\images\\Büro (alt).img.raw', 'Büro -alt-'],
  ['/a/..weird', 'weird'],
  [
    `/${'long '.repeat(20)}.iso`,
    'long long long long long long long long long long long long long'.slice(0, 64),
  ],
  ['/images/', undefined],
  ['???.iso', undefined],
])('a machine for %s is called %s', (path, name) => {
  expect(nameOfFile(path)).toBe(name);
  expect(checkDocument(documentOf({ ...filled, name: nameOfFile(path) ?? 'vm' })).ok).toBe(true);
});
