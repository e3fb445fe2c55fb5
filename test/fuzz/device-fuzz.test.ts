import { expect, test } from 'vitest';
import { fuzz } from './watchdog.ts';

const CASES = 800;

test('whatever a guest asks of its devices, they answer', { timeout: 180_000 }, async () => {
  const script = new URL('device-thread.ts', import.meta.url);
  const { findings, cases } = await fuzz(script, { seed: 1, cases: CASES, seconds: Infinity });
  expect(findings).toEqual([]);
  expect(cases).toBe(CASES);
});
