/**
 * `npm run fuzz:kill -- [--count N] [--seed S] [--jobs J]`
 *
 * Kills machines in the middle of their guests' writes, 200 unless told, as many at once as the host has processors, and
 * examines their disk images. Status: 0 where each was consistent and held what was flushed, 1 where one did not; such
 * images are kept.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { commandLine, wholeNumber } from '../../scripts/command-line.ts';
import { killDuringWrites } from '../machine/disk-kill.ts';

const USAGE = `npm run fuzz:kill -- [OPTION]…
  --count N  machines to kill (default: 200)
  --jobs J   how many at once (default: one for each of the host's processors)
  --seed S   the first one's seed; each next one's is greater by one (default: 1)`;

const values = commandLine(USAGE, {
  count: { type: 'string', default: '200' },
  jobs: { type: 'string', default: String(availableParallelism()) },
  seed: { type: 'string', default: '1' },
});
const count = wholeNumber('count', values.count, 1);
const jobs = wholeNumber('jobs', values.jobs, 1);
const first = wholeNumber('seed', values.seed);

/** How often it says how far it has come, in machines. */
const PROGRESS = 20;

const folder = mkdtempSync(path.join(tmpdir(), 'guesthouse-kill-'));
let next = first;
let killed = 0;
let flushed = 0;
let bad = 0;

async function killMachines(): Promise<void> {
  while (next < first + count) {
    const seed = next++;
    const survivor = await killDuringWrites(folder, seed);
    flushed += survivor.flushed;
    if (survivor.wrong.length > 0) {
      bad++;
      console.log(`seed ${seed}, ${survivor.flushed} records flushed:\n${survivor.wrong.join('\n')}\n`);
    }
    if (++killed % PROGRESS === 0) console.log(`${killed} killed, ${bad} images with something wrong`);
  }
}
await Promise.all(Array.from({ length: jobs }, killMachines));
console.log(`${count} machines killed, ${flushed} records flushed; ${bad} images with something wrong`);
if (bad === 0) rmSync(folder, { recursive: true });
else console.log(`kept in ${folder}`);
process.exitCode = bad === 0 ? 0 : 1;
