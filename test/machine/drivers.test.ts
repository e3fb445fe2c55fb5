/** Devices that the kernel for virtual machines has no drivers of, with the one for all machines. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Viewer } from '../../engine/backend/display/testing/viewer.ts';
import { Random } from '../../engine/base/random.ts';
import { createImage } from '../../engine/host/image-tools.ts';
import { sample } from '../../main/cli/sample.ts';
import { CACHE } from '../guest/assemble.ts';
import { guesthouseCommand } from '../guest/engines.ts';
import { Console } from './harness.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'guesthouse-drivers-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const BOOT = 240;
const PROMPT = 'guesthouse:/# ';
const MIB = 2 ** 20;

const at = (name: string) => path.join(folder, name);
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** Types a line, and gives back what is printed until the next prompt. */
async function type(guest: Console, line: string): Promise<string> {
  guest.send(`${line}\n`);
  await guest.expect('\n');
  return guest.expect(PROMPT, 60);
}

/** Moves a viewer's pointer and presses its left button, and sees what the guest's tablet says of it. */
async function point(guest: Console): Promise<void> {
  const viewer = await Viewer.connect(connect(at('vnc')), { encodings: [7, -223] });
  // Events are kept for whoever has opened the device.
  const name = '$(grep -l "Guesthouse Tablet" /sys/class/input/event*/device/name | cut -d/ -f5)';
  await type(guest, `exec 3</dev/input/${name}`);
  viewer.pointer(viewer.width - 1, 0, 0);
  viewer.pointer(viewer.width - 1, viewer.height - 1, 1);
  // Four of 24 bytes; the last 8 bytes of each are type, code and value.
  const dump = await type(guest, 'dd bs=24 count=4 <&3 2>/dev/null | od -An -v -tu2 -w24');
  const events = dump.matchAll(/(\d+) +(\d+) +(\d+) +(\d+)\r/g);
  const told = [...events].map((match) => match.slice(1, 4).map(Number));
  // The pointer was at the top on the left, so that the first move is along one axis alone.
  expect(told).toEqual([[3, 0, 0x7fff], [0, 0, 0], [3, 1, 0x7fff], [1, 0x110, 1]]); // prettier-ignore
  viewer.close();
}

test(
  'Linux drives AHCI, with a queue and interrupts by message, and a tablet that follows a viewer’s pointer',
  { timeout: 300_000 },
  async () => {
    const { kernel, initrd } = await sample(path.join(CACHE, 'sample-amd64'), ['linux-image-amd64']);
    createImage(at('sata.qcow2'), { format: 'qcow2', size: 16 * MIB });
    const random = new Random(3);
    const disc = Uint8Array.from({ length: 4 * MIB }, () => random.next());
    writeFileSync(at('sata.iso'), disc);
    const disks = ['--disk', `${at('sata.qcow2')},bus=sata`, '--cdrom', `${at('sata.iso')},bus=sata`];
    const display = ['--display', `vnc=${at('vnc')}`];
    const machine = [
      '--accel',
      'wasm',
      '--memory',
      '256',
      ...display,
      '--kernel',
      kernel,
      '--initrd',
      initrd,
    ];
    await using guest = Console.start(
      guesthouseCommand('run', ...machine, '--append', 'console=ttyS0 quiet', ...disks),
    );
    await guest.expect(PROMPT, BOOT);
    expect(await type(guest, 'dmesg | grep NCQ; cat /sys/block/sda/device/queue_depth')).toMatch(
      /NCQ \(depth 32\)[^]*\n32\r/,
    );
    await type(guest, 'dd if=/dev/sr0 of=/dev/sda bs=64k conv=fsync');
    // Several at once, each of its own part.
    const readers =
      'for i in 0 1 2 3; do dd if=/dev/sda bs=4k iflag=direct skip=$((i*256)) count=256 >/tmp/$i & done';
    await type(guest, `(${readers}; wait) 2>/dev/null`);
    expect(await type(guest, 'cat /tmp/[0-3] | sha256sum')).toContain(sha256(disc));
    expect(await type(guest, 'grep ahci /proc/interrupts')).toContain('PCI-MSI');
    expect(await type(guest, 'dmesg | grep -ciE "i/o error|ata.*exception|timeout"')).toMatch(/^0\r/);
    await point(guest);
    guest.send('poweroff -f\n');
    expect(await guest.status(60)).toBe(0);
    writeFileSync(at('sata.raw'), disc);
    execFileSync('qemu-img', ['compare', '-f', 'raw', '-F', 'qcow2', at('sata.raw'), at('sata.qcow2')]);
  },
);
