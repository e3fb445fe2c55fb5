/**
 * `npm run fuzz:guest -- [--seconds N] [--seed S] [--cases N]`
 *
 * Runs random code in random states of all modes on our processor. A case is its seed: `--seed S --cases 1`
 * runs one again. Status: 0 nothing found, 1 something was.
 */
import { runFuzzer } from './command.ts';

await runFuzzer('fuzz:guest', new URL('guest-thread.ts', import.meta.url));
