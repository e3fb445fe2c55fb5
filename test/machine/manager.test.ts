/**
 * A machine's whole life, through the browser shell and through the command line, each seeing what the other
 * does: one owner, and everybody else connected to it.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sample } from '../../main/cli/sample.ts';
import type { Client, MachineSummary, Operation } from '../../main/contract/index.ts';
import { Services } from '../../main/service/services.ts';
import { testHome, type TestHome } from '../../main/testing/home.ts';
import { connectWeb, TestConsole } from '../../main/testing/web-client.ts';
import { nodeLauncher } from '../../main/vm/launcher.ts';
import { Assets } from '../../main/web/assets.ts';
import { WebServer } from '../../main/web/server.ts';
import { CACHE } from '../guest/assemble.ts';
import { guesthouseCommand } from '../guest/engines.ts';

/** What the console may take to come to its prompt, in seconds. */
const BOOT = 240;
const PROMPT = 'guesthouse:/# ';
const LIMIT = { timeout: 400_000 };

let home: TestHome;
let services: Services;
let server: WebServer;
let client: Client;
let document: Record<string, string | number>;

beforeAll(async () => {
  const files = await sample(path.join(CACHE, 'sample'));
  document = { name: 'lodger', ...files, append: 'console=ttyS0 quiet', memory: 256 };
  home = testHome();
  const interfaceFolder = path.join(home.directory, 'interface');
  mkdirSync(interfaceFolder);
  writeFileSync(path.join(interfaceFolder, 'index.html'), '<!doctype html><title>Guesthouse</title>');
  services = new Services({ shell: 'browser', launcher: nodeLauncher });
  server = await WebServer.start(services, new Assets(interfaceFolder), 0);
  await services.manager.watch();
  client = await connectWeb(server.address());
});

afterAll(async () => {
  for (const { id, pid } of await services.manager.list())
    if (pid !== null) await services.manager.destroy(id);
  client.close();
  services.manager.close();
  await server.close();
  home[Symbol.dispose]();
});

/** Runs the command line to its end. */
async function guesthouse(
  ...words: string[]
): Promise<{ status: number | null; output: string; errors: string }> {
  const [program, ...args] = guesthouseCommand(...words);
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const status = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { status, output, errors };
}

/** Waits until a client of the shell is told of a machine that is as wanted. */
function told(wanted: (machine: MachineSummary) => boolean, seconds = 30): Promise<MachineSummary> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('not told')), seconds * 1000);
    const end = client.on('machine.changed', ({ machine }) => {
      if (!wanted(machine)) return;
      clearTimeout(timer);
      end();
      resolve(machine);
    });
  });
}

test('define, start, work, shut down and delete, through the browser shell', LIMIT, async () => {
  const operations: Operation[] = [];
  client.on('operation', ({ operation }) => operations.push(operation));
  const { machine } = await client.call('machine.define', { document });
  expect(machine).toMatchObject({ name: 'lodger', state: 'shut off', memory: 256, boots: 'kernel vmlinuz' });
  const { id } = machine;

  const started = await client.call('machine.start', { id });
  expect(started.machine.state).toBe('running');
  expect(operations.map(({ kind, state }) => `${kind} ${state}`)).toContain('start done');
  await expect(client.call('machine.start', { id })).rejects.toThrow('running already');

  const guest = await TestConsole.attach(client, id);
  await guest.expect(PROMPT, BOOT);
  guest.send('echo product=$((6 * 7))\n');
  await guest.expect('product=42');

  // The command line speaks to the same machine.
  const listed = await guesthouse('list');
  expect(listed.output).toMatch(new RegExp(`^ ${started.machine.pid} +lodger +running$`, 'm'));
  const paused = told(({ state }) => state === 'paused');
  expect((await guesthouse('suspend', 'lodger')).output).toBe("Machine 'lodger' suspended\n");
  await paused;
  await client.call('machine.resume', { id });
  expect((await guesthouse('domstate', 'lodger')).output).toBe('running\n');

  // Another window finds the console as it was left, and what is new only where it says how far it has come.
  const second = await TestConsole.attach(client, id);
  await second.expect('product=42');
  await guest.detach();
  const third = await TestConsole.attach(client, id, guest.end);
  third.send('echo again=$((7 * 7))\n');
  await third.expect('again=49');
  expect(third.text).not.toContain('product=42');

  // An edit waits for the next start.
  const { document: stored, revision } = await client.call('machine.get', { id });
  const edited = await client.call('machine.configure', {
    id,
    revision,
    document: { ...stored, memory: 300 },
  });
  expect(edited.machine).toMatchObject({ pending: true, memory: 256 });
  await expect(client.call('machine.configure', { id, revision, document: { ...stored } })).rejects.toThrow(
    'changed elsewhere',
  );

  const { statistics } = await client.call('machine.exits', { id });
  expect(statistics?.instructions).toBeGreaterThan(1e6);
  const { samples } = await client.call('machine.series', { id });
  expect(samples.length).toBeGreaterThan(1);
  expect(Math.max(...samples.map(({ cpu }) => cpu))).toBeGreaterThan(5);

  await expect(client.call('machine.undefine', { id })).rejects.toThrow('is running');
  const off = told(({ state }) => state === 'shut off', 60);
  await client.call('machine.shutdown', { id });
  expect((await off).lastError).toBeNull();
  await expect(third.expect('more than there is')).rejects.toThrow('not printed');
  expect(third.closed).toBe(true);

  await client.call('machine.undefine', { id });
  expect((await client.call('machine.list', {})).machines).toEqual([]);
});

test('define, start, work, destroy and delete, from the command line', LIMIT, async () => {
  const file = path.join(home.directory, 'lodger.json');
  writeFileSync(file, JSON.stringify({ ...document, vcpus: 2, topology: { sockets: 2 } }));
  const seen = told(({ name }) => name === 'lodger');
  expect(await guesthouse('define', file)).toEqual({
    status: 0,
    output: `Machine 'lodger' defined from ${file}\n`,
    errors: '',
  });
  const { id } = await seen;
  expect(JSON.parse((await guesthouse('dumpconfig', 'lodger')).output)).toMatchObject({
    vcpus: 2,
    topology: { sockets: 2 },
  });
  const running = told(({ state }) => state === 'running');
  expect((await guesthouse('start', 'lodger')).output).toBe("Machine 'lodger' started\n");
  await running;

  const [program, ...args] = guesthouseCommand('console', 'lodger', '--history');
  const terminal = spawn(program, args, { stdio: 'pipe' });
  let printed = '';
  const prompt = new Promise<void>((resolve) => {
    terminal.stdout.setEncoding('latin1').on('data', (text: string) => {
      printed += text;
      if (printed.includes(PROMPT)) resolve();
    });
  });
  await prompt;
  const product = new Promise<void>((resolve) => {
    terminal.stdout.on('data', () => {
      if (printed.includes('product=42')) resolve();
    });
  });
  terminal.stdin.write('echo product=$((6 * 7))\n');
  await product;
  terminal.stdin.write('\x1d');
  expect(await new Promise((resolve) => terminal.once('close', resolve))).toBe(0);

  expect((await guesthouse('dominfo', 'lodger')).output).toMatch(/^State: +running$/m);
  expect((await guesthouse('vcpuinfo', 'lodger')).output).toMatch(
    /^VCPU: +0\nState: +(running|blocked)\nCPU time: [^]*\n\nVCPU: +1\n[^]*\nSocket: +1\nCore: +0\n[^]*\nAPIC id: +1\n$/,
  );
  expect((await guesthouse('undefine', 'lodger')).errors).toMatch(/is running/);
  const off = told(({ state }) => state === 'shut off');
  expect((await guesthouse('destroy', 'lodger')).status).toBe(0);
  await off;
  expect((await guesthouse('undefine', id)).status).toBe(0);
  expect((await guesthouse('list', '--all', '--json')).output).toBe('[]\n');
});

test('an engine that dies is noticed, with the reason, and hurts nobody else', LIMIT, async () => {
  const { machine } = await client.call('machine.define', { document });
  const { id } = machine;
  await client.call('machine.start', { id });
  const { machines } = await client.call('machine.list', {});
  const crashed = told(({ lastError }) => lastError !== null);
  process.kill(machines[0].pid ?? 0, 'SIGKILL');
  expect(await crashed).toMatchObject({
    state: 'crashed',
    pid: null,
    lastError: { code: 'internal', message: 'its engine was ended by SIGKILL' },
  });
  // What it held is free again.
  await client.call('machine.start', { id });
  await client.call('machine.destroy', { id });
  expect((await guesthouse('dominfo', 'lodger')).output).toMatch(/^State: +shut off$/m);
  await client.call('machine.undefine', { id });
});

test('what keeps a machine from starting stays on it until it is dismissed', async () => {
  const { machine } = await client.call('machine.define', {
    document: { name: 'hopeless', kernel: path.join(home.directory, 'none') },
  });
  const { id } = machine;
  await expect(client.call('machine.start', { id })).rejects.toThrow('no such file');
  const { machines } = await client.call('machine.list', {});
  expect(machines[0]).toMatchObject({ state: 'shut off', lastError: { code: 'file' } });
  // Another program knows as well.
  expect((await guesthouse('dominfo', 'hopeless')).output).toMatch(/^Last error: .*no such file/m);
  await client.call('machine.dismiss', { id });
  expect((await client.call('machine.list', {})).machines[0].lastError).toBeNull();
  expect(readFileSync(path.join(home.library, id, 'machine.json'), 'utf8')).toContain('hopeless');
  await client.call('machine.undefine', { id });
});
