/** The command line: which command, and what becomes of its errors. */
import { EXIT_STATUS, GuesthouseError } from '../../engine/base/errors.ts';
import { programVersion } from '../service/version.ts';
import { USAGE } from './usage.ts';

/** Commands beside those over the library. */
const OWN_COMMANDS = ['run', 'serve', 'image', 'sample', 'help'] as const;

/**
 * Carries out a command line.
 *
 * @param words without the program's name
 * @returns the exit status; errors have been told in one line on standard error
 */
export async function main(words: readonly string[]): Promise<number> {
  try {
    return await command(words);
  } catch (error) {
    if (error instanceof GuesthouseError) {
      process.stderr.write(`guesthouse: ${error.line}\n`);
      return EXIT_STATUS[error.code];
    }
    const [line] = (error instanceof Error ? error.message : String(error)).split('\n', 1);
    process.stderr.write(`guesthouse: internal error: ${line}\n`);
    return EXIT_STATUS.internal;
  }
}

async function command(words: readonly string[]): Promise<number> {
  const [name, ...rest] = words;
  if (name === 'help' && rest.length === 1) return help(rest[0]);
  // Among the words of run they may be the kernel's.
  if (name !== 'run' && rest.some((word) => word === '--help' || word === '-h')) return help(name);
  switch (name) {
    case 'run': {
      // The engine is loaded only by what needs it.
      const { run } = await import('./run.ts');
      return run(rest);
    }
    case 'serve': {
      const { serveCommand } = await import('./serve.ts');
      return serveCommand(rest);
    }
    case 'image': {
      const { imageCommand } = await import('./image.ts');
      return imageCommand(rest);
    }
    case 'sample': {
      const [directory, ...more] = rest;
      if (directory === undefined || directory === '' || directory.startsWith('-') || more.length > 0) {
        throw usage('sample takes one directory');
      }
      const { sample } = await import('./sample.ts');
      const { kernel, initrd } = await sample(directory);
      process.stdout.write(`${kernel}\n${initrd}\n`);
      return 0;
    }
    case '--help':
    case '-h':
    case 'help':
      return help();
    case '--version':
      process.stdout.write(`guesthouse ${programVersion()}\n`);
      return 0;
    case undefined:
      throw usage('no command');
    default: {
      const { isMachineCommand, MACHINE_COMMANDS, machineCommand } = await import('./machines.ts');
      if (isMachineCommand(name)) return machineCommand(name, rest);
      const { hintFor } = await import('./unknown-command.ts');
      const hint = hintFor(name, [...OWN_COMMANDS, ...MACHINE_COMMANDS]);
      throw new GuesthouseError('usage', `unknown command '${name}'`, hint);
    }
  }
}

/** Prints the help of a command over the library, or of all there is. */
async function help(name?: string): Promise<number> {
  const { commandHelp, isMachineCommand } = await import('./machines.ts');
  process.stdout.write(name !== undefined && isMachineCommand(name) ? commandHelp(name) : USAGE);
  return 0;
}

function usage(message: string): GuesthouseError {
  return new GuesthouseError('usage', message, 'see guesthouse --help');
}
