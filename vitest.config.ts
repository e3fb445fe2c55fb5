import path from 'node:path';
import { defineConfig } from 'vitest/config';

/** The tests that start whole machines: slow, and each wants the processor to itself. */
const machine = 'test/machine/**/*.test.ts';

/** The tests that use the built interface in a browser, on whole machines. */
const browser = 'test/interface/**/*.test.ts';

/** Machines that a test starts in its own process find their threads' compiled code here, as they do elsewhere. */
const env = { NODE_COMPILE_CACHE: path.join(import.meta.dirname, '.cache', 'code') };

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{engine,main,renderer,scripts,bench,test}/**/*.test.ts'],
          exclude: [machine, browser],
          pool: 'forks',
          env,
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'machine',
          include: [machine],
          pool: 'forks',
          env,
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 300_000,
        },
      },
      {
        test: {
          name: 'interface',
          include: [browser],
          pool: 'forks',
          env,
          fileParallelism: false,
          // A guest boots in some of them, on a host that may have other work as well.
          testTimeout: 300_000,
          hookTimeout: 120_000,
          expect: { poll: { timeout: 45_000 } },
        },
      },
    ],
  },
});
