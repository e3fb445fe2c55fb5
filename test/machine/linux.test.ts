import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import { sample } from '../../main/cli/sample.ts';
import { CACHE } from '../guest/assemble.ts';
import { guesthouse } from '../guest/engines.ts';
import { Console } from './harness.ts';

/** An unmodified distribution kernel with a shell on the serial console. */
let files: { kernel: string; initrd: string };

/** What the console may take to come to its prompt, in seconds. */
const BOOT = 240;
const PROMPT = 'guesthouse:/# ';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** The most memory a process has had, in MiB: VmHWM of proc_pid_status(5). */
function peakMemory(pid: number): number {
  const [, kibibytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
  if (kibibytes === undefined) throw new Error('the system does not say how much memory the process has had');
  return Number(kibibytes) / 1024;
}

beforeAll(async () => {
  files = await sample(path.join(CACHE, 'sample'));
});

const boot = (append = 'console=ttyS0'): Console =>
  Console.start(guesthouse.command({ ...files, append, memory: 256, stdio: 'serial' }));

test(
  'the sample guest boots to a prompt, runs what is typed and powers off',
  { timeout: 300_000 },
  async () => {
    await using guest = boot();
    await guest.expect('Linux version');
    await guest.expect(PROMPT, BOOT);

    guest.send('echo product=$((6 * 7)) of $(uname -m)\n');
    await guest.expect('product=42 of x86_64');
    await guest.expect(PROMPT);

    guest.send('cat /proc/cmdline\n');
    await guest.expect('console=ttyS0\r\n');
    await guest.expect(PROMPT);

    guest.send('uname -sr; grep -c ^processor /proc/cpuinfo\n');
    await guest.expect(/Linux \d+\.\d+\.\d+\S*\r\n1\r\n/);
    await guest.expect(PROMPT);

    // The kernel finds nothing wrong, nor an erratum of the processor that its family once had.
    guest.send('echo found=$(dmesg | grep -cE "BUG|WARNING|E400").\n');
    await guest.expect('found=0.');
    await guest.expect(PROMPT);

    guest.send('i=0; while [ $i -lt 2000 ]; do i=$((i + 1)); done; echo counted=$i.\n');
    await guest.expect('counted=2000.');
    await guest.expect(PROMPT);

    // Bytes through pipes, the page cache and a good deal of arithmetic.
    const numbers = Array.from({ length: 20_000 }, (_, i) => `${i + 1}\n`).join('');
    guest.send('seq 1 20000 | tee /tmp/numbers | sha256sum; dd if=/dev/zero bs=64k count=64 | sha256sum\n');
    await guest.expect(sha256(Buffer.from(numbers)));
    await guest.expect(sha256(Buffer.alloc(64 * 65536)));
    await guest.expect(PROMPT);
    guest.send('md5sum < /tmp/numbers\n');
    await guest.expect(createHash('md5').update(numbers).digest('hex'));
    await guest.expect(PROMPT);

    // 256 MiB less what firmware areas and the kernel itself take.
    guest.send('free -m | awk \'/^Mem/ { print "total=" $2 "." }\'\n');
    const total = Number(/total=(\d+)\.\r/.exec(await guest.expect(/total=\d+\.\r/))?.[1]);
    expect(total).toBeGreaterThan(170);
    expect(total).toBeLessThan(257);
    await guest.expect(PROMPT);

    // The guest's own clock agrees that a second is a second.
    guest.send('read a x < /proc/uptime; sleep 1; read b x < /proc/uptime; echo from=$a to=$b.\n');
    const [, from, to] =
      /from=([\d.]+) to=([\d.]+)\.\r/.exec(await guest.expect(/from=[\d.]+ to=[\d.]+\.\r/)) ?? [];
    expect(Number(to) - Number(from)).toBeGreaterThan(0.98);
    expect(Number(to) - Number(from)).toBeLessThan(1.5);
    await guest.expect(PROMPT);

    // The line discipline turns Ctrl-C into a signal.
    guest.send('echo asleep; sleep 1000\n');
    await guest.expect('\nasleep\r\n');
    // One that comes between the shell's fork and exec is the shell's child's, which forgets it.
    await sleep(2000);
    guest.send('\x03');
    await guest.expect(PROMPT);

    guest.send('poweroff -f\n');
    expect(await guest.status()).toBe(0);
  },
);

test('time passes in the guest as it does outside', { timeout: 300_000 }, async () => {
  await using guest = boot('console=ttyS0 quiet');
  await guest.expect(PROMPT, BOOT);
  guest.send('date +at=%s.; sleep 3; date +at=%s.\n');
  const at = async (): Promise<[inside: number, outside: number]> => {
    const inside = Number(/at=(\d+)\.\r/.exec(await guest.expect(/at=\d+\.\r/))?.[1]);
    return [inside, Date.now() / 1000];
  };
  const [startInside, startOutside] = await at();
  const [endInside, endOutside] = await at();
  expect(Math.abs(endInside - startInside - (endOutside - startOutside))).toBeLessThan(2);
  // And its clock was set from the RTC.
  expect(Math.abs(endInside - endOutside)).toBeLessThan(10);
});

test.runIf(process.platform === 'linux')(
  'a machine takes its guest memory and at most 250 MiB, also when the guest uses all of it',
  { timeout: 300_000 },
  async () => {
    const MEMORY = 512;
    const append = 'console=ttyS0 quiet';
    const command = guesthouse.command({ ...files, append, memory: MEMORY, stdio: 'serial' });
    // As users have it, in whatever tier the other tests run.
    await using guest = Console.start(command, { GUESTHOUSE_TIER: '1' });
    await guest.expect(PROMPT, BOOT);
    // What Linux has left is written once, so that the host has to give it.
    guest.send('mkdir -p /full; mount -t tmpfs -o size=90% none /full; cat /dev/zero > /full/all\n');
    await guest.expect('No space left on device', 120);
    await guest.expect(PROMPT);
    guest.send('awk \'/^MemFree/ { print "free=" $2 "." }\' /proc/meminfo\n');
    const free = Number(/free=(\d+)\.\r/.exec(await guest.expect(/free=\d+\.\r/))?.[1]) / 1024;
    expect(free).toBeLessThan(64);
    expect(peakMemory(guest.pid)).toBeLessThan(MEMORY + 250);
  },
);

test('reboot starts the guest anew, and Ctrl-A X ends the machine', { timeout: 600_000 }, async () => {
  await using guest = boot();
  await guest.expect(PROMPT, BOOT);
  guest.send('reboot -f\n');
  await guest.expect('Linux version', 60);
  await guest.expect(PROMPT, BOOT);
  guest.send('\x01x');
  expect(await guest.status()).toBe(0);
});

test('the kernel finds its timer on a host that hardly ever runs it', { timeout: 150_000 }, async () => {
  await using guest = boot('console=ttyS0 earlyprintk=serial,ttyS0');
  await guest.expect('APIC: Switch to symmetric I/O mode', BOOT);
  // It counts the timer's interrupts for 160 ms of its TSC, in all of which it is not run at times, and wants five.
  const found = guest.expect('Calibrating delay loop', 90);
  const over = found.then(
    () => true,
    () => true,
  );
  while (!(await Promise.race([over, sleep(15, false)]))) {
    guest.signal('SIGSTOP');
    await sleep(200);
    guest.signal('SIGCONT');
  }
  const said = await found;
  expect(said).toContain('..TIMER: vector=');
  expect(said).not.toContain('timer not connected');
});
