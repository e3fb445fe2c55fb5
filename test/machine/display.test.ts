/** The display of a machine of the library: as the interface sees it, and from the command line. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Duplex } from 'node:stream';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Viewer } from '../../engine/backend/display/testing/viewer.ts';
import type { Client, ConsoleStream } from '../../main/contract/index.ts';
import { Services } from '../../main/service/services.ts';
import { testHome, type TestHome } from '../../main/testing/home.ts';
import { connectWeb } from '../../main/testing/web-client.ts';
import { nodeLauncher } from '../../main/vm/launcher.ts';
import { Assets } from '../../main/web/assets.ts';
import { WebServer } from '../../main/web/server.ts';
import { guesthouseCommand } from '../guest/engines.ts';

let home: TestHome;
let services: Services;
let server: WebServer;
let client: Client;
let id = '';
let firmwareLog = '';

beforeAll(async () => {
  home = testHome();
  services = new Services({ shell: 'browser', launcher: nodeLauncher });
  writeFileSync(path.join(home.directory, 'index.html'), '<!doctype html><title>Guesthouse</title>');
  server = await WebServer.start(services, new Assets(home.directory), 0);
  await services.manager.watch();
  client = await connectWeb(server.address());
  firmwareLog = path.join(home.directory, 'firmware.log');
  ({ id } = await services.manager.define({
    name: 'screen',
    accel: 'wasm',
    memory: 64,
    debugcon: { kind: 'file', path: firmwareLog },
  }));
  await services.manager.start(id);
});

afterAll(async () => {
  await services.manager.destroy(id);
  client.close();
  services.manager.close();
  await server.close();
  home[Symbol.dispose]();
});

function guesthouse(...words: string[]) {
  const [program, ...args] = guesthouseCommand(...words);
  return spawnSync(program, args, { encoding: 'utf8' });
}

/** The display through the contract, as a stream that a viewer can speak on. */
async function displayStream(): Promise<Duplex> {
  const session: { attached?: ConsoleStream } = {};
  const stream = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      session.attached?.write(chunk);
      done();
    },
  });
  session.attached = await client.attachDisplay(id, {
    output: (bytes) => {
      // The first bytes come before this function has what it attached: they stay owed.
      session.attached?.credit(bytes.length);
      stream.push(bytes);
    },
    closed: () => stream.push(null),
  });
  return stream;
}

test('the interface sees the screen and types; the command line reads it, types and takes a picture', async () => {
  await vi.waitFor(
    () => expect(guesthouse('screenshot', 'screen', '--text').stdout).toContain('No bootable'),
    {
      timeout: 40_000,
      interval: 500,
    },
  );
  const viewer = await Viewer.connect(await displayStream(), { encodings: [7, -223, -258] });
  await viewer.update();
  expect([viewer.width, viewer.height, viewer.name]).toEqual([720, 400, 'screen']);
  expect(new Set(viewer.pixels).size).toBeGreaterThan(1);

  // SeaBIOS resets the machine at Ctrl+Alt+Delete, and greets again where it logs. The screen may be the same again
  // before anybody has looked.
  const greetings = () => readFileSync(firmwareLog, 'latin1').split('SeaBIOS (version').length - 1;
  const before = greetings();
  expect(before).toBeGreaterThan(0);
  for (const code of [0x1d, 0x38, 0xd3]) viewer.key(code, true);
  await vi.waitFor(() => expect(greetings()).toBe(2 * before), { timeout: 20_000 });
  for (const code of [0xd3, 0x38, 0x1d]) viewer.key(code, false);
  viewer.close();

  const file = path.join(home.directory, 'screen.png');
  const taken = guesthouse('screenshot', 'screen', file);
  expect([taken.status, taken.stderr, existsSync(file)]).toEqual([0, '', true]);
  expect(guesthouse('send-key', 'screen', 'KEY_LEFTCTRL', 'KEY_A', '--holdtime', '50').status).toBe(0);
  expect(guesthouse('send-key', 'screen', 'KEY_ANY').stderr).toContain("there is no key 'KEY_ANY'");
  expect(guesthouse('screenshot', 'screen').stderr).toContain('screenshot needs FILE');
});
