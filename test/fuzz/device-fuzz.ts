/**
 * `npm run fuzz:devices -- [--seconds N] [--seed S] [--cases N]`
 *
 * Makes random accesses to every device of the board while time passes and the host does this and that. A case
 * is its seed: `--seed S --cases 1` runs one again. Status: 0 nothing found, 1 something was.
 */
import { runFuzzer } from './command.ts';

await runFuzzer('fuzz:devices', new URL('device-thread.ts', import.meta.url));
