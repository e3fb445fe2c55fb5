import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Operation } from '../contract/machine.ts';
import { Operations } from './operations.ts';

const SUBJECT = { kind: 'clone', machine: 'a', name: 'one' };

/** Operations, and the states that were told of each. */
function rig() {
  const told: Operation['state'][] = [];
  const operations = new Operations(({ state }) => told.push(state));
  /** Works until it is told to stop. */
  const forever = operations.run(SUBJECT, async ({ signal }) => {
    for (;;) {
      await sleep(1);
      signal.throwIfAborted();
    }
  });
  return { operations, told, forever };
}

test('what is cancelled ends as such, with no error', async () => {
  const { operations, told, forever } = rig();
  operations.cancel(1);
  await expect(forever).rejects.toMatchObject({ code: 'state', message: 'clone was cancelled' });
  expect(told).toEqual(['running', 'cancelled']);
  expect(operations.list()).toMatchObject([{ state: 'cancelled', error: null, cancellable: false }]);
  expect(() => operations.cancel(2)).toThrow('there is no operation 2');
});

test('when all is closed, what can be cancelled is, and what is past that goes on', async () => {
  const { operations, forever } = rig();
  const late = operations.run(SUBJECT, async ({ commit, signal }) => {
    commit();
    await sleep(20);
    return signal.aborted;
  });
  expect(() => operations.cancel(2)).toThrow('too late');
  operations.close();
  const settled = operations.settled();
  await expect(forever).rejects.toThrow('cancelled');
  expect(operations.list().map(({ state }) => state)).toEqual(['cancelled', 'running']);
  await settled;
  expect(operations.list().map(({ state }) => state)).toEqual(['cancelled', 'done']);
  expect(await late).toBe(false);
  await operations.settled();
});
