import { expect, test } from 'vitest';
import { summarize, type Report } from './test.ts';

const report = (status: string, tests: Array<[name: string, status: string]>, message = ''): Report => ({
  testResults: [
    {
      name: '/repo/engine/x.test.ts',
      status,
      message,
      assertionResults: tests.map(([fullName, each]) => ({ fullName, status: each })),
    },
  ],
});

test('tests are counted by what came of them', () => {
  const run = report('failed', [
    ['a', 'passed'],
    ['b', 'failed'],
    ['c', 'passed'],
    ['d', 'pending'],
  ]);
  expect(summarize(run, 1, '/repo')).toEqual({
    passed: 2,
    failures: ['engine/x.test.ts: b'],
    skipped: ['engine/x.test.ts: d'],
  });
});

test('a file that cannot be loaded is a failure', () => {
  const run = report('failed', [], "Cannot find module './y.ts'\n    at …");
  expect(summarize(run, 1, '/repo').failures).toEqual(["engine/x.test.ts: Cannot find module './y.ts'"]);
});

test('a run that failed for another reason, such as an unhandled error, is a failure', () => {
  expect(summarize(report('passed', [['a', 'passed']]), 1, '/repo')).toEqual({
    passed: 1,
    failures: ['vitest ended with status 1'],
    skipped: [],
  });
});

test('a run without a report is a failure, whatever its status', () => {
  expect(summarize(undefined, 0, '/repo').failures).toHaveLength(1);
  expect(summarize(undefined, 137, '/repo').failures).toEqual(['vitest ended with status 137']);
});
