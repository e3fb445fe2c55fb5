/** Assembles small guests with NASM, from sources beside the tests and benchmarks that start them. */
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, renameSync } from 'node:fs';
import path from 'node:path';

const ROOT = path.dirname(path.dirname(import.meta.dirname));

/** For what tests and benchmarks make and may keep; ignored by git. */
export const CACHE = path.join(ROOT, '.cache');

/**
 * Assembles a flat image. The source may include `multiboot.inc` and its like from this folder and its own.
 *
 * @param source path of an .asm file
 * @param defines macros for the source: name to value
 * @returns path of the image, one per source and set of macros; replaced whole
 * @throws Error where NASM is missing or rejects the source
 */
export function assemble(source: string, defines: Readonly<Record<string, number>> = {}): string {
  const macros = Object.entries(defines);
  const folder = path.join(CACHE, 'guest');
  mkdirSync(folder, { recursive: true });
  const suffix = macros.map(([name, value]) => `-${name.toLowerCase()}-${value}`).join('');
  const image = path.join(folder, `${path.basename(source, '.asm')}${suffix}.bin`);
  const include = [import.meta.dirname, path.dirname(source)].flatMap((each) => ['-i', `${each}${path.sep}`]);
  const options = [
    '-f',
    'bin',
    '-w+error',
    ...include,
    ...macros.map(([name, value]) => `-d${name}=${value}`),
  ];
  // Somebody else may be starting the same guest now.
  const part = `${image}.${randomUUID()}`;
  const { error, status, stderr } = spawnSync('nasm', [...options, '-o', part, source], {
    encoding: 'utf8',
  });
  if (error !== undefined) {
    throw new Error('NASM is needed to make the guests: apt-get install nasm', { cause: error });
  }
  if (status !== 0) throw new Error(`nasm: ${stderr}`);
  renameSync(part, image);
  return image;
}
