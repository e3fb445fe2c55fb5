/**
 * `npm run fuzz:kill -- [--count N] [--seed S]`
 *
 * Kills machines in the middle of their guests' writes, 200 unless told, and examines their disk images. Status: 0
 * where each was consistent and held what was flushed, 1 where one did not; such images are kept.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { commandLine, wholeNumber } from '../../scripts/command-line.ts';
import { killDuringWrites } from '../machine/disk-kill.ts';

const USAGE = `npm run fuzz:kill -- [OPTION]…
  --count N  machines to kill (default: 200)
  --seed S   the first one's seed; each next one's is greater by one (default: 1)`;

const values = commandLine(USAGE, {
  count: { type: 'string', default: '200' },
  seed: { type: 'string', default: '1' },
});
const count = wholeNumber('count', values.count, 1);
const first = wholeNumber('seed', values.seed);

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
