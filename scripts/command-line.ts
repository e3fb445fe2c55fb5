/** The command lines of the scripts in package.json: `--help` is answered, and what is wrong said in one line. */
import { parseArgs, type ParseArgsOptionsConfig } from 'node:util';
import { firstSentence } from '../main/cli/words.ts';

/** As the program's own, for a command line that is wrong. */
const EXIT_USAGE = 64;

/**
 * Reads the words behind a script's name. Ends the process where they ask for help, or are wrong.
 *
 * @param usage what `--help` prints: `npm run x -- [OPTION]…`, and a line for each option
 * @param options as util.parseArgs() takes them
 */
export function commandLine<const T extends ParseArgsOptionsConfig>(
  usage: string,
  options: T,
): ReturnType<typeof parseArgs<{ options: T }>>['values'] {
  const words = process.argv.slice(2);
  if (words.includes('--help') || words.includes('-h')) {
    process.stdout.write(`Usage: ${usage.trim()}\n`);
    process.exit(0);
  }
  try {
    return parseArgs({ args: words, options }).values;
  } catch (error) {
    return refuse(firstSentence(error));
  }
}

/** Says what is wrong with the command line, and ends the process. */
export function refuse(message: string): never {
  process.stderr.write(`${message} (--help says what there is)\n`);
  process.exit(EXIT_USAGE);
}

/** What an option says that takes a whole number; refused where it is none, or less than `least`. */
export function wholeNumber(option: string, text: string, least = 0): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
  if (value >= least) return value;
  return refuse(`--${option} takes a whole number from ${least}, not '${text}'`);
}

/** What an option says that takes one of some words; refused where it is none of them. */
export function oneOf<const T extends string>(option: string, text: string, words: readonly T[]): T {
  const found = words.find((word) => word === text);
  return found ?? refuse(`--${option} takes ${words.join(', ')}, not '${text}'`);
}
