/** What the commands over the library are made of. */
import { GuesthouseError } from '../../engine/base/errors.ts';
import type { MachineSummary } from '../contract/machine.ts';
import type { Manager } from '../vm/manager.ts';
import type { Syntax, Words } from './words.ts';

/** A command over the library. */
export interface Command {
  readonly syntax: Syntax;
  /** @returns the exit status */
  run(manager: Manager, words: Words): Promise<number>;
}

export const MACHINE = { flags: ['json'], operands: ['MACHINE'] } as const;

/** A command that does one thing to one machine and says so. */
export const action = (
  said: (name: string) => string,
  act: (manager: Manager, id: string, words: Words) => Promise<unknown>,
  syntax: Syntax = MACHINE,
): Command => ({
  syntax,
  async run(manager, words) {
    const { id, name } = await find(manager, words.operands[0]);
    await act(manager, id, words);
    print(words, { id, name }, () => said(name));
    return 0;
  },
});

/** The machine that a word names: by its name, its UUID or, while it runs, its Id. */
export async function find(manager: Manager, word: string | undefined): Promise<MachineSummary> {
  const machines = await manager.list();
  const named = machines.filter(({ name }) => name === word);
  if (named.length > 1) {
    const hint = `name it by its UUID: ${named.map(({ id }) => id).join(', ')}`;
    throw new GuesthouseError('state', `there are ${named.length} machines called '${word}'`, hint);
  }
  const found =
    named[0] ?? machines.find(({ id, pid }) => id === word || (pid !== null && String(pid) === word));
  if (found !== undefined) return found;
  throw new GuesthouseError('state', `there is no machine called '${word}'`, 'see guesthouse list --all');
}

/** Prints a value for a script, or words for a person. */
export function print(words: Words, value: unknown, text: () => string): void {
  process.stdout.write(words.has('json') ? `${JSON.stringify(value)}\n` : `${text()}\n`);
}
