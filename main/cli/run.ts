/** `guesthouse run`: a machine from the command line, from its start to its end. */
import path from 'node:path';
import { EXIT_STATUS } from '../../engine/base/errors.ts';
import type { LogRecord } from '../../engine/base/log.ts';
import type { DiskFailure } from '../../engine/host/disk-backend.ts';
import { Machine, type Outcome } from '../../engine/host/machine.ts';
import { cacheDirectory } from '../store/paths.ts';
import { KEY_HELP } from './escape-keys.ts';
import { parseRunOptions, type RunOptions } from './run-options.ts';
import { sample } from './sample.ts';
import { statisticsTable } from './statistics.ts';
import { Terminal } from './terminal.ts';
import { USAGE } from './usage.ts';

/** Signals that end the machine, with the status each gives by custom: 128 plus its number. */
const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

/**
 * Runs a machine until it ends.
 *
 * @param words what follows `guesthouse run`
 * @returns the exit status
 * @throws GuesthouseError for whatever is found to be wrong before the machine starts
 */
export async function run(words: readonly string[]): Promise<number> {
  const options = parseRunOptions(words);
  if (options.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const terminal = new Terminal();
  const say = (line: string) => process.stderr.write(`guesthouse: ${line}${terminal.raw ? '\r' : ''}\n`);
  const log = ({ level, text }: LogRecord) => {
    if (level === 'warn' || level === 'error') say(text);
  };
  const listed = (text: string) => process.stderr.write(terminal.raw ? text.replaceAll('\n', '\r\n') : text);
  const diskFailed = ({ held }: DiskFailure) => {
    if (held) say('the machine is paused: make room or mend what is wrong, then type Ctrl-A R');
  };
  const machine = Machine.create(await configOf(options), {
    terminal,
    log,
    diskFailed,
    watch: options.dumpCode === undefined ? undefined : { address: options.dumpCode, listed },
  });

  let signalled: number | undefined;
  for (const [name, status] of Object.entries(SIGNALS)) {
    process.on(name, () => {
      signalled ??= status;
      machine.stop();
    });
  }
  try {
    const served = await machine.serveDisplay();
    machine.start();
    if (served !== undefined) say(`display at ${served}`);
    const { name, why, caveat } = machine.accelerator;
    if (machine.config.accel === 'auto') say(`accelerator ${name} (${why})`);
    if (caveat !== undefined) say(`${name} may not run this guest: ${caveat}`);
    if (machine.config.serial.some(({ kind }) => kind === 'stdio')) {
      terminal.connect({
        receive: (bytes) => machine.send(bytes),
        command: (command) => {
          if (command === 'quit') machine.stop();
          else if (command === 'resume') machine.resume();
          else for (const line of KEY_HELP) say(line);
        },
      });
    }
    const outcome = await machine.ended;
    terminal.close();
    const status = statusOf(outcome, say);
    if (options.stats) process.stderr.write(`${statisticsTable(machine.statistics()).join('\n')}\n`);
    return signalled ?? status;
  } finally {
    terminal.close();
  }
}

/** The machine's configuration, with the sample guest's files where it was asked for. */
async function configOf({ config, sample: wanted }: RunOptions) {
  if (!wanted) return config;
  const files = await sample(path.join(cacheDirectory(), 'sample'));
  return { ...config, ...files, append: config.append ?? 'console=ttyS0' };
}

function statusOf(outcome: Outcome, say: (line: string) => void): number {
  switch (outcome.kind) {
    case 'poweroff':
    case 'stopped':
      return 0;
    case 'exit':
      return outcome.status & 0xff;
    case 'crash':
      say(outcome.message);
      return EXIT_STATUS['guest-crash'];
    case 'host':
      say(outcome.message);
      return EXIT_STATUS.resources;
    default:
      say(outcome.message);
      return EXIT_STATUS.internal;
  }
}
