import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sample } from '../../main/cli/sample.ts';
import { EXIT_STATUS } from '../../engine/base/errors.ts';
import { assemble, CACHE } from '../guest/assemble.ts';
import { guesthouseCommand, type Command } from '../guest/engines.ts';
import { Console } from './harness.ts';

/** Where the files lie that {@link CASES} name as `{folder}/…`. */
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'guesthouse-'));
  const put = (name: string, contents: string | Uint8Array): void =>
    writeFileSync(path.join(folder, name), contents);

  const linux = readFileSync((await sample(path.join(CACHE, 'sample'))).kernel);
  put('linux', linux);
  put('linux-sector', linux.subarray(0, 512));
  put('linux-setup', linux.subarray(0, 4096));
  put('linux-half', linux.subarray(0, linux.length >> 1));

  const multiboot = readFileSync(assemble(path.join(import.meta.dirname, 'guests', 'exit.asm')));
  put('multiboot', multiboot);
  put('multiboot-header', multiboot.subarray(0, 16));

  // An ELF header for x86-64 (ELF-64, figure 2) whose one program header lies past the end of the file.
  const elf = Buffer.alloc(64);
  elf.write('\x7fELF\x02\x01\x01', 'latin1');
  elf.writeUInt16LE(2, 16); // e_type: executable
  elf.writeUInt16LE(62, 18); // e_machine: x86-64
  elf.writeUInt32LE(1, 20); // e_version
  elf.writeBigUInt64LE(64n, 32); // e_phoff
  elf.writeUInt16LE(64, 52); // e_ehsize
  elf.writeUInt16LE(56, 54); // e_phentsize
  elf.writeUInt16LE(1, 56); // e_phnum
  put('elf-header', elf);

  put('empty', '');
  put('text', 'This is no kernel.\n'.repeat(1000));
  put('zeros', new Uint8Array(65536));
  // Sparse: takes no space.
  put('large', '');
  truncateSync(path.join(folder, 'large'), 200 * 2 ** 20);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const { usage, config, file, resources } = EXIT_STATUS;
const linux = ['run', '--kernel', '{folder}/linux'];
const multiboot = ['run', '--kernel', '{folder}/multiboot'];

const CASES: ReadonlyArray<readonly [what: string, status: number, args: readonly string[]]> = [
  ['no verb', usage, []],
  ['an unknown verb', usage, ['fly']],
  ['an initrd without a kernel', usage, ['run', '--initrd', '{folder}/linux']],
  ['an unknown boot device', usage, ['run', '--boot', 'tape']],
  ['an unknown option', usage, [...linux, '--frobnicate']],
  ['an option without its value', usage, ['run', '--kernel']],
  ['an argument that is no option', usage, [...linux, 'initrd.img']],
  ['two things to boot', usage, [...linux, '--firmware', '{folder}/zeros']],
  ['an option given twice', usage, [...linux, '--memory', '64', '--memory', '128']],
  ['no memory', usage, [...linux, '--memory', '0']],
  ['negative memory', usage, [...linux, '--memory=-1']],
  ['memory that is no number', usage, [...linux, '--memory', 'lots']],
  ['fractional memory', usage, [...linux, '--memory', '64.5']],
  ['more memory than a machine can have', usage, [...linux, '--memory', '99999999']],
  ['no vCPU', usage, [...linux, '--vcpus', '0']],
  ['too many vCPUs', usage, [...linux, '--vcpus', '100000']],
  ['an unknown accelerator', usage, [...linux, '--accel', 'warp']],
  ['an unknown serial connection', usage, [...linux, '--serial', 'tcp:1']],
  ['an unknown CPU model', config, [...linux, '--cpu', 'abacus']],
  ['a missing kernel', file, ['run', '--kernel', '{folder}/missing']],
  ['a folder for a kernel', file, ['run', '--kernel', '{folder}']],
  ['an empty kernel', file, ['run', '--kernel', '{folder}/empty']],
  ['a text for a kernel', file, ['run', '--kernel', '{folder}/text']],
  ['zeros for a kernel', file, ['run', '--kernel', '{folder}/zeros']],
  ['the first sector of a Linux kernel', file, ['run', '--kernel', '{folder}/linux-sector']],
  ['part of the setup code of a Linux kernel', file, ['run', '--kernel', '{folder}/linux-setup']],
  ['half a Linux kernel', file, ['run', '--kernel', '{folder}/linux-half']],
  ['half a Multiboot header', file, ['run', '--kernel', '{folder}/multiboot-header']],
  ['an ELF header without an ELF file', file, ['run', '--kernel', '{folder}/elf-header']],
  ['a missing initrd', file, [...linux, '--initrd', '{folder}/missing']],
  ['a missing module', file, [...multiboot, '--module', '{folder}/missing']],
  ['a missing firmware', file, ['run', '--firmware', '{folder}/missing']],
  ['an empty firmware', file, ['run', '--firmware', '{folder}/empty']],
  ['a serial file in no folder', file, [...multiboot, '--serial', 'file:{folder}/missing/serial']],
  ['memory too small for the kernel', config, [...linux, '--memory', '16']],
  ['memory too small for the initrd', config, [...linux, '--memory', '128', '--initrd', '{folder}/large']],
  ['memory too small for a module', config, [...multiboot, '--memory', '64', '--module', '{folder}/large']],
  ['a command line too long for the kernel', config, [...linux, '--append', 'x'.repeat(10000)]],
];

/** Expects the status, one line of complaint, and no sign of a machine. */
async function refused(command: Command, status: number): Promise<void> {
  await using machine = Console.start(command);
  expect({ status: await machine.status(), output: machine.output, errors: machine.errors }).toEqual({
    status,
    output: '',
    errors: expect.stringMatching(/^guesthouse: [^\n]+\n$/) as string,
  });
}

test.each(CASES)('%s: status %i', async (_, status, args) => {
  await refused(guesthouseCommand(...args.map((arg) => arg.replace('{folder}', folder))), status);
});

test.runIf(process.platform === 'linux')('more memory than the host gives', async () => {
  // The address space allowed has room for Node, not for the guest's memory beside it.
  const command = guesthouseCommand('run', '--kernel', path.join(folder, 'multiboot'), '--memory', '3500');
  await refused(['sh', '-c', 'ulimit -v 4000000; exec "$@"', 'sh', ...command], resources);
});

test.runIf(process.platform === 'linux')('a sample guest where no folder can be made', async () => {
  await refused(guesthouseCommand('sample', '/proc/nowhere/sample'), resources);
});

test('what is refused leaves the files it would have written alone', async () => {
  const serial = path.join(folder, 'serial');
  writeFileSync(serial, 'from an earlier run');
  await refused(
    guesthouseCommand('run', '--kernel', path.join(folder, 'text'), '--serial', `file:${serial}`),
    file,
  );
  expect(readFileSync(serial, 'utf8')).toBe('from an earlier run');
});

test('npx finds the command in the checkout', async () => {
  const root = path.dirname(path.dirname(import.meta.dirname));
  const command = path.join(root, 'node_modules', '.bin', 'guesthouse');
  await using machine = Console.start([command, '--version']);
  expect(await machine.status()).toBe(0);
  expect(machine.output).toMatch(/^\S*\s?\d+\.\d+\.\d+\n$/);
});
