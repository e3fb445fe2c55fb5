/** The screen and the keyboard of whole machines, in this process and through a VNC viewer of the distribution. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { keyCode } from '../../engine/api/keys.ts';
import type { MachineConfigInput } from '../../engine/api/config.ts';
import { vncResponse } from '../../engine/backend/display/vnc-password.ts';
import { Machine } from '../../engine/host/machine.ts';
import { Console } from './harness.ts';

const CLI = path.join(import.meta.dirname, '../../main/cli/guesthouse.ts');

/** A machine whose screen can be read. */
class Watched implements AsyncDisposable {
  readonly machine: Machine;

  constructor(config: MachineConfigInput) {
    this.machine = Machine.create({ accel: 'wasm', memory: 64, ...config }, { log: () => {} });
    this.machine.start();
  }

  /** Waits until the screen shows `wanted`, and returns all that can be read on it.
   * @param meanwhile done again and again until then */
  async shows(wanted: string | RegExp, seconds = 30, meanwhile: () => void = () => {}): Promise<string> {
    const { screen } = this.machine;
    if (screen === undefined) throw new Error('the machine has no screen');
    const deadline = performance.now() + 1000 * seconds;
    for (;;) {
      screen.update();
      const text = (screen.text() ?? []).join('\n');
      if (typeof wanted === 'string' ? text.includes(wanted) : wanted.test(text)) return text;
      if (performance.now() > deadline) throw new Error(`not shown in ${seconds} s: ${wanted}\n${text}`);
      meanwhile();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  press(name: string): void {
    const code = keyCode(name) ?? 0;
    this.machine.input.key(code, true);
    this.machine.input.key(code, false);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.machine.stop();
    await this.machine.ended;
  }
}

test('SeaBIOS on the screen: its boot menu, opened and answered by the keyboard', async () => {
  await using watched = new Watched({ boot: { menu: true } });
  await watched.shows('Press ESC for boot menu');
  watched.press('ESC');
  await watched.shows('Select boot device');
  // It does not take the key that has opened it for an answer, and so none for a while.
  const text = await watched.shows('No bootable device', 30, () => watched.press('ESC'));
  expect(text).toMatch(/^SeaBIOS \(version /);
  expect(watched.machine.screen?.mode).toMatchObject({
    kind: 'text',
    columns: 80,
    rows: 25,
    width: 720,
    height: 400,
  });
});

test('a reset shows everything anew', async () => {
  // Where a boot menu is offered, the firmware waits for a key: without, it could be done before anybody looks.
  await using watched = new Watched({ boot: { menu: true } });
  await watched.shows('No bootable device');
  watched.machine.reset();
  await watched.shows(/^SeaBIOS(?![^]*No bootable)[^]*Press ESC/);
  await watched.shows('No bootable device');
});

/** The key by which viewers keep a password in a file, as vncpasswd writes it; everybody knows it. */
const STORED_KEY = Buffer.from([23, 82, 107, 6, 35, 78, 88, 7]).toString('latin1');

/** A password as viewers keep it in a file: encrypted with that key. */
function storedPassword(password: string): Uint8Array {
  const padded = Buffer.alloc(16);
  padded.write(password, 'latin1');
  return vncResponse(STORED_KEY, padded).subarray(0, 8);
}

/** Width and height of a JPEG picture: of its start-of-frame segment (ITU-T T.81, B.2.2). */
function sizeOf(jpeg: Buffer): { width: number; height: number } {
  for (let at = 2; at < jpeg.length; at += 2 + jpeg.readUInt16BE(at + 2)) {
    const marker = jpeg[at + 1];
    if (marker !== 0xc0 && marker !== 0xc2) continue;
    return { height: jpeg.readUInt16BE(at + 5), width: jpeg.readUInt16BE(at + 7) };
  }
  throw new Error('no picture');
}

test('a VNC viewer of the distribution takes a picture with the password, and none without', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'guesthouse-screen-'));
  try {
    const file = (name: string) => path.join(folder, name);
    writeFileSync(file('password'), 'sesame\n');
    writeFileSync(file('right'), storedPassword('sesame'));
    writeFileSync(file('wrong'), storedPassword('opensesame'));
    await using machine = Console.start([
      process.execPath, CLI, 'run', '--accel', 'wasm', '--memory', '64', '--serial', 'null', '--debugcon', 'stdio',
      '--display', `vnc=127.0.0.1:0,password=${file('password')}`,
    ]); // prettier-ignore
    await machine.expect('No bootable device');
    const [, port] = /display at 127\.0\.0\.1:(\d+)/.exec(machine.errors) ?? [];
    const take = async (password: string): Promise<number | null> => {
      const words = [
        '-quiet',
        '-allowblank',
        '-passwd',
        file(password),
        `127.0.0.1::${port}`,
        file('picture'),
      ];
      const viewer = spawn('vncsnapshot', words, { stdio: 'ignore', timeout: 20_000 });
      await once(viewer, 'close');
      return viewer.exitCode;
    };
    expect(await take('wrong')).not.toBe(0);
    expect(await take('right')).toBe(0);
    const picture = readFileSync(file('picture'));
    expect(sizeOf(picture)).toEqual({ width: 720, height: 400 });
    // There is something on it: as much of one colour takes a tenth.
    expect(picture.length).toBeGreaterThan(50_000);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
