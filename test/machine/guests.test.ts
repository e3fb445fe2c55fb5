import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { assemble } from '../guest/assemble.ts';
import { guesthouse, qemu, type MachineSpec } from '../guest/engines.ts';
import { Console } from './harness.ts';

/** `ENGINE=qemu` runs these guests in QEMU, to see that they are right themselves. */
const engine = process.env['ENGINE'] === 'qemu' ? qemu : guesthouse;

const guest = (name: string, defines: Readonly<Record<string, number>> = {}): string =>
  assemble(path.join(import.meta.dirname, 'guests', `${name}.asm`), defines);

const run = (kernel: string, spec: Partial<MachineSpec> = {}): Console =>
  Console.start(engine.command({ kernel, memory: 64, stdio: 'serial', debugExit: true, ...spec }));

const start = (name: string, spec?: Partial<MachineSpec>): Console => run(guest(name), spec);

/** Where multiboot.inc has the image loaded. */
const LOAD_ADDRESS = 0x10_0000;

/** Processor time a process and its threads have used, in seconds: utime and stime of proc_pid_stat(5). */
function processorTime(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name before the fields is in parentheses and may hold spaces.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

test('the debug exit port ends the machine with twice the value plus one', async () => {
  await using machine = start('exit');
  await machine.expect('leaving\r\n');
  expect(await machine.status()).toBe(21 * 2 + 1);
});

test.runIf(engine === guesthouse)('--dump-code shows hot code and what it becomes', async () => {
  const kernels = path.join(import.meta.dirname, '..', '..', 'bench', 'kernels');
  const kernel = assemble(path.join(kernels, 'integer.asm'), { SCALE: 100 });
  const multiply = [0x48, 0x6b, 0xf6, 31]; // imul rsi, rsi, 31
  const at = LOAD_ADDRESS + readFileSync(kernel).indexOf(Buffer.from(multiply));
  const spec = { kernel, memory: 64, stdio: 'serial', debugExit: true } as const;
  const command = [...engine.command(spec), '--dump-code', `0x${at.toString(16)}`] as const;
  // Tier 0, in which all tests may be run, has nothing to show.
  await using machine = Console.start(command, { GUESTHOUSE_TIER: '1' });
  await machine.status(60);
  expect(machine.errors).toMatch(new RegExp(`${at.toString(16)}  48 6b f6 1f +imul364 rsi, rsi, 0x1f\\n`));
  expect(machine.errors).toContain('(i64.rotl');
});

test('without --debug-exit the port does nothing', async () => {
  await using machine = start('exit', { debugExit: false });
  await machine.expect('leaving\r\n');
  await expect(machine.status(1)).rejects.toThrow('still running');
});

test('a halted guest costs no processor time, and the machine lives until it is told to end', async () => {
  await using machine = start('halt');
  await machine.expect('halting\r\n');
  await sleep(1000);
  const before = processorTime(machine.pid);
  await sleep(2000);
  expect(processorTime(machine.pid) - before).toBeLessThan(0.2);
  machine.signal('SIGTERM');
  await machine.status(5);
});

test.runIf(engine === guesthouse)('Ctrl-A X ends a machine, also where its input is a pipe', async () => {
  await using machine = start('halt');
  await machine.expect('halting\r\n');
  machine.send('\x01x');
  expect(await machine.status(5)).toBe(0);
});

test('the end of the input does not end the machine', async () => {
  await using machine = start('halt');
  machine.endInput();
  await machine.expect('halting\r\n');
  await expect(machine.status(1)).rejects.toThrow('still running');
});

test.runIf(engine === guesthouse)('a triple fault ends the machine with status 80 and one line', async () => {
  await using machine = start('triple-fault');
  await machine.expect('faulting\r\n');
  expect(await machine.status()).toBe(80);
  expect(machine.errors).toMatch(
    /^(guesthouse: accelerator [^\n]*\n)?guesthouse: [^\n]*triple fault[^\n]*\n$/,
  );
  expect(machine.output).not.toContain('still running');
});

test('code that changes itself', async () => {
  await using machine = start('self-modifying');
  // Twice the number of the first case that went wrong, plus one.
  expect(await machine.status()).toBe(1);
  expect(machine.output).toBe('all seen\r\n');
});

test.runIf(engine === guesthouse)('system-management mode has memory of its own', async () => {
  await using machine = start('smm');
  // Twice the number of the step that went wrong, plus one.
  expect(await machine.status()).toBe(1);
  expect(machine.output).toBe('all managed\r\n');
});

// Debian's QEMU 7.2 fails an assertion of its own here.
test.runIf(engine === guesthouse)(
  'x87 exceptions with CR0.NE clear come as IRQ 13, before the instruction that waits',
  async () => {
    await using machine = start('float-error');
    expect(await machine.status()).toBe(2 * 2 + 1);
    expect(machine.output).toBe('both reported\r\n');
  },
);

test.each(['cf9', 'i8042', 'acpi'])('reset by %s starts the kernel again', async (way) => {
  await using machine = start(`reset-${way}`);
  expect(await machine.status()).toBe(1);
  expect(machine.output).toBe('resetting\r\nstarted again\r\n');
});

test('a Multiboot kernel gets its command line and modules, in order', async () => {
  const modules = ['first', 'second', 'third'].map((text) => {
    const file = path.join(path.dirname(guest('modules')), `${text}.module`);
    writeFileSync(file, `${text}.`); // the guest puts a zero byte over the last
    return file;
  });
  await using machine = start('modules', { append: 'one two=2', modules });
  expect(await machine.status()).toBe(2 * modules.length + 1);
  expect(machine.output).toMatch(/one two=2\r\nfirst\r\nsecond\r\nthird\r\n$/);
});

test.runIf(engine === guesthouse).each([
  ['PIT', 0],
  ['HPET', 1],
])(
  'a guest that the host keeps waiting has had all ticks of the %s when it sees the time',
  { timeout: 90_000 },
  async (_, timer) => {
    await using machine = run(guest('ticks', { TIMER: timer }));
    const status = machine.status(60);
    const ended = status.then(() => true);
    while (!(await Promise.race([ended, sleep(40, false)]))) {
      machine.signal('SIGSTOP');
      await sleep(20);
      machine.signal('SIGCONT');
    }
    expect(await status).toBe(1);
    expect(machine.output).toBe('all ticks\r\n');
  },
);
