/** `guesthouse serve`: the browser shell. */
import { serve } from '../web.ts';
import { parseWords, usage } from './words.ts';

/**
 * Serves until it is told to end.
 *
 * @param words what follows `guesthouse serve`
 * @returns never: ends the process, whatever is left behind in it
 * @throws GuesthouseError
 */
export async function serveCommand(words: readonly string[]): Promise<never> {
  const parsed = parseWords('serve', words, { flags: ['open'], values: ['port'] });
  const text = parsed.value('port') ?? '0';
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : NaN;
  if (!(port <= 65535)) throw usage(`--port must be a whole number from 0 to 65535, not '${text}'`);
  await serve({ port, open: parsed.has('open') }, (line) => process.stdout.write(`${line}\n`));
  process.exit(0);
}
