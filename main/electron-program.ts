/** Electron's own program, which its package fetches apart from itself. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** Electron's package. */
export const ELECTRON_PACKAGE: string = path.join(import.meta.dirname, '../node_modules/electron');

/** Where the program is; undefined where it has not been fetched. */
export function electronProgram(folder: string = ELECTRON_PACKAGE): string | undefined {
  const named = path.join(folder, 'path.txt');
  if (!existsSync(named)) return undefined;
  const program = path.join(folder, 'dist', readFileSync(named, 'utf8').trim());
  return existsSync(program) ? program : undefined;
}
