import { expect, test } from 'vitest';
import { fuzz } from './watchdog.ts';

const script = (body: string): URL => new URL(`data:text/javascript,${encodeURIComponent(body)}`);
const order = { seed: 7, cases: 1, seconds: 1 };

test('a fuzzer that throws is a finding', async () => {
  const { findings } = await fuzz(script('throw new Error("broken")'), order);
  expect(findings).toEqual([expect.stringMatching(/^case 0: .*broken/)]);
});

test('a fuzzer that ends without a result is a finding', async () => {
  const { findings } = await fuzz(script('process.exit(3)'), order);
  expect(findings).toEqual(['case 0: the thread ended with status 3']);
});

test('a fuzzer that hangs is a finding, with the case it was at', async () => {
  const hang = `import { workerData } from 'node:worker_threads';
    Atomics.store(workerData.pulse, 1, workerData.seed);
    for (;;);`;
  const { findings } = await fuzz(script(hang), order, 1);
  expect(findings).toEqual(['case 7: does not come back within 1 s']);
});

test('a result is handed through', async () => {
  const body = `import { parentPort } from 'node:worker_threads';
    parentPort.postMessage({ findings: ['one'], summary: 'done', cases: 1 });`;
  expect(await fuzz(script(body), order)).toEqual({ findings: ['one'], summary: 'done', cases: 1 });
});
