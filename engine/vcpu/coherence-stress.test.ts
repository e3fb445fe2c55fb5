/** Coherence between threads that really run at the same time; single steps are in coherence.test.ts. */
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { attach, stressBytes, type StressResult, type StressTask } from './testing/coherence-worker.ts';

const VCPUS = 4;
const PAGES = 4;
const OPERATIONS = 1_000_000;

async function runVcpu(task: StressTask): Promise<StressResult> {
  const worker = new Worker(new URL('./testing/coherence-worker.ts', import.meta.url), { workerData: task });
  return new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject));
}

test('no addition is lost and no write to code goes unnoticed', { timeout: 120_000 }, async () => {
  const parts = { buffer: new SharedArrayBuffer(stressBytes(PAGES, VCPUS)), vcpus: VCPUS, pages: PAGES };
  const results = await Promise.all(
    Array.from({ length: VCPUS }, async (_, vcpu) =>
      runVcpu({ ...parts, vcpu, operations: OPERATIONS, seed: 1 + vcpu }),
    ),
  );
  expect(results.map(({ missed }) => missed)).toEqual(results.map(() => null));
  const { values } = attach(parts);
  const pages = Array.from({ length: PAGES }, (_, page) => page);
  expect(pages.map((page) => values[page * 1024])).toEqual(
    pages.map((page) => results.reduce((sum, { added }) => sum + added[page], 0)),
  );
});
