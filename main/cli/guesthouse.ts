#!/usr/bin/env node
/**
 * The command `guesthouse`. Where it is started by a Node older than the engine needs, it starts itself
 * again with the Node that this project brings along.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { constants } from 'node:os';
import path from 'node:path';

const NEEDED = 26;

/** The status of a program that SIGPIPE has ended, which Node ignores. */
const SIGPIPE_STATUS = 141;

async function start(words: readonly string[]): Promise<number> {
  const [major] = process.versions.node.split('.', 1);
  if (Number(major) >= NEEDED) {
    const { codeCacheDirectory } = await import('../store/paths.ts');
    // Halves the time that a command takes to start. Where it can't be kept, nothing is lost.
    enableCompileCache(codeCacheDirectory());
    // A machine's threads look for it here.
    process.env['NODE_COMPILE_CACHE'] ??= codeCacheDirectory();
    const { endWithNpm } = await import('./npm-parent.ts');
    endWithNpm();
    // Whoever reads the output may have had enough, as `head` does. Commands that go on all the same listen themselves.
    process.stdout.on('error', () => {
      if (process.stdout.listenerCount('error') === 1) process.exit(SIGPIPE_STATUS);
    });
    const { main } = await import('./main.ts');
    return main(words);
  }
  const name = process.platform === 'win32' ? 'node.exe' : 'node';
  const own = path.resolve(import.meta.dirname, '../../node_modules/node/bin', name);
  if (!existsSync(own)) {
    process.stderr.write(
      `guesthouse: Node ${NEEDED} or newer is needed, this is ${process.versions.node} (install it, or run npm install)\n`,
    );
    return 69;
  }
  return again(own, words);
}

/** Runs this file with another Node, which gets the same terminal and the signals that come here. */
function again(node: string, words: readonly string[]): Promise<number> {
  const child = spawn(node, [import.meta.filename, ...words], { stdio: 'inherit' });
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => {
    child.on('error', (error) => {
      process.stderr.write(`guesthouse: cannot start ${node}: ${error.message}\n`);
      resolve(70);
    });
    child.on('exit', (status, signal) =>
      resolve(status ?? 128 + (signal === null ? 0 : constants.signals[signal])),
    );
  });
}

process.exitCode = await start(process.argv.slice(2));
