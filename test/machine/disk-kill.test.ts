import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { killDuringWrites } from './disk-kill.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'guesthouse-kill-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** `npm run fuzz:kill` does more of them. */
const TIMES = 4;

test(
  'killed in the middle of writes, the image is consistent and holds what was flushed',
  { timeout: 300_000 },
  async () => {
    let flushed = 0;
    for (let seed = 1; seed <= TIMES; seed++) {
      const survivor = await killDuringWrites(folder, seed);
      expect(survivor.wrong, `seed ${seed}`).toEqual([]);
      flushed += survivor.flushed;
    }
    // Otherwise there was nothing to be lost.
    expect(flushed).toBeGreaterThan(TIMES * 2);
  },
);
