/** Ways to boot, each by a small guest that looks whether it finds what its protocol promises. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { assemble } from '../guest/assemble.ts';
import { guesthouse, qemu, type MachineSpec } from '../guest/engines.ts';
import { Console } from './harness.ts';

/** `ENGINE=qemu` runs these guests in QEMU, to see that they are right themselves. */
const engine = process.env['ENGINE'] === 'qemu' ? qemu : guesthouse;

const guest = (name: string): string => assemble(path.join(import.meta.dirname, 'guests', `${name}.asm`));

const start = (spec: Partial<MachineSpec>): Console =>
  Console.start(engine.command({ memory: 64, stdio: 'serial', debugExit: true, ...spec }));

/** A file for the guest to be given; it puts a zero byte over the last. */
function moduleFile(text: string): string {
  const file = path.join(path.dirname(guest('pvh')), `${text.replaceAll(' ', '-')}.module`);
  writeFileSync(file, `${text}.`);
  return file;
}

test('an ELF kernel with a PVH entry gets its command line, memory map and module', async () => {
  const modules = [moduleFile('by PVH')];
  await using machine = start({ kernel: guest('pvh'), append: 'a=1 b', modules });
  expect(await machine.status()).toBe(2 * modules.length + 1);
  expect(machine.output).toMatch(/a=1 b\r\nby PVH\r\n$/);
});

// QEMU starts such kernels through their real-mode code.
test.runIf(engine === guesthouse)(
  'a Linux kernel without a 64-bit entry gets its command line and RAM disk',
  async () => {
    const initrd = moduleFile('by the 32-bit protocol');
    await using machine = start({ kernel: guest('linux32'), append: 'c=2 d', initrd });
    expect(await machine.status()).toBe(1);
    expect(machine.output).toBe('c=2 d\r\nby the 32-bit protocol\r\n');
  },
);

test('firmware begins at the reset vector, and is read-only below 1 MiB and below 4 GiB', async () => {
  await using machine = start({ firmware: guest('firmware') });
  expect(await machine.status()).toBe(1);
  expect(machine.output).toBe('real mode\r\nprotected mode\r\n');
});
