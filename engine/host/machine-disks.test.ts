import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Machine } from './machine.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'guesthouse-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, bytes: Uint8Array): string {
  const file = path.join(folder, name);
  writeFileSync(file, bytes);
  return file;
}

/** A guest that does nothing: at the reset vector, jmp $. */
const FIRMWARE = write('spin.bin', new Uint8Array(0x1_0000).fill(0xf4).with(0xfff0, 0xeb).with(0xfff1, 0xfe));
const FIRST = write('first.iso', new Uint8Array(4096));
const SECOND = write('second.iso', new Uint8Array(8192));

test('discs are put in and taken out while the machine runs', async () => {
  let told = 0;
  const machine = Machine.create(
    {
      accel: 'wasm',
      memory: 1,
      firmware: FIRMWARE,
      disks: [
        { file: write('disk.raw', new Uint8Array(4096)), format: 'raw' },
        { device: 'cdrom', file: FIRST },
      ],
    },
    { log: () => {}, mediaMoved: () => told++ },
  );
  const drive = (file: string | null) => [{ disk: 1, file, trayOpen: false, locked: false }];
  try {
    await expect(machine.changeMedium(1, SECOND)).rejects.toThrow('not running');
    machine.start();
    expect(machine.media()).toEqual(drive(FIRST));
    await machine.changeMedium(1, SECOND);
    expect(machine.media()).toEqual(drive(SECOND));
    await machine.changeMedium(1, undefined);
    expect(machine.media()).toEqual(drive(null));
    expect(told).toBeGreaterThanOrEqual(2);

    // What cannot be put in leaves what is there.
    await machine.changeMedium(1, FIRST);
    await expect(machine.changeMedium(1, path.join(folder, 'missing.iso'))).rejects.toThrow('no such');
    await expect(machine.changeMedium(0, SECOND)).rejects.toThrow('not a CD-ROM drive');
    await expect(machine.changeMedium(7, SECOND)).rejects.toThrow('not a CD-ROM drive');
    expect(machine.media()).toEqual(drive(FIRST));
    expect(machine.diskStatistics()).toHaveLength(2);
  } finally {
    machine.stop();
    await machine.ended;
  }
  await expect(machine.changeMedium(1, SECOND)).rejects.toThrow('not running');
});
