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
import { makeEntryDisc } from '../guest/isolinux-disc.ts';
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

/** Moves a viewer's pointer to the right, then presses its left button at the bottom.
 * @returns the first events of the guest's tablet: type, code and value */
async function point(guest: Console, count: number): Promise<number[][]> {
  const viewer = await Viewer.connect(connect(at('vnc')), { encodings: [7, -223] });
  // Events are kept for whoever has opened the device.
  const name = '$(grep -l "Guesthouse Tablet" /sys/class/input/event*/device/name | cut -d/ -f5)';
  await type(guest, `exec 3</dev/input/${name}`);
  viewer.pointer(viewer.width - 1, 0, 0);
  viewer.pointer(viewer.width - 1, viewer.height - 1, 1);
  // Of 24 bytes each, of which the last 8 are type, code and value.
  const dump = await type(guest, `dd bs=24 count=${count} <&3 2>/dev/null | od -An -v -tu2 -w24`);
  const events = dump.matchAll(/(\d+) +(\d+) +(\d+) +(\d+)\r/g);
  viewer.close();
  return [...events].map((match) => match.slice(1, 4).map(Number));
}

test(
  'Linux drives AHCI, with a queue and interrupts by message, and virtio’s tablet, which follows a viewer’s pointer',
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
    // The pointer was at the top on the left, so that the first move is along one axis alone.
    expect(await point(guest, 4)).toEqual([[3, 0, 0x7fff], [0, 0, 0], [3, 1, 0x7fff], [1, 0x110, 1]]); // prettier-ignore
    guest.send('poweroff -f\n');
    expect(await guest.status(60)).toBe(0);
    writeFileSync(at('sata.raw'), disc);
    execFileSync('qemu-img', ['compare', '-f', 'raw', '-F', 'qcow2', at('sata.raw'), at('sata.qcow2')]);
  },
);

test(
  'Linux drives a tablet on USB by xHCI, with two processors and interrupts by message',
  { timeout: 300_000 },
  async () => {
    const { kernel, initrd } = await sample(path.join(CACHE, 'sample-amd64'), ['linux-image-amd64']);
    await using guest = Console.start(
      guesthouseCommand('run', '--accel', 'wasm', '--memory', '256', '--vcpus', '2', '--tablet', 'usb',
        '--display', `vnc=${at('vnc')}`, '--kernel', kernel, '--initrd', initrd, '--append', 'console=ttyS0 quiet'),
    ); // prettier-ignore
    await guest.expect(PROMPT, BOOT);
    const found = 'until grep -q "Guesthouse Tablet" /proc/bus/input/devices; do sleep 0.1; done';
    await type(guest, found);
    const told = await point(guest, 6);
    // Between the two is the scan code of the button, which is none.
    expect(told.filter(([kind]) => kind !== 4)).toEqual([[3, 0, 0x7fff], [0, 0, 0], [1, 0x110, 1], [3, 1, 0x7fff], [0, 0, 0]]); // prettier-ignore
    expect(await type(guest, 'grep xhci /proc/interrupts')).toContain('PCI-MSI');
    // The controller is taken away and found again: its driver starts from a reset.
    await type(
      guest,
      'cd /sys/bus/pci/drivers/xhci_hcd; echo 0000:00:04.0 >unbind; echo 0000:00:04.0 >bind; cd /',
    );
    await type(guest, found);
    expect(await type(guest, 'dmesg | grep -iE "xhci|usb" | grep -ciE "error|fail|died"')).toMatch(/^0\r/);
    guest.send('poweroff -f\n');
    expect(await guest.status(60)).toBe(0);
  },
);

test(
  'Linux draws on the screen with the VESA driver, in the mode that it was booted with',
  { timeout: 300_000 },
  async () => {
    const { kernel, initrd } = await sample(path.join(CACHE, 'sample-amd64'), ['linux-image-amd64']);
    // 1024 × 768 × 32: mode 144h of the firmware's, to which the kernel's boot protocol adds 200h.
    const entry = '  KERNEL linux\n  APPEND initrd=initrd vga=0x344 console=ttyS0 quiet\n';
    const disc = makeEntryDisc(folder, 'vesa', entry, { [kernel]: 'linux', [initrd]: 'initrd' });
    const [width, height] = [1024, 768];
    await using guest = Console.start(
      guesthouseCommand('run', '--accel', 'wasm', '--memory', '256', '--display', `vnc=${at('vesa-screen')}`, '--cdrom', disc),
    ); // prettier-ignore
    await guest.expect(PROMPT, BOOT);
    expect(await type(guest, 'cat /proc/fb')).toContain('VESA VGA');
    expect(await type(guest, 'cat /sys/class/graphics/fb0/virtual_size')).toContain(`${width},${height}`);
    // A cursor would blink over it.
    await type(guest, "printf '\\033[?25l' >/dev/tty0");
    // A number of pixels that no line is a multiple of, again and again until the memory ends.
    const piece = 3073;
    await type(guest, `dd if=/dev/urandom of=/tmp/piece bs=${4 * piece} count=1`);
    await type(guest, '(while cat /tmp/piece; do :; done) >/dev/fb0 2>/dev/null');
    const dump = await type(guest, 'od -An -v -tx4 -w4 /tmp/piece');
    // The fourth byte of a pixel is not shown.
    const drawn = Array.from(dump.matchAll(/ ..([0-9a-f]{6})\r/g), ([, color]) => parseInt(color, 16));
    expect(drawn).toHaveLength(piece);
    const viewer = await Viewer.connect(connect(at('vesa-screen')), { encodings: [16, -223] });
    await viewer.update();
    expect([viewer.width, viewer.height]).toEqual([width, height]);
    expect(viewer.pixels.findIndex((pixel, i) => pixel !== drawn[i % piece])).toBe(-1);
    viewer.close();
    guest.send('poweroff -f\n');
    expect(await guest.status(60)).toBe(0);
  },
);
