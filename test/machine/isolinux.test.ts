import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { assemble } from '../guest/assemble.ts';
import { guesthouseCommand } from '../guest/engines.ts';
import { makeEntryDisc, SYSLINUX_MODULES } from '../guest/isolinux-disc.ts';
import { Console } from './harness.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'guesthouse-isolinux-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const MEMTEST = '/boot/memtest86+x64.bin';

const image = (name: string): string => path.join(folder, `${name}.iso`);
const makeDisc = (name: string, config: string, files: Readonly<Record<string, string>>) =>
  makeEntryDisc(folder, name, config, files);
const modules = (...names: string[]) =>
  Object.fromEntries(names.map((name) => [path.join(SYSLINUX_MODULES, name), name]));

beforeAll(() => {
  const module = path.join(folder, 'module');
  writeFileSync(module, 'first.'); // the guest puts a zero byte over the last
  const guest = (name: string) => assemble(path.join(import.meta.dirname, 'guests', `${name}.asm`));
  makeDisc('kernel', '  KERNEL mboot.c32\n  APPEND kernel.bin one two=2 --- module\n', {
    ...modules('mboot.c32', 'libcom32.c32'),
    [guest('modules')]: 'kernel.bin',
    [module]: 'module',
  });
  makeDisc('smm', '  KERNEL mboot.c32\n  APPEND kernel.bin\n', {
    ...modules('mboot.c32', 'libcom32.c32'),
    [guest('smm')]: 'kernel.bin',
  });
});

test('the firmware puts system-management mode to use', async () => {
  await using machine = Console.start(
    guesthouseCommand('run', '--accel', 'wasm', '--memory', '64', '--debug-exit', '--cdrom', image('smm')),
  );
  await machine.expect('managed by the firmware', 90);
  expect(await machine.status()).toBe(1);
});

test.each([
  ['a CD-ROM', ['--cdrom', image('kernel')]],
  ['an IDE disk', ['--disk', `${image('kernel')},format=raw,bus=ide,readonly`]],
  ['a virtio disk', ['--disk', `${image('kernel')},format=raw,readonly`]],
])('ISOLINUX boots through the firmware from %s, and loads a kernel and a module', async (_name, disks) => {
  await using machine = Console.start(
    guesthouseCommand('run', '--accel', 'wasm', '--memory', '64', '--debug-exit', ...disks),
  );
  await machine.expect('ISOLINUX', 90);
  await machine.expect('kernel.bin one two=2\r\nfirst\r\n', 60);
  // One module.
  expect(await machine.status(60)).toBe(2 * 1 + 1);
});

// Its last test waits for five minutes twice, to see whether bits fade.
test.runIf(process.env['MEMTEST'] === '1')(
  'memtest86+ finds no error (MEMTEST=1)',
  { timeout: 2_400_000 },
  async () => {
    makeDisc('memtest', '  LINUX memtest\n  APPEND console=ttyS0,115200\n', { [MEMTEST]: 'memtest' });
    await using machine = Console.start(
      guesthouseCommand('run', '--accel', 'wasm', '--memory', '16', '--cdrom', image('memtest')),
    );
    await machine.expect('ISOLINUX', 90);
    await machine.expect(/Pass: +1 /, 2300);
    expect(new Set([...machine.output.matchAll(/Errors: +(\d+)/g)].map(([, errors]) => errors))).toEqual(
      new Set(['0']),
    );
  },
);
