/**
 * The thread of the image fuzzer. Hostile images: valid ones with numbers of their metadata replaced. Opening, reading,
 * checking and writing them ends soon, and whatever is wrong is an error of ours.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { MemoryFile } from '../../engine/backend/image/memory-file.ts';
import { checkImage, recount } from '../../engine/backend/image/qcow2/check.ts';
import { createQcow2 } from '../../engine/backend/image/qcow2/create.ts';
import { parseHeader } from '../../engine/backend/image/qcow2/header.ts';
import { Qcow2Image } from '../../engine/backend/image/qcow2/qcow2-image.ts';
import { readSnapshots } from '../../engine/backend/image/qcow2/snapshots.ts';
import { GuesthouseError } from '../../engine/base/errors.ts';
import { Random } from '../../engine/base/random.ts';
import { beat, ENOUGH, type FuzzOrder, type FuzzResult, reportTo } from './watchdog.ts';

const SIZE = 4 * 2 ** 20;

function template(clusterBytes: number): Uint8Array {
  const file = new MemoryFile();
  createQcow2(file, { size: SIZE, clusterBytes, backingFile: 'base', backingFormat: 'raw' });
  const image = open(file);
  for (let at = 0; at < SIZE; at += 9 * clusterBytes) image.writev(at, [new Uint8Array(700).fill(at / 512)]);
  image.writeZeroes(0, 2 * clusterBytes, false);
  image.close();
  return file.contents();
}

function open(file: MemoryFile): Qcow2Image {
  const header = parseHeader(file.contents(), 'fuzz');
  return new Qcow2Image({ file, path: 'fuzz', header, writable: true, backing: undefined });
}

/** Replaces some numbers: mostly in the header and at the starts of tables, by what may be a trap. */
function damage(bytes: Uint8Array, clusterBytes: number, random: Random): void {
  const view = new DataView(bytes.buffer);
  for (let i = 0; i <= random.below(4); i++) {
    const cluster = random.below(bytes.length / clusterBytes) * clusterBytes;
    const near = random.oneIn(2) ? random.below(112) : cluster + 8 * random.below(8);
    const at = Math.min(near, bytes.length - 8);
    const places = [0n, 1n, BigInt(cluster), BigInt(cluster) | (1n << 63n), BigInt(cluster + 512), 1n << 62n];
    switch (random.below(3)) {
      case 0:
        view.setUint8(at, random.below(256));
        break;
      case 1:
        view.setUint32(at, random.pick([0, 1, 2, 0xffff_ffff, 0x7fff_ffff, random.next()]));
        break;
      default:
        view.setBigUint64(at, random.oneIn(4) ? random.next64() : random.pick(places));
    }
  }
}

const templates = [512, 4096, 65536].map((clusterBytes) => ({ clusterBytes, bytes: template(clusterBytes) }));

/** Runs what may say that the image is wrong. @returns whether it has not */
function attempt(body: () => void): boolean {
  try {
    body();
    return true;
  } catch (error) {
    if (error instanceof GuesthouseError) return false;
    throw error;
  }
}

/** One image. @returns whether it was opened
 * @throws whatever is thrown beside errors of ours */
function runCase(seed: number): boolean {
  const random = new Random(seed);
  const { clusterBytes, bytes } = random.pick(templates);
  const hostile = bytes.slice(0, random.oneIn(8) ? random.below(bytes.length) : bytes.length);
  if (hostile.length >= 8) damage(hostile, clusterBytes, random);
  const file = new MemoryFile();
  file.writev(0, [hostile]);
  // What would make the file larger than a test can hold is a full disk.
  file.onWrite = () => {
    if (file.size() > 64 * 2 ** 20) throw new GuesthouseError('resources', 'disk full');
  };
  let image: Qcow2Image | undefined;
  if (!attempt(() => (image = open(file))) || image === undefined) return false;
  const opened = image;
  const { header } = opened;
  const { clusterBits } = header;
  const context = { file, path: 'fuzz', clusterBits, clusterBytes: 2 ** clusterBits };
  const buffer = new Uint8Array(65536);
  attempt(() => checkImage(context, header));
  attempt(() => readSnapshots(context, header));
  for (let i = 0; i < 20 && opened.size > buffer.length; i++) {
    const at = random.below(opened.size / 512 - buffer.length / 512) * 512;
    attempt(() => opened.readv(at, [buffer]));
    attempt(() => opened.writev(at, [buffer.subarray(0, 4096)]));
    attempt(() => opened.discard(at, 65536));
  }
  attempt(() => opened.close());
  attempt(() => recount(context, parseHeader(file.contents(), 'fuzz')));
  return true;
}

function run(order: FuzzOrder): FuzzResult {
  const findings: string[] = [];
  const end = performance.now() + order.seconds * 1000;
  let cases = 0;
  let opened = 0;
  for (; cases < order.cases && performance.now() < end && findings.length < ENOUGH; cases++) {
    const seed = (order.seed + cases) >>> 0;
    beat(order, seed);
    try {
      if (runCase(seed)) opened++;
    } catch (error) {
      findings.push(
        `case ${seed}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      );
    }
  }
  // Both kinds are there, or the damage is done in the wrong places.
  const refused = cases - opened;
  if (cases >= 400 && (opened < cases / 4 || refused < cases / 20)) {
    findings.push(`of ${cases} images ${opened} were opened: the damage is done in the wrong places`);
  }
  return { findings, summary: `${cases} images, ${opened} opened, ${refused} refused`, cases };
}

reportTo(parentPort, run(workerData as FuzzOrder));
