import { expect, test } from 'vitest';
import { Random } from '../../../base/random.ts';
import { MemoryFile } from '../memory-file.ts';
import { RawImage } from '../raw.ts';
import { checkImage, recount } from './check.ts';
import { createQcow2, type Qcow2Options } from './create.ts';
import { Incompatible, parseHeader } from './header.ts';
import type { Qcow2Context } from './metadata-file.ts';
import { Qcow2Image } from './qcow2-image.ts';

const SIZE = 2 ** 20 + 512 * 5;

const headerOf = (file: MemoryFile) => parseHeader(file.contents().subarray(0, 2 ** 21), 'test.qcow2');

function contextOf(file: MemoryFile): Qcow2Context {
  const { clusterBits } = headerOf(file);
  return { file, path: 'test.qcow2', clusterBits, clusterBytes: 2 ** clusterBits };
}

function open(file: MemoryFile, backing?: Uint8Array): Qcow2Image {
  return new Qcow2Image({
    file,
    path: 'test.qcow2',
    header: headerOf(file),
    writable: true,
    backing: backing === undefined ? undefined : rawOf(backing),
  });
}

function rawOf(bytes: Uint8Array): RawImage {
  const file = new MemoryFile();
  file.writev(0, [bytes]);
  return new RawImage(file, 'backing.raw', false);
}

function create(options: Partial<Qcow2Options> = {}): MemoryFile {
  const file = new MemoryFile();
  createQcow2(file, { size: SIZE, clusterBytes: 4096, ...options });
  return file;
}

function noise(random: Random, length: number): Uint8Array {
  const seed = random.next();
  return new Uint8Array(length).map((_, i) => (Math.imul(seed ^ i, 0x9e3779b1) >>> 24) | 1);
}

function readAll(image: Qcow2Image): Uint8Array {
  const bytes = new Uint8Array(image.size);
  image.readv(0, [bytes]);
  return bytes;
}

/** A range of sectors, now and then to the end of the disk. */
function range(random: Random): [at: number, length: number] {
  const sectors = SIZE / 512;
  const at = random.below(sectors);
  const most = Math.min(sectors - at, random.pick([1, 8, 9, 40, 300, sectors]));
  return [at * 512, (1 + random.below(most)) * 512];
}

/** Does one random thing to an image and to what it should hold. A discarded range is left open: it reads as it
 * did or as zeros, by clusters. */
function change(image: Qcow2Image, model: Uint8Array, random: Random): void {
  const [at, length] = range(random);
  switch (random.below(6)) {
    case 0:
      image.writeZeroes(at, length, random.oneIn(2));
      model.fill(0, at, at + length);
      break;
    case 1: {
      image.discard(at, length);
      image.readv(at, [model.subarray(at, at + length)]);
      break;
    }
    case 2:
      image.flush();
      break;
    default: {
      const data = noise(random, length);
      // In pieces, as a guest's scatter list.
      const cut = random.below(length);
      image.writev(at, [data.subarray(0, cut), data.subarray(cut)]);
      model.set(data, at);
    }
  }
}

const VARIANTS: ReadonlyArray<readonly [name: string, options: Partial<Qcow2Options>, backed: boolean]> = [
  ['version 3', {}, false],
  ['version 2', { version: 2 }, false],
  ['over a backing file', {}, true],
  ['version 2 over a backing file', { version: 2 }, true],
  ['small clusters', { clusterBytes: 512 }, true],
  ['large clusters', { clusterBytes: 2 ** 21 }, true],
  ['lazy refcounts', { lazyRefcounts: true }, true],
];

test.each(VARIANTS)('%s: holds what is written, and its counts are right', (_name, options, backed) => {
  for (let seed = 1; seed <= 4; seed++) {
    const random = new Random(seed);
    // The backing file is shorter than the disk: zeros follow.
    const backing = backed ? noise(random, SIZE - 300 * 512) : undefined;
    const model = new Uint8Array(SIZE);
    if (backing !== undefined) model.set(backing);
    const file = create(options);
    let image = open(file, backing);
    for (let step = 0; step < 60; step++) {
      change(image, model, random);
      if (random.oneIn(20)) {
        image.close();
        image = open(file, backing);
      }
    }
    expect(Buffer.compare(readAll(image), model)).toBe(0);
    image.close();
    expect(checkImage(contextOf(file), headerOf(file))).toMatchObject({ leaks: 0, miscounted: 0, broken: 0 });
    expect(Buffer.compare(readAll(open(file, backing)), model)).toBe(0);
  }
});

test('wherever it is killed, counts cover what is used, and what was flushed is there', () => {
  for (let seed = 1; seed <= 3; seed++) {
    const random = new Random(seed);
    const file = create({ clusterBytes: 1024 });
    const image = open(file);
    const model = new Uint8Array(SIZE);
    /** After how many operations which contents were flushed. */
    const flushed: Array<{ at: number; contents: Uint8Array; unchanged: Uint8Array }> = [];
    let untouched: Uint8Array | undefined;
    for (let step = 0; step < 40; step++) {
      if (step % 8 === 7) {
        image.flush();
        untouched = new Uint8Array(SIZE / 512).fill(1);
        flushed.push({ at: file.log.length, contents: model.slice(), unchanged: untouched });
      }
      const before = model.slice();
      change(image, model, random);
      for (let sector = 0; sector < SIZE / 512; sector++) {
        const part = (bytes: Uint8Array) => bytes.subarray(sector * 512, sector * 512 + 512);
        if (untouched?.[sector] === 1 && Buffer.compare(part(before), part(model)) !== 0)
          untouched[sector] = 0;
      }
    }
    for (let point = 0; point < 25; point++) {
      const at = flushed[0].at + random.below(file.log.length - flushed[0].at + 1);
      const survivors = [file.killedAfter(at), file.powerLostAfter(at, random)];
      for (const survivor of survivors) {
        const report = checkImage(contextOf(survivor), headerOf(survivor));
        expect(report).toMatchObject({ miscounted: 0, broken: 0 });
        const last = flushed.findLast((each) => each.at <= at);
        const contents = readAll(open(survivor));
        for (let sector = 0; sector < SIZE / 512; sector++) {
          if (last?.unchanged[sector] !== 1) continue;
          const part = (bytes: Uint8Array) => bytes.subarray(sector * 512, sector * 512 + 512);
          expect(Buffer.compare(part(contents), part(last.contents))).toBe(0);
        }
      }
    }
  }
});

test('an image with lazy refcounts that was not closed is marked, and counted anew', () => {
  const random = new Random(5);
  const file = create({ lazyRefcounts: true });
  const model = new Uint8Array(SIZE);
  const image = open(file);
  for (let step = 0; step < 30; step++) change(image, model, random);
  image.flush();
  const survivor = file.killedAfter(file.log.length);
  expect(headerOf(survivor).incompatible).toBe(Incompatible.Dirty);
  expect(checkImage(contextOf(survivor), headerOf(survivor)).miscounted).toBeGreaterThan(0);
  recount(contextOf(survivor), headerOf(survivor));
  expect(headerOf(survivor).incompatible).toBe(0);
  expect(checkImage(contextOf(survivor), headerOf(survivor))).toMatchObject({
    leaks: 0,
    miscounted: 0,
    broken: 0,
  });
  expect(Buffer.compare(readAll(open(survivor)), model)).toBe(0);
});

test('a write that fails loses nothing, and succeeds when there is room again', () => {
  const random = new Random(9);
  const file = create();
  const image = open(file);
  const before = noise(random, SIZE);
  image.writev(0, [before.subarray(0, SIZE / 2)]);
  image.flush();
  const whole = before.slice().fill(0, SIZE / 2);
  let failures = 0;
  for (let failing = 0; failing < 8; failing++) {
    let left = failing;
    file.onWrite = () => {
      if (left-- <= 0)
        throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    };
    const data = noise(random, 70 * 512);
    const at = (SIZE / 512 - 300 + failing * 24) * 512;
    try {
      image.writev(at, [data]);
      image.flush();
    } catch (error) {
      expect(String(error)).toContain('ENOSPC');
      failures++;
    }
    file.onWrite = () => {};
    image.writev(at, [data]);
    image.flush();
    whole.set(data, at);
    expect(Buffer.compare(readAll(image), whole)).toBe(0);
    expect(checkImage(contextOf(file), headerOf(file))).toMatchObject({ leaks: 0, miscounted: 0, broken: 0 });
  }
  // With so many writes to each turn, the first ones must have failed.
  expect(failures).toBeGreaterThanOrEqual(3);
});

test('it grows, and with it the tables', () => {
  const random = new Random(3);
  // Small clusters: 64 entries in a table, so that all of them have to grow.
  const file = create({ size: 2 ** 20, clusterBytes: 512 });
  const image = open(file);
  const data = noise(random, 24 * 2 ** 20);
  image.writev(0, [data.subarray(0, 2 ** 20)]);
  image.resize(data.length);
  const zeros = new Uint8Array(4096);
  image.readv(2 ** 20, [zeros]);
  expect(zeros.every((byte) => byte === 0)).toBe(true);
  image.writev(2 ** 20, [data.subarray(2 ** 20)]);
  image.close();
  expect(checkImage(contextOf(file), headerOf(file))).toMatchObject({ leaks: 0, miscounted: 0, broken: 0 });
  expect(headerOf(file).refcountTableClusters).toBeGreaterThan(1);
  expect(Buffer.compare(readAll(open(file)), data)).toBe(0);
});
