/**
 * `npm run fuzz:images -- [--seconds N] [--seed S] [--cases N]`
 *
 * Opens, reads, writes and checks damaged qcow2 images. A case is its seed: `--seed S --cases 1` runs one again. Status: 0
 * nothing found, 1 something was.
 */
import { runFuzzer } from './command.ts';

await runFuzzer('fuzz:images', new URL('image-thread.ts', import.meta.url));
