/**
 * Ending with npm. npm and npx run a command by way of a shell, and a signal that they are sent reaches that shell and
 * no further (where it reaches npm alone, not even that): both end, and what they ran would go on unseen.
 */
import { readFileSync } from 'node:fs';

/** Milliseconds between two looks. */
const INTERVAL = 250;

/** Where npm has started this program: sends this process SIGTERM when the shell between them, or npm, has ended. */
export function endWithNpm(): void {
  // Set for what npx and `npm run` start.
  if (process.env['npm_lifecycle_event'] === undefined) return;
  const started = forebears();
  const timer = setInterval(() => {
    if (forebears() === started) return;
    clearInterval(timer);
    process.kill(process.pid, 'SIGTERM');
  }, INTERVAL).unref();
}

/** Process ids of the parent and, where the system tells, of its parent: of the shell, and of npm. Whose parent has ended
 * gets another. */
function forebears(): string {
  const parent = process.ppid;
  try {
    // proc(5), /proc/pid/stat: the parent is the fourth field, the second of those after the name in parentheses.
    const fields = readFileSync(`/proc/${parent}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return `${parent} ${fields[1]}`;
  } catch {
    return String(parent);
  }
}
