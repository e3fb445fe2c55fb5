/** A console's whole way: the engine's history, its socket, the relay, and a client that draws slowly. */
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { CONTROL_VERSION } from '../../engine/api/control.ts';
import { ConsoleHistory } from '../../engine/host/console-history.ts';
import { ControlConnection } from '../../engine/host/control-connection.ts';
import { CONSOLE_WINDOW, decodeOutput } from '../contract/frame.ts';
import { ConsoleRelay } from '../service/console-relay.ts';
import { testHome, type TestHome } from '../testing/home.ts';
import { EngineClient } from './engine-client.ts';

let home: TestHome;
let history: ConsoleHistory;
let typed: string;
let server: Server;
let control: ControlConnection;
let socket: string;

beforeEach(async () => {
  home = testHome();
  history = new ConsoleHistory();
  typed = '';
  socket = path.join(home.directory, 'socket');
  server = createServer((connection) => {
    const target = {
      history,
      handle: () => null,
      serveDisplay: () => {},
      input: (bytes: Uint8Array) => {
        typed += Buffer.from(bytes).toString();
        return Promise.resolve();
      },
    };
    control = new ControlConnection(connection, target, () => {});
    control.send({
      type: 'hello',
      protocol: CONTROL_VERSION,
      pid: 1,
      state: { phase: 'running', shuttingDown: false, started: 7, media: [], ioError: null },
      note: '',
    });
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
});
afterEach(() => {
  server.close();
  rmSync(socket, { force: true });
  home[Symbol.dispose]();
});

const manager: ConstructorParameters<typeof ConsoleRelay>[0] = {
  async connectConsole(_, listener) {
    const connected = await EngineClient.connect(socket, listener);
    if (connected === undefined) throw new Error('nobody listens');
    return { client: connected.client, started: 7 };
  },
};

test('20 MB of output reach a slow client whole, and never more than a window is under way', async () => {
  const TOTAL = 20 * 2 ** 20;
  const wanted = createHash('sha256');
  const got = createHash('sha256');
  let received = 0;
  let underWay = 0;
  let most = 0;
  let expected = 0;
  const { promise: all, resolve } = Promise.withResolvers<void>();
  const relay: ConsoleRelay = new ConsoleRelay(manager, {
    send(message) {
      const output = decodeOutput(message);
      if (output === undefined) throw new Error('no output');
      expect(output.position).toBe(expected);
      expected += output.bytes.length;
      got.update(output.bytes);
      received += output.bytes.length;
      underWay += output.bytes.length;
      most = Math.max(most, underWay);
      // Drawn a while later, in one go.
      setTimeout(() => {
        underWay -= output.bytes.length;
        relay.credit(output.stream, output.bytes.length);
      }, 1);
      if (received === TOTAL) resolve();
    },
    closed: () => {},
  });
  await relay.attach('a', 0);
  for (let written = 0; written < TOTAL; written += 65536) {
    const chunk = Buffer.alloc(65536, `line ${written}\n`);
    wanted.update(chunk);
    await history.write(chunk);
  }
  await all;
  expect(got.digest('hex')).toBe(wanted.digest('hex'));
  // One more of the engine's messages may have been on its way when reading stopped.
  expect(most).toBeLessThanOrEqual(CONSOLE_WINDOW + 2 * 65536);
  relay.close();
});

test('input goes the other way, and the end of the output is told after all of it', async () => {
  let text = '';
  const { promise: ended, resolve } = Promise.withResolvers<string>();
  const relay = new ConsoleRelay(manager, {
    send: (message) => (text += Buffer.from(decodeOutput(message)?.bytes ?? []).toString()),
    closed: () => resolve(text),
  });
  await history.write(Buffer.from('before '));
  const { stream, position, started } = await relay.attach('a', 3);
  expect({ position, started }).toEqual({ position: 3, started: 7 });
  relay.input(stream, Buffer.from('ls\n'));
  await vi.waitFor(() => expect(typed).toBe('ls\n'));
  await history.write(Buffer.from('after'));
  history.close();
  await control.end(5000);
  expect(await ended).toBe('ore after');
});
