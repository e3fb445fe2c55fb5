/** What the desktop asks in dialogs of its own, since no page may be there to ask it. */
import { BrowserWindow, dialog, type WebContents } from 'electron';
import type { QuitChoice } from './quit.ts';

/** In the order of the dialog's buttons. */
const CHOICES: ReadonlyArray<readonly [choice: QuitChoice, label: string]> = [
  ['shutdown', 'Shut down'],
  ['destroy', 'Force off'],
  ['tray', 'Keep running in the background'],
  ['cancel', 'Cancel'],
];

/** Asks what becomes of the machines that run when the program is to end. */
export async function askOnQuit(names: readonly string[]): Promise<QuitChoice> {
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

/** Asks whether a window with changes that were not applied may close all the same: Electron would keep it open
 * without a word. */
export function mayDiscard(contents: WebContents): boolean {
  const window = BrowserWindow.fromWebContents(contents);
  const question = {
    type: 'question' as const,
    message: 'Discard the changes that were not applied?',
    detail: contents.getTitle(),
    buttons: ['Discard', 'Keep the window open'],
    defaultId: 1,
    cancelId: 1,
  };
  const answer =
    window === null ? dialog.showMessageBoxSync(question) : dialog.showMessageBoxSync(window, question);
  return answer === 0;
}
