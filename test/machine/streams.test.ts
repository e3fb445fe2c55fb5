/** Where a guest's output goes and its input comes from. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { assemble } from '../guest/assemble.ts';
import { guesthouseCommand } from '../guest/engines.ts';
import { Console } from './harness.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'guesthouse-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const SERIAL = 'to the serial port\r\n';
const DEBUG = 'to the debug console\n';

function start(...args: string[]): Console {
  const kernel = assemble(path.join(import.meta.dirname, 'guests', 'debugcon.asm'));
  return Console.start(
    guesthouseCommand(
      'run',
      '--accel',
      'wasm',
      '--kernel',
      kernel,
      '--memory',
      '64',
      '--debug-exit',
      ...args,
    ),
  );
}

test('both to the terminal', async () => {
  await using machine = start('--debugcon', 'stdio');
  expect(await machine.status()).toBe(1);
  expect(machine.output).toContain(SERIAL);
  expect(machine.output).toContain(DEBUG);
});

test('each to a file', async () => {
  const serial = path.join(folder, 'serial');
  const debugcon = path.join(folder, 'debugcon');
  await using machine = start('--serial', `file:${serial}`, '--debugcon', `file:${debugcon}`);
  expect(await machine.status()).toBe(1);
  expect({ output: machine.output, errors: machine.errors }).toEqual({ output: '', errors: '' });
  expect(readFileSync(serial, 'latin1')).toBe(SERIAL);
  expect(readFileSync(debugcon, 'latin1')).toBe(DEBUG);
});

test('to nobody', async () => {
  await using machine = start('--serial', 'null');
  machine.endInput();
  expect(await machine.status()).toBe(1);
  expect({ output: machine.output, errors: machine.errors }).toEqual({ output: '', errors: '' });
});
