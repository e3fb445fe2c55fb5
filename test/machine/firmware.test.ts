/** The firmware of the distribution, unmodified, from the reset vector until it looks for something to boot. */
import path from 'node:path';
import { expect, test } from 'vitest';
import { Console } from './harness.ts';

const CLI = path.join(import.meta.dirname, '../../main/cli/guesthouse.ts');
const start = (...words: string[]): Console =>
  Console.start([
    process.execPath,
    CLI,
    'run',
    '--accel',
    'wasm',
    '--memory',
    '64',
    '--serial',
    'null',
    ...words,
  ]);

test('SeaBIOS finds the machine as it is, and looks for something to boot', async () => {
  await using machine = start('--debugcon', 'stdio');
  const log = await machine.expect('No bootable device', 30);
  expect(log).toContain('Running on QEMU (i440fx)');
  expect(log).toContain('QEMU fw_cfg DMA interface supported');
  expect(log).toContain('addr 0x0000000000000000 len 0x0000000004000000 [RAM]');
  expect(log).toContain('PCI: init bdf=00:01.3 id=8086:7113');
  expect(log).toContain('PS2 keyboard initialized');
  expect(log).toMatch(/Copying SMBIOS from/);
  expect(log).toMatch(/table\(50434146\)=0x[0-9a-f]+ \(via xsdt\)/);
  expect(log).toContain('Booting from Hard Disk');
});
