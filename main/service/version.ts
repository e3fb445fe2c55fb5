/** Guesthouse's version. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';

const manifestSchema = z.object({ version: z.string() });

/** As the package says. */
export function programVersion(): string {
  const file = path.join(import.meta.dirname, '../../package.json');
  return manifestSchema.parse(JSON.parse(readFileSync(file, 'utf8'))).version;
}
