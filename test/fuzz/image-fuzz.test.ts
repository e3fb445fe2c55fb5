/**
 * Hostile images: valid ones with numbers of their metadata replaced. Opening, reading, checking and writing
 * them ends soon, and whatever is wrong is an error of ours.
 */
import { expect, test } from 'vitest';
import { MemoryFile } from '../../engine/backend/image/memory-file.ts';
import { checkImage, recount } from '../../engine/backend/image/qcow2/check.ts';
import { createQcow2 } from '../../engine/backend/image/qcow2/create.ts';
import { parseHeader } from '../../engine/backend/image/qcow2/header.ts';
import { Qcow2Image } from '../../engine/backend/image/qcow2/qcow2-image.ts';
import { readSnapshots } from '../../engine/backend/image/qcow2/snapshots.ts';
import { GuesthouseError } from '../../engine/base/errors.ts';
import { Random } from '../../engine/base/random.ts';

const CASES = 800;
const SIZE = 4 * 2 ** 20;

/** What one case may take, in milliseconds; the host may be busy. */
const PATIENCE = 5000;

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

test('a damaged image gives an error and nothing worse', { timeout: 180_000 }, () => {
  const templates = [512, 4096, 65536].map((clusterBytes) => ({
    clusterBytes,
    bytes: template(clusterBytes),
  }));
  const outcomes = { refused: 0, opened: 0 };
  for (let seed = 1; seed <= CASES; seed++) {
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
    const began = performance.now();
    const attempt = (body: () => void): boolean => {
      try {
        body();
        return true;
      } catch (error) {
        if (error instanceof GuesthouseError) return false;
        throw new Error(`seed ${seed}`, { cause: error });
      }
    };
    let image: Qcow2Image | undefined;
    if (attempt(() => (image = open(file))) && image !== undefined) {
      const opened = image;
      outcomes.opened++;
      const { header } = opened;
      const context = {
        file,
        path: 'fuzz',
        clusterBits: header.clusterBits,
        clusterBytes: 2 ** header.clusterBits,
      };
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
    } else {
      outcomes.refused++;
    }
    expect(performance.now() - began, `seed ${seed}`).toBeLessThan(PATIENCE);
  }
  // Both kinds are there, or the damage is done in the wrong places.
  expect(outcomes.opened).toBeGreaterThan(CASES / 4);
  expect(outcomes.refused).toBeGreaterThan(CASES / 20);
});
