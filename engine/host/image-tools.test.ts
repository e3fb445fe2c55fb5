import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ImageLocks, openImage } from '../backend/image/open.ts';
import { GuesthouseError } from '../base/errors.ts';
import { Random } from '../base/random.ts';
import { checkImageFile, convertImage, createImage, imageInfo, resizeImage } from './image-tools.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'guesthouse-images-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const at = (name: string) => path.join(folder, name);

/** qemu-img, which must be content. */
function qemuImg(...args: string[]): string {
  return execFileSync('qemu-img', args, { cwd: folder, encoding: 'utf8' });
}

/** Runs of noise between zeros, sectors apart. */
function disk(seed: number, bytes: number): Uint8Array {
  const random = new Random(seed);
  const contents = new Uint8Array(bytes);
  for (let run = 0; run < 20; run++) {
    const start = random.below(bytes / 512) * 512;
    contents
      .subarray(start, start + random.below(200_000))
      .forEach((_, i, part) => (part[i] = random.next()));
  }
  return contents;
}

function complaint(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    if (error instanceof GuesthouseError) return `${error.code}: ${error.line}`;
    throw error;
  }
  return '';
}

const SIZE = 5 * 2 ** 20 + 3 * 512;

test.each([
  ['default', ['-o', 'compat=1.1']],
  ['version 2', ['-o', 'compat=0.10']],
  ['small clusters', ['-o', 'cluster_size=512']],
  ['narrow refcounts', ['-o', 'refcount_bits=1']],
  ['wide refcounts', ['-o', 'refcount_bits=64']],
  ['compressed', ['-c']],
  ['compressed by zstd', ['-c', '-o', 'compression_type=zstd']],
  ['large compressed clusters', ['-c', '-o', 'cluster_size=2M']],
])("qemu-img's image, %s, is read, written and converted", (name, options) => {
  const random = new Random(11);
  const contents = disk(1, SIZE);
  writeFileSync(at('plain.raw'), contents);
  const image = at(`${name}.qcow2`);
  qemuImg('convert', '-f', 'raw', '-O', 'qcow2', ...options, 'plain.raw', image);

  convertImage({ from: image, to: at(`${name}.raw`), toFormat: 'raw' });
  expect(Buffer.compare(readFileSync(at(`${name}.raw`)), contents)).toBe(0);

  const opened = openImage(image, { writable: true });
  for (let i = 0; i < 40; i++) {
    const from = random.below(SIZE / 512) * 512;
    const data = new Uint8Array(Math.min(SIZE - from, 512 * (1 + random.below(200)))).fill(random.below(256));
    opened.writev(from, [data]);
    contents.set(data, from);
  }
  opened.close();
  qemuImg('check', image);
  writeFileSync(at('plain.raw'), contents);
  qemuImg('compare', '-f', 'raw', '-F', 'qcow2', 'plain.raw', image);
  expect(checkImageFile(image, {})).toMatchObject({ leaks: 0, miscounted: 0, broken: 0 });
});

test('an image of ours is one to qemu-img, whatever becomes of it', () => {
  writeFileSync(at('source.raw'), disk(2, SIZE));
  const image = at('ours.qcow2');
  convertImage({ from: at('source.raw'), fromFormat: 'raw', to: image, toFormat: 'qcow2' });
  qemuImg('check', image);
  qemuImg('compare', '-f', 'raw', 'source.raw', image);
  resizeImage(image, 2 ** 40, {});
  qemuImg('check', image);
  expect(imageInfo(image)).toMatchObject({ format: 'qcow2', size: 2 ** 40, version: 3, clusterBytes: 65536 });
  truncateSync(at('source.raw'), 2 ** 30);
  resizeImage(at('source.raw'), SIZE, { shrink: true, format: 'raw' });
  expect(imageInfo(at('source.raw'), 'raw').size).toBe(SIZE);
});

test('backing files: one behind the other, by names relative to the image', () => {
  const contents = disk(3, SIZE);
  writeFileSync(at('base.raw'), contents);
  createImage(at('middle.qcow2'), { format: 'qcow2', backing: { file: 'base.raw', format: 'raw' } });
  createImage(at('top.qcow2'), { format: 'qcow2', size: SIZE + 65536, backing: { file: 'middle.qcow2' } });
  const top = openImage(at('top.qcow2'), { writable: true });
  expect(top.files.map((file) => path.basename(file))).toEqual(['top.qcow2', 'middle.qcow2', 'base.raw']);
  const data = new Uint8Array(3000 * 512).fill(0x5a);
  top.writev(1024, [data]);
  contents.set(data, 1024);
  top.writeZeroes(4 * 2 ** 20, 2 ** 19, true);
  contents.fill(0, 4 * 2 ** 20, 4 * 2 ** 20 + 2 ** 19);
  top.close();
  expect(qemuImg('info', '--backing-chain', 'top.qcow2')).toContain('base.raw');
  qemuImg('check', 'top.qcow2');
  writeFileSync(at('expected.raw'), Buffer.concat([contents, new Uint8Array(65536)]));
  qemuImg('compare', '-f', 'raw', 'expected.raw', 'top.qcow2');
});

test('internal snapshots are read, kept by writes, and counted', () => {
  const before = disk(4, SIZE);
  writeFileSync(at('then.raw'), before);
  qemuImg('convert', '-f', 'raw', '-O', 'qcow2', 'then.raw', 'snapshots.qcow2');
  qemuImg('snapshot', '-c', 'first', 'snapshots.qcow2');
  const image = openImage(at('snapshots.qcow2'), { writable: true });
  image.writev(0, [new Uint8Array(SIZE).fill(0x77)]);
  image.close();
  qemuImg('check', 'snapshots.qcow2');
  expect(imageInfo(at('snapshots.qcow2')).snapshots).toMatchObject([{ id: '1', name: 'first' }]);
  expect(checkImageFile(at('snapshots.qcow2'), {})).toMatchObject({ leaks: 0, miscounted: 0, broken: 0 });
  convertImage({ from: at('snapshots.qcow2'), snapshot: 'first', to: at('was.raw'), toFormat: 'raw' });
  expect(Buffer.compare(readFileSync(at('was.raw')), before)).toBe(0);
  const another = {
    from: at('snapshots.qcow2'),
    snapshot: 'second',
    to: at('not.raw'),
    toFormat: 'raw',
  } as const;
  expect(complaint(() => convertImage(another))).toContain("no snapshot 'second'");
});

test('what qemu-img left dirty is counted anew; what it calls damaged is repaired', () => {
  qemuImg('create', '-f', 'qcow2', '-o', 'lazy_refcounts=on', 'lazy.qcow2', '64M');
  const image = openImage(at('lazy.qcow2'), { writable: true });
  image.writev(0, [new Uint8Array(2 ** 20).fill(1)]);
  image.flush();
  // Not closed, as when the process is killed; another opens it then.
  expect(spawnSync('qemu-img', ['check', at('lazy.qcow2')]).status).not.toBe(0);
  openImage(at('lazy.qcow2'), { writable: true }).close();
  qemuImg('check', 'lazy.qcow2');

  const bytes = readFileSync(at('lazy.qcow2'));
  // The first refcount block, found by way of the table: counts of clusters that are used become zero.
  const block = Number(bytes.readBigUInt64BE(Number(bytes.readBigUInt64BE(48))));
  bytes.fill(0, block + 6, block + 12);
  writeFileSync(at('lazy.qcow2'), bytes);
  expect(checkImageFile(at('lazy.qcow2'), { repair: true })?.miscounted).toBeGreaterThan(0);
  expect(checkImageFile(at('lazy.qcow2'), {})).toMatchObject({ leaks: 0, miscounted: 0, broken: 0 });
  qemuImg('check', 'lazy.qcow2');
});

test.runIf(process.platform !== 'win32')('one writer, or many readers', () => {
  createImage(at('locked.qcow2'), { format: 'qcow2', size: 2 ** 20 });
  createImage(at('over.qcow2'), { format: 'qcow2', backing: { file: 'locked.qcow2' } });
  const [writer, reader, other] = [new ImageLocks(), new ImageLocks(), new ImageLocks()];
  openImage(at('over.qcow2'), { writable: true, locks: writer }).close();
  // Its backing file is being read, so that it may be read and not written.
  openImage(at('locked.qcow2'), { writable: false, locks: reader }).close();
  const write = () => openImage(at('locked.qcow2'), { writable: true, locks: other });
  expect(complaint(write)).toMatch(/^state: .*locked\.qcow2 is in use/);
  expect(complaint(() => resizeImage(at('over.qcow2'), 2 ** 21, {}))).toContain('is in use');
  writer.release();
  reader.release();
  write().close();
  other.release();
});

test.each([
  ['a VMDK', () => Buffer.from('KDMV'.padEnd(1024, '\0')), 'is a VMDK image'],
  [
    'features of the future',
    () => header((view) => view.setBigUint64(72, 1n << 40n)),
    'features unknown here',
  ],
  ['extended L2 entries', () => header((view) => view.setBigUint64(72, 16n)), 'extended L2 entries'],
  ['an external data file', () => header((view) => view.setBigUint64(72, 4n)), 'external data file'],
  ['encryption', () => header((view) => view.setUint32(32, 2)), 'encryption'],
  ['version 4', () => header((view) => view.setUint32(4, 4)), 'version 4'],
  ['absurd clusters', () => header((view) => view.setUint32(20, 63)), 'clusters of 2^63'],
  ['an L1 table without end', () => header((view) => view.setUint32(36, 0xffff_ffff)), 'L1 table'],
  ['an L1 table elsewhere', () => header((view) => view.setBigUint64(40, 1n << 50n)), 'L1 table'],
  ['snapshots without end', () => header((view) => view.setUint32(60, 0xffff_ffff)), 'snapshots'],
  ['a header cut off', () => header(() => {}).subarray(0, 80), 'cut off'],
])('%s is refused in one line', (name, make, expected) => {
  const file = at(`${name}.img`);
  writeFileSync(file, make());
  const line = complaint(() => openImage(file, { writable: false }).close());
  expect(line).toContain(expected);
  expect(line).toContain(file);
  expect(line).not.toContain('\n');
});

function header(change: (view: DataView) => void): Uint8Array {
  const file = at('template.qcow2');
  rmSync(file, { force: true });
  createImage(file, { format: 'qcow2', size: 2 ** 30 });
  const bytes = new Uint8Array(readFileSync(file));
  change(new DataView(bytes.buffer));
  return bytes;
}

test('a disk whose format was guessed cannot turn itself into another', () => {
  writeFileSync(at('guessed.img'), new Uint8Array(65536));
  const signature = new Uint8Array(512);
  signature.set([0x51, 0x46, 0x49, 0xfb]);
  const guessed = openImage(at('guessed.img'), { writable: true });
  expect(complaint(() => guessed.writev(0, [signature]))).toContain('guessed to be raw');
  // Neither byte by byte.
  guessed.writev(0, [signature.subarray(0, 3)]);
  expect(complaint(() => guessed.writev(3, [signature.subarray(3)]))).toContain('guessed to be raw');
  guessed.close();
  const said = openImage(at('guessed.img'), { writable: true, format: 'raw' });
  said.writev(0, [signature]);
  said.close();
});
