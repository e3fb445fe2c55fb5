/**
 * Entry of the process that runs one machine. It takes the machine's lock, listens on its socket and does what
 * it is asked for there (engine/api/control.ts); it ends when the machine has ended.
 *
 *     node process.ts --socket PATH [--lock PATH] [--record PATH]
 *
 * Exit status: 0, or as the command line's (engine/base/errors.ts) with one line on standard error.
 */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { parseArgs } from 'node:util';
import { EXIT_STATUS, GuesthouseError } from '../base/errors.ts';
import { Engine } from './engine.ts';
import { takeLock } from './lock.ts';
import { reasonOf } from './output.ts';

async function main(words: string[]): Promise<number> {
  const { values } = parseArgs({
    args: words,
    options: { socket: { type: 'string' }, lock: { type: 'string' }, record: { type: 'string' } },
  });
  const { socket, lock, record } = values;
  if (socket === undefined) throw new GuesthouseError('usage', '--socket is missing');
  const unlock = lock === undefined ? () => {} : takeLock(lock);
  if (unlock === undefined) throw new GuesthouseError('state', 'the machine is running already');

  const engine = new Engine(record);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => engine.stop());
  // The terminal that it was started from is none of its business.
  process.on('SIGHUP', () => {});
  engine.serve(await listen(socket));
  await engine.done;
  if (process.platform !== 'win32') rmSync(socket, { force: true });
  unlock();
  return 0;
}

/** Listens for this user only. With the lock held, a socket file that is there is left over. */
function listen(socket: string): Promise<Server> {
  const isFile = process.platform !== 'win32';
  if (isFile) rmSync(socket, { force: true });
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const reason = `cannot listen on ${socket}: ${reasonOf(error)}`;
      reject(new GuesthouseError('resources', reason, undefined, { cause: error }));
    });
    // Nobody else can connect between the two calls: the folder is for this user only.
    server.listen(socket, () => {
      if (isFile) chmodSync(socket, 0o600);
      resolve(server);
    });
  });
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const known = error instanceof GuesthouseError;
  process.stderr.write(`${known ? error.line : reasonOf(error)}\n`);
  process.exitCode = known ? EXIT_STATUS[error.code] : EXIT_STATUS.internal;
}
// Threads of a machine that broke may be left.
process.exit();
