/**
 * `npm run fuzz:kill -- [--count N] [--seed S]`
 *
 * Kills machines in the middle of their guests' writes, 200 unless told, and examines their disk images. Status: 0
 * where each was consistent and held what was flushed, 1 where one did not; such images are kept.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { killDuringWrites } from '../machine/disk-kill.ts';

const { values } = parseArgs({ options: { count: { type: 'string' }, seed: { type: 'string' } } });
const count = Number(values.count ?? 200);
const first = Number(values.seed ?? 1);
if (!Number.isInteger(count) || !Number.isInteger(first))
  throw new Error('--count and --seed are whole numbers');

const folder = mkdtempSync(path.join(tmpdir(), 'guesthouse-kill-'));
let flushed = 0;
let bad = 0;
for (let seed = first; seed < first + count; seed++) {
  const survivor = await killDuringWrites(folder, seed);
  flushed += survivor.flushed;
  if (survivor.wrong.length === 0) continue;
  bad++;
  console.log(`seed ${seed}, ${survivor.flushed} records flushed:\n${survivor.wrong.join('\n')}\n`);
}
console.log(`${count} machines killed, ${flushed} records flushed; ${bad} images with something wrong`);
if (bad === 0) rmSync(folder, { recursive: true });
else console.log(`kept in ${folder}`);
process.exitCode = bad === 0 ? 0 : 1;
