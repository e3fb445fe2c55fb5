/**
 * How long firmware takes from its first words to the first sector of a disk: SeaBIOS's log, and what a boot sector
 * writes there too, are on the debug console in Guesthouse and in QEMU alike.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { assemble } from '../test/guest/assemble.ts';
import { type Command, type Engine, guesthouseCommand, qemu } from '../test/guest/engines.ts';
import { Console } from '../test/machine/harness.ts';
import { type Cost, cpuSeconds } from './measure.ts';

const DISK_BYTES = 2 ** 20;
const MEMORY = 256;

/** The first line that SeaBIOS writes, at once after reset, and the boot sector's. */
const FIRST_WORDS = 'SeaBIOS (version';
const FIRST_SECTOR = 'first sector';

function commandOf(engine: Engine, disk: string): Command {
  if (engine !== qemu) {
    return guesthouseCommand(
      'run', '--accel', 'wasm', '--memory', String(MEMORY), '--serial', 'null', '--debugcon', 'stdio',
      '--disk', `${disk},format=raw,bus=ide`,
    ); // prettier-ignore
  }
  return [
    'qemu-system-x86_64', '-machine', 'pc', '-accel', 'tcg', '-cpu', 'max', '-m', String(MEMORY), '-nodefaults',
    '-display', 'none', '-chardev', 'stdio,id=log', '-device', 'isa-debugcon,iobase=0x402,chardev=log',
    '-drive', `file=${disk},format=raw,if=ide`,
  ]; // prettier-ignore
}

/** Starts a machine with an IDE disk once.
 * @throws Error where its first sector is not started within `limit` seconds */
export async function measureFirmware(engine: Engine, limit: number): Promise<Cost> {
  const folder = mkdtempSync(path.join(tmpdir(), 'guesthouse-firmware-'));
  try {
    const disk = path.join(folder, 'disk.raw');
    const bytes = new Uint8Array(DISK_BYTES);
    bytes.set(readFileSync(assemble(path.join(import.meta.dirname, 'firmware', 'boot-sector.asm'))));
    writeFileSync(disk, bytes);
    await using machine = Console.start(commandOf(engine, disk), engine.environment);
    await machine.expect(FIRST_WORDS, limit);
    const start = performance.now();
    const used = cpuSeconds(machine.pid);
    await machine.expect(FIRST_SECTOR, limit);
    return { seconds: (performance.now() - start) / 1000, cpuSeconds: cpuSeconds(machine.pid) - used };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
