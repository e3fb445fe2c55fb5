import path from 'node:path';
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

    // 256 MiB less what firmware areas and the kernel itself take.
    guest.send('free -m | awk \'/^Mem/ { print "total=" $2 "." }\'\n');
    const total = Number(/total=(\d+)\.\r/.exec(await guest.expect(/total=\d+\.\r/))?.[1]);
    expect(total).toBeGreaterThan(170);
    expect(total).toBeLessThan(257);
    await guest.expect(PROMPT);

    // The line discipline turns Ctrl-C into a signal.
    guest.send('sleep 1000\n');
    await guest.expect('sleep 1000\r\n');
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

test('reboot starts the guest anew, and Ctrl-A X ends the machine', { timeout: 600_000 }, async () => {
  await using guest = boot();
  await guest.expect(PROMPT, BOOT);
  guest.send('reboot -f\n');
  await guest.expect('Linux version', 60);
  await guest.expect(PROMPT, BOOT);
  guest.send('\x01x');
  expect(await guest.status()).toBe(0);
});
