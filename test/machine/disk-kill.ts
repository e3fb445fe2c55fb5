/**
 * Kills a machine in the middle of its guest's writes, and looks at what is left in the image: it must be
 * consistent, and hold all that the guest had flushed.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../../engine/base/random.ts';
import { createImage } from '../../engine/host/image-tools.ts';
import { assemble } from '../guest/assemble.ts';
import { guesthouse } from '../guest/engines.ts';
import { Console } from './harness.ts';

/** As in guests/disk-writer.asm. */
const PLACES_LOG = 14;
const RECORD_BYTES = 1024;
const DISK_BYTES = RECORD_BYTES * 2 ** PLACES_LOG;

/** What a busy host may take to start a machine, in seconds. */
const START = 120;

/** Statuses of qemu-img check: in order, and clusters that are lost but harmless. */
const IN_ORDER = [0, 3];

/** Clusters as small as they are make for many tables. */
const CLUSTER_BYTES = 1024;

export interface Survivor {
  /** Records that the guest had been told were on the disk. */
  readonly flushed: number;
  /** What is wrong with the image; empty where nothing is. */
  readonly wrong: readonly string[];
}

/**
 * Starts a machine over a new image, kills it (SIGKILL) after a while, and examines the image.
 *
 * @param folder for the image
 * @param seed decides when, and whether refcounts are lazy
 */
export async function killDuringWrites(folder: string, seed: number): Promise<Survivor> {
  const random = new Random(seed);
  const image = path.join(folder, `kill-${seed}.qcow2`);
  rmSync(image, { force: true });
  const lazyRefcounts = random.oneIn(4);
  createImage(image, { format: 'qcow2', size: DISK_BYTES, clusterBytes: CLUSTER_BYTES, lazyRefcounts });
  const kernel = assemble(path.join(import.meta.dirname, 'guests', 'disk-writer.asm'));
  const command = guesthouse.command({ kernel, disks: [image], memory: 16, stdio: 'debugcon' });
  await using machine = Console.start(command);
  await machine.expect('00000001\n', START);
  await sleep(random.below(400));
  machine.signal('SIGKILL');
  await machine.status();
  const flushed = machine.output.split('\n').slice(0, -1).length;
  const wrong = lazyRefcounts ? [] : check(image);
  if (lazyRefcounts) {
    // Counted anew by whoever opens it next; qemu-img too.
    const repaired = spawnSync('qemu-img', ['check', '-r', 'all', image], { encoding: 'utf8' });
    if (repaired.status !== 0) wrong.push(`qemu-img check -r: ${repaired.stdout}${repaired.stderr}`);
  }
  wrong.push(...lost(image, flushed));
  if (wrong.length === 0) rmSync(image);
  return { flushed, wrong };
}

function check(image: string): string[] {
  const { status, stdout, stderr } = spawnSync('qemu-img', ['check', image], { encoding: 'utf8' });
  return status !== null && IN_ORDER.includes(status) ? [] : [`qemu-img check: ${stdout}${stderr}`];
}

/** Where a record is, as the guest computes it. */
const placeOf = (record: number): number => Math.imul(record, 0x9e3779b1) >>> (32 - PLACES_LOG);

/** What should be on the disk after so many records, and is not. */
function lost(image: string, flushed: number): string[] {
  const raw = `${image}.raw`;
  const { status, stderr } = spawnSync('qemu-img', ['convert', '-O', 'raw', image, raw], {
    encoding: 'utf8',
  });
  if (status !== 0) return [`qemu-img convert: ${stderr}`];
  const bytes = readFileSync(raw);
  rmSync(raw);
  const last = new Map<number, number>();
  for (let record = 1; record <= flushed; record++) last.set(placeOf(record), record);
  const wrong: string[] = [];
  for (const [place, record] of last) {
    for (let at = place * RECORD_BYTES; at < (place + 1) * RECORD_BYTES; at += 4) {
      const found = bytes.readUInt32LE(at);
      // One that was being written when it was killed may be there, or half of it.
      const newer = found > flushed && found <= flushed + 2 && placeOf(found) === place;
      if (found === record || newer) continue;
      wrong.push(`record ${record} at ${at}: ${found} is there`);
      break;
    }
  }
  return wrong;
}
