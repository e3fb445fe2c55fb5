import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ControlDecoder, packInput, packJson } from '../api/control.ts';
import { Random } from '../base/random.ts';

const ENTRY = path.join(import.meta.dirname, 'process.ts');

let folder: string;
let engine: ChildProcess;
let socketPath: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'guesthouse-engine-'));
  socketPath = path.join(folder, 'socket');
  engine = launch();
});
afterEach(() => {
  engine.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

function launch(): ChildProcess {
  const words = [
    '--socket',
    socketPath,
    '--lock',
    path.join(folder, 'lock'),
    '--record',
    path.join(folder, 'run'),
  ];
  return spawn(process.execPath, [ENTRY, ...words], { stdio: ['ignore', 'ignore', 'pipe'] });
}

const ended = (child: ChildProcess): Promise<number | null> =>
  new Promise((resolve) => child.once('close', (status) => resolve(status)));

/** A connection that collects the values it is told. */
async function dial(): Promise<{ socket: Socket; told: unknown[]; until(kind: string): Promise<unknown> }> {
  for (;;) {
    const socket = connect(socketPath);
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    });
    if (!isOpen) {
      await sleep(20);
      continue;
    }
    const decoder = new ControlDecoder();
    const told: unknown[] = [];
    socket.on('error', () => {});
    socket.on('data', (bytes: Buffer) => {
      for (const packet of decoder.feed(bytes)) if (packet.kind === 'json') told.push(packet.value);
    });
    return {
      socket,
      told,
      async until(type) {
        for (;;) {
          const found = told.find((each) => JSON.stringify(each).startsWith(`{"type":"${type}"`));
          if (found !== undefined) return found;
          await sleep(5);
        }
      },
    };
  }
}

test.runIf(process.platform !== 'win32')('only this user may connect', async () => {
  const { until } = await dial();
  await until('hello');
  expect(statSync(socketPath).mode & 0o777).toBe(0o600);
});

test('a machine has one owner', async () => {
  await dial();
  const second = launch();
  let said = '';
  second.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text));
  expect(await ended(second)).toBe(75);
  expect(said).toBe('the machine is running already\n');
});

test.runIf(process.platform !== 'win32')(
  'what a killed owner left does not keep the next from starting',
  async () => {
    await dial();
    const gone = ended(engine);
    engine.kill('SIGKILL');
    await gone;
    engine = launch();
    expect(await (await dial()).until('hello')).toMatchObject({ state: { phase: 'ready' } });
  },
);

test('a configuration that is wrong is refused, and the next may be right', async () => {
  const { socket, until } = await dial();
  const config = { memory: -1, kernel: '/none' };
  socket.write(packJson({ id: 1, request: { kind: 'start', config, note: '', paused: false } }));
  expect(await until('failure')).toMatchObject({ id: 1, error: { code: 'config' } });
  socket.write(packJson({ id: 2, request: { kind: 'pause' } }));
  socket.write(packJson({ id: 3, request: { kind: 'stop' } }));
  expect(await ended(engine)).toBe(0);
});

test('what can run machines is told', async () => {
  const { socket, until } = await dial();
  socket.write(packJson({ id: 1, request: { kind: 'probe' } }));
  const answer = await until('result');
  expect(JSON.stringify(answer)).toContain('"name":"wasm","available":true');
});

test('nonsense ends its own connection and nothing else', async () => {
  const random = new Random(3);
  const good = await dial();
  for (let i = 0; i < 60; i++) {
    const { socket } = await dial();
    const closed = new Promise((resolve) => socket.once('close', resolve));
    const kind = ['start', 'attach', 'stop?', 'usage', '__proto__'][random.below(5)];
    const nonsense = [
      packJson({ id: random.below(3) - 1, request: { kind, from: random.below(5) - 2, config: null } }),
      packInput(Uint8Array.from({ length: random.below(5000) }, () => random.below(256))),
      Uint8Array.from({ length: 1 + random.below(64) }, () => random.below(256)),
    ];
    for (let n = random.below(6); n >= 0; n--) socket.write(nonsense[random.below(nonsense.length)]);
    socket.end();
    await closed;
  }
  good.socket.write(packJson({ id: 9, request: { kind: 'probe' } }));
  expect(await good.until('result')).toMatchObject({ id: 9 });
});
