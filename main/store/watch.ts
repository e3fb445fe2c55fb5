/** Watches a library for what other programs do to it. */
import { type FSWatcher, mkdirSync, readdirSync, watch } from 'node:fs';
import path from 'node:path';
import { machineIdSchema } from '../contract/machine.ts';
import { FILES } from './library.ts';

/** Changes come in bursts; the last of one is told after so many milliseconds. */
const SETTLE = 30;

/** Files in a machine's folder that concern others. */
const WATCHED: readonly string[] = [FILES.document, FILES.run, FILES.notes];

/**
 * Watches a library.
 *
 * @param directory made where missing, so that there is something to watch
 * @param changed told the id of a machine that is new, changed or gone
 * @returns ends it
 */
export function watchLibrary(directory: string, changed: (id: string) => void): () => void {
  const folders = new Map<string, FSWatcher>();
  const due = new Set<string>();
  let timer: NodeJS.Timeout | undefined;

  const note = (id: string) => {
    due.add(id);
    timer ??= setTimeout(() => {
      timer = undefined;
      const ids = [...due];
      due.clear();
      for (const each of ids) changed(each);
    }, SETTLE);
  };
  const forget = (id: string) => {
    folders.get(id)?.close();
    folders.delete(id);
  };
  const follow = (id: string) => {
    if (folders.has(id) || !machineIdSchema.safeParse(id).success) return;
    try {
      const watcher = watch(path.join(directory, id), { persistent: false }, (_, name) => {
        if (name === null || WATCHED.includes(name)) note(id);
      });
      watcher.on('error', () => forget(id));
      folders.set(id, watcher);
    } catch {
      // Gone already, or no folder.
    }
  };

  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const root = watch(directory, { persistent: false }, (_, name) => {
    if (name === null || !machineIdSchema.safeParse(name).success) return;
    // A folder by this name may be another one now.
    forget(name);
    follow(name);
    note(name);
  });
  root.on('error', () => root.close());
  for (const id of readdirSync(directory)) follow(id);
  return () => {
    clearTimeout(timer);
    root.close();
    for (const id of folders.keys()) forget(id);
  };
}
