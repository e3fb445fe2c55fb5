/**
 * `npm run test:debian -- [--bus ide|sata|virtio]… [--vcpus N] [--without-qemu]`
 *
 * Boots Debian from a disk of its own making, through the firmware and GRUB: to the login prompt, where it logs in and
 * writes; shut down by the power button; and again, where all that was written must be there. Then the same disk in
 * QEMU (TCG), with the same firmware and controller, for the time to the login prompt. Status 1 where anything is not
 * as it should be.
 *
 * Times are the clock's and, since the host may have other work, the processor's.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Cost, cpuSeconds } from '../../bench/measure.ts';
import { createImage } from '../../engine/host/image-tools.ts';
import { commandLine, oneOf, wholeNumber } from '../../scripts/command-line.ts';
import { testHome } from '../../main/testing/home.ts';
import { type Command, guesthouseCommand } from '../guest/engines.ts';
import { Console } from '../machine/harness.ts';
import { debianDisk, HOST_NAME, PASSWORD } from './disk.ts';

/** Seconds, on a host that has other work as well. */
const BOOT = 1800;
const COMMAND = 600;

const MEMORY = 512;
const NUMBERS = 300_000;
const PROMPT = `root@${HOST_NAME}:~# `;
const BUSES = ['ide', 'sata', 'virtio'] as const;
type Bus = (typeof BUSES)[number];

/** What QEMU calls a disk on each: its option `if`, and devices beside it. */
const QEMU_DISKS: Record<Bus, { interface: string; devices: readonly string[] }> = {
  ide: { interface: 'ide', devices: [] },
  sata: {
    interface: 'none',
    devices: ['-device', 'ahci,id=ahci', '-device', 'ide-hd,bus=ahci.0,drive=disk'],
  },
  virtio: { interface: 'virtio', devices: [] },
};

const USAGE = `npm run test:debian -- [OPTION]…
  --bus ${BUSES.join('|')}  what the disk is on; may be repeated (default: each)
  --vcpus N              processors (default: 1)
  --without-qemu         not in QEMU as well`;

const values = commandLine(USAGE, {
  bus: { type: 'string', multiple: true },
  vcpus: { type: 'string', default: '1' },
  'without-qemu': { type: 'boolean', default: false },
});
wholeNumber('vcpus', values.vcpus, 1);
const buses = values.bus?.map((name) => oneOf('bus', name, BUSES)) ?? BUSES;

const disk = debianDisk();
using home = testHome();

const manage = (...words: string[]): string => {
  const [program, ...args] = guesthouseCommand(...words);
  return execFileSync(program, args, { encoding: 'utf8' });
};

/** A fresh overlay over the disk. */
function overlay(name: string): string {
  const file = path.join(home.directory, name);
  createImage(file, { format: 'qcow2', backing: { file: disk, format: 'raw' } });
  return file;
}

/** Waits for the login prompt.
 * @param started when the machine was, by `performance.now`
 * @param engine gives the process that runs it
 * @returns what it has taken since then */
async function untilLogin(machine: Console, started: number, engine: () => number): Promise<Cost> {
  await machine.expect(`${HOST_NAME} login: `, BOOT);
  return { seconds: (performance.now() - started) / 1000, cpuSeconds: cpuSeconds(engine()) };
}

async function logIn(machine: Console): Promise<void> {
  machine.send('root\n');
  await machine.expect('Password: ', COMMAND);
  machine.send(`${PASSWORD}\n`);
  await machine.expect(PROMPT, COMMAND);
}

/** Types a line, and gives back what is printed until the next prompt. */
async function type(machine: Console, line: string): Promise<string> {
  machine.send(`${line}\n`);
  await machine.expect('\n', COMMAND);
  return machine.expect(PROMPT, COMMAND);
}

/** Presses the power button, and waits until the machine is off. */
async function shutDown(name: string): Promise<void> {
  manage('shutdown', name);
  const deadline = performance.now() + 1000 * COMMAND;
  while (manage('domstate', name).trim() !== 'shut off') {
    if (performance.now() > deadline) throw new Error(`${name} does not shut down`);
    await sleep(500);
  }
}

function requireText(text: string, wanted: string, what: string): void {
  if (!text.includes(wanted)) throw new Error(`${what}: ${wanted} is missing in\n${text}`);
}

const both = ({ seconds, cpuSeconds: cpu }: Cost): string =>
  `${seconds.toFixed(1)} s (of processors ${cpu.toFixed(1)} s)`;
const ratio = (time: number, other: number): string => (time / other).toFixed(2);

/** Two boots of a machine, with what was written in the first looked at in the second.
 * @returns what each took to the login prompt */
async function bootTwice(bus: Bus): Promise<[first: Cost, second: Cost]> {
  const name = `debian-${bus}`;
  const file = overlay(`${name}.qcow2`);
  const options = ['--accel', 'wasm', '--memory', String(MEMORY), '--vcpus', values.vcpus];
  manage('define', '--name', name, ...options, '--disk', `${file},bus=${bus}`);
  const numbers = Array.from({ length: NUMBERS }, (_, i) => `${i + 1}\n`).join('');
  const sum = createHash('sha256').update(numbers).digest('hex');
  const start = guesthouseCommand('start', name, '--console');
  const boot = async (isFirst: boolean): Promise<Cost> => {
    const started = performance.now();
    await using machine = Console.start(start, home.environment);
    // A machine's Id is its process's.
    const cost = await untilLogin(machine, started, () => Number(manage('domid', name)));
    await logIn(machine);
    if (isFirst) {
      requireText(await type(machine, `seq ${NUMBERS} | tee numbers | sha256sum`), sum, 'written');
      await type(machine, 'cp -a /usr/share/zoneinfo . && sync');
    }
    requireText(
      await type(machine, 'sha256sum numbers'),
      sum,
      isFirst ? 'read back' : 'read after the second boot',
    );
    requireText(await type(machine, 'diff -r /usr/share/zoneinfo zoneinfo && echo same.'), 'same.', 'copied');
    requireText(await type(machine, 'nproc'), `${values.vcpus}\r`, 'processors');
    requireText(await type(machine, 'udevadm settle; cat /proc/fb'), 'bochs-drm', 'the screen’s driver');
    const errors =
      'dmesg | grep -ciE "i/o error|ata[0-9.]+: (exception|failed)|EXT4-fs error|lockup|rcu.*stall"';
    requireText(await type(machine, errors), '0\r', 'errors in the log');
    await shutDown(name);
    return cost;
  };
  try {
    const first = await boot(true);
    console.log(`${bus}: to the login prompt in ${both(first)}, and shut down`);
    const second = await boot(false);
    execFileSync('qemu-img', ['check', file]);
    return [first, second];
  } finally {
    // It would outlive this program, and its own folder.
    if (manage('domstate', name).trim() !== 'shut off') manage('destroy', name);
    manage('undefine', name);
  }
}

/** The same disk in QEMU, with the same devices beside it. @returns what it took to the login prompt */
async function bootInQemu(bus: Bus): Promise<Cost> {
  const { interface: kind, devices } = QEMU_DISKS[bus];
  const drive = `file=${overlay(`qemu-${bus}.qcow2`)},format=qcow2,if=${kind},id=disk`;
  const command: Command = [
    'qemu-system-x86_64', '-machine', 'pc', '-accel', 'tcg', '-cpu', 'max', '-m', String(MEMORY), '-smp', values.vcpus,
    '-nodefaults', '-vga', 'std', '-device', 'qemu-xhci', '-device', 'usb-tablet', '-display', 'none',
    '-serial', 'stdio', '-drive', drive, ...devices,
  ]; // prettier-ignore
  const started = performance.now();
  await using machine = Console.start(command);
  return await untilLogin(machine, started, () => machine.pid);
}

for (const bus of buses) {
  const [first, second] = await bootTwice(bus);
  console.log(`${bus}: again in ${both(second)}; all is there`);
  if (values['without-qemu']) continue;
  const other = await bootInQemu(bus);
  const ratios = [ratio(first.seconds, other.seconds), ratio(first.cpuSeconds, other.cpuSeconds)];
  console.log(`${bus}: QEMU in ${both(other)}; ratio ${ratios.join(', of processors ')}`);
}
