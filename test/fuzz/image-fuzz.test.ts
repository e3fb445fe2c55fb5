import { expect, test } from 'vitest';
import { fuzz } from './watchdog.ts';

const CASES = 800;

test('a damaged image gives an error and nothing worse', { timeout: 180_000 }, async () => {
  const script = new URL('image-thread.ts', import.meta.url);
  const { findings, cases } = await fuzz(script, { seed: 1, cases: CASES, seconds: Infinity });
  expect(findings).toEqual([]);
  expect(cases).toBe(CASES);
});
