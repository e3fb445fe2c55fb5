import { expect, test } from 'vitest';
import { fakeMachine } from '../fake/machine.ts';
import { applicable, type Command, COMMANDS, startOrResume } from './commands.ts';

const possible = (machine: ReturnType<typeof fakeMachine>) =>
  COMMANDS.filter((command: Command) => applicable(command, [machine]).length > 0);

test('a machine that is off can be started, copied and deleted', () => {
  expect(possible(fakeMachine('a'))).toEqual(['open', 'start', 'clone', 'rename', 'label', 'delete']);
  expect(possible(fakeMachine('a', { state: 'crashed' }))).toContain('start');
});

test('a machine that runs can be stopped in several ways, but not deleted', () => {
  const commands = possible(fakeMachine('a', { state: 'running' }));
  expect(commands).toEqual(['open', 'suspend', 'shutdown', 'reset', 'destroy', 'rename', 'label']);
  expect(possible(fakeMachine('a', { state: 'paused' }))).toContain('resume');
});

test('while something is done to a machine, only force off is left', () => {
  expect(possible(fakeMachine('a', { state: 'running', busy: 'reset' }))).toEqual(['open', 'destroy']);
});

test('a damaged machine can be looked at and deleted', () => {
  const damaged = { code: 'config', message: 'is damaged' } as const;
  expect(possible(fakeMachine('a', { damaged }))).toEqual(['open', 'delete']);
});

test('of several machines those take part that can', () => {
  const machines = [fakeMachine('a'), fakeMachine('b', { state: 'running' })];
  expect(applicable('start', machines).map(({ id }) => id)).toEqual(['a']);
  expect(applicable('rename', machines)).toEqual([]);
  expect(startOrResume(machines)).toBe('start');
  expect(startOrResume([fakeMachine('c', { state: 'paused' })])).toBe('resume');
});
