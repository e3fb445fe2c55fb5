/** `guesthouse edit`: a machine's document in the user's editor. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline/promises';
import { problemOf } from '../../engine/api/problem.ts';
import { GuesthouseError } from '../../engine/base/errors.ts';
import { parseJson } from '../contract/client.ts';
import { damagedError } from '../store/library.ts';
import type { Manager } from '../vm/manager.ts';

/**
 * Lets the user edit a machine's document, and asks again while it is wrong.
 *
 * @returns whether it was changed
 * @throws GuesthouseError where the editor can't be run, or the user gave up on a document that is wrong, which is
 * kept then
 */
export async function editDocument(manager: Manager, id: string): Promise<boolean> {
  const { document, revision } = await manager.get(id);
  if (document === null) throw damagedError(manager.library.get(id));
  const before = `${JSON.stringify(document, undefined, 2)}\n`;
  const folder = mkdtempSync(path.join(tmpdir(), 'guesthouse-edit-'));
  const file = path.join(folder, `${document.name}.json`);
  let given = false;
  try {
    writeFileSync(file, before, { mode: 0o600 });
    for (;;) {
      await runEditor(file);
      const text = readFileSync(file, 'utf8');
      if (text === before) return false;
      try {
        const value = parseJson(text);
        if (value === undefined) throw new GuesthouseError('config', 'this is not JSON');
        await manager.configure(id, revision, value);
        return true;
      } catch (error) {
        const problem = problemOf(error);
        if (await again(problem.message)) continue;
        // What was typed is not thrown away for a mistake in it.
        given = true;
        throw new GuesthouseError(problem.code, problem.message, `what you wrote is in ${file}`, {
          cause: error,
        });
      }
    }
  } finally {
    if (!given) rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs the user's editor; a variable may hold options too. */
function runEditor(file: string): Promise<void> {
  const { VISUAL: visual, EDITOR: editor } = process.env;
  const command = visual || editor || (process.platform === 'win32' ? 'notepad' : 'vi');
  const [program, ...words] = command.split(/\s+/).filter((word) => word !== '');
  const failed = (reason: string) =>
    new GuesthouseError('resources', `cannot run the editor ${command}: ${reason}`, 'set EDITOR');
  return new Promise((resolve, reject) => {
    const child = spawn(program ?? 'vi', [...words, file], { stdio: 'inherit' });
    child.once('error', (error) => reject(failed(error.message)));
    child.once('exit', (status, signal) => {
      if (status === 0) resolve();
      else
        reject(
          failed(
            signal === null ? `it ended with status ${status ?? 'unknown'}` : `it was ended by ${signal}`,
          ),
        );
    });
  });
}

/** Asks whether to go on with a document that is wrong; without a terminal there is nobody to ask. */
async function again(reason: string): Promise<boolean> {
  if (!process.stdin.isTTY) return false;
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return !/^n/i.test(await lines.question(`Failed: ${reason}. Try again? [Y,n] `));
  } finally {
    lines.close();
  }
}
