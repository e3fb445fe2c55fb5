import { expect, test } from 'vitest';
import { MACHINE_COMMANDS } from './machines.ts';
import { hintFor } from './unknown-command.ts';

test.each([
  ['sart', "did you mean 'start'?"],
  ['lsit', 'see guesthouse --help'],
  ['lists', "did you mean 'list'?"],
  ['domifno', "did you mean 'dominfo'?"],
  ['xyzzy', 'see guesthouse --help'],
  ['reboot', "'reset' presses the reset button"],
  ['constructor', 'see guesthouse --help'],
])('of %s is said: %s', (name, hint) => {
  expect(hintFor(name, MACHINE_COMMANDS)).toBe(hint);
});
