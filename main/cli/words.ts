/** Words of a command line: options and what is no option. */
import { parseArgs } from 'node:util';
import { GuesthouseError } from '../../engine/base/errors.ts';

/** What a command takes: its options, and the names of what else, in order. */
export interface Syntax {
  readonly flags?: readonly string[];
  readonly values?: readonly string[];
  /** One that ends in `?` may be left out. */
  readonly operands?: readonly string[];
}

export interface Words {
  /** Whether a flag is given. */
  has(flag: string): boolean;
  /** The value of an option. */
  value(option: string): string | undefined;
  /** The n-th operand; undefined where one that may be was left out. */
  readonly operands: readonly (string | undefined)[];
}

/**
 * Reads the words after a command.
 *
 * @throws GuesthouseError `usage`, one line about the first thing that is wrong
 */
export function parseWords(command: string, words: readonly string[], syntax: Syntax): Words {
  const { flags = [], values = [], operands = [] } = syntax;
  const options = {
    ...Object.fromEntries(flags.map((name) => [name, { type: 'boolean' } as const])),
    ...Object.fromEntries(values.map((name) => [name, { type: 'string' } as const])),
  };
  const parsed = parse(words, options);
  const given = parsed.positionals;
  const needed = operands.filter((name) => !name.endsWith('?'));
  if (given.length < needed.length) throw usage(`${command} needs ${needed[given.length]}`);
  if (given.length > operands.length) throw usage(`unexpected argument '${given[operands.length]}'`);
  return {
    has: (flag) => parsed.values[flag] === true,
    value: (option) => {
      const value = parsed.values[option];
      return typeof value === 'string' ? value : undefined;
    },
    operands: given,
  };
}

function parse(words: readonly string[], options: Record<string, { type: 'boolean' | 'string' }>) {
  try {
    return parseArgs({ args: [...words], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw usage(firstSentence(error));
  }
}

/** Node's messages are "Unknown option '--x'. To specify a positional argument …": the first sentence. */
export function firstSentence(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const [sentence] = text.split(/\.(?:\s|$)/, 1);
  return sentence.charAt(0).toLowerCase() + sentence.slice(1);
}

export function usage(message: string): GuesthouseError {
  return new GuesthouseError('usage', message, 'see guesthouse --help');
}
