/** Processes of this host, as far as the tests must find those that a manager started and left running. */
import { readdirSync, readFileSync } from 'node:fs';

/** Process ids of those whose environment holds `text`: Linux's /proc (proc_pid_environ(5)). */
export function processesWith(text: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && environmentOf(pid).includes(text));
}

function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8');
  } catch {
    // It has ended, or is somebody else's.
    return '';
  }
}
