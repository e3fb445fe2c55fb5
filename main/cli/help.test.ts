import { expect, test } from 'vitest';
import { helpOf, PURPOSES } from './help.ts';
import { commandHelp, MACHINE_COMMANDS } from './machines.ts';
import { USAGE } from './usage.ts';

test('every command over the library says what it does, and no other', () => {
  expect(Object.keys(PURPOSES).sort()).toEqual([...MACHINE_COMMANDS].sort());
  for (const name of MACHINE_COMMANDS) {
    expect(commandHelp(name)).toMatch(new RegExp(`^Usage: guesthouse ${name}\\b.*\\n\\n[A-Z]`));
    // A terminal's width, and half of that again at most.
    expect(
      commandHelp(name)
        .split('\n')
        .slice(1)
        .every((line) => line.length <= 110),
    ).toBe(true);
    // And the help of all of them has it.
    expect(USAGE).toMatch(new RegExp(`(?:^ {2}|, )${name}(?:[ ,]|$)`, 'm'));
  }
});

test('a synopsis has operands, those that may be left out in brackets, and options', () => {
  const syntax = { operands: ['MACHINE', 'KEY', 'KEY?', 'KEY?'], values: ['holdtime'], flags: ['json'] };
  expect(helpOf('send-key', syntax)).toMatch(
    /^Usage: guesthouse send-key MACHINE KEY… \[--holdtime HOLDTIME\] \[--json\]\n/,
  );
  expect(helpOf('domstats', { operands: ['MACHINE?'] })).toMatch(/^Usage: guesthouse domstats \[MACHINE\]\n/);
});
