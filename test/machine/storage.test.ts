import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ImageLocks } from '../../engine/backend/image/open.ts';
import { Random } from '../../engine/base/random.ts';
import { createImage } from '../../engine/host/image-tools.ts';
import { sample } from '../../main/cli/sample.ts';
import { CACHE } from '../guest/assemble.ts';
import { guesthouseCommand } from '../guest/engines.ts';
import { Console } from './harness.ts';

/** An unmodified distribution kernel, its drivers of disks, and a shell on the serial console. */
let files: { kernel: string; initrd: string };

const folder = mkdtempSync(path.join(tmpdir(), 'guesthouse-storage-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeAll(async () => {
  files = await sample(path.join(CACHE, 'sample'));
});

const BOOT = 240;
const PROMPT = 'guesthouse:/# ';
const MIB = 2 ** 20;

const at = (name: string) => path.join(folder, name);
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

function noise(seed: number, bytes: number): Uint8Array {
  const random = new Random(seed);
  return Uint8Array.from({ length: bytes }, () => random.next());
}

/** Types a line, and gives back what is printed until the next prompt. */
async function type(guest: Console, line: string): Promise<string> {
  guest.send(`${line}\n`);
  await guest.expect('\n');
  return guest.expect(PROMPT, 60);
}

test(
  'Linux reads and writes virtio and IDE disks and a CD-ROM, and what it has written is there after a reboot',
  { timeout: 600_000 },
  async () => {
    // Data to read comes by a backing file, which must stay as it is.
    const source = noise(1, 4 * MIB);
    writeFileSync(at('source.raw'), source);
    createImage(at('virtio.qcow2'), {
      format: 'qcow2',
      size: 32 * MIB,
      backing: { file: 'source.raw', format: 'raw' },
    });
    createImage(at('ide.raw'), { format: 'raw', size: 16 * MIB });
    const disc = noise(2, MIB);
    writeFileSync(at('disc.iso'), disc);

    const { kernel, initrd } = files;
    const disks = [
      '--disk',
      `${at('virtio.qcow2')},serial=FIRST`,
      '--disk',
      `${at('ide.raw')},bus=ide,format=raw`,
    ];
    const machine = ['--accel', 'wasm', '--memory', '256', '--kernel', kernel, '--initrd', initrd];
    const boot = ['--append', 'console=ttyS0 quiet', ...disks, '--cdrom', at('disc.iso')];
    await using guest = Console.start(guesthouseCommand('run', ...machine, ...boot));
    await guest.expect(PROMPT, BOOT);
    expect(await type(guest, 'cat /sys/block/vda/serial; echo; ls /sys/block')).toMatch(
      /FIRST[^]*sda[^]*sr0[^]*vda/,
    );
    expect(await type(guest, 'dd if=/dev/vda bs=64k count=64 | sha256sum')).toContain(sha256(source));
    expect(await type(guest, 'dd if=/dev/sr0 bs=2048 | sha256sum')).toContain(sha256(disc));

    // From one disk to the other, and a file system with a file.
    await type(guest, 'dd if=/dev/vda of=/dev/sda bs=64k count=64 conv=fsync');
    await type(guest, 'dd if=/dev/sr0 of=/dev/vda bs=2048 seek=8192 conv=fsync');
    await type(guest, 'mkdir -p /mnt; mke2fs -q /dev/sda 8192; mount -t ext2 /dev/sda /mnt');
    await type(guest, 'seq 1 50000 >/mnt/numbers; sync; umount /mnt');

    guest.send('reboot -f\n');
    await guest.expect(PROMPT, BOOT);
    expect(await type(guest, 'dd if=/dev/vda bs=2048 skip=8192 count=512 | sha256sum')).toContain(
      sha256(disc),
    );
    const numbers = Array.from({ length: 50_000 }, (_, i) => `${i + 1}\n`).join('');
    const command = 'mkdir -p /mnt; mount -t ext2 -o ro /dev/sda /mnt && sha256sum /mnt/numbers; umount /mnt';
    expect(await type(guest, command)).toContain(sha256(Buffer.from(numbers)));
    expect(await type(guest, 'dmesg | grep -ciE "i/o error|ata.*exception|timeout"')).toMatch(/^0\r/);
    guest.send('poweroff -f\n');
    expect(await guest.status(60)).toBe(0);

    execFileSync('qemu-img', ['check', at('virtio.qcow2')]);
    const expected = new Uint8Array(32 * MIB);
    expected.set(source);
    expected.set(disc, 16 * MIB);
    writeFileSync(at('expected.raw'), expected);
    execFileSync('qemu-img', ['compare', '-f', 'raw', '-F', 'qcow2', at('expected.raw'), at('virtio.qcow2')]);
    expect(sha256(readFileSync(at('source.raw')))).toBe(sha256(source));
    expect(statSync(at('ide.raw')).size).toBe(16 * MIB);
  },
);

/** Runs a machine that must not start. */
async function refusal(...options: string[]): Promise<string> {
  await using machine = Console.start(
    guesthouseCommand('run', '--accel', 'wasm', '--kernel', files.kernel, ...options),
  );
  expect(await machine.status()).not.toBe(0);
  return machine.errors.trim();
}

test('disks that cannot be used are refused in one line before anything starts', async () => {
  createImage(at('used.qcow2'), { format: 'qcow2', size: MIB });
  const locks = new ImageLocks();
  locks.take(at('used.qcow2'), true);
  expect(await refusal('--disk', at('used.qcow2'))).toMatch(/^guesthouse: .*used\.qcow2 is in use \(.*\)$/);
  locks.release();
  expect(await refusal('--disk', at('missing.qcow2'))).toMatch(
    /^guesthouse: cannot open .*missing\.qcow2: no such/,
  );
  writeFileSync(at('empty.img'), '');
  expect(await refusal('--disk', at('empty.img'))).toMatch(/^guesthouse: .*empty\.img is empty \(.*\)$/);
  expect(await refusal('--disk', 'a,bus=tape')).toMatch(/^guesthouse: --disk: bus must be/);
});
