/**
 * Several vCPUs: small guests that watch what processors must agree on, and Linux with work for all of them.
 *
 * `VCPUS=1,2,4,8 npm run test:machine -- smp` boots Linux with those; without it with 2 and 4. `STARTED=64` starts so
 * many in a guest of its own.
 */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { acceleratorOf } from '../../engine/machine/accelerator.ts';
import { sample } from '../../main/cli/sample.ts';
import { assemble, CACHE } from '../guest/assemble.ts';
import { guesthouse, guesthouseCommand, type MachineSpec } from '../guest/engines.ts';
import { Console } from './harness.ts';

const guest = (name: string): string => assemble(path.join(import.meta.dirname, 'guests', `${name}.asm`));

const start = (name: string, spec: Partial<MachineSpec>): Console =>
  Console.start(
    guesthouse.command({ kernel: guest(name), memory: 64, stdio: 'serial', debugExit: true, ...spec }),
  );

/** Seconds that a guest may take on a host that has much else to do. */
const PATIENCE = 150;
const TIMEOUT = { timeout: 1000 * (PATIENCE + 30) };

// Atomic operations, memory ordering, interprocessor interrupts, translations and code changed by others.
test.each([1, 2, 4])('%i processors agree', TIMEOUT, async (vcpus) => {
  await using machine = start('smp', { vcpus });
  // Twice the number of the first case that went wrong, plus one.
  expect(await machine.status(PATIENCE)).toBe(1);
  expect(machine.output).toBe('all cases\r\n');
});

// Three threads a core: APIC ids have gaps.
const started = process.env['STARTED'] ?? '12,cores=4,threads=3';

test('every processor starts, with an id of its own', TIMEOUT, async () => {
  await using machine = start('smp-start', { vcpus: started });
  expect(await machine.status(PATIENCE)).toBe(2 * parseInt(started, 10) + 1);
});

/** As in guests/disk-code.asm. */
const CODE_SECTORS = 48;

/** A disk of functions: sector n begins with MOV EAX, 0x01010100 + n; RET. */
function codeDisk(name: string): string {
  const disk = new Uint8Array(512 * CODE_SECTORS);
  for (let n = 0; n < CODE_SECTORS; n++) disk.set([0xb8, n, 1, 1, 1, 0xc3], 512 * n);
  const file = path.join(CACHE, 'guest', name);
  writeFileSync(file, disk);
  return file;
}

function diskCode(accelerator: string, vcpus: number): Console {
  const disk = `${codeDisk(`disk-code-${accelerator}-${vcpus}.raw`)},format=raw,bus=ide`;
  const options = ['--vcpus', String(vcpus), '--disk', disk, '--debug-exit', '--memory', '64'];
  return Console.start(
    guesthouseCommand('run', '--accel', accelerator, '--kernel', guest('disk-code'), ...options),
  );
}

async function expectNewCode(accelerator: string, vcpus: number): Promise<void> {
  await using machine = diskCode(accelerator, vcpus);
  expect(await machine.status(PATIENCE)).toBe(1);
  expect(machine.output).toBe('all loaded\r\n');
}

test.each([1, 2, 4])(
  'code that a disk writes over code that ran, on %i processors',
  TIMEOUT,
  async (vcpus) => {
    await expectNewCode('wasm', vcpus);
  },
);

const kvm = acceleratorOf('kvm').probe();
if (kvm.ok) {
  test('the same on KVM', TIMEOUT, async () => expectNewCode('kvm', 2));
} else test.skip(`KVM cannot run here: ${kvm.reason}`, () => {});

test('more vCPUs than there can be are refused in one line', TIMEOUT, async () => {
  await using machine = start('smp-start', { vcpus: 65 });
  expect(await machine.status(PATIENCE)).toBe(64);
  expect(machine.errors).toMatch(/^guesthouse: [^\n]*from 1 to 64[^\n]*\n$/);
});

const PROMPT = 'guesthouse:/# ';
const counts = (process.env['VCPUS'] ?? '2,4').split(',').map(Number);

test.each(counts)('Linux with %i vCPUs works on all of them', { timeout: 600_000 }, async (vcpus) => {
  const files = await sample(path.join(CACHE, 'sample'));
  await using machine = Console.start(
    guesthouse.command({ ...files, append: 'console=ttyS0 quiet', memory: 256, vcpus, stdio: 'serial' }),
  );
  await machine.expect(PROMPT, 300);
  machine.send('nproc; grep -c ^processor /proc/cpuinfo\n');
  await machine.expect(`\n${vcpus}\r\n${vcpus}\r\n`);
  await machine.expect(PROMPT);

  // Every one of several processes finds the same sum.
  machine.send('for i in $(seq 4); do seq 1 2000 | md5sum & done | sort | uniq -c; echo summed.\n');
  const numbers = Array.from({ length: 2000 }, (_, i) => `${i + 1}\n`).join('');
  const sum = createHash('md5').update(numbers).digest('hex');
  expect(await machine.expect('\nsummed.', 120)).toContain(`\n      4 ${sum}  -\r`);
  await machine.expect(PROMPT);

  // Forks, pipes, files and their locks from all sides at once.
  machine.send(
    'work() { for j in $(seq 12); do echo $1 $j > /tmp/f$1; cat /tmp/f$1 | cat >> /tmp/all; done; }; ' +
      'for i in $(seq 6); do work $i & done; wait; sort -u /tmp/all | wc -l; echo worked.\n',
  );
  expect(await machine.expect('\nworked.', 200)).toContain('\n72\r\n');
  await machine.expect(PROMPT);

  // The kernel found nothing amiss: clocks that disagree, stalls, processors that do not answer.
  machine.send(
    'dmesg | grep -cE "TSC (warp|unstable)|rcu.*stall|lockup|BUG: |WARNING: |not respond"; echo looked.\n',
  );
  expect(await machine.expect('\nlooked.')).toContain('\n0\r\n');
  await machine.expect(PROMPT);

  machine.send('poweroff -f\n');
  expect(await machine.status()).toBe(0);
});
