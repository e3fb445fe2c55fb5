import { expect, test } from 'vitest';
import { facts, table } from './table.ts';
import { parseWords } from './words.ts';

const syntax = { flags: ['json'], values: ['port'], operands: ['MACHINE', 'NAME?'] } as const;
const said = (...words: string[]): string => {
  try {
    parseWords('start', words, syntax);
    return '';
  } catch (error) {
    return error instanceof Error ? error.message : '';
  }
};

test('options and operands are told apart', () => {
  const words = parseWords('start', ['a', '--json', '--port', '80'], syntax);
  expect([words.has('json'), words.value('port'), words.operands]).toEqual([true, '80', ['a']]);
});

test.each([
  [[], 'start needs MACHINE'],
  [['a', 'b', 'c'], "unexpected argument 'c'"],
  [['a', '--fly'], "unknown option '--fly'"],
  [['a', '--port'], "option '--port <value>' argument missing"],
])('%j: %s', (words, message) => {
  expect(said(...words)).toBe(message);
});

test('a table as virsh prints it', () => {
  expect(table(['Id', 'Name', 'State'], [['-', 'first machine', 'shut off']])).toBe(
    ' Id   Name            State\n--------------------------------\n -    first machine   shut off\n',
  );
});

test('facts stand at one column', () => {
  expect(
    facts([
      ['Id', 5],
      ['CPU(s)', 1],
    ]),
  ).toBe('Id:      5\nCPU(s):  1');
});
