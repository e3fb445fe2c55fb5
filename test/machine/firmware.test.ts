/** The firmware of the distribution, unmodified, from the reset vector until it looks for something to boot. */
import path from 'node:path';
import { expect, test } from 'vitest';
import { acceleratorOf } from '../../engine/machine/accelerator.ts';
import { Console } from './harness.ts';

const CLI = path.join(import.meta.dirname, '../../main/cli/guesthouse.ts');
/** What a busy host may take, in seconds. */
const PATIENCE = 90;
const TIMEOUT = { timeout: 1000 * (PATIENCE + 10) };

const start = (...words: string[]): Console =>
  Console.start([process.execPath, CLI, 'run', '--memory', '64', '--serial', 'null', ...words]);

async function expectFirmware(accelerator: string): Promise<void> {
  await using machine = start('--accel', accelerator, '--vcpus', '2', '--debugcon', 'stdio');
  const log = await machine.expect('No bootable device', PATIENCE);
  expect(log).toContain('Running on QEMU (i440fx)');
  expect(log).toContain('QEMU fw_cfg DMA interface supported');
  expect(log).toContain('addr 0x0000000000000000 len 0x0000000004000000 [RAM]');
  expect(log).toContain('PCI: init bdf=00:01.3 id=8086:7113');
  expect(log).toContain('PS2 keyboard initialized');
  expect(log).toMatch(/Copying SMBIOS from/);
  expect(log).toMatch(/table\(50434146\)=0x[0-9a-f]+ \(via xsdt\)/);
  expect(log).toContain('Found 2 cpu(s) max supported 2 cpu(s)');
  expect(log).toContain('Booting from Hard Disk');
}

test('SeaBIOS finds the machine as it is, and looks for something to boot', TIMEOUT, async () => {
  await expectFirmware('wasm');
});

const kvm = acceleratorOf('kvm').probe();
if (kvm.ok) {
  test('the same on KVM', TIMEOUT, async () => expectFirmware('kvm'));
} else test.skip(`KVM cannot run here: ${kvm.reason}`, () => {});
