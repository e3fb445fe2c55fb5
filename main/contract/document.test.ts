import { expect, test } from 'vitest';
import { parseMachineConfig } from '../../engine/api/config.ts';
import { checkDocument, engineConfig, filesOf, issueLine } from './document.ts';

const issues = (input: unknown): string[] => {
  const checked = checkDocument(input);
  return checked.ok ? [] : checked.issues.map(issueLine);
};

test('what is left out is filled in, and the first serial port is the console', () => {
  const checked = checkDocument({ name: 'a', sample: true });
  expect(checked).toMatchObject({
    ok: true,
    document: {
      name: 'a',
      sample: true,
      memory: 512,
      vcpus: 1,
      group: null,
      tags: [],
      serial: [{ kind: 'stdio' }],
    },
  });
});

test.each<[input: unknown, said: string]>([
  [{ sample: true }, 'name is missing'],
  [{ name: '', sample: true }, 'name must be 1 to 64'],
  [{ name: '../../etc', sample: true }, 'name must be 1 to 64'],
  [{ name: 'a', initrd: '/i' }, 'an initrd needs a kernel'],
  [{ name: 'a', sample: true, kernel: '/k' }, 'sample brings its own kernel'],
  [{ name: 'a', kernel: 'k' }, 'kernel must be an absolute path'],
  [{ name: 'a', kernel: '/k', modules: ['m'] }, 'modules.0 must be an absolute path'],
  [
    { name: 'a', kernel: '/k', serial: [{ kind: 'file', path: 'x' }] },
    'serial.0.path must be an absolute path',
  ],
  [{ name: 'a', disks: [{ file: 'd' }] }, 'disks.0.file must be an absolute path'],
  [{ name: 'a', disks: [{ device: 'disk' }] }, 'disks.0 has no file'],
  [{ name: 'a', kernel: '/k', memory: 'much' }, 'memory must be'],
  [{ name: 'a', kernel: '/k', memory: 1e9 }, 'memory must be'],
  [{ name: 'a', kernel: '/k', tags: ['-'] }, 'tags.0 must be'],
  [{ name: 'a', kernel: '/k', memry: 5 }, 'memry is not a known field'],
  ['text', 'must be of type object'],
  [null, 'must be of type object'],
])('%j: %s', (input, said) => {
  expect(issues(input)[0]).toContain(said);
});

test('every field that is wrong is told', () => {
  expect(issues({ name: '', memory: 0, vcpus: 0, kernel: '/k' })).toHaveLength(3);
});

test('the engine gets its own fields, and the sample guest its files', () => {
  const checked = checkDocument({ name: 'a', sample: true, tags: ['x'], description: 'd' });
  if (!checked.ok) throw new Error('wrong');
  const config = parseMachineConfig(engineConfig(checked.document, { kernel: '/k', initrd: '/i' }));
  expect(config).toMatchObject({ name: 'a', kernel: '/k', initrd: '/i', append: 'console=ttyS0' });
  expect(config).not.toHaveProperty('tags');
});

test('files that must be there are named with their fields', () => {
  const checked = checkDocument({
    name: 'a',
    kernel: '/k',
    modules: ['/m'],
    disks: [{ file: '/d' }, { device: 'cdrom' }],
    serial: [{ kind: 'file', path: '/out' }],
  });
  if (!checked.ok) throw new Error('wrong');
  expect(filesOf(checked.document)).toEqual([
    { file: '/k', path: ['kernel'] },
    { file: '/m', path: ['modules', 0] },
    { file: '/d', path: ['disks', 0, 'file'] },
  ]);
});
