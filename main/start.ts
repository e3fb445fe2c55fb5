/**
 * `npm start`: opens the desktop. Where that is not possible it says why in one line, and serves the interface
 * to a browser instead.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { EXIT_STATUS, GuesthouseError } from '../engine/base/errors.ts';
import { endWithNpm } from './cli/npm-parent.ts';
import { parseWords } from './cli/words.ts';
import { ELECTRON_PACKAGE, electronProgram } from './electron-program.ts';
import { serve } from './web.ts';
import { RENDERER_DIRECTORY } from './web/assets.ts';

const ROOT = path.dirname(import.meta.dirname);

/** How long fetching Electron may take, in milliseconds. */
const PATIENCE = 5 * 60_000;

const say = (line: string) => process.stdout.write(`${line}\n`);

/** Runs a script of package.json or a program of Node's to its end.
 * @returns its exit status, and what it wrote */
async function run(
  program: string,
  words: readonly string[],
  timeout = PATIENCE,
): Promise<{ status: number; output: string }> {
  const child = spawn(program, words, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], timeout });
  let output = '';
  const collect = (text: string) => (output = (output + text).slice(-65536));
  child.stdout.setEncoding('utf8').on('data', collect);
  child.stderr.setEncoding('utf8').on('data', collect);
  const status = await new Promise<number>((resolve) => {
    child.once('error', () => resolve(1));
    child.once('close', (code) => resolve(code ?? 1));
  });
  return { status, output };
}

/** Why there can be no window here; undefined where there can. */
function displayMissing(): string | undefined {
  if (process.platform !== 'linux') return undefined;
  const { DISPLAY: x11, WAYLAND_DISPLAY: wayland } = process.env;
  return x11 || wayland ? undefined : 'there is no display';
}

/** Electron's program, fetched where it is not there yet; undefined where it can't be. */
async function findElectron(): Promise<string | undefined> {
  if (!existsSync(ELECTRON_PACKAGE)) return undefined;
  const found = electronProgram();
  if (found !== undefined) return found;
  say('Fetching Electron …');
  const { status } = await run(process.execPath, [path.join(ELECTRON_PACKAGE, 'install.js')]);
  return status === 0 ? electronProgram() : undefined;
}

/** @throws GuesthouseError `internal` with the last line that the script wrote */
async function build(script: string): Promise<void> {
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const { status, output } = await run(npm, ['run', '--silent', script]);
  if (status === 0) return;
  throw new GuesthouseError('internal', `npm run ${script} failed: ${output.trim().split('\n').at(-1)}`);
}

async function main(words: readonly string[]): Promise<number> {
  if (words.includes('--help') || words.includes('-h')) {
    say('Usage: npm start: opens the desktop, or serves it to a browser where there can be no window');
    return 0;
  }
  parseWords('npm start', words, {});
  if (!existsSync(path.join(RENDERER_DIRECTORY, 'index.html'))) {
    say('Building the interface …');
    await build('build');
  }
  const noDisplay = displayMissing();
  const electron = noDisplay === undefined ? await findElectron() : undefined;
  if (electron === undefined) {
    const reason = noDisplay ?? 'Electron is not installed and cannot be fetched';
    say(`No desktop window: ${reason}. The browser shell serves instead.`);
    await serve({ port: 0, open: noDisplay === undefined }, say);
    process.exit(0);
  }
  await build('build:app');
  const child = spawn(electron, [path.join(ROOT, 'dist', 'app')], { stdio: 'inherit' });
  return new Promise((resolve) => {
    child.once('error', () => resolve(EXIT_STATUS.internal));
    child.once('exit', (status) => resolve(status ?? EXIT_STATUS.internal));
  });
}

endWithNpm();
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const known = error instanceof GuesthouseError;
  const [line] = (error instanceof Error ? error.message : String(error)).split('\n', 1);
  process.stderr.write(`guesthouse: ${known ? error.line : line}\n`);
  process.exitCode = known ? EXIT_STATUS[error.code] : EXIT_STATUS.internal;
}
