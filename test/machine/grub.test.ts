import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Random } from '../../engine/base/random.ts';
import { guesthouseCommand } from '../guest/engines.ts';
import { Console } from './harness.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'guesthouse-grub-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A rescue disc, which is a hard disk too, as GRUB's own tool makes it. */
const image = path.join(folder, 'grub.iso');

/** Read by the firmware's own drivers, by programmed I/O where the disk is IDE. */
const BLOB_BYTES = 200_000;
let checksum = '';

const CONFIG = `serial --unit=0
terminal_input serial
terminal_output serial
echo begins
crc /blob
echo ends
halt
`;

beforeAll(() => {
  const tree = path.join(folder, 'tree');
  mkdirSync(path.join(tree, 'boot', 'grub'), { recursive: true });
  writeFileSync(path.join(tree, 'boot', 'grub', 'grub.cfg'), CONFIG);
  const random = new Random(1);
  const blob = Uint8Array.from({ length: BLOB_BYTES }, () => random.next());
  writeFileSync(path.join(tree, 'blob'), blob);
  checksum = crc32(blob).toString(16).padStart(8, '0');
  execFileSync('grub-mkrescue', ['-o', image, tree], { stdio: 'pipe' });
});

test.each([
  ['a CD-ROM', ['--cdrom', image]],
  ['an IDE disk', ['--disk', `${image},format=raw,bus=ide,readonly`]],
  ['a CD-ROM on SATA', ['--cdrom', `${image},bus=sata`]],
  ['a SATA disk', ['--disk', `${image},format=raw,bus=sata,readonly`]],
  ['a virtio disk', ['--disk', `${image},format=raw,readonly`]],
])('GRUB boots through the firmware from %s, and reads it', async (_name, disks) => {
  await using machine = Console.start(
    guesthouseCommand('run', '--accel', 'wasm', '--memory', '64', '--stats', ...disks),
  );
  await machine.expect('begins', 90);
  await machine.expect(checksum, 60);
  await machine.expect('ends');
  expect(await machine.status(60)).toBe(0);
  const seen = [...machine.errors.matchAll(/^at (.*?) +(\d+\.\d+)$/gm)];
  // GRUB waits by writing to the port of POST codes.
  const names = seen.map(([, name]) => name).filter((name) => name !== 'POST code 00');
  expect(names).toEqual(['reset vector', 'protected mode', 'option ROM', 'boot device read', 'boot sector']);
  expect(Number(seen.at(-1)?.[2])).toBeGreaterThan(0);
});
