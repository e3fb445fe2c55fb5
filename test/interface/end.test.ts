/** `guesthouse serve` ends when it is told to, whatever it is doing, and says what becomes of the machines. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { connectWeb, TestConsole } from '../../main/testing/web-client.ts';
import { endpointOf } from '../../main/vm/endpoint.ts';
import { processesWith } from './processes.ts';
import { StandIn } from './stand-in.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const COMMAND = path.join(ROOT, 'main/cli/guesthouse.ts');

/** Seconds that ending may take: more than the three that work under way gets, and fewer than it takes by itself. */
const BOUND = 15;

let home: string;
let environment: NodeJS.ProcessEnv;
let library: string;
/** Where sockets of machines are. */
let runtime: string;

beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), 'gh-'));
  environment = { ...process.env, XDG_DATA_HOME: home, XDG_CONFIG_HOME: home, XDG_RUNTIME_DIR: home };
  runtime = path.join(home, 'guesthouse');
  library = path.join(runtime, 'machines');
  mkdirSync(runtime, { mode: 0o700 });
});
afterEach(() => {
  for (const pid of processesWith(home)) process.kill(pid, 'SIGKILL');
  rmSync(home, { recursive: true, force: true });
});

interface Served {
  readonly child: ChildProcess;
  readonly address: string;
  /** All that it has printed. */
  output(): string;
}

async function serve(program = process.execPath, words = [COMMAND, 'serve']): Promise<Served> {
  const child = spawn(program, words, { cwd: ROOT, env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  await expect.poll(() => output, { timeout: 60_000 }).toMatch(/http:\/\/\S+\s/);
  return { child, address: /http:\/\/\S+/.exec(output)?.[0] ?? '', output: () => output };
}

/** Waits for the end of a process, with its output. @returns status, or signal that ended it */
function end(child: ChildProcess): Promise<number | string | null> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`it has not ended in ${BOUND} s`)), 1000 * BOUND);
    child.once('close', (status, signal) => {
      clearTimeout(timer);
      resolve(status ?? signal);
    });
  });
}

/** Puts a machine into the library. @returns its folder in it, and its document */
function put(id: string): { folder: string; document: string } {
  const document = {
    format: 'guesthouse machine',
    version: 1,
    name: `machine ${id}`,
    sample: true,
    memory: 256,
  };
  const folder = path.join(library, id);
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'machine.json'), JSON.stringify(document));
  return { folder, document: JSON.stringify(document) };
}

test.for(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
  '%s ends it with a browser connected, a console attached, and a machine that goes on',
  async (signal) => {
    const { document } = put('one');
    await using machine = await StandIn.run({ library, runtime }, 'one', document);
    const { child, address, output } = await serve();
    const client = await connectWeb(address);
    const { machines } = await client.call('machine.list', {});
    expect(machines).toMatchObject([{ state: 'running' }]);
    await TestConsole.attach(client, 'one');
    child.kill(signal);
    child.kill(signal);
    expect(await end(child)).toBe(0);
    expect(output()).toContain(`Guesthouse ends. 'machine one' keeps running; "guesthouse list" shows it.\n`);
    expect(machine.requests).not.toContain('stop');
  },
);

test('an engine that says nothing, and one that is being asked what it can do, do not hold it up', async () => {
  const { folder } = put('mute');
  const connected = Promise.withResolvers<void>();
  const mute = createServer(() => connected.resolve());
  await new Promise<void>((resolve) => {
    mute.listen(endpointOf(folder, runtime).socket, resolve);
  });
  const { child, address, output } = await serve();
  const client = await connectWeb(address);
  const asked = client.call('host.capabilities', {});
  await connected.promise;
  child.kill('SIGTERM');
  await expect(asked).rejects.toThrow('has ended');
  expect(await end(child)).toBe(0);
  expect(output()).toContain('No machine is running.');
  mute.close();
});

test('started by npx, it ends with that', async () => {
  const npx = process.platform === 'win32' ? 'npx.cmd' : 'npx';
  const { child, output } = await serve(npx, ['guesthouse', 'serve']);
  child.kill('SIGTERM');
  // Its output is closed only when what it has started is gone as well.
  await end(child);
  expect(output()).toContain('No machine is running.');
  expect(processesWith(home)).toEqual([]);
});
