import { expect, test } from 'vitest';
import { checkDocument } from '../../main/contract/index.ts';
import { type Answers, documentOf, freeName, initialAnswers, newDiskOf, SOURCES, stepOf } from './wizard.ts';

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
  expect(newDiskOf({ ...filled, source: 'cdrom', newDisk: 8 })).toEqual({ gibibytes: 8 });
  expect(newDiskOf({ ...filled, source: 'cdrom', newDisk: 0 })).toBeUndefined();
  expect(newDiskOf({ ...filled, source: 'disk', newDisk: 8 })).toBeUndefined();
});

test('a name that is taken is numbered', () => {
  expect(freeName('vm', new Set())).toBe('vm');
  expect(freeName('vm', new Set(['vm', 'vm-2']))).toBe('vm-3');
});
