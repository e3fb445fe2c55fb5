/** Quitting while machines run: they would end with the program, so what becomes of them is asked. */
import { setTimeout as sleep } from 'node:timers/promises';
import { dialog } from 'electron';
import type { Services } from '../service/services.ts';

/** How long guests may take to shut down, in milliseconds. */
const PATIENCE = 90_000;

export type QuitChoice = 'shutdown' | 'destroy' | 'tray' | 'cancel';

/** In the order of the dialog's buttons. */
const CHOICES: ReadonlyArray<readonly [choice: QuitChoice, label: string]> = [
  ['shutdown', 'Shut down'],
  ['destroy', 'Force off'],
  ['tray', 'Keep running in the background'],
  ['cancel', 'Cancel'],
];

/**
 * Asks where machines run, and carries out what was chosen.
 *
 * @returns whether the program may end now
 */
export async function mayQuit({ manager, settings }: Services): Promise<boolean> {
  const running = (await manager.list()).filter(({ pid }) => pid !== null);
  if (running.length === 0) return true;
  const choice = settings.onQuit === 'ask' ? await ask(running.map(({ name }) => name)) : settings.onQuit;
  if (choice === 'tray' || choice === 'cancel') return false;
  const end = (id: string) => (choice === 'destroy' ? manager.destroy(id) : manager.shutdown(id));
  const failures = await Promise.allSettled(running.map(({ id }) => end(id)));
  if (failures.some(({ status }) => status === 'rejected')) return false;
  for (const deadline = performance.now() + PATIENCE; performance.now() < deadline; await sleep(200)) {
    if ((await manager.list()).every(({ pid }) => pid === null)) return true;
  }
  // A guest did not listen: the program stays, and shows it.
  return false;
}

async function ask(names: readonly string[]): Promise<QuitChoice> {
  const { response } = await dialog.showMessageBox({
    type: 'question',
    message: names.length === 1 ? `${names[0]} is running.` : `${names.length} machines are running.`,
    detail: `${names.join(', ')}\n\nThey end when Guesthouse ends.`,
    buttons: CHOICES.map(([, label]) => label),
    defaultId: 0,
    cancelId: CHOICES.length - 1,
  });
  return CHOICES[response]?.[0] ?? 'cancel';
}
